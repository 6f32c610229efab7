//! The host as sources see it: a tree of files under a root, read within bounds and never followed
//! out of it.
//!
//! In production the root is `/`; `--root DIR` and tests give another. Symbolic links, absolute
//! ones too, are resolved inside the root (`openat2` with `RESOLVE_IN_ROOT`), so a fixture tree
//! behaves like a host. Nothing here blocks on a FIFO or opens a device: only regular files are
//! ever read.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
#[cfg(test)]
use std::time::Duration;
use std::time::SystemTime;

use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::Redactor;
use driftline_protocol::snapshot::Reason;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::budget::{Budgets, Meter};

/// How much of a large file is in memory at once, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// How a regular file is opened: never waiting, and never becoming anybody's terminal.
const READING: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// The host that is read, with the key its digests are made under.
pub struct Machine {
    root: Arc<File>,
    root_path: PathBuf,
    redactor: Redactor,
    meter: Meter,
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
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without the directory.
    pub name: OsString,
    /// What the directory says it is; [`FileType::Unknown`] where its file system does not tell.
    pub kind: FileType,
}

/// A directory that is held open, so that looking at each of its entries costs one call.
pub struct Directory {
    file: File,
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
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(root, flags, Mode::empty())?;
        Ok(Self {
            root: Arc::new(directory.into()),
            root_path: root.to_path_buf(),
            redactor,
            meter: Meter::unlimited(),
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
            meter: Meter::begin(budgets),
            #[cfg(test)]
            seam: self.seam.clone(),
        }
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
        self.open_at(path, OFlags::PATH | OFlags::NOFOLLOW)
            .and_then(|file| rustix::fs::statat(&file, "", AtFlags::EMPTY_PATH))
            .map(Some)
            .or_else(absent)
    }

    /// The attributes of what the links at `path` lead to, inside the root. `None` when nothing is
    /// there.
    ///
    /// # Errors
    /// The reason why it could not be looked at.
    pub fn stat_followed(&self, path: &Path) -> Result<Option<Stat>, Reason> {
        self.open_at(path, OFlags::PATH)
            .and_then(|file| rustix::fs::statat(&file, "", AtFlags::EMPTY_PATH))
            .map(Some)
            .or_else(absent)
    }

    /// The target of the symbolic link at `path`, as bytes. `None` when nothing is there.
    ///
    /// # Errors
    /// The reason why it could not be looked at.
    pub fn link_target(&self, path: &Path) -> Result<Option<Vec<u8>>, Reason> {
        self.open_at(path, OFlags::PATH | OFlags::NOFOLLOW)
            .and_then(|file| rustix::fs::readlinkat(&file, "", Vec::new()))
            .map(|target| Some(target.into_bytes()))
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
        match self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK) {
            Ok(file) => Ok(Some(Directory { file })),
            Err(errno) => absent(errno),
        }
    }

    /// The whole content of the regular file at `path`, links followed inside the root. `None` when
    /// nothing is there.
    ///
    /// # Errors
    /// [`Reason::TooLarge`] above `bound` bytes, [`Reason::Changing`] when it changed while it was
    /// read, [`Reason::Unsupported`] for anything but a regular file, else the reason of the
    /// operating system.
    pub fn read(&self, path: &Path, bound: u64) -> Result<Option<Content>, Reason> {
        let Some(file) = self.open_regular(path, READING)? else { return Ok(None) };
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
        match self.open_at(path, READING) {
            Ok(file) => self.read_opened(file, bound),
            Err(errno) => absent(errno),
        }
    }

    fn read_opened(&self, mut file: File, bound: u64) -> Result<Option<Content>, Reason> {
        let before = rustix::fs::fstat(&file).map_err(reason)?;
        let size = before.st_size.unsigned_abs();
        let is_regular = FileType::from_raw_mode(before.st_mode) == FileType::RegularFile;
        if !is_regular && !mutant::active(Mutant::OpenWhateverIsThere) {
            return Err(Reason::Unsupported);
        }
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
        let after = rustix::fs::fstat(&file).map_err(reason)?;
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
        let Some(mut file) = self.open_regular(path, READING)? else { return Ok(None) };
        let before = rustix::fs::fstat(&file).map_err(reason)?;
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
        let after = rustix::fs::fstat(&file).map_err(reason)?;
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
        let Some(file) = self.open_regular(path, READING)? else { return Ok(None) };
        let size = rustix::fs::fstat(&file).map_err(reason)?.st_size.unsigned_abs();
        if size > bound {
            return Err(Reason::TooLarge);
        }
        self.meter.read(size);
        Ok(Some(file))
    }

    /// Opens a regular file without ever blocking on, or disturbing, anything else.
    fn open_regular(&self, path: &Path, flags: OFlags) -> Result<Option<File>, Reason> {
        if mutant::active(Mutant::OpenWhateverIsThere) {
            return self.open_at(path, OFlags::RDONLY).map(Some).or_else(absent);
        }
        // O_PATH first: opening a device or a FIFO, even without blocking, can have effects.
        let probe = match self.open_at(path, OFlags::PATH) {
            Ok(probe) => probe,
            Err(errno) => return absent(errno),
        };
        let stat = rustix::fs::statat(&probe, "", AtFlags::EMPTY_PATH).map_err(reason)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Reason::Unsupported);
        }
        match self.open_at(path, flags) {
            Ok(file) => Ok(Some(file)),
            Err(errno) => absent(errno),
        }
    }

    fn open_at(&self, path: &Path, flags: OFlags) -> Result<File, Errno> {
        #[cfg(test)]
        if self.seam.denies(path, flags) {
            return Err(Errno::ACCESS);
        }
        if !self.meter.may_look() {
            return Err(Errno::TIMEDOUT);
        }
        let flags = flags | OFlags::CLOEXEC;
        let inside = path.strip_prefix("/").unwrap_or(path);
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&*self.root, inside, flags, Mode::empty(), resolve) {
            // Kernels before 5.6 and some container filters lack openat2; at the real root the
            // plain call resolves the same way.
            Err(Errno::NOSYS) if self.root_path == Path::new("/") => {
                rustix::fs::openat(&*self.root, inside, flags, Mode::empty()).map(File::from)
            }
            other => other.map(File::from),
        }
    }
}

impl Directory {
    /// Its entries, sorted by name.
    ///
    /// # Errors
    /// The reason why it could not be listed, [`Reason::TooLarge`] above
    /// [`limits::PARTS_PER_SECTION`].
    pub fn entries(&self) -> Result<Vec<Entry>, Reason> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.file).map_err(reason)? {
            let entry = entry.map_err(reason)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                entries.push(Entry { name: name.to_os_string(), kind: entry.file_type() });
            }
            if entries.len() > limits::PARTS_PER_SECTION {
                return Err(Reason::TooLarge);
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The attributes of its entry `name`, a symbolic link not followed. `None` when it is gone.
    ///
    /// # Errors
    /// The reason why it could not be looked at.
    pub fn stat(&self, name: &OsStr) -> Result<Option<Stat>, Reason> {
        rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW).map(Some).or_else(absent)
    }

    /// Its own attributes.
    ///
    /// # Errors
    /// The reason why it could not be looked at.
    pub fn own_stat(&self) -> Result<Stat, Reason> {
        rustix::fs::fstat(&self.file).map_err(reason)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
impl Seam {
    /// As permissions do: a denied file may be looked at but not opened, what is below a denied
    /// directory neither.
    fn denies(&self, path: &Path, flags: OFlags) -> bool {
        let below = |denied: &PathBuf| path.starts_with(denied) && path != denied;
        self.denied
            .iter()
            .any(|denied| below(denied) || (path == denied && !flags.contains(OFlags::PATH)))
    }
}

/// Whether two looks saw the same file in the same state.
pub fn same_file(a: &Stat, b: &Stat) -> bool {
    (a.st_dev, a.st_ino, a.st_size, a.st_mtime, a.st_mtime_nsec, a.st_ctime, a.st_ctime_nsec)
        == (b.st_dev, b.st_ino, b.st_size, b.st_mtime, b.st_mtime_nsec, b.st_ctime, b.st_ctime_nsec)
}

/// What the operating system's refusal means to us.
pub fn reason(errno: Errno) -> Reason {
    match errno {
        Errno::ACCESS | Errno::PERM => Reason::Denied,
        Errno::TIMEDOUT => Reason::TimedOut,
        Errno::LOOP => Reason::Unsupported,
        Errno::NAMETOOLONG | Errno::FBIG | Errno::OVERFLOW => Reason::TooLarge,
        _ => Reason::Failed,
    }
}

/// Nothing there is an answer, not a failure.
fn absent<T>(errno: Errno) -> Result<Option<T>, Reason> {
    match errno {
        Errno::NOENT | Errno::NOTDIR => Ok(None),
        other => Err(reason(other)),
    }
}
