//! How a source looks at the files behind one part, and how it remembers what it looked at.
//!
//! A [`Look`] reads files and lists directories and notes each of them; from the notes come the
//! part's raw digest and attributes, and a [`Trace`] with which the next pass can say *the same*
//! after a few `stat` calls. It knows no format. It keeps two promises: a file written in the same
//! moment it was read is read again (as git treats a racy index entry), and nothing but a fully
//! read part is ever remembered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::PartName;
use driftline_protocol::item::{Fingerprint, ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems, RawObserved, RawPart};
use driftline_protocol::snapshot::{Content as Extent, Reading, Reason};
use rustix::fs::Stat;

use crate::formats::Malformed;
use crate::machine::{Content, Entry, Machine};

/// How old a file's last change must be before its times can be trusted, in seconds: above the
/// coarsest time stamp in use (FAT, 2 s), since a second write within one stamp leaves no trace in
/// it.
const SETTLED_SECONDS: i64 = 3;

/// Looks at the files behind one part.
pub(crate) struct Look<'a> {
    machine: &'a Machine,
    now: i64,
    trace: Trace,
    settled: bool,
    files: Vec<(PathBuf, Fingerprint)>,
    size: u64,
    attributes: RawItems,
}

/// The state of every file and directory that a part was made from.
pub(crate) struct Trace(Vec<(PathBuf, Option<State>)>);

/// What tells two states of a file apart without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What a source remembers from pass to pass: the trace of each part it read to the end.
#[derive(Default)]
pub(crate) struct Memory(BTreeMap<PartName, Trace>);

impl<'a> Look<'a> {
    /// A look that begins now.
    pub(crate) fn new(machine: &'a Machine) -> Self {
        Self {
            machine,
            now: machine.clock(),
            trace: Trace(Vec::new()),
            settled: true,
            files: Vec::new(),
            size: 0,
            attributes: RawItems::new(),
        }
    }

    /// The content of a regular file; see [`Machine::read`].
    pub(crate) fn read(&mut self, path: &Path, bound: u64) -> Result<Option<Content>, Reason> {
        let content = self.machine.read(path, bound)?;
        self.note(path, content.as_ref().map(|content| &content.stat));
        if let Some(content) = &content {
            if self.files.is_empty() {
                self.attributes = attributes(&content.stat);
            }
            let digest = self.machine.redactor().raw_digest(&content.bytes);
            self.files.push((path.to_path_buf(), digest));
            self.size += content.bytes.len() as u64;
        }
        Ok(content)
    }

    /// The names in a directory; see [`Machine::entries`].
    pub(crate) fn entries(&mut self, path: &Path) -> Result<Option<Vec<Entry>>, Reason> {
        // The directory's state before listing: a name that comes in between is then a change.
        let stat = self.machine.stat_followed(path)?;
        self.note(path, stat.as_ref());
        self.machine.entries(path)
    }

    /// The target of a symbolic link; see [`Machine::link_target`].
    pub(crate) fn link_target(&self, path: &Path) -> Result<Option<Vec<u8>>, Reason> {
        self.machine.link_target(path)
    }

    /// Forgets the bytes read so far: they hold more than the part tells, such as how much memory is
    /// free, and their digest would change with every pass.
    pub(crate) fn without_bytes(&mut self) {
        self.files.clear();
        self.size = 0;
    }

    /// The part made from what was read: an unparsable content keeps its digest and attributes.
    pub(crate) fn part(&self, reading: Reading, items: Result<RawItems, Malformed>) -> RawPart {
        let (content, items) = match items {
            Ok(items) => (Extent::Read, items),
            Err(_) => (Extent::Unread(Reason::Malformed), RawItems::new()),
        };
        let mut all = self.attributes.clone();
        all.extend(items);
        let size = (!self.files.is_empty()).then_some(self.size);
        RawPart::Observed(RawObserved { reading, raw: self.raw(), size, content, items: all })
    }

    /// One file's own digest, or one digest over the paths and digests of all of them.
    fn raw(&self) -> Option<Fingerprint> {
        if let [(_, digest)] = self.files.as_slice() {
            return Some(*digest);
        }
        self.files.first()?;
        let mut hasher = self.machine.redactor().raw_hasher();
        for (path, digest) in &self.files {
            hasher.update(path.as_os_str().as_encoded_bytes());
            hasher.update(&[0]);
            hasher.update(&digest.digest.0);
        }
        Some(hasher.finish())
    }

    fn note(&mut self, path: &Path, stat: Option<&Stat>) {
        let state = stat.map(State::of);
        self.settled &= state.is_none_or(|state| state.is_settled(self.now));
        self.trace.0.push((path.to_path_buf(), state));
    }
}

impl State {
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
            changed: (stat.st_ctime, stat.st_ctime_nsec.cast_signed()),
        }
    }

    fn is_settled(&self, now: i64) -> bool {
        self.modified.0.max(self.changed.0) < now - SETTLED_SECONDS
    }
}

impl Trace {
    fn holds(&self, machine: &Machine) -> bool {
        self.0.iter().all(|(path, state)| {
            machine.stat_followed(path).is_ok_and(|stat| stat.as_ref().map(State::of) == *state)
        })
    }
}

impl Memory {
    /// Whether everything `part` was made from is as it was.
    pub(crate) fn is_same(&self, part: &PartName, machine: &Machine) -> bool {
        self.0.get(part).is_some_and(|trace| trace.holds(machine))
    }

    /// Remembers what `part` was made from, unless something of it is unknown or too fresh.
    pub(crate) fn keep(&mut self, name: &PartName, part: &RawPart, look: Look<'_>) {
        let read = matches!(part, RawPart::Observed(RawObserved { content: Extent::Read, .. }));
        if read && look.settled {
            self.0.insert(name.clone(), look.trace);
        } else {
            self.0.remove(name);
        }
    }

    /// Forgets the parts that are not on the host any more.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&PartName) -> bool) {
        self.0.retain(|name, _| is_there(name));
    }
}

/// The attributes of a file that every table keeps, even where its content cannot be parsed.
pub(crate) fn attributes(stat: &Stat) -> RawItems {
    let text = |text: String| RawItem::plain(ItemValue::Text(text));
    RawItems::from([
        (ItemKey::attribute("mode"), text(format!("{:04o}", stat.st_mode & 0o7777))),
        (ItemKey::attribute("owner"), text(format!("{}:{}", stat.st_uid, stat.st_gid))),
    ])
}
