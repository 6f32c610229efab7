//! Folders that exports of other systems are put into: which files there are, and how they are
//! opened. It does not know what is in them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rustix::fs::{Mode, OFlags};

use crate::words::counted;

/// How often folders are looked at: exports are told in minutes, not in seconds.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(15);

/// How long a file must have been left alone before it is read.
pub(super) const SETTLED: Duration = Duration::from_secs(2);

/// The most files of one folder that are looked at, by name the last ones.
const FILES: usize = 10_000;

/// How many files that something is wrong with are named: a screenful.
const PROBLEMS_TOLD: usize = 5;

/// Which endings name a file that is read.
const ENDINGS: [&str; 4] = ["csv", "json", "ndjson", "jsonl"];

/// A file as it was when it was last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    written: SystemTime,
    bytes: u64,
}

impl Stamp {
    /// Whether it may still be being written. A time to come is another clock's.
    pub(super) fn is_fresh(&self, settled: Duration) -> bool {
        self.written.elapsed().unwrap_or(settled) < settled
    }

    /// When it was written.
    pub(super) fn written(&self) -> Option<Timestamp> {
        Timestamp::try_from(self.written).ok()
    }
}

/// Opens a regular file, whatever was put into its place since it was listed: a link leads nowhere
/// and a pipe is not waited for.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::RDONLY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(file)
}

/// What is wrong with the files of one folder: the first are named, the others counted.
#[derive(Debug, Default)]
pub(super) struct Problems {
    told: Vec<String>,
    more: u64,
}

impl Problems {
    /// Notes what is wrong with one more file, or with the folder.
    pub(super) fn push(&mut self, problem: String) {
        if self.told.len() < PROBLEMS_TOLD {
            self.told.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// All of it in sentences; empty where nothing is wrong.
    pub(super) fn into_text(self) -> String {
        let more = (self.more > 0).then(|| format!("And {}", counted(self.more, "more file")));
        let sentences: Vec<String> = self.told.into_iter().chain(more).collect();
        sentences.join(". ")
    }
}

/// The files to read in `folder` by name, and what was wrong with those left out.
pub(super) fn list(folder: &Path) -> io::Result<(Vec<(PathBuf, Stamp)>, Problems)> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if ENDINGS.contains(&ending) && !hidden {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    let first = paths.len().saturating_sub(FILES);
    let mut problems = Problems::default();
    if first > 0 {
        problems.push(format!("{first} files beyond {FILES} are not read; move old ones away"));
    }
    let mut files = Vec::new();
    for path in paths.into_iter().skip(first) {
        match fs::metadata(&path) {
            Ok(_) => files.extend(stamp_of(&path).map(|stamp| (path, stamp))),
            Err(error) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                problems.push(format!("{name}: {error}"));
            }
        }
    }
    Ok((files, problems))
}

/// When a regular file was written and how large it is.
pub(super) fn stamp_of(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some(Stamp { written: metadata.modified().ok()?, bytes: metadata.len() })
}
