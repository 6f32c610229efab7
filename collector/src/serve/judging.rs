//! Holds every host to the rules and to what was agreed of its groups again: when either or its
//! place changed, and once at the start.
//!
//! Each host is looked at aside first, on a thread for blocking work; only one whose findings
//! differ costs the writer a turn. A host that reports meanwhile is judged by the new rules as it
//! reports.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::state::Collector;
use crate::analysis::agreement::Agreements;
use crate::ingest::{Decided, is_judged_otherwise};
use crate::standards::Standards;
use crate::store::{HostRecord, StoreError, agreements};

/// How long the start has for itself before the first pass.
const SETTLE: Duration = Duration::from_secs(1);

/// Judges the fleet at the start and whenever the standards were changed, until told to stop.
pub(super) async fn judging(collector: Arc<Collector>, mut stopped: watch::Receiver<()>) {
    if !super::upkeep::goes_on(&mut stopped, SETTLE).await {
        return;
    }
    loop {
        let changed = collector.standards_changed();
        let standards = collector.settings().standards;
        if !fleet(&collector, &standards, &stopped).await {
            return;
        }
        tokio::select! {
            _ = stopped.changed() => return,
            () = changed => {}
        }
    }
}

/// One pass over the fleet. Says whether to go on.
async fn fleet(
    collector: &Arc<Collector>,
    standards: &Arc<Standards>,
    stopped: &watch::Receiver<()>,
) -> bool {
    let read = || Ok((collector.read.hosts()?, agreements(&*collector.read)?));
    let (hosts, agreements) = match read() {
        Ok((hosts, agreements)) => (hosts, Arc::new(agreements)),
        Err::<_, StoreError>(error) => {
            tracing::warn!(%error, "hosts could not be read, so none was held to the rules again");
            return true;
        }
    };
    for host in hosts {
        // An error means that the sender is gone, which is how the end is told.
        if stopped.has_changed().is_err() {
            return false;
        }
        one(collector, (standards, &agreements), host).await;
    }
    true
}

async fn one(
    collector: &Arc<Collector>,
    (standards, agreements): (&Arc<Standards>, &Arc<Agreements>),
    host: HostRecord,
) {
    let (read, rules) = (Arc::clone(&collector.read), Arc::clone(standards));
    let (id, agreed) = (host.id.clone(), Arc::clone(agreements));
    let look = move || is_judged_otherwise((&rules, &agreed), &*read, (&host, Timestamp::now()));
    let otherwise = match tokio::task::spawn_blocking(look).await {
        Ok(Ok(otherwise)) => otherwise,
        Ok(Err(error)) => {
            tracing::warn!(%error, host = %id, "a host could not be held to the rules");
            return;
        }
        Err(_) => return,
    };
    if !otherwise {
        return;
    }
    let judged = collector.writer.ask(move |ingest, context| {
        let steps = ingest.rejudge(context, &id)?;
        Ok(Decided { answer: (), parts: Vec::new(), steps })
    });
    if let Err(error) = judged.await {
        tracing::warn!(%error, "a host was not held to the rules; it is when it next reports");
    }
}
