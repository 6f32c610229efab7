//! Checks and names parts as they arrive. Pure, and the costly half of a report: call it on a
//! worker.

use driftline_protocol::canonical;
use driftline_protocol::ids::Digest;
use driftline_protocol::limits;
use driftline_protocol::snapshot::Part;
use driftline_protocol::wire::{PartsUpload, Problem, ProblemCode, Report};

use super::CheckedReport;

/// The parts of an upload with the digests we computed; the sender's word for them is never taken.
///
/// # Errors
/// A [`Problem`] when a part breaks a bound; nothing of the upload may be kept then.
pub fn check_parts(upload: PartsUpload) -> Result<Vec<(Digest, Part)>, Problem> {
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
    Ok(Report { version, host, incarnation, session, monotonic_ms, wall, versions, parts })
}

fn check(part: Part) -> Result<(Digest, Part), Problem> {
    let malformed = |detail: String| Problem { code: ProblemCode::Malformed, detail };
    canonical::check(&part).map_err(|error| malformed(error.to_string()))?;
    let bytes = canonical::encode(&part);
    if bytes.len() > limits::PART_BYTES {
        return Err(malformed(canonical::CanonicalError::TooLarge(bytes.len()).to_string()));
    }
    Ok((canonical::digest_of_canonical(&bytes), part))
}
