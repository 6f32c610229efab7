//! Times as people type them on a command line; what they mean is the collector's to say.

use driftline_collector::moment;
use jiff::Timestamp;

/// The moment that `text` means now, in the form the API takes; for clap.
///
/// # Errors
/// The forms there are, when it is none of them.
pub(crate) fn argument(text: &str) -> Result<String, String> {
    let moment = moment::parse(text, Timestamp::now()).map(|moment| moment.to_string());
    moment.ok_or_else(|| format!("must be {}", moment::FORMS))
}
