//! Which change goes together with a rise in cases, with an error rate that can be believed. Pure.
//!
//! For each change the cases of the sites it touched are held against those of the sites it did
//! not touch, in the window after it and in the same hours of the weeks before. What hits everybody
//! cancels; what wavers anyway is measured on the past (`dispersion`) and on random cohorts of
//! sites of the same size (`randomise`); what another change explains better is taken away
//! (`compete`); ranks come from how much better a rise explains the cases (`evidence`). Nothing
//! here says "caused".
//!
//! Who is eligible: a site with at least three cases of the service in the twelve weeks (or what
//! there is of them) before the change. Others have no past to compare with and are left out on
//! both sides. Memory: eight bytes a case for each service at a time, and for each change under
//! evaluation four bytes a site and day of history.
//!
//! Storms: of one hour at one site no more cases count than a fivefold rise would hardly exceed, on
//! all sides and at all times; `observed` still says how many there were.
//!
//! The answer depends on numbers only: names of sites, the order of rows, whole weeks of shift and
//! other services change nothing. Seeds come from the change's id and its service.

mod alone;
mod clocks;
mod cohort;
mod compete;
mod coverage;
mod detectable;
mod dispersion;
mod e_process;
mod early;
mod effect;
mod evaluate;
mod evidence;
mod exposure;
mod lag;
mod lens;
mod listing;
mod panel;
mod placebo;
mod present;
mod randomise;
mod score;
mod settings;
#[cfg(test)]
mod tests;
mod tier;
mod verdict;

use std::collections::BTreeMap;

pub use exposure::MAX_WINDOW_HOURS;
pub use score::expected_share;
pub use settings::{Holiday, Settings};
pub use verdict::{Controls, Evidence, Placebo, Reason, Tier, Verdict};

use super::cases::{Candidate, Stream};
use coverage::Coverage;
use evaluate::Scope;

/// Judges every candidate against `stream`, all of them competing with each other.
///
/// Best score first, those without a score last, ties by id. The same input gives the same answer,
/// whatever `settings.threads` is.
pub fn correlate(stream: &Stream, candidates: &[Candidate], settings: &Settings) -> Vec<Verdict> {
    let coverage = Coverage::of(stream, settings);
    let mut by_service: BTreeMap<Option<&str>, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        by_service.entry(candidate.service.as_deref()).or_default().push(candidate);
    }
    let mut judged = Vec::with_capacity(candidates.len());
    for (service, candidates) in by_service {
        let scope = Scope::new(stream, service, (&coverage, settings));
        judged.extend(compete::judge(&scope, &candidates));
    }
    let mut verdicts = tier::decide(judged, settings);
    verdicts.sort_by(verdict::best_first);
    verdicts
}
