//! What the collector's answers do to what waits: each a transaction over versions, accounts and
//! the count of names of each part.

use driftline_protocol::ids::{Generation, SourceName};
use driftline_protocol::wire::Held;

use super::{GENERATION_LIMIT, Inner, NAMED_AT_ONCE};
use crate::spool::database::{self, Refs};
use crate::spool::section::Standing;
use crate::spool::{Reconciled, SpoolError, rows};

impl Inner {
    pub(super) fn acknowledge(
        &mut self,
        source: &SourceName,
        generation: Generation,
    ) -> Result<(), SpoolError> {
        let Some(mut section) = database::section(&self.connection, source)? else {
            return Ok(());
        };
        let mut delivered = database::versions(&self.connection, Some(source), None)?;
        delivered.retain(|waiting| waiting.version.generation <= generation);
        if delivered.is_empty() {
            return Ok(());
        }
        section.settle(&delivered);
        let idle = self.open.is_none();
        let behind = self.transact("acknowledging versions", |tx| {
            let mut refs = rows::take_versions(tx, &delivered)?;
            let behind =
                if refs.len() > NAMED_AT_ONCE { std::mem::take(&mut refs) } else { Refs::new() };
            database::refer(tx, &refs)?;
            database::put_section(tx, source, &section, None)?;
            // Parts of an open observation have no name yet; its commit cleans up.
            if idle && behind.is_empty() {
                database::drop_idle(tx)?;
            }
            Ok(behind)
        })?;
        self.name_behind(behind, idle);
        Ok(())
    }

    /// Takes from the counts of many parts, some at a time, after the transaction that let go of
    /// them. A count that stays too high because of a kill keeps a part until the next start.
    fn name_behind(&self, mut refs: Refs, idle: bool) {
        while !refs.is_empty() {
            let first = refs.keys().nth(NAMED_AT_ONCE).copied();
            let later = first.map(|first| refs.split_off(&first)).unwrap_or_default();
            let some = std::mem::replace(&mut refs, later);
            let last = refs.is_empty();
            let named = self.transact("acknowledging versions", |tx| {
                database::refer(tx, &some)?;
                if idle && last { database::drop_idle(tx) } else { Ok(()) }
            });
            if let Err(error) = named {
                tracing::debug!(%error, "parts stay named until the next start");
                return;
            }
        }
    }

    pub(super) fn expire(
        &mut self,
        source: &SourceName,
        generation: Generation,
    ) -> Result<u64, SpoolError> {
        let Some(mut section) = database::section(&self.connection, source)? else {
            return Ok(0);
        };
        let mut waiting = database::versions(&self.connection, Some(source), None)?;
        let kept = waiting
            .split_off(waiting.partition_point(|waiting| waiting.version.generation <= generation));
        section.expire(&waiting);
        let idle = self.open.is_none();
        self.transact("dropping refused versions", |tx| {
            rows::remove_versions(tx, &waiting)?;
            database::put_section(tx, source, &section, None)?;
            if idle { database::drop_idle(tx) } else { Ok(()) }
        })?;
        // What waits behind starts from what was dropped, and says nothing of the loss.
        if !kept.is_empty() {
            self.send_whole(source)?;
        }
        Ok(waiting.len() as u64)
    }

    pub(super) fn reconcile(
        &mut self,
        source: &SourceName,
        held: &Held,
    ) -> Result<Reconciled, SpoolError> {
        let Some(section) = database::section(&self.connection, source)? else {
            return Ok(Reconciled::Fits);
        };
        let waiting = database::versions(&self.connection, Some(source), None)?;
        match section.compare(&waiting, held) {
            Standing::Fits => Ok(Reconciled::Fits),
            Standing::Arrived(generation) => {
                self.acknowledge(source, generation).map(|()| Reconciled::Fits)
            }
            Standing::Apart => {
                self.raise_generation(held.generation)?;
                self.send_whole(source)
            }
        }
    }

    pub(super) fn jump_above(&mut self, generation: Generation) -> Result<(), SpoolError> {
        // What lies beyond is reached by no jump, so it would have all sent whole for ever.
        if generation.min(GENERATION_LIMIT) <= self.generation {
            return Ok(());
        }
        let waiting = database::versions(&self.connection, None, None)?;
        self.raise_generation(generation)?;
        let sources: std::collections::BTreeSet<_> =
            waiting.into_iter().map(|waiting| waiting.version.source).collect();
        sources.iter().try_for_each(|source| self.send_whole(source).map(|_| ()))
    }

    pub(super) fn send_whole(&mut self, source: &SourceName) -> Result<Reconciled, SpoolError> {
        let Some(mut section) = database::section(&self.connection, source)? else {
            return Ok(Reconciled::Fits);
        };
        let manifest = database::manifest(&self.connection, source)?;
        let replaced = database::versions(&self.connection, Some(source), None)?;
        let generation = self.next_generation()?;
        let Some(whole) = section.send_whole(source, manifest.whole(), generation) else {
            return Ok(Reconciled::Fits);
        };
        let idle = self.open.is_none();
        self.transact("sending a section whole", |tx| {
            let mut refs = Refs::new();
            database::name_all(&mut refs, whole.version.delta.set.values(), 1);
            database::refer(tx, &refs)?;
            rows::remove_versions(tx, &replaced)?;
            database::put_version(tx, &whole)?;
            database::put_section(tx, source, &section, None)?;
            if idle { database::drop_idle(tx) } else { Ok(()) }
        })?;
        Ok(Reconciled::SentWhole)
    }
}
