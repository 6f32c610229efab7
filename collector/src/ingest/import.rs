//! Takes the versions of a history that was kept elsewhere.
//!
//! They fill timelines and do nothing else: no baseline and no rule is asked, nothing is counted,
//! and the host is not heard. Their section is no agent's, so an agent that comes later begins its
//! own beside it. They are numbered by the history itself, and each names the state it builds on:
//! sending a history again adds nothing, and another history does not mix with it by mistake. One
//! that builds on nothing is a whole state: its sender means it.

use driftline_protocol::ids::{HostId, SourceName};
use driftline_protocol::ledger::Chain;
use driftline_protocol::limits;
use driftline_protocol::manifest::DeltaError;
use driftline_protocol::snapshot::Domain;
use driftline_protocol::wire::{
    Held, HostKind, Import, ImportedVersion, Problem, ProblemCode, SectionVersion, is_imported,
};

use super::clock::Corrected;
use super::fleet::check_version;
use super::heartbeat::held;
use super::held::Bench;
use super::versions::{Fitting, Taker, manifest};
use super::{Context, Decided, Foresight, Ingest, IngestError, IngestTotals, parts};
use crate::analysis::agreement::Agreements;
use crate::standards::Standards;
use crate::store::{HostRecord, NO_AGENT, NewPart, Origin, Step, StoreError};

/// How far a time of a history may be off, in milliseconds: histories are kept in whole seconds.
const UNCERTAINTY_MS: u64 = 1_000;

/// What became of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// What is known of the section now.
    pub held: Held,
    /// Versions taken that were not known.
    pub applied: u64,
    /// Parts recorded as one change because their version passed its bound of changes.
    pub summarised: u64,
    /// Why the first version that was not taken was not, and none after it.
    pub refused: Option<String>,
}

/// The same import with every part checked and named by us.
///
/// # Errors
/// A [`Problem`] when a part breaks a bound, there are too many versions, or the section is not
/// named as an imported one.
pub fn check_import(import: Import) -> Result<Import<NewPart>, Problem> {
    let malformed = |detail: String| Problem { code: ProblemCode::Malformed, detail };
    let Import { version, host, kind, source, versions, parts } = import;
    if !is_imported(&source) {
        return Err(malformed(format!("section {source} is an agent's; name an imported one")));
    }
    if versions.len() > limits::VERSIONS_PER_REPORT {
        let most = limits::VERSIONS_PER_REPORT;
        return Err(malformed(format!("more than {most} versions in one import")));
    }
    let parts = parts.into_iter().map(parts::check).collect::<Result<_, _>>()?;
    Ok(Import { version, host, kind, source, versions, parts })
}

pub(super) fn import(
    ingest: &mut Ingest,
    context: Context<'_>,
    import: Import<NewPart>,
) -> Result<Decided<Imported>, IngestError> {
    check_version(import.version)?;
    let Import { version: _, host: id, kind, source, versions, parts } = import;
    let mut steps = Vec::new();
    if !ingest.fleet.contains_key(&id) {
        if versions.is_empty() {
            let answer = nothing(held(None));
            return Ok(Decided { answer, parts, steps });
        }
        steps.extend(ingest.make(context, &id, kind)?);
    }
    let host = ingest.in_service(&id)?;
    host.load(context.store)?;
    host.pending.parts.extend(parts.iter().map(|part| (*part.digest(), part.clone())));
    // What is counted here is nobody's counter: see the module.
    let mut totals = IngestTotals::default();
    // What was is held against no rule and no baseline.
    let no_rules = Standards::default();
    let nothing_agreed = Agreements::default();
    let mut taker = Taker {
        context,
        older: false,
        sent_monotonic_ms: 0,
        bench: Bench::new((&no_rules, &nothing_agreed), &id, kind),
        host,
        foresight: &Foresight::default(),
        totals: &mut totals,
        steps: Vec::new(),
    };
    let refused = taker.take_history(&source, versions)?;
    let ours = taker.host.load(context.store)?.sections.get(&source);
    let held = held(ours);
    let taken = std::mem::take(&mut taker.steps);
    let (applied, summarised) = (totals.applied, totals.summarised);
    if taken.is_empty() && !steps.is_empty() {
        // A host of which nothing is known is no host.
        ingest.reload(context.store, &id)?;
        steps.clear();
    }
    steps.extend(taken);
    ingest.unsettled.insert(id);
    let answer = Imported { held, applied, summarised, refused };
    Ok(Decided { answer, parts, steps })
}

fn nothing(held: Held) -> Imported {
    Imported { held, applied: 0, summarised: 0, refused: None }
}

impl Ingest {
    /// Makes a host for which no agent ever spoke.
    fn make(
        &mut self,
        context: Context<'_>,
        id: &HostId,
        kind: HostKind,
    ) -> Result<Option<Step>, IngestError> {
        if self.fleet.len() >= self.config.max_hosts {
            let detail = "the collector knows as many hosts as it may; raise max_hosts";
            return Err(IngestError::refused(ProblemCode::Busy, detail));
        }
        let record = HostRecord {
            id: id.clone(),
            kind,
            incarnation: NO_AGENT,
            token: [0; 32],
            enrolled_at: context.now,
            last_seen: context.now,
            agent_version: String::new(),
            key: None,
            site_key: false,
            retired_at: None,
        };
        self.remember(record.clone());
        Ok(Some(Step::Host(record)))
    }
}

/// What became of one version.
enum Taken {
    /// It counts, or counted already.
    Fine,
    /// It does not fit what is known.
    Refused(String),
}

impl Taker<'_> {
    /// Takes versions in their order up to the first that does not fit, and says why it does not.
    fn take_history(
        &mut self,
        source: &SourceName,
        versions: Vec<ImportedVersion>,
    ) -> Result<Option<String>, StoreError> {
        for version in versions {
            match self.take_imported(spoken(source, version)) {
                Ok(Taken::Fine) => {}
                Ok(Taken::Refused(why)) => return Ok(Some(why)),
                // What was taken before stands; it must not be lost with what was not.
                Err(error) if !self.steps.is_empty() => return Ok(Some(error.to_string())),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn take_imported(&mut self, version: SectionVersion) -> Result<Taken, StoreError> {
        let ours = self.host.load(self.context.store)?.sections.get(&version.source).cloned();
        if ours.as_ref().is_some_and(|ours| version.generation <= ours.generation) {
            return Ok(Taken::Fine);
        }
        let another = || {
            let why = format!("section {} holds another history than this one", version.source);
            Ok(Taken::Refused(why))
        };
        // Without a base it is a whole state, as of a history that is read otherwise now.
        if ours.is_none() && version.delta.base.is_some() {
            return another();
        }
        let before = self.before(&version.source, ours.as_ref())?;
        let next = match manifest(&before).apply(&version.delta) {
            Ok(next) => next,
            Err(DeltaError::BaseUnknown) => return another(),
            Err(error @ DeltaError::TooManyParts) => return Ok(Taken::Refused(error.to_string())),
        };
        if let Some(why) = self.forged(&version, &next) {
            return Ok(Taken::Refused(why));
        }
        let at = version.observed_at.min(self.context.now);
        let when = (Origin::Import, Corrected { at, uncertainty_ms: UNCERTAINTY_MS });
        let fitting = Fitting::new(version, (before, next), when);
        let fitting = if ours.is_none() { fitting.beginning() } else { fitting };
        if !self.missing(&fitting)?.is_empty() {
            return Ok(Taken::Refused("a version names parts that are not here".to_owned()));
        }
        let consequences = self.consequences(&fitting)?;
        self.commit(fitting, ours.as_ref(), consequences)?;
        Ok(Taken::Fine)
    }
}

/// An imported version in the words of an agent. It has no chain: nobody counted what was observed.
fn spoken(source: &SourceName, version: ImportedVersion) -> SectionVersion {
    let ImportedVersion { generation, observed_at, delta, digest } = version;
    let chain = Chain::start(source);
    SectionVersion {
        source: source.clone(),
        domain: Domain::Config,
        generation,
        chain_before: chain,
        chain,
        coalesced: 0,
        expired: 0,
        observed_at,
        observed_monotonic_ms: None,
        delta,
        digest,
    }
}
