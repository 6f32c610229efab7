//! What a scrape tells of what was meant by changes.

use std::collections::BTreeMap;

use driftline_protocol::snapshot::Domain;

use super::{Page, View, load, number, seconds, table};
use crate::analysis::classify::ChangeClass;
use crate::analysis::classify::weigh::FindingClass;
use crate::analysis::finding::FindingKind;
use crate::config::ChangeSource;
use crate::store::OpenCount;

pub(super) fn about_intent(page: &mut Page, view: &View<'_>) {
    let mut classes = Vec::new();
    for domain in Domain::ALL {
        for class in ChangeClass::ALL {
            let many = view.totals.classes.get(&(domain, class)).copied().unwrap_or_default();
            classes.push((vec![domain.as_str(), class.as_str()], number(many)));
        }
    }
    page.add(&table::CLASSES, classes);
    let windows = view.config.change_windows.iter().map(|window| (window, "window"));
    let windows = windows.chain(view.config.blackouts.iter().map(|window| (window, "blackout")));
    // Entries of one name are one window of many times: open while any of them is.
    let mut open: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for (window, kind) in windows {
        let is_open = window.is_open(view.now, jiff::SignedDuration::ZERO);
        *open.entry((window.name.as_str(), kind)).or_default() |= is_open;
    }
    let open = open.into_iter();
    page.add(
        &table::WINDOW_OPEN,
        open.map(|((name, kind), open)| (vec![name, kind], f64::from(u8::from(open)))),
    );
    page.one(&table::REQUESTS_LEFT_OUT, load(&view.live.requests_left_out));
    page.one(&table::REQUESTS_REFUSED, load(&view.live.requests_refused));
    about_sources(page, view);
}

/// What open drift is made of, noise and what was meant among it: nothing is left out unseen.
pub(super) fn about_drift(page: &mut Page, open: &[OpenCount]) {
    let mut drifts: BTreeMap<(Domain, FindingClass), u64> = BTreeMap::new();
    for count in open.iter().filter(|count| count.kind == FindingKind::Drift) {
        *drifts.entry((count.domain, count.class)).or_default() += count.count;
    }
    let mut samples = Vec::new();
    for domain in Domain::ALL {
        for class in FindingClass::all() {
            let many = drifts.get(&(domain, class)).copied().unwrap_or_default();
            samples.push((vec![domain.as_str(), class.as_str()], number(many)));
        }
    }
    page.add(&table::DRIFT_BY_CLASS, samples);
}

/// As with cases: sources that the configuration names have a label value of their own, the others
/// share one, the one that is furthest behind.
fn about_sources(page: &mut Page, view: &View<'_>) {
    let named = |name: &String| {
        let known = |source: &ChangeSource| source.name == *name;
        view.config.change_sources.iter().any(known)
    };
    let mut good: BTreeMap<&str, f64> = BTreeMap::new();
    for reading in &view.request_readings {
        let label = if named(&reading.source) { reading.source.as_str() } else { "other" };
        let through = reading.last_good.map_or(0.0, seconds);
        let least = good.entry(label).or_insert(through);
        *least = least.min(through);
    }
    page.add(&table::REQUEST_SOURCE_GOOD, good.into_iter().map(|(name, at)| (vec![name], at)));
}
