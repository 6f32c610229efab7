//! `zoomus.conf` of Zoom for Linux, which is made with Qt.

use driftline_protocol::redact::RawItems;

use super::qsettings;
use crate::formats::FormatError;

/// What decides where Zoom signs in and whether a screen can be shared; the rest is a person's.
const TOLD: [&str; 8] = [
    "conf.webserver",
    "forceSSOURL",
    "sso_domain",
    "enableCloudSwitch",
    "enableWaylandShare",
    "xwayland",
    "noSandbox",
    "isTransCoding",
];

pub(super) fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    qsettings::read(bytes, |_, name| TOLD.contains(&name))
}
