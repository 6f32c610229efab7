//! One pass over the tree: which paths are looked at, in which order, and what is said of places
//! that are not.
//!
//! The invariant: whatever the walk cannot enter, list to the end or keep up with is said to be
//! blind, so a part is missing from what was said only when its directory was listed without it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use driftline_protocol::ids::PartName;
use driftline_protocol::item::Fingerprint;
use driftline_protocol::limits;
use driftline_protocol::redact::RawPart;
use driftline_protocol::snapshot::{Content, Reason};

use super::cache::{Cache, Found, Known, Place as Kept};
use super::look::{Look, Looked, Looker, Named};
use crate::formats::written::is_by_stand_in;
use crate::machine::{Directory, same_file};
use crate::platform::{self, FileType, Stat};
use crate::sources::stamp::{Print, is_racy};
use crate::sources::{Carry, Sink};

/// How often a directory that changes while it is listed is listed anew.
const LISTINGS: usize = 3;

/// What proves that a file has not changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Its identity, size and times.
    Times,
    /// Its bytes alone.
    Bytes,
}

/// See the module.
pub(super) struct Walk<'a> {
    looker: Looker<'a>,
    roots: &'a BTreeSet<String>,
    cache: &'a mut Cache,
    sink: &'a mut dyn Sink,
    trust: Trust,
    /// Directories to be listed; kept here, so that no depth of a tree overflows the stack.
    waiting: Vec<Place>,
    /// How many entries were looked at.
    visited: usize,
}

/// A directory to be listed.
struct Place {
    path: PathBuf,
    stat: Stat,
    /// The file system of its parent; `None` at a root, which may stand anywhere.
    device: Option<u64>,
}

/// What a place turned out to be.
enum Entered {
    Listed {
        directory: Directory,
        names: Vec<OsString>,
        steadiness: Steadiness,
    },
    /// Another file system, which is not entered.
    Mount,
    /// No directory, for instance a link at a root to a file.
    NoDirectory,
}

/// Whether a directory stood still while it was listed.
#[derive(PartialEq, Eq)]
enum Steadiness {
    Still,
    Moving,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        looker: Looker<'a>,
        roots: &'a BTreeSet<String>,
        cache: &'a mut Cache,
        sink: &'a mut dyn Sink,
    ) -> Self {
        Self { looker, roots, cache, sink, trust: Trust::Times, waiting: Vec::new(), visited: 0 }
    }

    /// Walks from every root, believing `trust`.
    pub(super) fn run(&mut self, trust: Trust) {
        self.trust = trust;
        for root in self.roots {
            self.root(Path::new(root));
            while let Some(place) = self.waiting.pop() {
                if self.visited > limits::PARTS_PER_SECTION {
                    // Where exactly we stop means nothing, so nothing is gone because of it.
                    return self.sink.blind(&PartName::from_bytes(b"."), Reason::TooLarge);
                }
                self.enter(&place);
            }
        }
    }

    fn root(&mut self, path: &Path) {
        match self.looker.machine.stat(path) {
            Ok(Some(stat)) => self.entry(path, stat, None),
            Ok(None) => {}
            Err(reason) => self.sink.blind(&part_name(path), reason),
        }
    }

    /// Looks at what is at `path`; `device` is the file system of its parent, `None` at a root.
    fn entry(&mut self, path: &Path, stat: Stat, device: Option<u64>) {
        self.visited += 1;
        if self.is_as_it_was(path, &stat) {
            return;
        }
        let part = part_name(path);
        if self.looker.scope.excludes(part.as_str()) {
            return;
        }
        let device = if self.roots.contains(part.as_str()) { None } else { device };
        let kind = FileType::from_raw_mode(stat.st_mode);
        // Only at a root is a link followed: `/opt/app` often points to the version in use. Where
        // anybody may make folders beside those of programs, as in ProgramData, none is.
        let follows = device.is_none() && !cfg!(windows);
        let enters = kind == FileType::Directory || (kind == FileType::Symlink && follows);
        if enters && self.looker.scope.reaches_below(part.as_str()) {
            self.waiting.push(Place { path: path.to_path_buf(), stat, device });
        } else {
            self.part(Named { path, part: &part }, &stat);
        }
    }

    /// Says that nothing has happened to what the last pass knew here, where that is so. Nearly all
    /// of a host's files end here in nearly every pass, so no pattern is asked again: what was a
    /// part of this scope is one.
    fn is_as_it_was(&mut self, path: &Path, stat: &Stat) -> bool {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if matches!(kind, FileType::Directory | FileType::Symlink) {
            return false; // It may have to be entered.
        }
        let expected = self.cache.expected(self.looker.print(path));
        let Some((known, kept)) = expected else { return false };
        self.carries(&part_name(path), (&known, kept), stat)
    }

    fn carries(&mut self, part: &PartName, (known, kept): (&Known, Kept), stat: &Stat) -> bool {
        let carried = self.proved_by_times(known, stat)
            && self.sink.same(part, &known.receipt) == Carry::Carried;
        if carried {
            self.cache.carry(kept);
        }
        carried
    }

    /// Lists a directory, says what it is, and looks at what stands in it.
    fn enter(&mut self, place: &Place) {
        let part = part_name(&place.path);
        let named = Named { path: &place.path, part: &part };
        if self.looker.scope.includes(part.as_str())
            && matches!(self.cache.find(self.looker.print(&place.path)), Found::Visited)
        {
            return; // Two roots lead here.
        }
        match self.list(place) {
            Ok(Entered::Listed { directory, names, steadiness }) => {
                self.part(named, &place.stat);
                let device = directory.own_stat().map(|stat| stat.st_dev).ok();
                let mut path = place.path.clone();
                for name in names {
                    path.push(&name);
                    self.child(&path, (&directory, device), &name);
                    path.pop();
                }
                if steadiness == Steadiness::Moving {
                    self.sink.blind(&part, Reason::Changing);
                }
            }
            Ok(Entered::NoDirectory) => self.part(named, &place.stat),
            Ok(Entered::Mount) => {
                self.unread(named, self.looker.mount_point(&place.stat), Reason::Unsupported);
            }
            Err(reason) => {
                let look = self.looker.attributes(&place.stat, Content::Unread(reason));
                self.unread(named, look, reason);
            }
        }
    }

    fn child(&mut self, path: &Path, parent: (&Directory, Option<u64>), name: &OsStr) {
        let (directory, device) = parent;
        match directory.stat(name) {
            Ok(Some(stat)) => self.entry(path, stat, device),
            Ok(None) => {}
            Err(reason) => self.sink.blind(&part_name(path), reason),
        }
    }

    /// Says a directory whose entries are unknown.
    fn unread(&mut self, named: Named<'_>, look: Look, reason: Reason) {
        if self.looker.scope.includes(named.part.as_str()) {
            self.sink.seen(named.part.clone(), RawPart::Observed(look.raw));
        }
        self.sink.blind(named.part, reason);
    }

    fn list(&self, place: &Place) -> Result<Entered, Reason> {
        let Some(directory) = self.looker.machine.directory(&place.path)? else {
            return Ok(Entered::NoDirectory);
        };
        let mut before = directory.own_stat()?;
        if place.device.is_some_and(|device| device != before.st_dev) {
            return Ok(Entered::Mount);
        }
        let mut names = Vec::new();
        for _ in 0..LISTINGS {
            names = directory.entries()?.into_iter().map(|entry| entry.name).collect();
            let after = directory.own_stat()?;
            // What is renamed over while we list may be found in neither place.
            if same_file(&before, &after) {
                return Ok(Entered::Listed { directory, names, steadiness: Steadiness::Still });
            }
            before = after;
        }
        Ok(Entered::Listed { directory, names, steadiness: Steadiness::Moving })
    }

    /// Says one part: as it was where the cache proves it, else as it is now.
    fn part(&mut self, named: Named<'_>, stat: &Stat) {
        if !self.looker.scope.includes(named.part.as_str()) {
            return;
        }
        let path = self.looker.print(named.path);
        let known = match self.cache.find(path) {
            Found::Visited => return,
            Found::Known(known, kept) => Some((known, kept)),
            Found::Unknown => None,
        };
        if let Some((known, kept)) = &known
            && self.carries(named.part, (known, *kept), stat)
        {
            return;
        }
        let began = self.looker.machine.clock();
        let look = match self.looker.look(named, stat) {
            Ok(Looked::Gone) => return,
            Ok(Looked::Done(look)) => look,
            Ok(Looked::File { bytes, .. }) if is_by_stand_in(named.part.as_str(), &bytes) => {
                return self.sink.blind(named.part, Reason::Changing);
            }
            Ok(Looked::File { stat, bytes }) => {
                let raw = self.looker.redactor().raw_digest(&bytes);
                if let Some((known, _)) =
                    known.filter(|(known, _)| self.proved_by_bytes(known, raw, &stat))
                    && self.sink.same(named.part, &known.receipt) == Carry::Carried
                {
                    return self.cache.put(path, self.renewed(known, &stat, began));
                }
                self.looker.file(named, &stat, (&bytes, raw))
            }
            Err(reason) => return self.sink.blind(named.part, reason),
        };
        let known = self.say(named, look, began);
        self.cache.put(path, known);
    }

    fn proved_by_times(&self, known: &Known, stat: &Stat) -> bool {
        self.trust == Trust::Times
            && known.settled
            && known.stat == Print::of_stat(self.looker.redactor(), stat).mark()
    }

    fn proved_by_bytes(&self, known: &Known, raw: Fingerprint, stat: &Stat) -> bool {
        known.said == Some(Print::of_said(self.looker.redactor(), raw, stat).mark())
    }

    /// What is known of a file with the same bytes and other times.
    fn renewed(&self, known: Known, stat: &Stat, began: SystemTime) -> Known {
        let settled = !is_racy(stat, began);
        Known { stat: Print::of_stat(self.looker.redactor(), stat).mark(), settled, ..known }
    }

    fn say(&mut self, named: Named<'_>, look: Look, began: SystemTime) -> Known {
        let redactor = self.looker.redactor();
        let stat = Print::of_stat(redactor, &look.stat).mark();
        let settled = look.repeats() && !is_racy(&look.stat, began);
        let raw = look.raw.raw.filter(|_| look.repeats());
        let said = raw.map(|raw| Print::of_said(redactor, raw, &look.stat).mark());
        let receipt = self.sink.seen(named.part.clone(), RawPart::Observed(look.raw));
        Known { stat, said, receipt, settled }
    }
}

fn part_name(path: &Path) -> PartName {
    PartName::from_bytes(&platform::path_bytes(path))
}
