//! The spool itself: one connection behind a lock, and the two halves that use it.
//!
//! Parts of an open observation are buffered and flushed in batches under no name; only the commit
//! names them, in the transaction that moves the state on. So no transaction is open between calls,
//! an acknowledgement never waits for a pass, and a kill leaves nothing but parts that nothing
//! names, which the next start drops.

mod delivery;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use driftline_protocol::ids::{Digest, Generation, HostId, SourceName};
use driftline_protocol::manifest::Manifest;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{Redactor, Sealed, Unsealed};
use driftline_protocol::snapshot::Reason;
use driftline_protocol::wire::{Held, SectionStatus, SectionVersion, SourceReading};
use rusqlite::{Connection, Transaction};

use super::database::{self, Refs, doing};
use super::identity::{self, Identity, Keeper};
use super::section::{Section, Waiting};
use super::{Deliver, Keep, Observation, Reconciled, SpoolError, Status, Tally, repair, rows};
use crate::clock;

/// Parts of an open observation kept in memory before they are written, in bytes.
const BUFFER_BYTES: usize = 1024 * 1024;

/// Versions merged in one transaction, so that an acknowledgement never waits long for a full
/// spool.
const MERGES_AT_ONCE: usize = 64;

/// Parts whose count changes in one transaction, so that the log stays small.
const NAMED_AT_ONCE: usize = if cfg!(test) { 3 } else { 1_024 };

/// The highest generation the collector may make an agent jump to: far beyond use, and far below
/// overflow.
const GENERATION_LIMIT: Generation = Generation(1 << 62);

/// How the spool is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state folder; it must exist.
    pub folder: PathBuf,
    /// Bytes in use above which the oldest versions are coalesced.
    pub limit_bytes: u64,
    /// Names this boot of the host, since monotonic times of another boot mean nothing.
    pub boot: String,
}

/// A handle on the spool; clones share it. See [`Keep`] and [`Deliver`].
#[derive(Clone)]
pub struct Spool {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    settings: Settings,
    redactor: Redactor,
    keeper: Keeper,
    connection: Connection,
    generation: Generation,
    open: Option<Open>,
    /// How each source read last; not worth a write to disk in each pass.
    readings: BTreeMap<SourceName, LastRead>,
}

/// What the last pass over a source came to.
struct LastRead {
    unobserved: BTreeMap<Reason, u64>,
    reading: SourceReading,
    /// With the digest of the state it belongs to; gone once another observation is opened.
    tally: Option<(Digest, Tally)>,
}

/// The observation that is open.
struct Open {
    source: SourceName,
    /// The digest of the state it began from.
    base: Option<Digest>,
    buffer: Vec<(Digest, Sealed)>,
    buffered: usize,
}

impl Spool {
    /// Opens the spool of `settings.folder`, repaired where needed. `redactor` opens the sealed
    /// parts.
    ///
    /// # Errors
    /// [`SpoolError`] when the folder cannot be used; a damaged file is no error.
    pub fn open(settings: Settings, redactor: Redactor) -> Result<Self, SpoolError> {
        let mut keeper = Keeper::open(&settings.folder)?;
        let (connection, generation) =
            repair::open(&settings.folder, &mut keeper, redactor.key_id())?;
        let readings = BTreeMap::new();
        let inner =
            Inner { settings, redactor, keeper, connection, generation, open: None, readings };
        Ok(Self { inner: Arc::new(Mutex::new(inner)) })
    }

    /// Where the spool lies.
    pub fn folder(&self) -> PathBuf {
        self.lock().settings.folder.clone()
    }

    /// Gives back what a pass left in the page cache.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn shrink(&mut self) -> Result<(), SpoolError> {
        self.guarded(|inner| {
            let shrink = inner.connection.execute_batch("PRAGMA shrink_memory");
            shrink.map_err(doing("shrinking the cache"))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is a transaction, so a panic elsewhere left nothing half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one operation; when it finds the file damaged, the file is replaced before it fails.
    fn guarded<T>(
        &self,
        operation: impl FnOnce(&mut Inner) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        let mut inner = self.lock();
        match operation(&mut inner) {
            Err(error) if error.is_damage() => {
                inner.replace(&error)?;
                Err(SpoolError::Damaged("the file was replaced"))
            }
            other => other,
        }
    }

    #[cfg(test)]
    pub(super) fn with_connection<T>(&self, look: impl FnOnce(&Connection) -> T) -> T {
        look(&self.lock().connection)
    }
}

impl Keep for Spool {
    fn tally(&mut self, source: &SourceName) -> Result<Option<Tally>, SpoolError> {
        self.guarded(|inner| inner.tally(source))
    }

    fn begin(&mut self, source: &SourceName) -> Result<Manifest, SpoolError> {
        self.guarded(|inner| {
            let base = database::section(&inner.connection, source)?.and_then(|s| s.digest);
            let manifest = database::manifest(&inner.connection, source)?;
            let (buffer, buffered) = (Vec::new(), 0);
            if let Some(read) = inner.readings.get_mut(source) {
                read.tally = None;
            }
            inner.open = Some(Open { source: source.clone(), base, buffer, buffered });
            Ok(manifest)
        })
    }

    fn keep(&mut self, digest: Digest, part: &Sealed) -> Result<(), SpoolError> {
        self.guarded(|inner| {
            let open = inner.open.as_mut().ok_or(SpoolError::NotOpen)?;
            open.buffered += part.as_bytes().len();
            open.buffer.push((digest, part.clone()));
            if open.buffered < BUFFER_BYTES {
                return Ok(());
            }
            open.buffered = 0;
            let batch = std::mem::take(&mut open.buffer);
            inner.transact("keeping parts", |tx| rows::insert_parts(tx, &batch))
        })
    }

    fn commit(&mut self, observation: Observation) -> Result<Option<Generation>, SpoolError> {
        self.guarded(|inner| {
            let committed = inner.commit(&observation);
            inner.open = None;
            let generation = committed?;
            let Observation { source, unobserved, reading, tally, .. } = observation;
            let digest = database::section(&inner.connection, &source)?.and_then(|s| s.digest);
            let tally = digest.zip(tally);
            inner.readings.insert(source, LastRead { unobserved, reading, tally });
            if generation.is_some() {
                inner.coalesce_to_limit()?;
            }
            Ok(generation)
        })
    }

    fn stay(&mut self, source: &SourceName, reading: SourceReading) -> Result<(), SpoolError> {
        self.guarded(|inner| {
            let still = inner.tally(source)?.is_some();
            let read = inner.readings.get_mut(source).filter(|_| still);
            read.ok_or(SpoolError::NotOpen)?.reading = reading;
            Ok(())
        })
    }

    fn abandon(&mut self) {
        // What was flushed of it names nothing; the next commit or start removes it.
        self.lock().open = None;
    }
}

impl Deliver for Spool {
    fn status(&mut self) -> Result<Status, SpoolError> {
        self.guarded(|inner| inner.status())
    }

    fn identity(&self) -> Identity {
        self.lock().keeper.get().clone()
    }

    fn waiting(&mut self, limit: usize) -> Result<Vec<SectionVersion>, SpoolError> {
        self.guarded(|inner| {
            let waiting = database::versions(&inner.connection, None, Some(limit))?;
            if let Some(last) = waiting.last() {
                database::offer(&inner.connection, last.version.generation)?;
            }
            if mutant::active(Mutant::ForgetVersionBeforeAcknowledgement) {
                let sent = waiting.iter().map(|waiting| &waiting.version);
                sent.rev().try_for_each(|v| inner.acknowledge(&v.source, v.generation))?;
                // Long enough for a kill to fall between forgetting and sending.
                if !waiting.is_empty() {
                    std::thread::sleep(std::time::Duration::from_secs(2));
                }
            }
            let boot = &inner.settings.boot;
            let tell = |Waiting { mut version, boot: seen_in }| {
                version.observed_monotonic_ms =
                    version.observed_monotonic_ms.filter(|_| seen_in == *boot);
                version
            };
            Ok(waiting.into_iter().map(tell).collect())
        })
    }

    fn parts(&mut self, digests: &[Digest], budget: usize) -> Result<Vec<Unsealed>, SpoolError> {
        self.guarded(|inner| inner.parts(digests, budget))
    }

    fn acknowledge(
        &mut self,
        source: &SourceName,
        generation: Generation,
    ) -> Result<(), SpoolError> {
        self.guarded(|inner| inner.acknowledge(source, generation))
    }

    fn reconcile(&mut self, source: &SourceName, held: &Held) -> Result<Reconciled, SpoolError> {
        self.guarded(|inner| inner.reconcile(source, held))
    }

    fn send_whole(&mut self, source: &SourceName) -> Result<(), SpoolError> {
        self.guarded(|inner| inner.send_whole(source).map(|_| ()))
    }

    fn expire(&mut self, source: &SourceName, generation: Generation) -> Result<u64, SpoolError> {
        self.guarded(|inner| inner.expire(source, generation))
    }

    fn jump_above(&mut self, generation: Generation) -> Result<(), SpoolError> {
        self.guarded(|inner| inner.jump_above(generation))
    }

    fn enrolled(&mut self, host: HostId, token: String, epoch: u64) -> Result<(), SpoolError> {
        self.guarded(|inner| inner.enrolled(host, token, epoch))
    }

    fn saw_epoch(&mut self, epoch: u64) -> Result<(), SpoolError> {
        self.lock().keeper.saw_epoch(epoch, clock::monotonic_ms())
    }
}

impl Inner {
    fn tally(&self, source: &SourceName) -> Result<Option<Tally>, SpoolError> {
        let tally = self.readings.get(source).and_then(|read| read.tally.as_ref());
        let Some((digest, tally)) = tally else { return Ok(None) };
        let section = database::section(&self.connection, source)?;
        let still = section.is_some_and(|section| section.digest == Some(*digest));
        Ok(still.then(|| tally.clone()))
    }

    fn commit(&mut self, observation: &Observation) -> Result<Option<Generation>, SpoolError> {
        let source = &observation.source;
        let open = self.open.take().filter(|open| open.source == *source);
        let open = open.ok_or(SpoolError::NotOpen)?;
        let known = database::section(&self.connection, source)?;
        if known.as_ref().and_then(|section| section.digest) != open.base {
            return Err(SpoolError::NotOpen);
        }
        if open.base == Some(observation.manifest.digest()) {
            return Ok(None);
        }
        let new = || Section::new(source, observation.domain, 0);
        let mut section = known.unwrap_or_else(new);
        let before = database::manifest(&self.connection, source)?;
        let steps = before.delta_to(&observation.manifest);
        let delta = if open.base.is_some() { steps.clone() } else { observation.manifest.whole() };
        let generation = self.next_generation()?;
        let boot = self.settings.boot.as_str();
        let waiting = section.observe(observation, delta, (generation, boot));
        let mut refs = Refs::new();
        database::name_all(&mut refs, steps.set.values(), 1);
        let gone = steps.set.keys().chain(&steps.unset).filter_map(|name| before.0.get(name));
        database::name_all(&mut refs, gone, -1);
        database::name_all(&mut refs, waiting.version.delta.set.values(), 1);
        let ahead = self.name_ahead(&open.buffer, &mut refs)?;
        let committed = self.transact("committing an observation", |tx| {
            rows::insert_parts(tx, &open.buffer)?;
            database::put_section(tx, source, &section, Some(&observation.manifest))?;
            database::put_version(tx, &waiting)?;
            database::refer(tx, &refs)?;
            database::drop_idle(tx)
        });
        if committed.is_err() {
            self.unname(&ahead);
        }
        committed.map(|()| Some(generation))
    }

    /// Names parts before the transaction that needs them, some at a time, and takes them out of
    /// `refs`: the first pass over 50,000 files would write a log of 400 MB otherwise, whose index
    /// stays in memory. Whatever becomes of it, the next start counts again.
    fn name_ahead(
        &self,
        buffer: &[(Digest, Sealed)],
        refs: &mut Refs,
    ) -> Result<Vec<Refs>, SpoolError> {
        let mut ahead = Vec::new();
        if refs.len() <= NAMED_AT_ONCE {
            return Ok(ahead);
        }
        self.transact("keeping parts", |tx| rows::insert_parts(tx, buffer))?;
        // A part that is named less often may go: that is left to the transaction itself.
        let (mut more, less): (Refs, Refs) =
            std::mem::take(refs).into_iter().partition(|(_, count)| *count > 0);
        while let Some(first) = more.keys().nth(NAMED_AT_ONCE).copied() {
            let later = more.split_off(&first);
            if let Err(error) = self.transact("naming parts", |tx| database::refer(tx, &more)) {
                self.unname(&ahead);
                return Err(error);
            }
            ahead.push(std::mem::replace(&mut more, later));
        }
        *refs = less;
        refs.append(&mut more);
        Ok(ahead)
    }

    /// Takes back what [`Inner::name_ahead`] did; where that fails too, the next start does.
    fn unname(&self, ahead: &[Refs]) {
        for refs in ahead {
            let less = refs.iter().map(|(digest, count)| (*digest, -count)).collect();
            if let Err(error) = self.transact("naming parts", |tx| database::refer(tx, &less)) {
                tracing::debug!(%error, "parts stay named until the next start");
            }
        }
    }

    fn coalesce_to_limit(&mut self) -> Result<(), SpoolError> {
        let mut more = true;
        while more && database::used_bytes(&self.connection)? > self.settings.limit_bytes {
            let limit = self.settings.limit_bytes;
            more = self.transact("coalescing versions", |tx| {
                for _ in 0..MERGES_AT_ONCE {
                    let Some(source) = database::mergeable(tx)? else { return Ok(false) };
                    rows::coalesce_oldest(tx, &source)?;
                    database::drop_idle(tx)?;
                    if database::used_bytes(tx)? <= limit {
                        return Ok(false);
                    }
                }
                Ok(true)
            })?;
        }
        Ok(())
    }

    fn status(&self) -> Result<Status, SpoolError> {
        let mut sections = BTreeMap::new();
        for (source, section) in database::sections(&self.connection)? {
            let Some(digest) = section.digest else { continue };
            let kept = || section.seen.as_ref().map(|seen| (seen.unobserved.clone(), seen.reading));
            let last = self.readings.get(&source);
            let read = last.map(|last| (last.unobserved.clone(), last.reading)).or_else(kept);
            let (unobserved, last_read) = read.unwrap_or_default();
            let Section { generation, chain, account, .. } = section;
            let status =
                SectionStatus { generation, digest, chain, account, unobserved, last_read };
            sections.insert(source, status);
        }
        Ok(Status {
            generation: self.generation,
            sections,
            bytes: database::used_bytes(&self.connection)?,
            limit_bytes: self.settings.limit_bytes,
            repairs: self.keeper.get().repairs,
        })
    }

    fn parts(&mut self, digests: &[Digest], budget: usize) -> Result<Vec<Unsealed>, SpoolError> {
        let (mut parts, mut bytes) = (Vec::new(), 0);
        for digest in digests {
            let Some(sealed) = database::part(&self.connection, digest)? else {
                return Err(self.missing(digest)?);
            };
            bytes += sealed.len();
            if bytes > budget && !parts.is_empty() {
                break;
            }
            match self.redactor.to_send(&sealed) {
                Ok(part) if part.digest() == *digest => parts.push(part),
                _ => return Err(SpoolError::Damaged("a part")),
            }
        }
        Ok(parts)
    }

    /// What it means that a part is not there: its version may have been coalesced since it was
    /// read.
    fn missing(&self, digest: &Digest) -> Result<SpoolError, SpoolError> {
        let waiting = database::versions(&self.connection, None, None)?;
        let mut named = waiting.iter().flat_map(|waiting| waiting.version.delta.set.values());
        let damaged = named.any(|needed| needed == digest);
        let gone = SpoolError::PartMissing(*digest);
        Ok(if damaged { SpoolError::Damaged("a part is missing") } else { gone })
    }

    fn enrolled(&mut self, host: HostId, token: String, epoch: u64) -> Result<(), SpoolError> {
        let known = self.keeper.get();
        let mut incarnation = known.incarnation;
        if known.host.as_ref().is_some_and(|before| *before != host) {
            // The accounts so far are those of the host this state was copied from.
            self.open = None;
            self.readings.clear();
            self.transact("beginning anew", database::clear)?;
            incarnation = identity::fresh_incarnation()?;
        }
        self.keeper.change(|identity| {
            identity.incarnation = incarnation;
            identity.host = Some(host);
            identity.token = Some(token);
            identity.epoch = epoch;
        })
    }

    /// The next generation, reserved on disk before it is used.
    fn next_generation(&mut self) -> Result<Generation, SpoolError> {
        let next = self.generation.next();
        self.keeper.reserve(next)?;
        self.generation = next;
        Ok(next)
    }

    fn raise_generation(&mut self, generation: Generation) -> Result<(), SpoolError> {
        let generation = generation.min(GENERATION_LIMIT);
        if generation > self.generation {
            self.keeper.reserve(generation)?;
            self.generation = generation;
        }
        Ok(())
    }

    fn transact<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        let tx = self.connection.unchecked_transaction().map_err(doing(what))?;
        let done = work(&tx)?;
        tx.commit().map_err(doing(what))?;
        Ok(done)
    }

    /// Begins a new file in place of one that is damaged.
    fn replace(&mut self, error: &SpoolError) -> Result<(), SpoolError> {
        self.open = None;
        let nowhere = Connection::open_in_memory().map_err(doing("closing the file"))?;
        drop(std::mem::replace(&mut self.connection, nowhere));
        let folder: &Path = &self.settings.folder;
        let key = self.redactor.key_id();
        let (connection, generation) = repair::replace(folder, &mut self.keeper, key, error)?;
        self.connection = connection;
        self.generation = self.generation.max(generation);
        Ok(())
    }
}
