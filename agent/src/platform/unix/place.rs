//! Paths below a root that nothing leads out of, and the attributes of what is there.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Reason;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, major, minor};
use rustix::io::Errno;

use crate::platform::{Entry, How};
use crate::registry::{Key, Reach};

/// The refusal of somebody without the right.
pub const DENIED: Errno = Errno::ACCESS;

/// The refusal of somebody whose time is over.
pub const TIMED_OUT: Errno = Errno::TIMEDOUT;

/// The most links on the way to one place, as the kernel has it (path_resolution(7)).
const LINKS: usize = 40;

/// The directory below which everything is read.
pub struct Root {
    directory: OwnedFd,
    is_host: bool,
    /// Which folder of the machine the directory is, where nothing may lead out of it.
    fence: Option<PathBuf>,
}

impl Root {
    /// The root at `path`.
    ///
    /// # Errors
    /// Any error of opening the directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { directory, is_host: path == Path::new("/"), fence: None })
    }

    /// The same machine below `folder` alone. Paths stay those of the machine; what is not below
    /// the folder is refused, and so is each link that is absolute or leads out of it.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn fenced(&self, folder: &Path) -> Result<Self, Errno> {
        let directory = self.open_at(folder, How::Followed)?.into();
        Ok(Self { directory, is_host: self.is_host, fence: Some(folder.to_path_buf()) })
    }

    /// The same for the home of the account `owner`, a number: the folder that is opened must be
    /// its own or root's. Root's is taken through links only where `may_be_linked` and where root
    /// alone could have put them there.
    ///
    /// # Errors
    /// [`Errno::XDEV`] where it is another's, else what the kernel refuses.
    pub fn fenced_home(
        &self,
        folder: &Path,
        owner: u32,
        may_be_linked: bool,
    ) -> Result<Self, Errno> {
        let fenced = self.fenced(folder)?;
        let stat = rustix::fs::fstat(&fenced.directory)?;
        let is_own = match stat.st_uid {
            0 => self.leads_to(folder, &stat, may_be_linked)?,
            other => other == owner,
        };
        if is_own { Ok(fenced) } else { Err(Errno::XDEV) }
    }

    /// Whether `path` leads to what has this `stat` through no link that somebody but root could
    /// have put there, or through none at all where it may have none.
    fn leads_to(&self, path: &Path, stat: &Stat, may_be_linked: bool) -> Result<bool, Errno> {
        let mut at = PathBuf::from("/");
        let mut is_roots = is_kept_by_root(&rustix::fs::fstat(&self.directory)?);
        let (mut rest, mut links) = (steps(path.as_os_str().as_bytes()), 0);
        while let Some(step) = rest.pop() {
            if step == ".." {
                at.pop();
                continue;
            }
            let there = self.open_at(&at.join(&step), How::Itself)?;
            let found = rustix::fs::fstat(&there)?;
            if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
                at.push(step);
                is_roots &= is_kept_by_root(&found);
                continue;
            }
            links += 1;
            if !may_be_linked || !is_roots || links > LINKS {
                return Ok(false);
            }
            let target = rustix::fs::readlinkat(there, "", Vec::new())?;
            if target.as_bytes().starts_with(b"/") {
                at = PathBuf::from("/");
            }
            rest.extend(steps(target.as_bytes()));
        }
        let itself = rustix::fs::fstat(self.open_at(&at, How::Itself)?)?;
        Ok((itself.st_dev, itself.st_ino) == (stat.st_dev, stat.st_ino))
    }

    /// Opens `path` inside the root; links, absolute ones too, are resolved inside it.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn open_at(&self, path: &Path, how: How) -> Result<File, Errno> {
        let flags = OFlags::CLOEXEC
            | match how {
                How::Itself => OFlags::PATH | OFlags::NOFOLLOW,
                How::Followed => OFlags::PATH,
                How::List => OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK,
                How::Read => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
                How::Anything => OFlags::RDONLY,
            };
        let (inside, within) = match &self.fence {
            Some(fence) => {
                let inside = path.strip_prefix(fence).map_err(|_| Errno::XDEV)?;
                (inside, ResolveFlags::BENEATH)
            }
            None => (path.strip_prefix("/").unwrap_or(path), ResolveFlags::IN_ROOT),
        };
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        let resolve = within | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.directory, inside, flags, Mode::empty(), resolve) {
            // Kernels before 5.6 and some container filters lack openat2; at the real root the
            // plain call resolves the same way, and behind a fence no link at all is followed.
            Err(Errno::NOSYS) if self.fence.is_some() => self.step_by_step(inside, flags),
            Err(Errno::NOSYS) if self.is_host => {
                rustix::fs::openat(&self.directory, inside, flags, Mode::empty()).map(File::from)
            }
            other => other.map(File::from),
        }
    }

    /// Opens `inside` below the directory where no link is on the way.
    fn step_by_step(&self, inside: &Path, flags: OFlags) -> Result<File, Errno> {
        let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at = rustix::fs::openat(&self.directory, ".", look, Mode::empty())?;
        let mut steps = inside.components().peekable();
        while let Some(step) = steps.next() {
            let name = match step {
                Component::Normal(name) => name,
                Component::CurDir => OsStr::new("."),
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(Errno::XDEV);
                }
            };
            let next = rustix::fs::openat(&at, name, look, Mode::empty())?;
            let kind = FileType::from_raw_mode(rustix::fs::fstat(&next)?.st_mode);
            let is_looked_at = steps.peek().is_none() && flags.contains(look);
            if kind == FileType::Symlink && !is_looked_at {
                return Err(Errno::LOOP);
            }
            if steps.peek().is_none() {
                let flags = flags | OFlags::NOFOLLOW;
                return rustix::fs::openat(&at, name, flags, Mode::empty()).map(File::from);
            }
            at = next;
        }
        Err(Errno::NOENT)
    }

    /// Where the link at `path` leads.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn link_target(&self, path: &Path) -> Result<Vec<u8>, Errno> {
        let file = self.open_at(path, How::Itself)?;
        rustix::fs::readlinkat(file, "", Vec::new()).map(std::ffi::CString::into_bytes)
    }

    /// The directory at `path`, links followed inside the root.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn directory(&self, path: &Path) -> Result<Directory, Errno> {
        self.open_at(path, How::List).map(|file| Directory { file })
    }
}

/// Where watching begins: everything hangs below one root.
pub fn starts<'a>(_watched: impl Iterator<Item = &'a Path>) -> Vec<PathBuf> {
    vec![PathBuf::from("/")]
}

/// The attributes of what is open.
///
/// # Errors
/// What the kernel refuses.
pub fn stat_of(file: &File) -> Result<Stat, Errno> {
    // By an empty path, so that it may be open for looking only.
    rustix::fs::statat(file, "", AtFlags::EMPTY_PATH)
}

/// Whether another program holds a lock of fcntl(2) for writing on any part of what is open.
///
/// Locks of flock(2) are others and do not count.
///
/// # Errors
/// What the kernel refuses.
pub fn is_write_locked(file: &File) -> Result<bool, Errno> {
    // Only a lock for writing stands in the way of one for reading; of 0 bytes means of all. Asked
    // for the open file and not for the process, so that one of our own counts like any other.
    let mut lock = libc::flock {
        l_type: libc::F_RDLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))
        .map_err(|refused| Errno::from_raw_os_error(refused as i32))?;
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

/// The link of the kernel that leads to what is open.
fn opened_path(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// A directory that is held open, so that looking at each of its entries costs one call.
pub struct Directory {
    file: File,
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
                entries.push(Entry { name: OsString::from(name), kind: entry.file_type() });
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
        match rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(errno) if is_absent(errno) => Ok(None),
            Err(errno) => Err(reason(errno)),
        }
    }

    /// Its own attributes.
    ///
    /// # Errors
    /// The reason why it could not be looked at.
    pub fn own_stat(&self) -> Result<Stat, Reason> {
        rustix::fs::fstat(&self.file).map_err(reason)
    }
}

/// The steps of a path, the last one first; what stays where it is is none.
fn steps(path: &[u8]) -> Vec<OsString> {
    let steps = path.rsplit(|byte| *byte == b'/').filter(|step| !step.is_empty() && *step != b".");
    steps.map(|step| OsStr::from_bytes(step).to_owned()).collect()
}

/// Whether nobody but root puts anything into a folder, or something else in its place.
fn is_kept_by_root(folder: &Stat) -> bool {
    let is_roots = folder.st_uid == 0 && folder.st_mode & 0o022 == 0;
    is_roots || mutant::active(Mutant::AnybodyLeadsHome)
}

/// Where an open directory stands, as the kernel names it: no link is on the way.
///
/// # Errors
/// Where the kernel does not tell.
pub fn place_of(directory: &Directory) -> io::Result<PathBuf> {
    std::fs::read_link(opened_path(&directory.file))
}

/// The bytes of a path of the machine, as parts are named.
pub fn path_bytes(path: &Path) -> Cow<'_, [u8]> {
    Cow::Borrowed(path.as_os_str().as_bytes())
}

/// Who may do what: `mode`, `owner` and `group` (as numbers: names are what `accounts` says of
/// them), and `device` of a device.
pub fn attributes(stat: &Stat) -> Vec<(&'static str, ItemValue)> {
    let mut all = vec![
        ("mode", ItemValue::Text(format!("{:04o}", stat.st_mode & 0o7777))),
        ("owner", ItemValue::Integer(i64::from(stat.st_uid))),
        ("group", ItemValue::Integer(i64::from(stat.st_gid))),
    ];
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind == FileType::BlockDevice || kind == FileType::CharacterDevice {
        let (major, minor) = (major(stat.st_rdev), minor(stat.st_rdev));
        all.push(("device", ItemValue::Text(format!("{major}:{minor}"))));
    }
    all
}

/// What the operating system's refusal means to us.
pub fn reason(errno: Errno) -> Reason {
    match errno {
        Errno::ACCESS | Errno::PERM => Reason::Denied,
        Errno::TIMEDOUT => Reason::TimedOut,
        // A link that leads too far, or out of where it stands.
        Errno::LOOP | Errno::XDEV => Reason::Unsupported,
        Errno::NAMETOOLONG | Errno::FBIG | Errno::OVERFLOW => Reason::TooLarge,
        _ => Reason::Failed,
    }
}

/// The refusal of this number.
pub fn refusal(number: i32) -> Errno {
    Errno::from_raw_os_error(number)
}

/// The registry, which no Unix has.
///
/// # Errors
/// [`Reason::Unsupported`], always.
pub fn read_key(_path: &str, _reach: Reach) -> Result<Option<Key>, Reason> {
    Err(Reason::Unsupported)
}

/// Whether nothing is there, which is an answer and no failure.
pub fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is with `openat2` and without.
    #[test]
    fn nothing_leads_out_of_a_fence() {
        let tree = tempfile::tempdir().unwrap();
        let home = tree.path().join("home/turn");
        std::fs::create_dir_all(home.join("kept")).unwrap();
        std::fs::write(home.join("kept/file"), "ours").unwrap();
        std::fs::write(tree.path().join("secret"), "theirs").unwrap();
        for (link, target) in
            [("absolute", "/secret"), ("out", "../../secret"), ("inside", "kept"), ("up", "..")]
        {
            std::os::unix::fs::symlink(target, home.join(link)).unwrap();
        }
        let root = Root::open(tree.path()).unwrap();
        let home = Path::new("/home/turn");
        let fenced = root.fenced(home).unwrap();
        let (links, gone) = ([Errno::XDEV, Errno::LOOP], [Errno::NOENT, Errno::NOENT]);
        for (path, expect) in [
            ("kept/file", [Ok(()), Ok(())]),
            ("inside/file", [Ok(()), Err(Errno::LOOP)]),
            ("absolute", links.map(Err)),
            ("out", links.map(Err)),
            ("up/turn/kept/file", links.map(Err)),
            ("kept/../../../secret", [Err(Errno::XDEV), Err(Errno::XDEV)]),
            ("kept/none", gone.map(Err)),
        ] {
            let read = OFlags::RDONLY | OFlags::CLOEXEC;
            let plain = fenced.open_at(&home.join(path), How::Read).map(drop);
            let steps = fenced.step_by_step(Path::new(path), read).map(drop);
            assert_eq!([plain, steps], expect, "{path}");
        }
        assert_eq!(fenced.open_at(Path::new("/secret"), How::Read).map(drop), Err(Errno::XDEV));
        assert!(fenced.open_at(&home.join("absolute"), How::Itself).is_ok());
        assert!(root.open_at(&home.join("absolute"), How::Read).is_ok(), "without a fence it does");
    }
}
