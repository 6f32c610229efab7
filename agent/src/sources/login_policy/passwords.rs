//! How good a password must be, how long it lives, and when an account is locked.

use std::path::Path;

use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;

use crate::formats::key_value;
use crate::formats::lines::{decode, meaningful, scalar};
use crate::sources::include;
use crate::sources::local_accounts::LOGIN_DEFS;
use crate::sources::look::Look;
use crate::sources::table::{Trouble, say};

/// Of pwquality.conf(5): the files of the folder are read first, and the file last.
const QUALITY: [&str; 2] = ["/etc/security/pwquality.conf.d/*.conf", PWQUALITY];
const PWQUALITY: &str = "/etc/security/pwquality.conf";

/// Of faillock.conf(5).
const LOCK: [&str; 1] = ["/etc/security/faillock.conf"];

/// The settings of login.defs(5).
pub(super) fn login(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    for path in LOGIN_DEFS {
        if let Some(content) = look.read(Path::new(path), limits::FILE_BYTES)? {
            return Ok(Some((key_value::LOGIN_DEFS.read)(&content.bytes)?));
        }
    }
    Ok(None)
}

/// What a new password must be.
pub(super) fn quality(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    settings(look, &QUALITY)
}

/// When an account is locked after failed logins.
pub(super) fn lock(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    settings(look, &LOCK)
}

/// `name = value`, or a name alone; the last of a name wins.
fn settings(look: &mut Look<'_>, patterns: &[&str]) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    let mut found = false;
    for pattern in patterns {
        for path in include::expand(look, pattern)? {
            let Some(content) = look.read(&path, limits::FILE_BYTES)? else { continue };
            found = true;
            for (_, line) in meaningful(&decode(&content.bytes), &['#']) {
                let line = line.split('#').next().unwrap_or_default();
                let (name, value) = match line.split_once('=') {
                    Some((name, value)) => (name.trim(), scalar(value.trim())),
                    None => (line.trim(), ItemValue::Nothing),
                };
                say(&mut items, [name], value);
            }
        }
    }
    Ok(found.then_some(items))
}
