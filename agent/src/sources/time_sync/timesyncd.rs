//! What systemd-timesyncd is told; see timesyncd.conf(5).

use driftline_protocol::redact::RawItems;

use crate::sources::look::Look;
use crate::sources::settings::{self, Places};
use crate::sources::table::Trouble;

/// Files read after the main one; the first directory wins.
pub(super) const DROP_INS: [&str; 4] = [
    "/etc/systemd/timesyncd.conf.d",
    "/run/systemd/timesyncd.conf.d",
    "/usr/local/lib/systemd/timesyncd.conf.d",
    "/usr/lib/systemd/timesyncd.conf.d",
];

const PLACES: Places = Places {
    files: [
        "/etc/systemd/timesyncd.conf",
        "/run/systemd/timesyncd.conf",
        "/usr/local/lib/systemd/timesyncd.conf",
        "/usr/lib/systemd/timesyncd.conf",
    ],
    drop_ins: DROP_INS,
    lists: &["NTP", "FallbackNTP"],
};

/// Each setting as the last file that makes it says.
pub(super) fn configured(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    settings::merged(look, &PLACES)
}
