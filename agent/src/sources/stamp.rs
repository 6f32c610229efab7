//! What the attributes of a file tell: who may do what with it, and whether it can have changed.
//!
//! Every source says attributes with the same items, and believes times by the same rule. Nothing
//! is read here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::platform::{self, FileType, Stat};
use driftline_protocol::ids::FingerprintDigest;
use driftline_protocol::item::{Fingerprint, ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems, Redactor};

/// How long after a change another may leave no trace in the times of a file. Ext4 counts in kernel
/// ticks, FAT in two seconds.
const RACY: Duration = Duration::from_secs(2);

/// A hash that stands for a path, for attributes or for what a file says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Print(FingerprintDigest);

/// Half of a [`Print`], to compare one with one: where no list is searched, an accident takes
/// 10^19 comparisons, and nobody without the key can make one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark([u8; 8]);

impl Print {
    /// What of it is kept where one is compared with one.
    pub(crate) fn mark(self) -> Mark {
        Mark(self.0.0.first_chunk().copied().unwrap_or_default())
    }

    pub(crate) fn of_path(redactor: &Redactor, path: &[u8]) -> Self {
        Self(redactor.raw_digest(path).digest)
    }

    pub(crate) fn of_stat(redactor: &Redactor, stat: &Stat) -> Self {
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

    /// Of everything that decides what a file is said to be: its bytes, mode and owners.
    pub(crate) fn of_said(redactor: &Redactor, raw: Fingerprint, stat: &Stat) -> Self {
        let attributes = [stat.st_mode, stat.st_uid, stat.st_gid].map(u32::to_le_bytes);
        let said = [raw.digest.0.as_slice(), attributes.as_flattened()].concat();
        Self(redactor.raw_digest(&said).digest)
    }
}

/// Whether a file with these attributes, read from `now` on, could change again without its times
/// telling.
pub(crate) fn is_racy(stat: &Stat, now: SystemTime) -> bool {
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

/// `@type` and what the system adds to it; see [`platform::attributes`].
pub(crate) fn attributes(stat: &Stat) -> RawItems {
    let mut all = platform::attributes(stat);
    all.push(("type", ItemValue::text(kind(stat))));
    let item = |(name, value)| (ItemKey::attribute(name), RawItem::plain(value));
    all.into_iter().map(item).collect()
}

fn kind(stat: &Stat) -> &'static str {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "link",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character_device",
        FileType::BlockDevice => "block_device",
        FileType::Unknown => "unknown",
    }
}
