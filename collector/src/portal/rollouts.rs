//! What changed on which hosts as one thing: a row for each rollout, with its progress, and a page
//! of its own.

use askama::Template;
use jiff::SignedDuration;

use super::value::readable_key;
use super::{Frame, Moment, PageError, Query, Reader, STYLE_PATH, link};
use crate::rollouts::{Hosts, Rollout, one, rollouts};
use crate::store::ChangeId;

/// How many are shown.
const SHOWN: usize = 50;

/// How far back is looked at unless the query says otherwise.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(7 * 24);

#[derive(Template)]
#[template(path = "rollouts.html")]
struct Page {
    style: &'static str,
    from: String,
    to: String,
    left_out: bool,
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "rollout.html")]
struct One {
    style: &'static str,
    row: Row,
    change_link: String,
    reached: Vec<(String, String)>,
    more: usize,
}

struct Row {
    rollout: Rollout,
    link: String,
    item: String,
    more: String,
    parts: String,
    from: Moment,
    to: Moment,
    waves: String,
    stragglers: String,
    went_back: String,
}

/// Draws the page.
///
/// # Errors
/// [`PageError::Query`] for a field that cannot be, [`PageError::Store`] when the store fails.
pub(super) fn page(store: &dyn Reader, frame: &Frame, query: &Query) -> Result<String, PageError> {
    let to = query.moment("to", frame.now)?.unwrap_or(frame.now);
    let from = query.moment("from", frame.now)?;
    let from = from.unwrap_or_else(|| to.checked_sub(LOOK_BACK).unwrap_or(to));
    let (found, left_out) = rollouts((store, &frame.config), (from, to), SHOWN)?;
    let page = Page {
        style: STYLE_PATH,
        from: query.get("from").unwrap_or_default().to_owned(),
        to: query.get("to").unwrap_or_default().to_owned(),
        left_out,
        rows: found.into_iter().map(|rollout| row(rollout, frame)).collect(),
    };
    Ok(page.render()?)
}

/// Draws the page of one rollout.
///
/// # Errors
/// [`PageError::NotFound`] for an unknown one, [`PageError::Store`] when the store fails.
pub(super) fn one_page(
    store: &dyn Reader,
    frame: &Frame,
    number: &str,
) -> Result<String, PageError> {
    let unknown = || PageError::NotFound { what: "rollout" };
    let number = number.parse().map_err(|_| unknown())?;
    let (_, rollout) = one(store, &frame.config, number)?.ok_or_else(unknown)?;
    let reached = &rollout.reached;
    let page = One {
        style: STYLE_PATH,
        change_link: link::change(ChangeId(number)),
        reached: reached.first.iter().map(|host| (host.to_string(), link::host(host))).collect(),
        more: reached.count - reached.first.len(),
        row: row(rollout, frame),
    };
    Ok(page.render()?)
}

fn row(rollout: Rollout, frame: &Frame) -> Row {
    let waves: Vec<String> = rollout.waves.iter().map(|wave| wave.hosts.to_string()).collect();
    Row {
        link: format!("/rollouts/{}", rollout.number),
        item: rollout.item.as_ref().map_or_else(|| "the whole part".to_owned(), readable_key),
        more: rollout.more_items(),
        parts: rollout.parts.join(", "),
        from: Moment::new(rollout.from, frame.now),
        to: Moment::new(rollout.to, frame.now),
        waves: waves.join(" + "),
        stragglers: names(&rollout.stragglers),
        went_back: names(&rollout.went_back),
        rollout,
    }
}

fn names(hosts: &Hosts) -> String {
    let mut names: Vec<String> = hosts.first.iter().map(ToString::to_string).collect();
    let more = hosts.count - hosts.first.len();
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}
