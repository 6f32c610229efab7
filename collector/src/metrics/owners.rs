//! What a scrape tells of who answers for what, and where it is.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::HostId;

use super::{HostView, Page, View, number, table};
use crate::analysis::classify::weigh::FindingClass;
use crate::analysis::finding::Severity;
use crate::analysis::rules::About;
use crate::config::Config;
use crate::config::owners::{NOBODY, OTHER};

/// Open findings by owner and by site; closed lists, so each begins at 0.
pub(super) fn about_owners(page: &mut Page, view: &View<'_>) {
    let mut owners = view.config.owner_labels();
    owners.extend([NOBODY, OTHER]);
    let of_owner = |owner: &str, severity, class| {
        let many = view.owned.all.get(&(owner.to_owned(), severity, class));
        many.copied().unwrap_or_default()
    };
    page.add(&table::FINDINGS_BY_OWNER, each(&owners, of_owner));
    let mut sites = view.config.site_labels();
    let mut open: BTreeMap<(&str, Severity, FindingClass), u64> = BTreeMap::new();
    for count in &view.open {
        let host = view.fleet.hosts.get(&count.host);
        let kind = host.map(|host| host.kind).unwrap_or_default();
        let site = view.config.place(&count.host, kind).site;
        let site = sites.get(site.as_str()).copied().unwrap_or(OTHER);
        *open.entry((site, count.severity, count.class)).or_default() += count.count;
    }
    sites.insert(OTHER);
    let of_site = |site: &str, severity, class| {
        open.get(&(site, severity, class)).copied().unwrap_or_default()
    };
    page.add(&table::FINDINGS_BY_SITE, each(&sites, of_site));
}

fn each<'a>(
    labels: &BTreeSet<&'a str>,
    many: impl Fn(&str, Severity, FindingClass) -> u64,
) -> Vec<(Vec<&'a str>, f64)> {
    let mut samples = Vec::new();
    for label in labels {
        for severity in Severity::ALL {
            for class in FindingClass::all() {
                let values = vec![*label, severity.as_str(), class.as_str()];
                samples.push((values, number(many(label, severity, class))));
            }
        }
    }
    samples
}

/// Whose the drifts of each host are; most hosts have none, and most owners none of a host.
pub(super) fn about_drift(page: &mut Page, view: &View<'_>, shown: &[(&str, &HostView)]) {
    let shown: BTreeSet<&str> = shown.iter().map(|(id, _)| *id).collect();
    let drifts = view.owned.drifts.iter().filter(|((host, _, _), _)| shown.contains(host.as_str()));
    let samples = drifts.map(|((host, owner, severity), many)| {
        (vec![host.as_str(), owner.as_str(), severity.as_str()], number(*many))
    });
    page.add(&table::DRIFT_OWNED, samples);
}

/// Where a host belongs, and whose it is.
pub(super) fn of_host(
    config: &Config,
    labels: &BTreeSet<&str>,
    (id, host): (&HostId, &HostView),
) -> Vec<String> {
    let place = config.place(id, host.kind);
    let about = About { kind: place.kind, site: place.site.clone(), groups: place.groups };
    let owner = config.owner_of_host(id, (&about, &place.team));
    let owner = Config::owner_label(labels, owner).to_owned();
    let kind = place.kind.as_str().to_owned();
    vec![id.to_string(), kind, place.site, place.team, place.service, owner]
}
