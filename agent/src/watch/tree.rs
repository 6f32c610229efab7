//! The watched directories, kept in step with the tree they stand in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftline_protocol::ids::SourceName;
use rustix::fs::FileType;
use rustix::fs::inotify::{self, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::{DIRECTORIES, Watched};
use crate::machine::{Directory, Machine};

/// What a directory tells us of: never *open* or *access*, which our own reading would cause.
const EVENTS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::ONLYDIR);

/// See the module.
pub(super) struct Tree {
    inotify: OwnedFd,
    watched: Vec<Watched>,
    by_path: BTreeMap<Arc<Path>, i32>,
    by_watch: HashMap<i32, Arc<Path>>,
    limited: bool,
}

/// A directory to be watched, and the file system it should stand on, if it matters.
type Waiting = (PathBuf, Option<u64>);

/// One event, with the path it speaks of.
struct Event {
    path: PathBuf,
    flags: ReadFlags,
}

impl Tree {
    pub(super) fn new(inotify: OwnedFd, watched: Vec<Watched>) -> Self {
        Self {
            inotify,
            watched,
            by_path: BTreeMap::new(),
            by_watch: HashMap::new(),
            limited: false,
        }
    }

    pub(super) fn inotify(&self) -> &OwnedFd {
        &self.inotify
    }

    pub(super) fn directories(&self) -> usize {
        self.by_path.len()
    }

    pub(super) fn limited(&self) -> bool {
        self.limited
    }

    /// Watches everything anew that is there now, and forgets what is not.
    pub(super) fn sync(&mut self, machine: &Machine) {
        self.limited = false;
        self.forget(Path::new("/"));
        self.add(Path::new("/"), machine);
    }

    /// Handles all events that wait, and gives the sources that are due because of them.
    pub(super) fn handle(
        &mut self,
        buffer: &mut [MaybeUninit<u8>],
        machine: &Machine,
    ) -> BTreeSet<SourceName> {
        let mut due = BTreeSet::new();
        let Some(events) = self.take_events(buffer) else {
            self.sync(machine);
            return self.watched.iter().map(|watched| watched.source.clone()).collect();
        };
        for event in events {
            // A link at a root or on the way to one stands for a directory too.
            let leads = matches!(self.place(&event.path), Place::OnTheWay | Place::Root);
            if leads || event.flags.contains(ReadFlags::ISDIR) {
                self.follow_directory(&event, machine);
            }
            due.extend(self.concerned(&event.path));
        }
        due
    }

    /// The events that wait; `None` when the kernel lost some.
    fn take_events(&mut self, buffer: &mut [MaybeUninit<u8>]) -> Option<Vec<Event>> {
        let mut events = Vec::new();
        let mut gone = Vec::new();
        let mut reader = Reader::new(&self.inotify, buffer);
        // One buffer at a time: under a stream of events the sources must still be called due.
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => break,
                Err(_) => return None,
            };
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                return None;
            }
            if event.events().contains(ReadFlags::IGNORED) {
                gone.push(event.wd());
            } else if let Some(directory) = self.by_watch.get(&event.wd()) {
                let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                let path = name.map_or(directory.to_path_buf(), |name| directory.join(name));
                events.push(Event { path, flags: event.events() });
            }
            if reader.is_buffer_empty() {
                break;
            }
        }
        for watch in gone {
            self.dropped(watch);
        }
        Some(events)
    }

    /// The kernel watches `watch` no more.
    fn dropped(&mut self, watch: i32) {
        if let Some(path) = self.by_watch.remove(&watch)
            && self.by_path.get(&path) == Some(&watch)
        {
            self.by_path.remove(&path);
        }
    }

    fn follow_directory(&mut self, event: &Event, machine: &Machine) {
        let moved_or_made = ReadFlags::CREATE | ReadFlags::MOVED_TO | ReadFlags::MOVED_FROM;
        // A directory that becomes readable (an attribute event) can be watched from now on.
        if event.flags.intersects(moved_or_made | ReadFlags::ATTRIB | ReadFlags::DELETE) {
            if event.flags.intersects(moved_or_made | ReadFlags::DELETE) {
                self.forget(&event.path);
            }
            self.add(&event.path, machine);
        }
    }

    /// Stops watching at and below `path`.
    fn forget(&mut self, path: &Path) {
        let from = self
            .by_path
            .range::<Path, _>((std::ops::Bound::Included(path), std::ops::Bound::Unbounded));
        let below: Vec<_> = from
            .take_while(|(known, _)| known.starts_with(path))
            .map(|(known, _)| Arc::clone(known))
            .collect();
        for known in below {
            if let Some(watch) = self.by_path.remove(&known) {
                self.by_watch.remove(&watch);
                // It is gone already when the directory is; either way nothing comes from it any more.
                inotify::remove_watch(&self.inotify, watch).ok();
            }
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
            if !self.watch(&path, &directory) {
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
    fn watch(&mut self, path: &Path, directory: &Directory) -> bool {
        if self.by_path.contains_key(path) {
            return true;
        }
        if self.by_path.len() >= DIRECTORIES {
            self.limited = true;
            return false;
        }
        // By its descriptor, so that it is the one just opened inside the machine's root.
        let by_descriptor = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
        match inotify::add_watch(&self.inotify, by_descriptor, EVENTS) {
            Ok(watch) => {
                let path: Arc<Path> = path.into();
                if let Some(before) = self.by_watch.insert(watch, Arc::clone(&path)) {
                    self.by_path.remove(&before);
                }
                self.by_path.insert(path, watch);
                true
            }
            Err(Errno::NOSPC | Errno::NOMEM) => {
                self.limited = true;
                false
            }
            // Vanished or refused: the source finds out the same when it reads.
            Err(_) => true,
        }
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

/// How a path stands to the watched ones, the closest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Elsewhere,
    OnTheWay,
    Below,
    Root,
}
