//! The agent under a service manager of Unix, or in a terminal: signals stop it and ask it to read
//! its configuration again.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::systemd;
use crate::clock::monotonic_ms;
use crate::run::{self, Controls};

/// Runs with the configuration in `file`, in the runtime that `start` makes, until SIGTERM or
/// SIGINT.
///
/// # Errors
/// As [`run::serve`].
pub fn run(start: fn() -> anyhow::Result<Runtime>, file: &Path) -> anyhow::Result<()> {
    start()?.block_on(serve(file))
}

/// Runs with the service manager told, until a signal asks to stop.
async fn serve(file: &Path) -> anyhow::Result<()> {
    // Half the time allowed, as sd_watchdog_enabled(3) advises; an hour where nobody watches.
    let every = systemd::watched().map_or(Duration::from_secs(3_600), |allowed| allowed / 2);
    let controls = Controls::default();
    let vitals = controls.vitals.clone();
    let mut hangup = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let reload = Arc::clone(&controls.reload);
    let asks = async move {
        while hangup.recv().await.is_some() {
            reload.notify_one();
        }
        // Without signals there is nothing to ask for.
        std::future::pending::<()>().await;
    };
    let stop = stop_signal()?;
    let shutdown = async {
        systemd::ready();
        tokio::pin!(stop, asks);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = &mut asks => (),
                () = tokio::time::sleep(every) => {
                    systemd::alive_if(vitals.alive(monotonic_ms()));
                    systemd::status(vitals.status());
                }
            }
        }
        systemd::stopping();
    };
    run::serve(file, controls, shutdown).await
}

fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
    })
}
