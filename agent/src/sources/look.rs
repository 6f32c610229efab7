//! How a source looks at the files behind one part, and how it remembers what it looked at.
//!
//! A [`Look`] reads files and lists directories and notes each of them; from the notes come the
//! part's raw digest and attributes, and a [`Trace`] with which the next pass can say *the same*
//! after a few `stat` calls. It knows no format. It keeps two promises: a file written in the same
//! moment it was read is read again (as git treats a racy index entry), and nothing but a fully
//! read part is ever said to be the same. What a part was made from is remembered of every one, to
//! be watched.
//!
//! Times prove nothing of a file that is another's than root's: who maps it can write to it as
//! often as he likes while the kernel has not written the page back, and its times stay. A look
//! into homes and other files of people (`Look::of_people`) says *the same* of such a file only
//! after it was read again, and its digest is what it was. The files of people are few and small.
//! The `files` source has a cache of its own and believes times: it tells whole trees, which it
//! would have to read in each pass, and what daemons own there they may write anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use driftline_protocol::ids::PartName;
use driftline_protocol::item::Fingerprint;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItems, RawObserved, RawPart};
use driftline_protocol::snapshot::{Content as Extent, Reading, Reason};

use crate::formats::Malformed;
use crate::machine::{Content, Entry, Machine};
use crate::platform::Stat;
use crate::sources::stamp::{Print, attributes, is_racy};
use crate::sources::{Carry, Receipt, Sink};

/// The most pieces of one part that are unknown while the others are told.
const BLANKS: usize = 256;

/// The number of the account whose files nobody else writes.
const ROOT: u32 = 0;

/// The most links that are followed one after the other to what is watched; the kernel takes 40.
const LINKS: usize = 8;

/// Looks at the files behind one part.
pub(crate) struct Look<'a> {
    machine: &'a Machine,
    began: SystemTime,
    is_of_people: bool,
    trace: Trace,
    settled: bool,
    files: Vec<(PathBuf, Fingerprint)>,
    size: u64,
    attributes: RawItems,
    blanks: Vec<(String, Reason)>,
}

/// The state of every file and directory that a part was made from.
struct Trace(Vec<Mark>);

/// One of them.
struct Mark {
    path: PathBuf,
    /// Nothing where nothing was there.
    state: Option<Print>,
    /// What was read, and the bound it was read within, where the state proves nothing.
    content: Option<(Fingerprint, u64)>,
}

/// What a source remembers from pass to pass: of each part what it was made from and, where it was
/// read to the end, what the sink said of it.
#[derive(Default)]
pub(crate) struct Memory(BTreeMap<PartName, (Trace, Option<Receipt>)>);

/// Where no file tells of a change.
const OF_THE_KERNEL: [&str; 2] = ["/proc", "/sys"];

impl<'a> Look<'a> {
    /// A look that begins now.
    pub(crate) fn new(machine: &'a Machine) -> Self {
        Self {
            machine,
            began: machine.clock(),
            is_of_people: false,
            trace: Trace(Vec::new()),
            settled: true,
            files: Vec::new(),
            size: 0,
            attributes: RawItems::new(),
            blanks: Vec::new(),
        }
    }

    /// The same, at files that people own: what is not root's is never the same by its times.
    pub(crate) fn of_people(machine: &'a Machine) -> Self {
        let is_of_people = !mutant::active(Mutant::TimesProveEveryFile);
        Self { is_of_people, ..Self::new(machine) }
    }

    /// The machine that is looked at.
    pub(crate) fn machine(&self) -> &'a Machine {
        self.machine
    }

    /// Notes that the part depends on the file at `path`, which is not read here.
    pub(crate) fn rely(&mut self, path: &Path) -> Result<(), Reason> {
        let stat = self.known(path, self.machine.stat_followed(path))?;
        self.note(path, stat.as_ref());
        Ok(())
    }

    /// The content of a regular file; see [`Machine::read`].
    pub(crate) fn read(&mut self, path: &Path, bound: u64) -> Result<Option<Content>, Reason> {
        let content = self.known(path, self.machine.read(path, bound))?;
        self.note(path, content.as_ref().map(|content| &content.stat));
        if let Some(content) = &content {
            if self.files.is_empty() {
                self.attributes = attributes(&content.stat);
            }
            let digest = self.machine.redactor().raw_digest(&content.bytes);
            if self.is_of_people && content.stat.st_uid != ROOT {
                let mark = self.trace.0.last_mut();
                mark.into_iter().for_each(|mark| mark.content = Some((digest, bound)));
            }
            self.files.push((path.to_path_buf(), digest));
            self.size += content.bytes.len() as u64;
            self.note_target(path, &content.stat);
        }
        Ok(content)
    }

    /// Hands the regular file at `path` to `take` piece by piece, and says whether it is there; see
    /// [`Machine::read_pieces`]. Its bytes are not among those of the part.
    pub(crate) fn pieces(
        &mut self,
        path: &Path,
        bound: u64,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, Reason> {
        let stat = self.known(path, self.machine.read_pieces(path, bound, take))?;
        self.note(path, stat.as_ref());
        Ok(stat.is_some())
    }

    /// Notes what was told of `place` by something that is no file and has no times: it is asked
    /// again in each pass.
    pub(crate) fn told(&mut self, place: &Path, say: impl FnOnce(&mut dyn FnMut(&[u8]))) {
        self.settled = false;
        let (mut hasher, mut size) = (self.machine.redactor().raw_hasher(), 0);
        say(&mut |piece| {
            hasher.update(piece);
            size += piece.len() as u64;
        });
        self.files.push((place.to_path_buf(), hasher.finish()));
        self.size += size;
    }

    /// Notes that nothing is known of `place`, which is a piece of what the part is made of.
    ///
    /// # Errors
    /// When so many pieces are unknown that the rest means nothing: then the part is.
    pub(crate) fn blank(&mut self, place: String, reason: Reason) -> Result<(), Reason> {
        if self.blanks.iter().any(|(known, _)| *known == place) {
            return Ok(());
        }
        if self.blanks.len() == BLANKS {
            return Err(reason);
        }
        self.blanks.push((place, reason));
        Ok(())
    }

    /// The pieces that nothing is known of.
    pub(crate) fn blanks(&self) -> &[(String, Reason)] {
        &self.blanks
    }

    /// The names in a directory; see [`Machine::entries`].
    pub(crate) fn entries(&mut self, path: &Path) -> Result<Option<Vec<Entry>>, Reason> {
        // The directory's state before listing: a name that comes in between is then a change.
        let stat = self.known(path, self.machine.stat_followed(path))?;
        self.note(path, stat.as_ref());
        self.machine.entries(path)
    }

    /// The target of a symbolic link; see [`Machine::link_target`].
    pub(crate) fn link_target(&self, path: &Path) -> Result<Option<Vec<u8>>, Reason> {
        self.machine.link_target(path)
    }

    /// Forgets the bytes read so far: they hold more than the part tells, such as how much memory
    /// is free, and their digest would change with every pass.
    pub(crate) fn without_bytes(&mut self) {
        self.files.clear();
        self.size = 0;
    }

    /// The part made from what was read: an unparsable content keeps its digest and attributes, and
    /// says what is wrong with it.
    pub(crate) fn part(&self, reading: Reading, items: Result<RawItems, Malformed>) -> RawPart {
        let (content, items) = match items {
            Ok(items) => (Extent::Read, items),
            Err(malformed) => {
                (Extent::Unread(Reason::Malformed), RawItems::from([malformed.item()]))
            }
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

    /// Notes where the links at `path` lead, to what has this `stat`: what is written there touches
    /// no folder on the way to `path`.
    fn note_target(&mut self, path: &Path, stat: &Stat) {
        let mut target = path.to_path_buf();
        for _ in 0..LINKS {
            let Ok(Some(next)) = self.machine.link_target(&target) else { return };
            let Ok(next) = String::from_utf8(next) else { return };
            target = beside(&target, Path::new(&next));
            self.note(&target, Some(stat));
        }
    }

    /// Notes `path` where nothing is known of it, too: when that ends, the part is to be read.
    fn known<T>(&mut self, path: &Path, found: Result<T, Reason>) -> Result<T, Reason> {
        if found.is_err() {
            self.settled = false;
            self.trace.0.push(Mark { path: path.to_path_buf(), state: None, content: None });
        }
        found
    }

    fn note(&mut self, path: &Path, stat: Option<&Stat>) {
        self.settled &= stat.is_none_or(|stat| !is_racy(stat, self.began));
        let state = stat.map(|stat| Print::of_stat(self.machine.redactor(), stat));
        self.trace.0.push(Mark { path: path.to_path_buf(), state, content: None });
    }
}

/// Where a link at `link` leads that says `target`, as long as no folder on the way is one itself.
fn beside(link: &Path, target: &Path) -> PathBuf {
    let mut path = link.parent().unwrap_or(link).to_path_buf();
    for step in target.components() {
        match step {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => path.push(step),
        }
    }
    path
}

impl Trace {
    fn holds(&self, machine: &Machine) -> bool {
        let print = |stat: &Stat| Print::of_stat(machine.redactor(), stat);
        let is_read_alike = |path: &Path, (digest, bound): (Fingerprint, u64)| {
            let content = machine.read(path, bound).ok().flatten();
            content.is_some_and(|content| machine.redactor().raw_digest(&content.bytes) == digest)
        };
        let is_alike = |Mark { path, state, content }: &Mark| {
            machine.stat_followed(path).is_ok_and(|stat| stat.as_ref().map(print) == *state)
                && content.is_none_or(|content| is_read_alike(path, content))
        };
        self.0.iter().all(is_alike)
    }
}

impl Memory {
    /// Says that `part` is the same if it provably is; otherwise it must be read.
    pub(crate) fn carry(&self, part: &PartName, machine: &Machine, sink: &mut dyn Sink) -> Carry {
        match self.0.get(part) {
            Some((trace, Some(receipt))) if trace.holds(machine) => sink.same(part, receipt),
            Some(_) | None => Carry::ReadAgain,
        }
    }

    /// Says `part`, and remembers what it was made from unless some of it is unknown or too fresh.
    pub(crate) fn say(
        &mut self,
        (name, part): (PartName, RawPart),
        look: Look<'_>,
        sink: &mut dyn Sink,
    ) {
        let read = matches!(part, RawPart::Observed(RawObserved { content: Extent::Read, .. }));
        let receipt = sink.seen(name.clone(), part);
        let is_whole = read && look.settled && look.blanks.is_empty();
        self.0.insert(name, (look.trace, is_whole.then_some(receipt)));
    }

    /// What the parts were made from that is not below any of `watched`: what an include names, and
    /// the like.
    pub(crate) fn beyond(&self, watched: &[PathBuf]) -> Vec<PathBuf> {
        let watched = watched.iter().map(PathBuf::as_path);
        let told: Vec<&Path> = watched.chain(OF_THE_KERNEL.map(Path::new)).collect();
        let paths = self.0.values().flat_map(|(trace, _)| &trace.0).map(|mark| &mark.path);
        let paths: BTreeSet<&PathBuf> =
            paths.filter(|path| !told.iter().any(|place| path.starts_with(place))).collect();
        paths.into_iter().cloned().collect()
    }

    /// Forgets the parts that are not on the host any more.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&PartName) -> bool) {
        self.0.retain(|name, _| is_there(name));
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
