//! Which security modules guard the host, and how strictly.

use std::path::Path;

use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;

use crate::sources::look::Look;
use crate::sources::table::{Trouble, say, text};

/// One page, as everything there.
const BYTES: u64 = 64 * 1024;

/// `modules` in their order, and `lockdown`, `apparmor`, `selinux` and `secure_boot` where the
/// kernel knows of them. `selinux_configured` and `selinux_type` stand in a file.
pub(super) fn running(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    if let Some(list) = text(look, "/sys/kernel/security/lsm", BYTES)? {
        let names = list.trim().split(',').filter(|name| !name.is_empty()).map(ItemValue::text);
        say(&mut items, ["modules"], ItemValue::List(names.collect()));
    }
    if let Some(list) = text(look, "/sys/kernel/security/lockdown", BYTES)? {
        let chosen = list.split(['[', ']']).nth(1).unwrap_or_default();
        say(&mut items, ["lockdown"], ItemValue::text(chosen));
    }
    if let Some(answer) = text(look, "/sys/module/apparmor/parameters/enabled", BYTES)? {
        say(&mut items, ["apparmor"], ItemValue::Flag(answer.trim() == "Y"));
    }
    if let Some(answer) = text(look, "/sys/fs/selinux/enforce", BYTES)? {
        let mode = if answer.trim() == "1" { "enforcing" } else { "permissive" };
        say(&mut items, ["selinux"], ItemValue::text(mode));
    }
    if let Some(on) = secure_boot(look)? {
        say(&mut items, ["secure_boot"], ItemValue::Flag(on));
    }
    if let Some(file) = text(look, "/etc/selinux/config", limits::FILE_BYTES)? {
        for line in file.lines().map(str::trim) {
            for (name, key) in
                [("SELINUX=", "selinux_configured"), ("SELINUXTYPE=", "selinux_type")]
            {
                if let Some(value) = line.strip_prefix(name) {
                    say(&mut items, [key], ItemValue::text(value.trim()));
                }
            }
        }
    }
    Ok((!items.is_empty()).then_some(items))
}

/// The firmware's variable: four bytes of attributes, then one that says yes or no.
fn secure_boot(look: &mut Look<'_>) -> Result<Option<bool>, Trouble> {
    const VARIABLE: &str =
        "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    let Some(content) = look.read(Path::new(VARIABLE), BYTES)? else { return Ok(None) };
    Ok(content.bytes.get(4).map(|byte| *byte == 1))
}
