//! `config.json` of Teams for Linux, which is made with Electron.

use driftline_protocol::redact::RawItems;

use crate::formats::{FormatError, json};

/// What decides how a person's Teams reaches its service.
const TOLD: [&str; 7] = [
    "url",
    "proxyServer",
    "authServerWhitelist",
    "customCACertsFingerprints",
    "chromeUserAgent",
    "disableGpu",
    "partition",
];

/// What a person has set of it.
pub(super) fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let items = (json::FORMAT.read)(bytes)?.into_iter();
    let told = |name: &str| TOLD.contains(&name);
    Ok(items.filter(|(key, _)| key.segments().next().is_some_and(|name| told(&name))).collect())
}
