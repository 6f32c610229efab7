//! The two clocks of the host and the name of its boot: the one place of the agent that reads them.

use jiff::Timestamp;

use crate::platform;

pub use crate::platform::monotonic_ms;

/// The host's wall clock.
pub fn wall() -> Timestamp {
    Timestamp::now()
}

/// Names this boot of the host. Where the kernel does not, each start of the agent is taken for a
/// boot, and monotonic times of before it are not told.
pub fn boot() -> String {
    platform::boot_name().unwrap_or_else(|| format!("started {}", wall()))
}
