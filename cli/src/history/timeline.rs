//! What is known of each file, and what a commit changed, as the collector would say it.

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::ensure;
use driftline_collector::analysis::apply::apply;
use driftline_collector::analysis::change::{Change, ChangeKind};
use driftline_collector::analysis::diff::{Known, diff, is_of_the_file};
use driftline_collector::analysis::reach::{may_reach, reach};
use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::item::Items;
use driftline_protocol::snapshot::{Content, Observed, Part, Reason};

use super::line::{Line, Row, Unobserved};

/// What is known of one file.
#[derive(Clone, Default)]
struct Seen {
    /// The newest observation.
    seen: Option<Rc<Observed>>,
    /// The newest observation in which its content was read.
    read: Option<Rc<Observed>>,
    /// Why something was unknown when it was looked at last.
    unobserved: Option<Reason>,
}

impl Seen {
    fn known(&self) -> Known<'_> {
        Known { seen: self.seen.as_deref(), read: self.read.as_deref() }
    }

    /// The same, with its content as if `now`'s reader had read it. One program reads a whole
    /// history, so where another format reads a file, its bytes or its kind made it: the items of
    /// both say what changed, and to hold them apart would leave a gap in the history.
    fn read_like(mut self, now: Option<&Part>) -> Self {
        let reading = now.and_then(Part::observed).map(|observed| &observed.reading);
        if let (Some(read), Some(reading)) = (&mut self.read, reading)
            && read.reading != *reading
        {
            Rc::make_mut(read).reading = reading.clone();
        }
        self
    }

    fn look(&mut self, part: Part) {
        self.unobserved = part.unobserved_reason();
        let Part::Observed(observed) = part else { return };
        let observed = Rc::new(observed);
        if observed.content == Content::Read {
            self.read = Some(Rc::clone(&observed));
        }
        self.seen = Some(observed);
    }
}

/// Every file of the commit looked at last.
pub(crate) struct Timeline {
    section: SourceName,
    files: BTreeMap<PartName, Seen>,
}

/// What a file came to in one commit.
pub(crate) struct Touched {
    /// The file.
    pub(crate) name: PartName,
    /// What it is now; `None` when it is gone.
    pub(crate) now: Option<Part>,
}

impl Timeline {
    /// Knows nothing yet; changes are those that `section` would report.
    pub(crate) fn new(section: SourceName) -> Self {
        Self { section, files: BTreeMap::new() }
    }

    /// Takes a file as it was before the first commit that is told.
    pub(crate) fn begin_with(&mut self, name: PartName, part: Part) {
        self.files.entry(name).or_default().look(part);
    }

    /// Takes one file of a commit, and adds to its line what that changed.
    pub(crate) fn step(&mut self, touched: Touched, line: &mut Line) {
        let Touched { name, now } = touched;
        line.files.push(name.clone());
        let before = self.files.remove(&name).unwrap_or_default().read_like(now.as_ref());
        let changes = diff(&name, before.known(), now.as_ref());
        let unknown = now.as_ref().and_then(Part::unobserved_reason);
        // What was unknown before cannot be compared, and that is all there is to say of it.
        let unknown = unknown.or(before.unobserved.filter(|_| changes.is_empty()));
        match unknown {
            Some(reason) => line.unobserved.push(Unobserved { part: name.clone(), reason }),
            None if changes.is_empty() => line.cosmetic.push(name.clone()),
            None => {}
        }
        for change in changes {
            match change.kind {
                ChangeKind::Cosmetic => line.cosmetic.push(change.part),
                ChangeKind::Moved => line.moved.push(Row::of(&self.section, change)),
                ChangeKind::Added
                | ChangeKind::Removed
                | ChangeKind::Modified
                | ChangeKind::Recast => line.changes.push(Row::of(&self.section, change)),
            }
        }
        if let Some(part) = now {
            let mut seen = before;
            seen.look(part);
            self.files.insert(name, seen);
        }
    }

    /// Adds to the changes of a commit whose files were all told where else they are felt.
    pub(crate) fn reach(&self, line: &mut Line) {
        let read = |seen: &'_ Seen| seen.read.clone();
        for row in &mut line.changes {
            let Some(key) = &row.key else { continue };
            let Some(own) = self.files.get(&row.part).and_then(read) else { continue };
            if may_reach(&own.reading.parser, key) {
                let all = self.files.iter();
                let all = all.filter_map(|(name, seen)| Some((name, seen.read.as_deref()?)));
                row.reach = reach((&row.part, key), &own, all);
            }
        }
    }

    /// Whether the changes of this commit lead from the file before to the file after.
    ///
    /// # Errors
    /// When they do not, which is a bug of ours.
    pub(crate) fn verify(&self, touched: &Touched) -> anyhow::Result<()> {
        let Touched { name, now } = touched;
        let before = self.files.get(name).cloned().unwrap_or_default().read_like(now.as_ref());
        let changes = diff(name, before.known(), now.as_ref());
        let unknown = now.as_ref().is_some_and(|part| part.unobserved_reason().is_some());
        if unknown || before.unobserved.is_some() {
            return Ok(()); // The log says that it does not lead there.
        }
        let items = |part: Option<&Observed>| part.map(|p| p.items.clone()).unwrap_or_default();
        let after = items(now.as_ref().and_then(Part::observed));
        let reached = reached(&items(before.read.as_deref()), &changes);
        ensure!(reached == after, "the changes of {name} do not lead from before to after");
        Ok(())
    }
}

/// Items that `changes` lead to. Attributes have no places, so each side is led there by itself.
fn reached(before: &Items, changes: &[Change]) -> Items {
    let mut reached = Items::new();
    for attributes in [true, false] {
        let of_side = |key| is_of_the_file(key) == attributes;
        let items: Items = before.iter().filter(|(key, _)| of_side(key)).map(own).collect();
        let changes: Vec<Change> = changes
            .iter()
            .filter(|change| change.key.as_ref().is_none_or(of_side))
            .cloned()
            .collect();
        reached.extend(apply(&items, &changes));
    }
    reached
}

fn own<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}
