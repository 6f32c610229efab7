//! Where the agent's log goes: to standard error, one line an event, for the journal to keep.
//!
//! Events carry names, counts and errors. No value of an item is ever logged.

use tracing_subscriber::EnvFilter;

/// The level where nothing else is asked for: state changes, and whatever is unexpected.
const DEFAULT: &str = "info";

/// Sends events of `filter` (as in `DRIFTLINE_LOG`) to standard error. A filter that is none gives
/// the default.
///
/// A second call changes nothing.
pub fn start(filter: Option<&str>) {
    let filter = filter.unwrap_or(DEFAULT);
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let set = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .try_init();
    if set.is_err() {
        tracing::debug!("somebody else listens to events already");
    }
}
