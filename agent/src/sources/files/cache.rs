//! What is kept of each path between passes, so that an unchanged file is not opened.
//!
//! A path and its attributes are kept as 16 bytes of a hash each and the part as its receipt: about
//! a hundred bytes a path, whatever its length, and no allocation. A keyed 128-bit hash has no
//! accidental collisions, and nobody without the key can make one.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use driftline_protocol::ids::FingerprintDigest;
use driftline_protocol::item::Fingerprint;
use driftline_protocol::redact::Redactor;
use rustix::fs::Stat;

use crate::sources::Receipt;

/// How long after a change another may leave no trace in the times of a file, in seconds. Ext4
/// counts in kernel ticks, FAT in two seconds.
const RACY: Duration = Duration::from_secs(2);

/// A hash that stands for a path or for attributes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Print(FingerprintDigest);

/// What is known of one path.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// Identity, size, times, mode and owners, hashed.
    pub(super) stat: Print,
    /// The digest of its bytes, where they are all that decides its items.
    pub(super) raw: Option<Fingerprint>,
    /// Mode and owners, hashed.
    pub(super) attributes: Print,
    /// What the sink said of the part.
    pub(super) receipt: Receipt,
    /// Whether `stat` proves that nothing has changed.
    pub(super) settled: bool,
    /// The last pass that visited it.
    pub(super) pass: u32,
}

/// See the module.
#[derive(Default)]
pub(super) struct Cache {
    known: HashMap<Print, Known>,
    pass: u32,
}

impl Cache {
    /// Begins a pass in which no path was visited yet.
    pub(super) fn begin(&mut self) {
        self.pass = self.pass.wrapping_add(1);
    }

    /// Forgets every path this pass has not visited.
    pub(super) fn end(&mut self) {
        let pass = self.pass;
        self.known.retain(|_, known| known.pass == pass);
    }

    pub(super) fn visited(&self, path: Print) -> bool {
        self.known.get(&path).is_some_and(|known| known.pass == self.pass)
    }

    pub(super) fn get(&self, path: Print) -> Option<Known> {
        self.known.get(&path).copied()
    }

    pub(super) fn put(&mut self, path: Print, known: Known) {
        self.known.insert(path, Known { pass: self.pass, ..known });
    }
}

#[cfg(test)]
impl Cache {
    /// All that is known, for tests that bend the times.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Known> {
        self.known.values_mut()
    }
}

impl Print {
    pub(super) fn of_path(redactor: &Redactor, path: &[u8]) -> Self {
        Self(redactor.raw_digest(path).digest)
    }

    pub(super) fn of_stat(redactor: &Redactor, stat: &Stat) -> Self {
        let numbers = [
            stat.st_mtime.unsigned_abs(),
            stat.st_mtime_nsec,
            stat.st_ctime.unsigned_abs(),
            stat.st_ctime_nsec,
            stat.st_dev,
            stat.st_ino,
            stat.st_size.unsigned_abs(),
            stat.st_rdev,
            u64::from(stat.st_mode),
            u64::from(stat.st_uid),
            u64::from(stat.st_gid),
        ];
        Self(redactor.raw_digest(numbers.map(u64::to_le_bytes).as_flattened()).digest)
    }

    pub(super) fn of_attributes(redactor: &Redactor, stat: &Stat) -> Self {
        let attributes = [stat.st_mode, stat.st_uid, stat.st_gid];
        Self(redactor.raw_digest(attributes.map(u32::to_le_bytes).as_flattened()).digest)
    }
}

/// Whether a file with these attributes, read from `now` on, could change again without its times
/// telling.
pub(super) fn is_racy(stat: &Stat, now: SystemTime) -> bool {
    let changed = |seconds: i64, nanoseconds: u64| {
        let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        UNIX_EPOCH + since + Duration::from_nanos(nanoseconds)
    };
    let ctime = changed(stat.st_ctime, stat.st_ctime_nsec);
    let mtime = changed(stat.st_mtime, stat.st_mtime_nsec);
    // A time of change in the future means that the clock was set back: times prove nothing then.
    // The time of modification is anybody's to set; one far in the future says nothing about the
    // next write.
    ctime + RACY > now || (mtime + RACY > now && mtime < now + RACY)
}
