//! What a scrape tells of cases and suspects.

use std::collections::BTreeMap;

use super::{Page, View, number, seconds, table};
use crate::analysis::correlate::Tier;
use crate::analysis::service_levels::ServiceLevel;
use crate::pass::sources;
use crate::serve::correlation::Correlated;
use crate::store::FeedRecord;

pub(super) fn about_cases(page: &mut Page, view: &View<'_>) {
    about_sources(page, view);
    about_levels(page, view);
    let Some(correlated) = view.correlated else { return };
    page.one(&table::WATERMARK, seconds(correlated.watermark));
    page.one(&table::LAST_PASS, seconds(correlated.at));
    page.one(&table::PASS_TOOK, correlated.took);
    page.one(&table::PASS_LEFT_OUT, number(correlated.left_out));
    let (services, sites) = correlated.unmapped;
    let unmapped = [(vec!["service"], number(services)), (vec!["site"], number(sites))];
    page.add(&table::CASES_UNMAPPED, unmapped);
    about_volume(page, correlated);
    about_suspects(page, correlated);
}

/// Sources that the configuration names have a label value of their own; the others, which anybody
/// with a token of scope `cases` may name, share one, the one that is furthest behind.
fn about_sources(page: &mut Page, view: &View<'_>) {
    let label = |feed: &FeedRecord| {
        let known = view.config.case_sources.iter().find(|source| source.name == feed.source);
        known.map_or("other", |source| source.name.as_str())
    };
    let mut good: BTreeMap<&str, f64> = BTreeMap::new();
    let mut unread: BTreeMap<&str, u64> = BTreeMap::new();
    for feed in &view.feeds {
        let through = feed.last_good.map_or(0.0, seconds);
        let least = good.entry(label(feed)).or_insert(through);
        *least = least.min(through);
        unread.entry(label(feed)).or_default();
    }
    let mut waited: BTreeMap<&str, f64> = BTreeMap::new();
    for (feed, through) in sources::waited_for(&view.feeds, view.config, view.now) {
        let least = waited.entry(label(feed)).or_insert(f64::INFINITY);
        *least = least.min(seconds(through));
    }
    for feed in sources::unread(&view.feeds, view.config, view.now) {
        *unread.entry(label(feed)).or_default() += 1;
    }
    page.add(&table::CASE_SOURCE_GOOD, good.into_iter().map(|(name, at)| (vec![name], at)));
    page.add(&table::CASE_SOURCE_WAITED, waited.into_iter().map(|(name, at)| (vec![name], at)));
    let unread = unread.into_iter().map(|(name, count)| (vec![name], number(count)));
    page.add(&table::CASE_SOURCE_UNREAD, unread);
}

/// Desks that have any open case; all their levels, so that a breach ends as a zero.
fn about_levels(page: &mut Page, view: &View<'_>) {
    let samples = view.levels.iter().flat_map(|((service, team, priority), counts)| {
        ServiceLevel::ALL.into_iter().zip(counts).map(move |(level, count)| {
            let labels = vec![service.as_str(), team, priority, level.as_str()];
            (labels, number(*count))
        })
    });
    page.add(&table::CASES_OPEN, samples);
}

fn about_volume(page: &mut Page, correlated: &Correlated) {
    let opened = correlated.opened.iter();
    let opened = opened
        .map(|((service, site), count)| (vec![service.as_str(), site.as_str()], number(*count)));
    page.add(&table::CASES_OPENED, opened);
    let volumes = || correlated.volumes.iter().map(|(service, both)| (vec![service], *both));
    let expected = volumes().filter_map(|(labels, (expected, _))| Some((labels, expected?)));
    page.add(&table::CASES_EXPECTED, expected);
    let bound = volumes().filter_map(|(labels, (_, bound))| Some((labels, bound?)));
    page.add(&table::CASES_BOUND, bound);
}

fn about_suspects(page: &mut Page, correlated: &Correlated) {
    let services = correlated.suspects.keys().map(|(service, _)| service.as_str());
    let mut services: Vec<&str> =
        services.chain(correlated.volumes.keys().map(String::as_str)).collect();
    services.sort_unstable();
    services.dedup();
    let mut samples = Vec::new();
    for service in services {
        for tier in Tier::ALL {
            let key = (service.to_owned(), tier.as_str().to_owned());
            let count = correlated.suspects.get(&key).copied().unwrap_or_default();
            samples.push((vec![service, tier.as_str()], number(count)));
        }
    }
    page.add(&table::SUSPECTS, samples);
}
