//! How the file systems that `fstab` names are mounted.
//!
//! Only those: what comes with a login, a container or a stick is nobody's configuration. The first
//! process is asked, for the agent's own view of the tree is a sandbox.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::RawItems;

use crate::formats::Malformed;
use crate::formats::lines::{meaningful, words};
use crate::sources::look::Look;
use crate::sources::table::{Trouble, say, text};

const TABLE: &str = "/proc/1/mountinfo";
const CONFIGURED: &str = "/etc/fstab";

/// Options that say nothing, or something about the device rather than the mount.
pub(super) const UNTOLD: [&str; 3] = ["size=", "nr_inodes=", "inode64"];

/// How one file system is mounted.
pub(super) struct Mount<'a> {
    pub(super) kind: &'a str,
    pub(super) options: BTreeSet<&'a str>,
}

/// For each mount point of `fstab` that is to be mounted at boot: `MOUNT/type` and
/// `MOUNT/options`, or `MOUNT` as false where nothing is mounted.
pub(super) fn running(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let Some(table) = text(look, TABLE, limits::FILE_BYTES)? else { return Ok(None) };
    let mounted = mounted(&table)?;
    let Some(fstab) = text(look, CONFIGURED, limits::FILE_BYTES)? else { return Ok(None) };
    let mut items = RawItems::new();
    for (_, line) in meaningful(&fstab, &['#']) {
        let columns: Vec<&str> = words(line).collect();
        let [_, place, kind, ..] = columns.as_slice() else { continue };
        let options = columns.get(3).copied().unwrap_or_default();
        let is_wanted = |option: &str| {
            option == "noauto" || option == "nofail" || option.starts_with("x-systemd.automount")
        };
        if *kind == "swap" || !place.starts_with('/') || options.split(',').any(is_wanted) {
            continue;
        }
        let Some(mount) = mounted.get(*place) else {
            say(&mut items, [place], ItemValue::Flag(false));
            continue;
        };
        say(&mut items, [place, "type"], ItemValue::text(mount.kind));
        let options = mount.options.iter().map(|option| ItemValue::text(*option));
        say(&mut items, [place, "options"], ItemValue::Set(options.collect()));
    }
    Ok(Some(items))
}

/// Each mount point and what is on top of it (proc_pid_mountinfo(5)).
pub(super) fn mounted(table: &str) -> Result<BTreeMap<String, Mount<'_>>, Malformed> {
    let mut mounts = BTreeMap::new();
    for (line, number) in table.lines().zip(1..) {
        let malformed = || Malformed { line: number, what: "not a mount" };
        let (mount, system) = line.split_once(" - ").ok_or_else(malformed)?;
        let mut columns = mount.split(' ').skip(4);
        let (place, own) = columns.next().zip(columns.next()).ok_or_else(malformed)?;
        let mut columns = system.split(' ');
        let kind = columns.next().ok_or_else(malformed)?;
        let shared = columns.nth(1).unwrap_or_default();
        let is_told = |option: &&str| !UNTOLD.iter().any(|begin| option.starts_with(begin));
        let own = if mutant::active(Mutant::MountsHaveNoOptionsOfTheirOwn) { shared } else { own };
        let options = own.split(',').chain(shared.split(',')).filter(is_told).collect();
        mounts.insert(unescaped(place), Mount { kind, options });
    }
    Ok(mounts)
}

/// Blanks in paths are written as octal numbers, in `fstab` as in the kernel's table; so only the
/// backslash needs care to compare them.
fn unescaped(place: &str) -> String {
    place.replace("\\134", "\\")
}
