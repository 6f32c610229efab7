//! What is odd among hosts that should be alike: needs no baseline and no rule, so it is where a
//! new site begins.

use askama::Template;
use driftline_protocol::ids::HostId;
use driftline_protocol::item::{Item, ItemValue};

use super::value::{readable_key, short};
use super::{PageError, Query, Reader, STYLE_PATH, link};
use crate::analysis::peers::{Outlier, PEERS_LEAST};
use crate::config::Config;
use crate::outliers::{Asked, outliers};

/// How many are shown: more than a person looks at in one sitting.
const SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "outliers.html")]
struct Page {
    style: &'static str,
    groups: Vec<(String, bool)>,
    host: String,
    least: usize,
    rows: Vec<Row>,
}

struct Row {
    host: String,
    host_link: String,
    source: String,
    part: String,
    part_link: String,
    key: String,
    here: String,
    common: String,
    peers: String,
}

/// Draws the page.
///
/// # Errors
/// [`PageError::Query`] for a field that cannot be, [`PageError::Store`] when the store fails.
pub(super) fn page(
    (store, config): (&dyn Reader, &Config),
    query: &Query,
) -> Result<String, PageError> {
    let group = query.get("group").filter(|group| *group != ALL);
    if group.is_some_and(|group| !config.groups.iter().any(|rule| rule.name == group)) {
        return Err(PageError::Query { field: "group", rule: "a group of the configuration" });
    }
    let host = query.id::<HostId>("host", "the name of a host")?;
    let asked = Asked { group: group.map(str::to_owned), host, most: SHOWN };
    let found = outliers(store, config, &asked)?;
    let names = std::iter::once(ALL).chain(config.groups.iter().map(|rule| rule.name.as_str()));
    let chosen = group.unwrap_or(ALL);
    let page = Page {
        style: STYLE_PATH,
        groups: names.map(|name| (name.to_owned(), name == chosen)).collect(),
        host: query.get("host").unwrap_or_default().to_owned(),
        least: PEERS_LEAST,
        rows: found.iter().map(row).collect(),
    };
    Ok(page.render()?)
}

/// What stands for no group: each host among all of its kind.
const ALL: &str = "all of one kind";

fn row(outlier: &Outlier) -> Row {
    let whole = match outlier.items {
        0 => "the host lacks it".to_owned(),
        items => format!("{items} items"),
    };
    let value = |value: Option<&ItemValue>| {
        let item = value.map(|value| Item { value: value.clone(), rank: None });
        short(item.as_ref())
    };
    Row {
        host: outlier.host.to_string(),
        host_link: link::host(&outlier.host),
        source: outlier.source.to_string(),
        part: outlier.part.to_string(),
        part_link: link::part(&outlier.host, &outlier.source, &outlier.part),
        key: outlier.key.as_ref().map_or(whole, readable_key),
        here: value(outlier.current.as_ref()),
        common: value(outlier.common.as_ref()),
        peers: format!("{} of {}", outlier.agreeing, outlier.peers),
    }
}
