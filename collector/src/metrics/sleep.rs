//! Hosts that sleep: how long each may be silent before that wakes anybody.
//!
//! A host that sleeps is stale and shown as stale, since nothing is known of it; only whom that
//! wakes differs.

use jiff::Timestamp;

use super::{HostId, HostView, Liveness, Page, View, is_watched, liveness, number, table};
use crate::config::Config;

/// Whether `host` is stale at `now` and its silence is what its groups take for sleep.
pub fn is_asleep(config: &Config, (id, host): (&HostId, &HostView), now: Timestamp) -> bool {
    let silence = now.duration_since(host.last_seen);
    liveness(host, config, now) == Liveness::Stale
        && config.is_sleep(&config.place(id, host.kind), silence)
}

/// How many hosts sleep now.
pub(super) fn about_fleet(page: &mut Page, view: &View<'_>) {
    let asleep = view.fleet.hosts.iter().filter(|host| is_asleep(view.config, *host, view.now));
    page.one(&table::HOSTS_ASLEEP, number(asleep.count() as u64));
}

/// How long each of the hosts that sleep may be silent, also of those that are dormant, which are
/// last heard like the others; nothing of one that is gone.
pub(super) fn about_each_host(page: &mut Page, view: &View<'_>) {
    let sleep = |(id, host): (&HostId, &HostView)| {
        let is_shown = is_watched(liveness(host, view.config, view.now));
        let sleep =
            view.config.may_sleep(&view.config.place(id, host.kind)).filter(|_| is_shown)?;
        Some((vec![id.to_string()], sleep.as_secs_f64()))
    };
    page.add(&table::HOST_SLEEP, view.fleet.hosts.iter().filter_map(sleep));
}
