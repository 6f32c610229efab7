//! Files that are dropped into several directories: which of them count, and in which order.
//!
//! As systemd reads its configuration (sysctl.d(5), modules-load.d(5), systemd-system.conf(5)):
//! files are ordered by name whatever directory they stand in, and of two with one name the
//! directory named first wins. A link to `/dev/null`, or an empty file, takes a name away; one that
//! is hidden (`.a.conf`) is nobody's.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use driftline_protocol::limits;
use driftline_protocol::snapshot::Reason;

use super::look::Look;

/// The most files of one kind; a directory of more is a mistake, not a configuration.
const FILES: usize = 1_024;

/// One file and what it holds.
pub(super) struct Dropped {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// The files of `directories` (the first wins) whose names end in `suffix`, in their order.
pub(super) fn files(
    look: &mut Look<'_>,
    directories: &[&str],
    suffix: &str,
) -> Result<Vec<Dropped>, Reason> {
    named(look, directories, |name| name.ends_with(suffix.as_bytes()) && !name.starts_with(b"."))
}

/// As [`files`], of the names that `is_read`.
pub(super) fn named(
    look: &mut Look<'_>,
    directories: &[&str],
    is_read: impl Fn(&[u8]) -> bool,
) -> Result<Vec<Dropped>, Reason> {
    let mut paths: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for directory in directories {
        for entry in look.entries(Path::new(directory))?.unwrap_or_default() {
            if is_read(entry.name.as_encoded_bytes()) {
                let path = Path::new(directory).join(&entry.name);
                paths.entry(entry.name).or_insert(path);
            }
        }
    }
    if paths.len() > FILES {
        return Err(Reason::TooLarge);
    }
    let mut files = Vec::new();
    for path in paths.into_values() {
        if look.link_target(&path)?.is_some_and(|target| target == b"/dev/null") {
            continue;
        }
        if let Some(content) = look.read(&path, limits::FILE_BYTES)? {
            files.push(Dropped { path, bytes: content.bytes });
        }
    }
    Ok(files)
}
