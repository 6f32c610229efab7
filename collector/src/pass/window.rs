//! The changes the engine looks back on, kept from one pass to the next.
//!
//! A pass costs what changed since the last one and what stands in its look-back, and nothing for
//! a host that did not change: new changes are read by their numbers, which only grow, and of hosts
//! only those behind a change. It is read anew where it cannot go on: at the start, when a pass
//! looks further back than the last, and when the store is not the one it was read from.

use std::collections::BTreeMap;

use driftline_protocol::ids::HostId;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::wire::{HostKind, is_imported};
use jiff::Timestamp;

use super::{CHANGES, each_meant};
use crate::analysis::change_sets::{ChangeSet, ChangeSets, Seen};
use crate::store::{ChangeId, ChangeRecord, MAX_LIMIT, StoreError};
use crate::writer::Reads;

/// What is known of the look-back; nothing before the first pass.
#[derive(Debug, Default)]
pub struct Window {
    /// The last change that was read; the store must still have it as it was.
    mark: Option<ChangeRecord>,
    /// Changes at or after were read.
    from: Option<Timestamp>,
    sets: ChangeSets,
    /// Changes before were left out, because there were too many.
    cut: Option<Timestamp>,
    /// How many changes the last pass read.
    read: u64,
    /// What hosts are; a host keeps its kind as long as it has its name.
    kinds: BTreeMap<HostId, HostKind>,
}

impl Window {
    /// The change sets between two moments, and how many changes were left out.
    ///
    /// # Errors
    /// [`StoreError`]; what was read before stays good.
    pub fn sets(
        &mut self,
        store: &dyn Reads,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<(Vec<ChangeSet>, u64), StoreError> {
        match self.goes_on(store, from)? {
            true => self.read_on(store)?,
            false => *self = Self::whole(store, from)?,
        }
        self.from = Some(from);
        self.sets.forget(from);
        if self.sets.bound(CHANGES as u64) {
            self.cut = self.sets.oldest();
        }
        // What was left out counts until the look-back is past it.
        let left_out = self.cut.is_some_and(|cut| from < cut);
        Ok((self.sets.sets(to), u64::from(left_out)))
    }

    /// How many changes the last pass read.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// What the host is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn kind(&mut self, store: &dyn Reads, host: &HostId) -> Result<HostKind, StoreError> {
        if let Some(kind) = self.kinds.get(host) {
            return Ok(*kind);
        }
        let kind = store.host(host)?.map(|known| known.kind).unwrap_or_default();
        self.kinds.insert(host.clone(), kind);
        Ok(kind)
    }

    fn goes_on(&self, store: &dyn Reads, from: Timestamp) -> Result<bool, StoreError> {
        let (Some(mark), Some(known)) = (&self.mark, self.from) else { return Ok(false) };
        if mutant::active(Mutant::EveryPassReadsEverything) || from < known {
            return Ok(false);
        }
        let here = store.change(mark.id)?;
        Ok(here.is_some_and(|here| (&here.host, here.at) == (&mark.host, mark.at)))
    }

    fn whole(store: &dyn Reads, from: Timestamp) -> Result<Self, StoreError> {
        // The mark comes first: what is written while the rest is read is beyond it, and read next.
        let mark = store.newest_change()?;
        let last = mark.as_ref().map_or(ChangeId(0), |record| record.id);
        let mut window = Self { mark, ..Self::default() };
        let (sets, read) = (&mut window.sets, &mut window.read);
        let take = &mut |record: &ChangeRecord| {
            *read += 1;
            if record.id <= last {
                add(sets, record);
            }
        };
        if each_meant(store, (from, None), take)? {
            window.cut = window.sets.oldest();
        }
        Ok(window)
    }

    fn read_on(&mut self, store: &dyn Reads) -> Result<(), StoreError> {
        self.read = 0;
        loop {
            let after = self.mark.as_ref().map_or(ChangeId(0), |record| record.id);
            let mut page = store.changes_after(after, MAX_LIMIT)?;
            self.read += page.len() as u64;
            page.iter().for_each(|record| add(&mut self.sets, record));
            let full = page.len() >= MAX_LIMIT as usize;
            self.mark = page.pop().or_else(|| self.mark.take());
            if !full {
                return Ok(());
            }
        }
    }
}

/// Takes what meant something. A history was imported for its own sake: its times are commits', not
/// observations.
fn add(sets: &mut ChangeSets, record: &ChangeRecord) {
    if record.change.kind.is_semantic() && !is_imported(&record.source) {
        sets.add(&seen(record));
    }
}

/// A change as sets are made of it.
pub(super) fn seen(record: &ChangeRecord) -> Seen<'_> {
    Seen {
        number: record.id.0,
        host: &record.host,
        source: &record.source,
        generation: record.generation,
        at: record.at,
        change: &record.change,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, change, host};
    use super::*;
    use crate::store::memory::Memory;
    use crate::store::{Append, Step};

    const DAY: i64 = 86_400;

    /// Whether the window says what a fresh one does, over steps that come one after the other and
    /// a look-back that moves with them.
    fn check(steps: &[Step], stretch: impl Fn(usize) -> (i64, i64)) {
        let mut store = Memory::new();
        let mut window = Window::default();
        for (number, step) in steps.iter().enumerate() {
            store.apply(std::slice::from_ref(step)).unwrap();
            let (from, to) = stretch(number);
            let stretch = (at(from), at(to));
            let known = window.sets(&store, stretch).unwrap();
            let fresh = Window::default().sets(&store, stretch).unwrap();
            assert_eq!(known, fresh, "after {number} steps");
        }
    }

    #[test]
    fn what_is_kept_is_what_would_be_read_anew() {
        let day = |n: usize| i64::try_from(n).unwrap() * DAY;
        // In no order: an agent that was away tells later of earlier days.
        let steps: Vec<Step> = (0..30)
            .map(|n| change(&format!("pbx-{}", n % 4), (n * 7 % 30) * DAY + n, "opus"))
            .collect();
        check(&steps, |n| (day(n) - 9 * DAY, day(n) + DAY));
        check(&steps, |_| (0, 30 * DAY));
        // A look-back that goes further back than before.
        check(&steps, |n| (if n == 20 { 0 } else { day(n) - 3 * DAY }, 40 * DAY));
    }

    #[test]
    fn another_store_is_read_anew() {
        let mut window = Window::default();
        let stretch = (at(0), at(30 * DAY));
        for name in ["pbx-1", "pbx-2"] {
            let mut store = Memory::new();
            store.apply(&[host(name), change(name, DAY, "opus")]).unwrap();
            let (sets, _) = window.sets(&store, stretch).unwrap();
            assert_eq!(sets.len(), 1);
            assert_eq!(sets[0].hosts[0].0.as_str(), name);
        }
    }
}
