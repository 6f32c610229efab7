//! Has changes judged, and the drift they led to weighed, beside the requests: on a thread for
//! blocking work, one pass at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use driftline_protocol::ids::HostId;
use jiff::Timestamp;
use tokio::sync::watch;

use super::state::Collector;
use super::upkeep::goes_on;
use crate::classification::{
    Judged, changed_entries, judge, judge_again, judge_relisted, judge_told, told_lately,
};
use crate::config::Config;
use crate::ingest::{Context, Decided};
use crate::store::StoreError;
use crate::weighing::weigh_due;
use crate::writer::Reads;

/// How long the judge rests when nothing is left: a person who has just made a change looks at it
/// a moment later.
const REST: Duration = Duration::from_secs(1);

/// How many hosts that told of runs one pass looks at.
const TOLD_AGAIN: usize = 100;

/// Judges until the collector stops: what is new, then what requests say anew and what is near runs
/// that hosts told of, then what that makes of open drift, in turns, so that none waits for the end
/// of another; and first what other lists of what to ignore speak of, where a reload changed them.
pub(super) async fn run(collector: Arc<Collector>, mut stopped: watch::Receiver<()>) {
    let mut wait = REST;
    let mut listed = collector.settings().config;
    let last = Arc::new(AtomicI64::new(0));
    let mut begun = false;
    while goes_on(&mut stopped, wait).await {
        let config = collector.settings().config;
        if !Arc::ptr_eq(&config, &listed) {
            let entries = changed_entries(&listed.ignored(), &config.ignored());
            listed = config;
            if !entries.is_empty() {
                let pass = move |store: &dyn Reads, config: &Config, now| {
                    judge_relisted(store, (config, now), &entries)
                };
                once(&collector, pass).await;
            }
        }
        let new = once(&collector, judge).await;
        let again = once(&collector, judge_again).await;
        told(&collector, &mut begun).await;
        let turn = Arc::clone(&last);
        let weigh = move |store: &dyn Reads, config: &Config, now| {
            let mut last = turn.load(Ordering::Relaxed);
            let judged = weigh_due(store, config, (now, &mut last));
            turn.store(last, Ordering::Relaxed);
            judged
        };
        let drift = once(&collector, weigh).await;
        wait = if new || again || drift { Duration::ZERO } else { REST };
    }
}

/// Judges what is near the runs that hosts told of since the last pass, and in the first those of
/// the time before the collector started.
async fn told(collector: &Arc<Collector>, begun: &mut bool) {
    if !*begun {
        let store = Arc::clone(&collector.read);
        let lately = move || told_lately(&*store, Timestamp::now());
        match tokio::task::spawn_blocking(lately).await {
            Ok(Ok(hosts)) => note(collector, &hosts),
            Ok(Err(error)) => return tracing::warn!(%error, "runs were not read; tried again"),
            Err(_) => collector.live.count_panic("upkeep"),
        }
        *begun = true;
    }
    let hosts = collector.live.take_told(TOLD_AGAIN);
    if hosts.is_empty() {
        return;
    }
    let again = Arc::clone(collector);
    let pass = move |store: &dyn Reads, config: &Config, now| {
        // Whoever could not be looked at is looked at again.
        judge_told(store, (config, now), &hosts).inspect_err(|_| note(&again, &hosts))
    };
    once(collector, pass).await;
}

fn note(collector: &Collector, hosts: &BTreeMap<HostId, Timestamp>) {
    hosts.iter().for_each(|(host, since)| collector.live.note_told(host, *since));
}

/// One pass. Says whether there is more to do at once.
async fn once<P>(collector: &Arc<Collector>, pass: P) -> bool
where
    P: FnOnce(&dyn Reads, &Config, Timestamp) -> Result<Judged, StoreError> + Send + 'static,
{
    let (store, config) = (Arc::clone(&collector.read), collector.settings().config);
    let judged = tokio::task::spawn_blocking(move || pass(&*store, &config, Timestamp::now()));
    let Judged { steps, more, left_out } = match judged.await {
        Ok(Ok(judged)) => judged,
        Ok(Err(error)) => {
            tracing::warn!(%error, "changes could not be judged; tried again");
            return false;
        }
        Err(_) => {
            collector.live.count_panic("upkeep");
            tracing::error!("judging changes broke; this is a bug, please report it");
            return false;
        }
    };
    if !left_out.is_empty() {
        let sources = left_out.into_iter().collect::<Vec<_>>().join(", ");
        tracing::warn!(
            %sources,
            "more change requests than changes are held against; those that end last count"
        );
        collector.live.requests_left_out.fetch_add(1, Ordering::Relaxed);
    }
    if steps.is_empty() {
        return false;
    }
    let decide =
        move |_: &mut _, _: Context<'_>| Ok(Decided { answer: (), parts: Vec::new(), steps });
    match collector.writer.ask(decide).await {
        Ok(()) => more,
        Err(error) => {
            tracing::warn!(%error, "what changes were judged to be was not kept; tried again");
            false
        }
    }
}
