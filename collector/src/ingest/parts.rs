//! Checks and names parts as they arrive. Pure, and the costly half of a report: call it on a
//! worker.

use driftline_protocol::canonical;
use driftline_protocol::limits;
use driftline_protocol::snapshot::Part;
use driftline_protocol::wire::{PartsUpload, Problem, ProblemCode, Report};

use super::{CheckedReport, Foresight};
use crate::store::NewPart;

/// The parts of an upload under the digests we computed, ready to be kept; the sender's word for
/// them is never taken.
///
/// # Errors
/// A [`Problem`] when a part breaks a bound; nothing of the upload may be kept then.
pub fn check_parts(upload: PartsUpload) -> Result<Vec<NewPart>, Problem> {
    upload.parts.into_iter().map(check).collect()
}

/// The same report with every part checked and named by us.
///
/// # Errors
/// A [`Problem`] when a part breaks a bound or there are too many versions.
pub fn check_report(report: Report) -> Result<CheckedReport, Problem> {
    if report.versions.len() > limits::VERSIONS_PER_REPORT {
        let detail = format!("more than {} versions in one report", limits::VERSIONS_PER_REPORT);
        return Err(Problem { code: ProblemCode::Malformed, detail });
    }
    let Report { version, host, incarnation, session, monotonic_ms, wall, versions, parts } =
        report;
    let parts = parts.into_iter().map(check).collect::<Result<_, _>>()?;
    let report =
        Report { version, host, incarnation, session, monotonic_ms, wall, versions, parts };
    Ok(CheckedReport { report, foresight: Foresight::default() })
}

pub(super) fn check(part: Part) -> Result<NewPart, Problem> {
    let malformed = |detail: String| Problem { code: ProblemCode::Malformed, detail };
    canonical::check(&part).map_err(|error| malformed(error.to_string()))?;
    let bytes = canonical::encode(&part);
    if bytes.len() > limits::PART_BYTES {
        return Err(malformed(canonical::CanonicalError::TooLarge(bytes.len()).to_string()));
    }
    Ok(NewPart::encoded(part, &bytes))
}
