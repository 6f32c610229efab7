//! What the writer must know of the steps that pass through it.

use driftline_protocol::mutant::{self, Mutant};

use crate::analysis::classify::runs::TRANSACTIONS;
use crate::store::{Step, VersionStep};

/// The version that a step makes durable, where it tells of runs: changes near it may be theirs.
pub(super) fn told_of_runs(step: &Step) -> Option<&VersionStep> {
    let Step::Version(version) = step else { return None };
    let tells = version.version.source.as_str() == TRANSACTIONS;
    (tells && !mutant::active(Mutant::RunsComeTooLate)).then_some(version)
}

/// Whether what `step` writes may decide an act of a person, which looks for it in the store; an
/// act that is refused writes nothing, so whoever repeats one does not cut groups of reports.
///
/// What reports and heartbeats bring is asked of [`crate::ingest::Ingest`], which knows what is on
/// its way: whether a host is in service, what its parts are, what is agreed of it, and the etag
/// of a finding. Only findings are looked up by their number in the store, with whether they are
/// open and in which opening: a line about one must not be of an opening that a report on its way
/// has ended.
pub(super) fn decides_acts(step: &Step) -> bool {
    match step {
        Step::Host(_) | Step::Recount { .. } | Step::Event(_) => false,
        Step::Version(version) => !version.findings.is_empty(),
        // What persons do, and engines: rare.
        Step::Approve { .. }
        | Step::Findings(_)
        | Step::Exception(_)
        | Step::Token(_)
        | Step::RemoveToken(_)
        | Step::Cases(_)
        | Step::CaseReading(_)
        | Step::Suspects(_)
        | Step::Pass(..)
        | Step::Outcome(_)
        | Step::ChangeRequests(_)
        | Step::Reconsidered(_)
        | Step::Judged(_)
        | Step::Act(_)
        | Step::Weighed(_) => true,
    }
}
