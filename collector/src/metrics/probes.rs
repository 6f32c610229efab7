//! What a scrape tells of probes: one series a hop, whoever asked.

use std::collections::BTreeMap;

use super::{Page, View, seconds, table};
use crate::probed::labels;

/// What all targets of one hop come to.
#[derive(Default)]
struct Hop {
    targets: u64,
    answering: u64,
    slowest: Option<f64>,
    loss: f64,
    expires: Option<f64>,
}

pub(super) fn about_probes(page: &mut Page, view: &View<'_>) {
    let mut hops: BTreeMap<(&str, &str), Hop> = BTreeMap::new();
    for probe in &view.probes {
        let hop = hops.entry(labels(view.config, probe)).or_default();
        hop.targets += 1;
        hop.answering += u64::from(probe.answers());
        hop.slowest = hop.slowest.into_iter().chain(probe.round_trip).reduce(f64::max);
        hop.loss = hop.loss.max(probe.loss);
        let expires = probe.expires.map(seconds);
        hop.expires = hop.expires.into_iter().chain(expires).reduce(f64::min);
    }
    let (mut answered, mut slowest) = (Vec::new(), Vec::new());
    let (mut loss, mut expires) = (Vec::new(), Vec::new());
    for ((service, hop), all) in hops {
        let labels = || vec![service, hop];
        answered.push((labels(), all.answering as f64 / all.targets.max(1) as f64));
        slowest.extend(all.slowest.map(|took| (labels(), took)));
        loss.push((labels(), all.loss));
        expires.extend(all.expires.map(|at| (labels(), at)));
    }
    page.add(&table::PROBE_ANSWERED, answered);
    page.add(&table::PROBE_ROUND_TRIP, slowest);
    page.add(&table::PROBE_LOSS, loss);
    page.add(&table::PROBE_EXPIRY, expires);
}
