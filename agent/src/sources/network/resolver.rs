//! Where names are asked for: who writes `resolv.conf`, and what systemd-resolved is told.

use std::path::Path;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::Reason;

use crate::formats::key_value::RESOLV;
use crate::formats::lines::decode;
use crate::formats::written;
use crate::sources::look::Look;
use crate::sources::settings::{self, Places};
use crate::sources::table::{Trouble, say};

const FILE: &str = "/etc/resolv.conf";

const RESOLVED: Places = Places {
    files: [
        "/etc/systemd/resolved.conf",
        "/run/systemd/resolved.conf",
        "/usr/local/lib/systemd/resolved.conf",
        "/usr/lib/systemd/resolved.conf",
    ],
    drop_ins: DROP_INS,
    lists: &["DNS", "FallbackDNS", "Domains"],
};

/// Files read after the main one; the first directory wins.
pub(super) const DROP_INS: [&str; 4] = [
    "/etc/systemd/resolved.conf.d",
    "/run/systemd/resolved.conf.d",
    "/usr/local/lib/systemd/resolved.conf.d",
    "/usr/lib/systemd/resolved.conf.d",
];

/// `writer`, which is `link TARGET`, a program or `a person`; `file/…`, what a person wrote; and
/// `resolved/…`.
pub(super) fn configured(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    let target = look.link_target(Path::new(FILE))?;
    if let Some(target) = target {
        let target = String::from_utf8_lossy(&target).into_owned();
        look.rely(Path::new(FILE))?;
        say(&mut items, ["writer"], ItemValue::Text(format!("link {target}")));
    } else if let Some(content) = look.read(Path::new(FILE), limits::FILE_BYTES)? {
        if written::is_by_stand_in(FILE, &content.bytes) {
            return Err(Trouble::Unread(Reason::Changing));
        }
        let text = decode(&content.bytes);
        if let Some(name) = written::writer(&text) {
            // What it wrote is the network's.
            look.without_bytes();
            say(&mut items, ["writer"], ItemValue::text(name));
        } else {
            say(&mut items, ["writer"], ItemValue::text("a person"));
            for (key, item) in (RESOLV.read)(&content.bytes)? {
                let key = ItemKey::of(std::iter::once("file".to_owned()).chain(key.segments()));
                items.insert(key, item);
            }
        }
    }
    for (key, item) in settings::merged(look, &RESOLVED)?.unwrap_or_default() {
        let key = ItemKey::of(std::iter::once("resolved".to_owned()).chain(key.segments()));
        items.insert(key, item);
    }
    Ok((!items.is_empty()).then_some(items))
}
