//! The host as sources see it: a tree of files under a root, read within bounds and never followed
//! out of it.
//!
//! In production the root is `/`; `--root DIR` and tests give another. Symbolic links, absolute
//! ones too, are resolved inside the root (`openat2` with `RESOLVE_IN_ROOT`), so a fixture tree
//! behaves like a host. Nothing here blocks on a FIFO or opens a device: only regular files are
//! ever read.

#[cfg(test)]
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
#[cfg(test)]
use std::sync::Mutex;
#[cfg(test)]
use std::time::Duration;
use std::time::SystemTime;

use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::Redactor;
use driftline_protocol::snapshot::Reason;

use crate::budget::{Budgets, Meter};
use crate::platform::{self, FileType, How, Refusal, Root, Stat};

pub use crate::platform::{Directory, Entry, reason};

/// How much of a large file is in memory at once, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// The host that is read, with the key its digests are made under.
pub struct Machine {
    root: Arc<Root>,
    root_path: PathBuf,
    redactor: Redactor,
    meter: Arc<Meter>,
    #[cfg(test)]
    seam: Seam,
}

/// What tests change about a machine: root passes every permission check, and no test waits for a
/// clock.
#[cfg(test)]
#[derive(Clone, Debug, Default)]
pub(crate) struct Seam {
    /// Paths that cannot be opened, and below which nothing can be looked at.
    pub(crate) denied: Vec<PathBuf>,
    /// How far the machine's clock runs ahead.
    pub(crate) clock_ahead: Duration,
    /// Every path that was asked for.
    pub(crate) asked: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// What was read of a regular file.
#[derive(Debug, Clone)]
pub struct Content {
    /// The bytes, complete.
    pub bytes: Vec<u8>,
    /// Its attributes, the same before and after reading.
    pub stat: Stat,
}

impl Machine {
    /// The machine whose root directory is `root`.
    ///
    /// # Errors
    /// Any error of opening the directory.
    pub fn open(root: &Path, redactor: Redactor) -> io::Result<Self> {
        Ok(Self {
            root: Arc::new(Root::open(root)?),
            root_path: root.to_path_buf(),
            redactor,
            meter: Arc::new(Meter::unlimited()),
            #[cfg(test)]
            seam: Seam::default(),
        })
    }

    /// The same machine for one pass within `budgets`, which begins now on this thread.
    pub fn for_pass(&self, budgets: Budgets) -> Self {
        Self {
            root: Arc::clone(&self.root),
            root_path: self.root_path.clone(),
            redactor: self.redactor.clone(),
            meter: Arc::new(Meter::begin(budgets)),
            #[cfg(test)]
            seam: self.seam.clone(),
        }
    }

    /// The same machine and pass below `folder` alone, for what others may write there: paths stay
    /// what they are, and a link that is absolute or leads out of the folder is refused
    /// ([`Reason::Unsupported`]). `None` when nothing is there.
    ///
    /// # Errors
    /// The reason why the folder could not be looked at.
    pub fn fenced(&self, folder: &Path) -> Result<Option<Self>, Reason> {
        self.below(folder, |root| root.fenced(folder))
    }

    /// The same for the home of the account with the number `owner`, which must belong to it or to
    /// root: a link may lead to the home of somebody else. Root's is refused behind a link where
    /// `may_be_linked` is false, and behind one that somebody but root could have put there.
    ///
    /// # Errors
    /// As [`Machine::fenced`], and [`Reason::Unsupported`] where it is another's.
    pub fn fenced_home(
        &self,
        folder: &Path,
        owner: u32,
        may_be_linked: bool,
    ) -> Result<Option<Self>, Reason> {
        if mutant::active(Mutant::HomesAreWhereverTheyLead) {
            return self.fenced(folder);
        }
        self.below(folder, |root| root.fenced_home(folder, owner, may_be_linked))
    }

    fn below(
        &self,
        folder: &Path,
        fence: impl FnOnce(&Root) -> Result<Root, Refusal>,
    ) -> Result<Option<Self>, Reason> {
        let root = if mutant::active(Mutant::HomesHaveNoFence) {
            Ok(Arc::clone(&self.root))
        } else {
            let opened = self.may_open(folder, How::Followed);
            opened.and_then(|()| fence(&self.root)).map(Arc::new)
        };
        let fenced = root.map(|root| Self {
            root,
            root_path: self.root_path.clone(),
            redactor: self.redactor.clone(),
            meter: Arc::clone(&self.meter),
            #[cfg(test)]
            seam: self.seam.clone(),
        });
        fenced.map(Some).or_else(absent)
    }

    /// The same machine, changed as a test wants it.
    #[cfg(test)]
    pub(crate) fn with_seam(mut self, seam: Seam) -> Self {
        self.seam = seam;
        self
    }

    /// The wall clock, to compare with the times of files and nothing else.
    pub fn clock(&self) -> SystemTime {
        let now = SystemTime::now();
        #[cfg(test)]
        let now = now + self.seam.clock_ahead;
        now
    }

    /// Where the root lies, for the watcher.
    pub fn root(&self) -> &Path {
        &self.root_path
    }

    /// Whether this is the host that runs us, and not a tree: only of it may the kernel be asked.
    pub fn is_running(&self) -> bool {
        self.root_path == Path::new("/")
    }

    /// Makes digests of raw bytes under the host's key.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Bytes read since this was last asked.
    #[cfg(test)]
    #[cfg(unix)]
    pub(crate) fn take_bytes_read(&self) -> u64 {
        self.meter.take_bytes_read()
    }

    /// What has been read of it, and whether that passed a bound.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The attributes of what is at `path` itself, a symbolic link not followed. `None` when
    /// nothing is there.
    ///
    /// # Errors
    /// The reason why it could not be looked at.
    pub fn stat(&self, path: &Path) -> Result<Option<Stat>, Reason> {
        self.open_at(path, How::Itself)
            .and_then(|file| platform::stat_of(&file))
            .map(Some)
            .or_else(absent)
    }

    /// The attributes of what the links at `path` lead to, inside the root. `None` when nothing is
    /// there.
    ///
    /// # Errors
    /// The reason why it could not be looked at.
    pub fn stat_followed(&self, path: &Path) -> Result<Option<Stat>, Reason> {
        self.open_at(path, How::Followed)
            .and_then(|file| platform::stat_of(&file))
            .map(Some)
            .or_else(absent)
    }

    /// The target of the symbolic link at `path`, as bytes. `None` when nothing is there.
    ///
    /// # Errors
    /// The reason why it could not be looked at.
    pub fn link_target(&self, path: &Path) -> Result<Option<Vec<u8>>, Reason> {
        self.may_open(path, How::Itself)
            .and_then(|()| self.root.link_target(path))
            .map(Some)
            .or_else(absent)
    }

    /// The entries of the directory at `path`, sorted by name. `None` when nothing is there.
    ///
    /// # Errors
    /// The reason why it could not be listed, [`Reason::TooLarge`] above
    /// [`limits::PARTS_PER_SECTION`].
    pub fn entries(&self, path: &Path) -> Result<Option<Vec<Entry>>, Reason> {
        self.directory(path)?.map(|directory| directory.entries()).transpose()
    }

    /// The directory at `path`, links followed inside the root. `None` when no directory is there.
    ///
    /// # Errors
    /// The reason why it could not be opened.
    pub fn directory(&self, path: &Path) -> Result<Option<Directory>, Reason> {
        self.may_open(path, How::List)
            .and_then(|()| self.root.directory(path))
            .map(Some)
            .or_else(absent)
    }

    /// The whole content of the regular file at `path`, links followed inside the root. `None` when
    /// nothing is there.
    ///
    /// # Errors
    /// [`Reason::TooLarge`] above `bound` bytes, [`Reason::Changing`] when it changed while it was
    /// read, [`Reason::Unsupported`] for anything but a regular file, else the reason of the
    /// operating system.
    pub fn read(&self, path: &Path, bound: u64) -> Result<Option<Content>, Reason> {
        let Some(file) = self.open_regular(path)? else { return Ok(None) };
        self.read_opened(file, bound)
    }

    /// The same for what was a regular file when its directory was asked a moment ago: it is not
    /// asked again before it is opened, which is half the cost of reading a small file.
    ///
    /// # Errors
    /// As [`Machine::read`].
    pub fn read_found(&self, path: &Path, bound: u64) -> Result<Option<Content>, Reason> {
        if mutant::active(Mutant::OpenWhateverIsThere) {
            return self.read(path, bound);
        }
        match self.open_at(path, How::Read) {
            Ok(file) => self.read_opened(file, bound),
            Err(refusal) => absent(refusal),
        }
    }

    fn read_opened(&self, mut file: File, bound: u64) -> Result<Option<Content>, Reason> {
        let before = regular(&file)?;
        let size = before.st_size.unsigned_abs();
        if size > bound {
            return Err(Reason::TooLarge);
        }
        let bytes = limits::read_expected(&mut file, bound, size).map_err(|error| {
            if error.kind() == io::ErrorKind::FileTooLarge {
                Reason::TooLarge
            } else {
                Reason::Failed
            }
        })?;
        self.meter.read(bytes.len() as u64);
        let after = platform::stat_of(&file).map_err(reason)?;
        if !same_file(&before, &after) || after.st_size.unsigned_abs() != bytes.len() as u64 {
            // /proc says size 0 and /sys one page, without a block, whatever they hold; their
            // content is what was read.
            let sizeless = (before.st_size == 0 && after.st_size == 0) || after.st_blocks == 0;
            if !sizeless {
                return Err(Reason::Changing);
            }
        }
        Ok(Some(Content { bytes, stat: after }))
    }

    /// Hands the regular file at `path` to `take` piece by piece. Gives its attributes; `None` when
    /// nothing is there.
    ///
    /// # Errors
    /// As [`Machine::read`]; what `take` got before an error means nothing.
    pub fn read_pieces(
        &self,
        path: &Path,
        bound: u64,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<Stat>, Reason> {
        let Some(mut file) = self.open_regular(path)? else { return Ok(None) };
        let before = regular(&file)?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut total = 0;
        loop {
            let read = match io::Read::read(&mut file, &mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(Reason::Failed),
            };
            total += read as u64;
            if total > bound {
                return Err(Reason::TooLarge);
            }
            take(piece.get(..read).unwrap_or_default());
        }
        self.meter.read(total);
        let after = platform::stat_of(&file).map_err(reason)?;
        if same_file(&before, &after) && after.st_size.unsigned_abs() == total {
            Ok(Some(after))
        } else {
            Err(Reason::Changing)
        }
    }

    /// The regular file at `path`, open, for a reader that takes a file and not its bytes. `None`
    /// when nothing is there.
    ///
    /// # Errors
    /// As [`Machine::read`]. What is read of it is not counted; its size is.
    pub fn held(&self, path: &Path, bound: u64) -> Result<Option<File>, Reason> {
        let Some(file) = self.open_regular(path)? else { return Ok(None) };
        let size = regular(&file)?.st_size.unsigned_abs();
        if size > bound {
            return Err(Reason::TooLarge);
        }
        self.meter.read(size);
        if mutant::active(Mutant::DatabasesAreOpenedByName) {
            let inside = path.strip_prefix("/").unwrap_or(path);
            return Ok(File::open(self.root_path.join(inside)).ok());
        }
        Ok(Some(file))
    }

    /// Opens a regular file without ever blocking on, or disturbing, anything else.
    fn open_regular(&self, path: &Path) -> Result<Option<File>, Reason> {
        if mutant::active(Mutant::OpenWhateverIsThere) {
            return self.open_at(path, How::Anything).map(Some).or_else(absent);
        }
        // A look first: opening a device or a FIFO, even without blocking, can have effects.
        let probe = match self.open_at(path, How::Followed) {
            Ok(probe) => probe,
            Err(refusal) => return absent(refusal),
        };
        let stat = platform::stat_of(&probe).map_err(reason)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Reason::Unsupported);
        }
        match self.open_at(path, How::Read) {
            Ok(file) => Ok(Some(file)),
            Err(refusal) => absent(refusal),
        }
    }

    fn open_at(&self, path: &Path, how: How) -> Result<File, Refusal> {
        self.may_open(path, how)?;
        self.root.open_at(path, how)
    }

    fn may_open(&self, path: &Path, how: How) -> Result<(), Refusal> {
        #[cfg(test)]
        self.seam.asked.lock().map(|mut asked| asked.insert(path.into())).ok();
        #[cfg(test)]
        if self.seam.denies(path, how) {
            return Err(platform::DENIED);
        }
        let _ = (path, how);
        if self.meter.may_look() { Ok(()) } else { Err(platform::TIMED_OUT) }
    }
}

#[cfg(test)]
impl Seam {
    /// As permissions do: a denied file may be looked at but not opened, what is below a denied
    /// directory neither.
    fn denies(&self, path: &Path, how: How) -> bool {
        let below = |denied: &PathBuf| path.starts_with(denied) && path != denied;
        self.denied.iter().any(|denied| below(denied) || (path == denied && !how.is_look()))
    }
}

/// The attributes of what was opened, which need not be what was looked at a moment before.
///
/// # Errors
/// [`Reason::Unsupported`] for anything but a regular file.
fn regular(file: &File) -> Result<Stat, Reason> {
    let stat = platform::stat_of(file).map_err(reason)?;
    let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !is_regular && !mutant::active(Mutant::OpenWhateverIsThere) {
        return Err(Reason::Unsupported);
    }
    Ok(stat)
}

/// Whether two looks saw the same file in the same state.
pub fn same_file(a: &Stat, b: &Stat) -> bool {
    (a.st_dev, a.st_ino, a.st_size, a.st_mtime, a.st_mtime_nsec, a.st_ctime, a.st_ctime_nsec)
        == (b.st_dev, b.st_ino, b.st_size, b.st_mtime, b.st_mtime_nsec, b.st_ctime, b.st_ctime_nsec)
}

/// Nothing there is an answer, not a failure.
fn absent<T>(refusal: Refusal) -> Result<Option<T>, Reason> {
    if platform::is_absent(refusal) { Ok(None) } else { Err(reason(refusal)) }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    /// Between the look and the opening another file may take the place.
    #[test]
    fn what_was_opened_is_asked_whether_it_is_a_regular_file() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        std::fs::write(&kept, "x").unwrap();
        assert_eq!(regular(&File::open(kept).unwrap()).map(|stat| stat.st_size), Ok(1));
        for other in [folder.path(), Path::new("/dev/null")] {
            let other = File::open(other).unwrap();
            assert_eq!(regular(&other).map(drop), Err(Reason::Unsupported));
        }
    }
}
