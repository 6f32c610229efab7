//! Tells systemd how the service fares.
//!
//! The protocol is that of `sd_notify(3)`. Where there is no service manager nothing is sent. That
//! it is heard is tried in a booted container, by `packaging/test`.

use std::time::Duration;

use sd_notify::NotifyState;

/// The service is up.
pub(super) fn ready() {
    tell(&NotifyState::Ready);
}

/// How often the service manager wants to hear of the service; `None` where nobody listens.
pub(super) fn watched() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// Says that the service still works, if it does. One that does not is started again by the service
/// manager, once it has waited in vain.
pub(super) fn alive_if(works: bool) {
    if works {
        tell(&NotifyState::Watchdog);
    } else {
        tracing::error!("the reading thread does not come round; the service manager will act");
    }
}

/// Says what `systemctl status` shows; nothing where all is well.
pub(super) fn status(text: &str) {
    tell(&NotifyState::Status(text));
}

/// The service was asked to end and does so.
pub(super) fn stopping() {
    tell(&NotifyState::Stopping);
}

fn tell(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, ?state, "cannot tell the service manager");
    }
}
