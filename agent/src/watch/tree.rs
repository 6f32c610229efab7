//! The watched directories, kept in step with the tree they stand in.
//!
//! A directory has two names: the one the machine gives it, by which sources ask for it, and the
//! one the kernel gives it, which begins before the machine's root and goes through no link.
//!
//! The invariant: a directory is watched under one name of each kind. `notify` stops a watch when
//! it hears that its path went away, also when that directory is by then known by another; so a
//! watch that is found under a new name is set anew, and every path that was told of is looked at
//! again afterwards.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftline_protocol::ids::SourceName;

use super::kernel::{Attempt, Kernel};
use super::mailbox::{Told, Touch};
use super::wanted::{Place, Wanted, at_and_below};
use super::{Watched, remote};
use crate::machine::{Directory, Machine};
use crate::platform::{self, FileType, Stat, place_of};

/// See the module.
pub(super) struct Tree {
    kernel: Kernel,
    wanted: Wanted,
    /// Where other machines' file systems are mounted, by the kernel's name.
    remote: BTreeSet<PathBuf>,
    /// By the machine's name.
    known: BTreeMap<Arc<Path>, Known>,
    /// The machine's name by the kernel's. One allocation holds both where they are the same.
    by_place: BTreeMap<Arc<Path>, Arc<Path>>,
    /// The machine's name by what the directory is.
    by_inode: HashMap<Inode, Arc<Path>>,
    /// The most directories that are watched.
    most: usize,
    limited: bool,
}

/// One watched directory.
struct Known {
    place: Arc<Path>,
    inode: Inode,
}

/// What tells directories apart, whatever their names: the file system and the number in it.
type Inode = (u64, u64);

/// A directory to be watched, and the file system it should stand on, if it matters.
type Waiting = (PathBuf, Option<u64>);

impl Tree {
    pub(super) fn new(kernel: Kernel, watched: Vec<Watched>, most: usize) -> Self {
        Self {
            kernel,
            wanted: Wanted::new(watched),
            remote: BTreeSet::new(),
            known: BTreeMap::new(),
            by_place: BTreeMap::new(),
            by_inode: HashMap::new(),
            most,
            limited: false,
        }
    }

    pub(super) fn directories(&self) -> usize {
        self.known.len()
    }

    pub(super) fn limited(&self) -> bool {
        self.limited
    }

    /// Watches everything anew that is there now, and forgets what is not.
    pub(super) fn sync(&mut self, machine: &Machine) {
        self.forget(Path::new("/"));
        self.renew(machine);
    }

    /// Watches what is there now and is not watched yet. What is watched stays so without a gap.
    pub(super) fn renew(&mut self, machine: &Machine) {
        self.limited = self.wanted.is_cut();
        self.remote = remote::mounts(machine);
        let starts = platform::starts(self.wanted.paths());
        for start in starts {
            self.add(&start, machine);
        }
    }

    /// Follows what was told, and gives the sources that are due because of it.
    pub(super) fn handle(&mut self, told: Told, machine: &Machine) -> BTreeSet<SourceName> {
        // What changed before the new watches were set is told by nobody, so these are due too.
        let mut due: BTreeSet<SourceName> = told.wanted.keys().cloned().collect();
        self.want(told.wanted, machine);
        if told.lost {
            self.sync(machine);
            due.extend(self.wanted.sources());
            return due;
        }
        for (place, touch) in told.touched {
            let paths = self.paths_of(&place);
            match touch {
                Touch::Content => {}
                Touch::Attributes => self.add_all(&paths, machine),
                Touch::Entry => self.replace(&place, &paths, machine),
            }
            due.extend(paths.iter().flat_map(|path| self.wanted.concerned(path)));
        }
        due
    }

    /// Watches for each of these sources what it wants now, and nothing else.
    fn want(&mut self, wanted: BTreeMap<SourceName, Vec<Watched>>, machine: &Machine) {
        if wanted.is_empty() {
            return;
        }
        for (source, watched) in wanted {
            self.wanted.replace(&source, watched);
        }
        let is_left = |path: &&Arc<Path>| self.wanted.place(path) == Place::Elsewhere;
        let left: Vec<Arc<Path>> = self.known.keys().filter(is_left).map(Arc::clone).collect();
        for path in left {
            self.remove(&path);
        }
        self.renew(machine);
    }

    /// The machine's names of what the kernel knows as `place`: none when its directory is
    /// watched no more, two when a link leads to it.
    fn paths_of(&self, place: &Path) -> BTreeSet<PathBuf> {
        let itself = self.by_place.get(place).map(|path| path.to_path_buf());
        let entry = || {
            let directory = self.by_place.get(place.parent()?)?;
            Some(directory.join(place.file_name()?))
        };
        itself.into_iter().chain(entry()).collect()
    }

    /// What stands at `place` may be another directory than before, or none.
    fn replace(&mut self, place: &Path, paths: &BTreeSet<PathBuf>, machine: &Machine) {
        // Before anything is added, for what is below may be known by way of a link elsewhere.
        let below: Vec<Arc<Path>> =
            at_and_below(&self.by_place, place).map(|(_, path)| Arc::clone(path)).collect();
        for path in &below {
            self.remove(path);
        }
        for path in paths {
            self.forget(path);
        }
        self.add_all(paths, machine);
        for path in below {
            if !paths.iter().any(|above| path.starts_with(above)) {
                self.add(&path, machine);
            }
        }
    }

    /// Stops watching at and below `path`.
    fn forget(&mut self, path: &Path) {
        let below: Vec<Arc<Path>> =
            at_and_below(&self.known, path).map(|(path, _)| Arc::clone(path)).collect();
        for path in below {
            self.remove(&path);
        }
    }

    fn remove(&mut self, path: &Path) {
        if let Some(Known { place, inode }) = self.known.remove(path) {
            self.by_place.remove(&place);
            self.by_inode.remove(&inode);
            self.kernel.unwatch(&place);
        }
    }

    fn add_all(&mut self, paths: &BTreeSet<PathBuf>, machine: &Machine) {
        for path in paths {
            self.add(path, machine);
        }
    }

    /// Watches what has to be watched at and below `path`.
    fn add(&mut self, path: &Path, machine: &Machine) {
        let mut waiting = vec![(path.to_path_buf(), None)];
        // After all others, so that homes, however many, take no watch from what a host is made of.
        let mut single: Vec<Waiting> = Vec::new();
        while let Some((path, device)) = waiting.pop().or_else(|| single.pop()) {
            let place = self.wanted.place(&path);
            if place == Place::Elsewhere {
                continue;
            }
            if place < Place::OnTheWay && !waiting.is_empty() {
                single.push((path, device));
                continue;
            }
            if place < Place::OnTheWay && (self.is_crowded() || self.is_remote(&path, machine)) {
                continue;
            }
            // What cannot be opened cannot be watched; its source says so when it reads.
            let Ok(Some(directory)) = machine.directory(&path) else { continue };
            let Ok(stat) = directory.own_stat() else { continue };
            // As the sources, we stay on one file system below a watched path.
            if place == Place::Below && device.is_some_and(|device| device != stat.st_dev) {
                continue;
            }
            if !is_meant(place, &path, &stat, machine) {
                continue;
            }
            if !self.watch(&path, &directory, &stat) {
                return;
            }
            match place {
                Place::Below | Place::Root => {
                    waiting.extend(self.children(&path, &directory, stat.st_dev));
                }
                Place::OnTheWay | Place::One | Place::OnTheWayToOne => {
                    waiting.extend(self.wanted.steps(&path).into_iter().map(|step| (step, None)));
                }
                Place::Elsewhere => {}
            }
        }
    }

    /// Whether only the watches are left that single files must leave to folders that come.
    fn is_crowded(&mut self) -> bool {
        let is_crowded = self.known.len() >= self.most - self.most / 4;
        self.limited |= is_crowded;
        is_crowded
    }

    /// Whether the way to `path` leads into another machine's file system.
    fn is_remote(&self, path: &Path, machine: &Machine) -> bool {
        let place = |path: &Path| self.known.get(path).map(|known| &*known.place);
        let top = Path::new("/");
        let root = place(top).unwrap_or(top);
        // The kernel's name of a folder that is watched goes through no link.
        let parent = path.parent().and_then(place).and_then(|place| place.strip_prefix(root).ok());
        let known = parent.zip(path.file_name()).map(|(parent, name)| (top.join(parent), name));
        let (start, rest) = match &known {
            Some((parent, name)) => (parent.as_path(), Path::new(name)),
            None => (top, path.strip_prefix(top).unwrap_or(path)),
        };
        remote::is_entered(&self.remote, root, (start, rest), machine)
    }

    /// The directories in the directory at `path`, with the file system they should stand on.
    fn children(&self, path: &Path, directory: &Directory, device: u64) -> Vec<Waiting> {
        let mut children = Vec::new();
        for entry in directory.entries().unwrap_or_default() {
            let Ok(Some(stat)) = directory.stat(&entry.name) else { continue };
            let child = path.join(&entry.name);
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind == FileType::Directory || self.wanted.place(&child) == Place::Root {
                children.push((child, Some(device)));
            }
        }
        children
    }

    /// Watches one directory; false when no more can be watched.
    fn watch(&mut self, path: &Path, directory: &Directory, stat: &Stat) -> bool {
        let inode = (stat.st_dev, stat.st_ino);
        // Without /proc a directory's place is unknown; its changes are found by rescan.
        let Ok(place) = place_of(directory) else {
            self.limited = true;
            return true;
        };
        if self.is_watched(path, &place, inode) {
            return true;
        }
        let before = [Some(path), self.by_place.get(&*place).map(|path| &**path)];
        let before = before.into_iter().chain([self.by_inode.get(&inode).map(|path| &**path)]);
        let before: Vec<Arc<Path>> = before.flatten().map(Arc::from).collect();
        for path in before {
            self.remove(&path);
        }
        if self.known.len() >= self.most {
            self.limited = true;
            return false;
        }
        match self.kernel.watch(&place) {
            Attempt::Watched => self.insert(path, &place, inode),
            // Its source finds out the same when it reads.
            Attempt::Refused => {}
            Attempt::Exhausted => {
                self.limited = true;
                return false;
            }
        }
        true
    }

    /// Whether the directory `inode` is watched where it is, under this name or by way of a link.
    fn is_watched(&self, path: &Path, place: &Path, inode: Inode) -> bool {
        let other = self.by_inode.get(&inode).and_then(|known| self.known.get(known));
        let at_place = other.is_some_and(|known| &*known.place == place);
        at_place && self.known.get(path).is_none_or(|known| known.inode == inode)
    }

    fn insert(&mut self, path: &Path, place: &Path, inode: Inode) {
        let path: Arc<Path> = path.into();
        let place = if *path == *place { Arc::clone(&path) } else { place.into() };
        self.by_place.insert(Arc::clone(&place), Arc::clone(&path));
        self.by_inode.insert(inode, Arc::clone(&path));
        self.known.insert(path, Known { place, inode });
    }
}

/// Whether what was opened at `path` is what is meant there.
///
/// Single files stand where others decide, in homes: a link of theirs could give a folder of `/etc`
/// another name, and what changes there would be told under that name alone. So there a directory
/// is meant itself, or on the way a link of whoever owns the machine's root.
fn is_meant(place: Place, path: &Path, opened: &Stat, machine: &Machine) -> bool {
    if place >= Place::OnTheWay {
        return true;
    }
    let Ok(Some(itself)) = machine.stat(path) else { return false };
    if (itself.st_dev, itself.st_ino) == (opened.st_dev, opened.st_ino) {
        return true;
    }
    let of_root = || {
        let root = machine.stat(Path::new("/"));
        matches!(root, Ok(Some(root)) if root.st_uid == itself.st_uid)
    };
    let is_link = FileType::from_raw_mode(itself.st_mode) == FileType::Symlink;
    place == Place::OnTheWayToOne && is_link && of_root()
}
