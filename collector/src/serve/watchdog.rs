//! Tells systemd how the service fares: up, still working, ending.
//!
//! Working means that the writer answers: a collector that takes requests and stores nothing is
//! worse than one that is started again. The protocol is that of `sd_notify(3)`; where there is no
//! service manager nothing is sent. That it is heard is tried in a booted container, by
//! `packaging/test`.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::state::Collector;

/// Says that the collector listens, and from then on that its writer answers.
pub(super) fn spawn(
    tasks: &mut JoinSet<()>,
    collector: &Arc<Collector>,
    stopped: &watch::Receiver<()>,
) {
    tell(&NotifyState::Ready);
    if let Some(allowed) = sd_notify::watchdog_enabled() {
        // Half the time allowed, as sd_watchdog_enabled(3) advises.
        tasks.spawn(watch(Arc::clone(collector), allowed / 2, stopped.clone()));
    }
}

/// Says that the collector was asked to end and does so.
pub(super) fn stopping() {
    tell(&NotifyState::Stopping);
}

async fn watch(collector: Arc<Collector>, every: Duration, mut stopped: watch::Receiver<()>) {
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep(every) => (),
        }
        match collector.writer.run(|_, _| ()).await {
            Ok(()) => tell(&NotifyState::Watchdog),
            Err(error) => tracing::error!(%error, "the writer does not answer; expect a restart"),
        }
    }
}

fn tell(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, ?state, "cannot tell the service manager");
    }
}
