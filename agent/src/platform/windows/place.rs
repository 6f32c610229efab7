//! Paths below drives, or below a tree, and the attributes of what is there.
//!
//! Windows has no way to resolve links inside a root. On the host that is no loss; a tree given
//! with `--root` is to hold no link that leads out of it.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::snapshot::Reason;

use crate::platform::{Entry, How};

/// The refusal of somebody without the right.
pub const DENIED: Refusal = Refusal::Denied;

/// The refusal of somebody whose time is over.
pub const TIMED_OUT: Refusal = Refusal::TimedOut;

const FILE_READ_ATTRIBUTES: u32 = 0x80;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

/// From 1601, where Windows begins to count, to 1970, in seconds.
const EPOCH: i64 = 11_644_473_600;

/// Steps of Windows' clock in a second.
const STEPS: u64 = 10_000_000;

const READ_ONLY: u32 = 0x1;
const HIDDEN: u32 = 0x2;
const SYSTEM: u32 = 0x4;

const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// Why something could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing is there.
    Absent,
    /// The right is missing, or somebody uses it alone.
    Denied,
    /// The time is over.
    TimedOut,
    /// There is no such thing on Windows.
    Unsupported,
    /// Anything else.
    Failed,
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        /// `ERROR_SHARING_VIOLATION` and `ERROR_LOCK_VIOLATION`.
        const IN_USE: [i32; 2] = [32, 33];
        if error.raw_os_error().is_some_and(|number| IN_USE.contains(&number)) {
            return Self::Denied;
        }
        let kind = error.kind();
        if matches!(
            kind,
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
        ) {
            Self::Absent
        } else if kind == io::ErrorKind::PermissionDenied {
            Self::Denied
        } else if kind == io::ErrorKind::TimedOut {
            Self::TimedOut
        } else {
            Self::Failed
        }
    }
}

/// What is at a path. The names are those of Unix; what Windows has no word for is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The volume.
    pub st_dev: u64,
    /// The number of the file on it.
    pub st_ino: u64,
    /// The size, in bytes.
    pub st_size: i64,
    /// The blocks it takes; never 0, for no file here is made while it is read.
    pub st_blocks: i64,
    /// When it was written last.
    pub st_mtime: i64,
    /// The part of that second.
    pub st_mtime_nsec: u64,
    /// When it was made.
    pub st_ctime: i64,
    /// The part of that second.
    pub st_ctime_nsec: u64,
    /// The kind as on Unix, and the attributes `read only` (1), `hidden` (2) and `system` (4).
    pub st_mode: u32,
    /// 0.
    pub st_uid: u32,
    /// 0.
    pub st_gid: u32,
    /// 0.
    pub st_rdev: u64,
}

/// The kind of something in a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum FileType {
    RegularFile,
    Directory,
    Symlink,
    Fifo,
    Socket,
    CharacterDevice,
    BlockDevice,
    Unknown,
}

impl FileType {
    /// The kind in [`Stat::st_mode`].
    pub fn from_raw_mode(mode: u32) -> Self {
        match mode & 0o170_000 {
            REGULAR => Self::RegularFile,
            DIRECTORY => Self::Directory,
            LINK => Self::Symlink,
            _ => Self::Unknown,
        }
    }
}

/// The major number of a device; there is none here.
pub fn major(_device: u64) -> u32 {
    0
}

/// The minor number of a device; there is none here.
pub fn minor(_device: u64) -> u32 {
    0
}

/// The host, or the directory below which everything is read.
pub struct Root {
    /// The tree; nothing where it is the host.
    tree: Option<PathBuf>,
}

impl Root {
    /// The root at `path`; `/` is the host with all its drives.
    ///
    /// # Errors
    /// Any error of looking at the directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("/") {
            return Ok(Self { tree: None });
        }
        // As the system writes it in full: then no length and no name of a device means anything.
        let tree = fs::canonicalize(path)?;
        if !fs::metadata(&tree)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { tree: Some(tree) })
    }

    /// The same machine below one folder alone: Windows has no way to say that.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`], always.
    pub fn fenced(&self, _folder: &Path) -> Result<Self, Refusal> {
        Err(Refusal::Unsupported)
    }

    /// The same for a home.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`], always.
    pub fn fenced_home(&self, folder: &Path, _: u32, _: bool) -> Result<Self, Refusal> {
        self.fenced(folder)
    }

    /// The path as Windows has it.
    fn real(&self, path: &Path) -> Result<PathBuf, Refusal> {
        let mut real = self.tree.clone();
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir => {}
                // A colon leads to another stream of the file, or to a drive.
                Component::Normal(name) if !name.as_encoded_bytes().contains(&b':') => {
                    match &mut real {
                        Some(real) => real.push(name),
                        None => real = Some(drive(name).ok_or(Refusal::Absent)?),
                    }
                }
                Component::Normal(_) | Component::ParentDir | Component::Prefix(_) => {
                    return Err(Refusal::Absent);
                }
            }
        }
        real.ok_or(Refusal::Absent)
    }

    /// Opens `path` inside the root.
    ///
    /// # Errors
    /// What Windows refuses.
    pub fn open_at(&self, path: &Path, how: How) -> Result<File, Refusal> {
        let mut options = OpenOptions::new();
        match how {
            How::Itself => options
                .access_mode(FILE_READ_ATTRIBUTES)
                .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT),
            How::Followed => {
                options.access_mode(FILE_READ_ATTRIBUTES).custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
            }
            How::List => options.read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS),
            How::Read | How::Anything => options.read(true),
        };
        Ok(options.open(self.real(path)?)?)
    }

    /// Where the link at `path` leads.
    ///
    /// # Errors
    /// What Windows refuses.
    pub fn link_target(&self, path: &Path) -> Result<Vec<u8>, Refusal> {
        let target = fs::read_link(self.real(path)?)?;
        Ok(path_bytes(&target).into_owned())
    }

    /// The directory at `path`, links followed.
    ///
    /// # Errors
    /// What Windows refuses.
    pub fn directory(&self, path: &Path) -> Result<Directory, Refusal> {
        let file = self.open_at(path, How::List)?;
        if !file.metadata()?.is_dir() {
            return Err(Refusal::Absent);
        }
        Ok(Directory { file, path: self.real(path)? })
    }
}

/// The root of a drive, in the form that knows no reserved names.
fn drive(name: &OsStr) -> Option<PathBuf> {
    let name = name.to_str()?;
    let letter = name.chars().next().filter(|c| c.is_ascii_alphabetic() && name.len() == 1)?;
    Some(PathBuf::from(format!(r"\\?\{}:\", letter.to_ascii_uppercase())))
}

/// Where watching begins: at each drive of which something is watched.
pub fn starts<'a>(watched: impl Iterator<Item = &'a Path>) -> Vec<PathBuf> {
    let first = |path: &Path| -> PathBuf { path.components().take(2).collect() };
    let mut starts: Vec<PathBuf> = watched.map(first).collect();
    starts.sort();
    starts.dedup();
    starts
}

/// The attributes of what is open.
///
/// # Errors
/// What Windows refuses.
pub fn stat_of(file: &File) -> Result<Stat, Refusal> {
    let metadata = file.metadata()?;
    let identity = winapi_util::file::information(file)?;
    Ok(stat(&metadata, (identity.volume_serial_number(), identity.file_index())))
}

fn stat(metadata: &Metadata, (volume, number): (u64, u64)) -> Stat {
    let kind = if metadata.file_type().is_symlink() {
        LINK
    } else if metadata.is_dir() {
        DIRECTORY
    } else {
        REGULAR
    };
    let seconds = |steps: u64| i64::try_from(steps / STEPS).unwrap_or(i64::MAX) - EPOCH;
    let rest = |steps: u64| steps % STEPS * (1_000_000_000 / STEPS);
    let (written, made) = (metadata.last_write_time(), metadata.creation_time());
    Stat {
        st_dev: volume,
        st_ino: number,
        st_size: if kind == REGULAR { metadata.file_size().cast_signed() } else { 0 },
        st_blocks: 1,
        st_mtime: seconds(written),
        st_mtime_nsec: rest(written),
        st_ctime: seconds(made),
        st_ctime_nsec: rest(made),
        st_mode: kind | (metadata.file_attributes() & (READ_ONLY | HIDDEN | SYSTEM)),
        st_uid: 0,
        st_gid: 0,
        st_rdev: 0,
    }
}

/// Whether another program holds a lock of fcntl(2) on what is open; there are none here.
///
/// # Errors
/// None.
pub fn is_write_locked(_file: &File) -> Result<bool, Refusal> {
    Ok(false)
}

/// A directory that is held open, so that it stays the same while it is looked at.
pub struct Directory {
    file: File,
    path: PathBuf,
}

impl Directory {
    /// Its entries, sorted by name.
    ///
    /// # Errors
    /// The reason why it could not be listed, [`Reason::TooLarge`] above
    /// [`limits::PARTS_PER_SECTION`].
    pub fn entries(&self) -> Result<Vec<Entry>, Reason> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_or(FileType::Unknown, |kind| {
                if kind.is_symlink() {
                    FileType::Symlink
                } else if kind.is_dir() {
                    FileType::Directory
                } else {
                    FileType::RegularFile
                }
            });
            entries.push(Entry { name: entry.file_name(), kind });
            if entries.len() > limits::PARTS_PER_SECTION {
                return Err(Reason::TooLarge);
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The attributes of its entry `name`, a link not followed. `None` when it is gone.
    ///
    /// # Errors
    /// The reason why it could not be looked at.
    pub fn stat(&self, name: &OsStr) -> Result<Option<Stat>, Reason> {
        let opened = OpenOptions::new()
            .access_mode(FILE_READ_ATTRIBUTES)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
            .open(self.path.join(name));
        match opened.map_err(Refusal::from).and_then(|file| stat_of(&file)) {
            Ok(stat) => Ok(Some(stat)),
            Err(Refusal::Absent) => Ok(None),
            Err(refusal) => Err(reason(refusal)),
        }
    }

    /// Its own attributes.
    ///
    /// # Errors
    /// The reason why it could not be looked at.
    pub fn own_stat(&self) -> Result<Stat, Reason> {
        stat_of(&self.file).map_err(reason)
    }
}

/// Where an open directory stands.
///
/// # Errors
/// None here.
pub fn place_of(directory: &Directory) -> io::Result<PathBuf> {
    Ok(directory.path.clone())
}

/// The bytes of a path of the machine, as parts are named: with `/`, whatever joined it.
pub fn path_bytes(path: &Path) -> Cow<'_, [u8]> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if !bytes.contains(&b'\\') {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(bytes.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect())
}

/// What of a file's attributes somebody may have set: `read_only`, `hidden`, `system`. Owners and
/// access lists are not told.
pub fn attributes(stat: &Stat) -> Vec<(&'static str, ItemValue)> {
    let flag = |bit| ItemValue::Flag(stat.st_mode & bit != 0);
    vec![("read_only", flag(READ_ONLY)), ("hidden", flag(HIDDEN)), ("system", flag(SYSTEM))]
}

fn failed(error: io::Error) -> Reason {
    reason(error.into())
}

/// What the operating system's refusal means to us.
pub fn reason(refusal: Refusal) -> Reason {
    match refusal {
        Refusal::Denied => Reason::Denied,
        Refusal::TimedOut => Reason::TimedOut,
        Refusal::Unsupported => Reason::Unsupported,
        Refusal::Absent | Refusal::Failed => Reason::Failed,
    }
}

/// The refusal of this number.
pub fn refusal(number: i32) -> Refusal {
    io::Error::from_raw_os_error(number).into()
}

/// Whether nothing is there, which is an answer and no failure.
pub fn is_absent(refusal: Refusal) -> bool {
    refusal == Refusal::Absent
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn the_first_step_of_a_path_is_a_drive() {
        let host = Root::open(Path::new("/")).unwrap();
        let real = |path: &str| host.real(Path::new(path));
        assert_eq!(real("/c/Windows/x"), Ok(PathBuf::from(r"\\?\C:\Windows\x")));
        for path in ["/", "/windows", "/c/../d", "/c/a:b", "c:/x"] {
            assert_eq!(real(path), Err(Refusal::Absent), "{path}");
        }
        assert_eq!(path_bytes(&Path::new("/c/a").join("b")).as_ref(), b"/c/a/b");
        let watched = ["/c/Windows/a", "/d/b", "/c/x"].map(Path::new);
        assert_eq!(starts(watched.into_iter()), [PathBuf::from("/c"), PathBuf::from("/d")]);
    }

    #[test]
    fn a_file_is_told_with_its_attributes_and_its_identity() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "x").unwrap();
        let root = Root::open(folder.path()).unwrap();
        let stat = stat_of(&root.open_at(Path::new("/a.txt"), How::Itself).unwrap()).unwrap();
        assert_eq!(
            (FileType::from_raw_mode(stat.st_mode), stat.st_size),
            (FileType::RegularFile, 1)
        );
        assert!(stat.st_mtime > 1_600_000_000, "{stat:?}");
        let directory = root.directory(Path::new("/")).unwrap();
        assert_eq!(directory.stat(OsStr::new("a.txt")).unwrap(), Some(stat));
        assert_eq!(directory.stat(OsStr::new("b.txt")).unwrap(), None);
        let names: Vec<OsString> =
            directory.entries().unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["a.txt"]);
        assert!(root.directory(Path::new("/a.txt")).is_err());
    }
}
