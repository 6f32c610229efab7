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
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftline_protocol::ids::SourceName;

use super::Watched;
use super::kernel::{Attempt, Kernel};
use super::mailbox::{Told, Touch};
use crate::machine::{Directory, Machine};
use crate::platform::{self, FileType, Stat, place_of};

/// See the module.
pub(super) struct Tree {
    kernel: Kernel,
    watched: Vec<Watched>,
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
            watched,
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
        self.limited = false;
        let starts = platform::starts(self.watched.iter().map(|watched| &*watched.path));
        for start in starts {
            self.add(&start, machine);
        }
    }

    /// Follows what was told, and gives the sources that are due because of it.
    pub(super) fn handle(&mut self, told: Told, machine: &Machine) -> BTreeSet<SourceName> {
        if told.lost {
            self.sync(machine);
            return self.watched.iter().map(|watched| watched.source.clone()).collect();
        }
        let mut due = BTreeSet::new();
        for (place, touch) in told.touched {
            let paths = self.paths_of(&place);
            match touch {
                Touch::Content => {}
                Touch::Attributes => self.add_all(&paths, machine),
                Touch::Entry => self.replace(&place, &paths, machine),
            }
            due.extend(paths.iter().flat_map(|path| self.concerned(path)));
        }
        due
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
        while let Some((path, device)) = waiting.pop() {
            let place = self.place(&path);
            if place == Place::Elsewhere {
                continue;
            }
            // What cannot be opened cannot be watched; its source says so when it reads.
            let Ok(Some(directory)) = machine.directory(&path) else { continue };
            let Ok(stat) = directory.own_stat() else { continue };
            // As the sources, we stay on one file system below a watched path.
            if place == Place::Below && device.is_some_and(|device| device != stat.st_dev) {
                continue;
            }
            if !self.watch(&path, &directory, &stat) {
                return;
            }
            match place {
                Place::Below | Place::Root => {
                    waiting.extend(self.children(&path, &directory, stat.st_dev));
                }
                Place::OnTheWay => waiting.extend(self.next_on_the_way(&path)),
                Place::Elsewhere => {}
            }
        }
    }

    /// The directories in the directory at `path`, with the file system they should stand on.
    fn children(&self, path: &Path, directory: &Directory, device: u64) -> Vec<Waiting> {
        let mut children = Vec::new();
        for entry in directory.entries().unwrap_or_default() {
            let Ok(Some(stat)) = directory.stat(&entry.name) else { continue };
            let child = path.join(&entry.name);
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind == FileType::Directory || self.place(&child) == Place::Root {
                children.push((child, Some(device)));
            }
        }
        children
    }

    /// The next directory towards each watched path above which `path` stands.
    fn next_on_the_way(&self, path: &Path) -> Vec<Waiting> {
        let next = |watched: &Watched| {
            let step = watched.path.strip_prefix(path).ok()?.iter().next()?;
            Some(path.join(step))
        };
        let steps: BTreeSet<PathBuf> = self.watched.iter().filter_map(next).collect();
        steps.into_iter().map(|step| (step, None)).collect()
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

    /// The sources that read something at, below, or by way of `path`.
    fn concerned(&self, path: &Path) -> impl Iterator<Item = SourceName> {
        let related = move |watched: &&Watched| {
            path.starts_with(&watched.path) || watched.path.starts_with(path)
        };
        self.watched.iter().filter(related).map(|watched| watched.source.clone())
    }

    fn place(&self, path: &Path) -> Place {
        let mut place = Place::Elsewhere;
        for watched in &self.watched {
            place = place.max(match path.strip_prefix(&watched.path) {
                Ok(rest) if rest.as_os_str().is_empty() => Place::Root,
                Ok(_) => Place::Below,
                Err(_) if watched.path.starts_with(path) => Place::OnTheWay,
                Err(_) => Place::Elsewhere,
            });
        }
        place
    }
}

/// The entries whose path is `path` or below it.
fn at_and_below<'a, V>(
    paths: &'a BTreeMap<Arc<Path>, V>,
    path: &'a Path,
) -> impl Iterator<Item = (&'a Arc<Path>, &'a V)> {
    let from = paths.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
    from.take_while(move |(known, _)| known.starts_with(path))
}

/// How a path stands to the watched ones, the closest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Elsewhere,
    OnTheWay,
    Below,
    Root,
}
