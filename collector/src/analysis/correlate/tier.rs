//! From numbers to words: how far one may go, and what kept it from going further.
//!
//! Claims are counted over the whole file: Benjamini and Hochberg over all changes that have
//! controls. Those without can never be claims, so they are neither tested nor counted, and their
//! `q_value` is null.
//!
//! A change is one hypothesis, all its sites and categories pooled. No verdict is given on a part
//! of one, so there is no second level for a hierarchy of tests to guard. A collector's passes are
//! batches too, of all changes it looks back on. Thresholds of a stream (LORD++) do not decide a
//! tier: the least p-value of 9,999 random cohorts is .0001, and of few sites far more, while
//! LORD++ asks for less than that after twenty dull changes. The page of a suspect tells how many
//! claims would stand by them; docs/correlate.md says what a batch does not promise.

use driftline_protocol::mutant::{self, Mutant};

use super::compete::Judged;
use super::early;
use super::evaluate::Evaluation;
use super::placebo::is_nothing_new;
use super::score::score;
use super::settings::Settings;
use super::verdict::{Evidence, Reason, Tier, Verdict};
use crate::analysis::stats::adjust::benjamini_hochberg;

/// A p-value above this supports nothing, whatever q is.
const WEAK: f64 = 0.05;
/// A rise that would matter; an interval below it refutes the change.
const MATTERS: f64 = 1.2;
/// Half the width of a 95 % interval, in standard errors.
const INTERVAL: f64 = 1.959_963_984_540_054;
/// Expected cases below which hardly anything can be shown.
const FEW_CASES: f64 = 2.0;
/// Reference weeks without which no claim is made.
const MIN_WEEKS: usize = 2;

/// The verdicts of all judged changes, in their order.
pub(super) fn decide(judged: Vec<Judged<'_>>, settings: &Settings) -> Vec<Verdict> {
    let tested: Vec<f64> =
        judged.iter().filter_map(|judged| with_controls(judged).map(|e| e.p)).collect();
    let mut adjusted = if mutant::active(Mutant::CorrelateNoMultiplicity) {
        tested.into_iter()
    } else {
        benjamini_hochberg(&tested).into_iter()
    };
    let so_far: Vec<Option<f64>> = judged.iter().map(|judged| judged.so_far).collect();
    let early = early::claims(&so_far, settings.q);
    let decide = |(judged, early): (Judged<'_>, bool)| {
        let q = with_controls(&judged).and_then(|_| adjusted.next());
        let verdict = verdict(&judged, q, settings);
        // The window is still open, as its reason says; only the tier tells of a rise.
        if early { with_tier(verdict, Tier::Possible) } else { verdict }
    };
    judged.into_iter().zip(early).map(decide).collect()
}

fn with_tier(verdict: Verdict, tier: Tier) -> Verdict {
    Verdict { evidence: Evidence { tier, ..verdict.evidence }, ..verdict }
}

fn with_controls<'a>(judged: &'a Judged<'_>) -> Option<&'a Evaluation> {
    let evaluation = judged.outcome.as_ref().ok()?;
    let may_claim = evaluation.controls.is_some() || mutant::active(Mutant::CorrelateNoControls);
    may_claim.then_some(evaluation)
}

fn verdict(judged: &Judged<'_>, q: Option<f64>, settings: &Settings) -> Verdict {
    let (id, service) = (judged.candidate.id.clone(), judged.candidate.service.clone());
    Verdict { id, service, evidence: said(judged, q, settings) }
}

fn said(judged: &Judged<'_>, q: Option<f64>, settings: &Settings) -> Evidence {
    let empty = Evidence {
        window_hours: judged.window_hours,
        observed: None,
        expected: None,
        excess: None,
        rate_ratio: None,
        ci_low: None,
        ci_high: None,
        p_value: None,
        q_value: None,
        dispersion: None,
        score: None,
        llr: None,
        tier: Tier::Undetermined,
        controls: None,
        placebo: None,
        lag_seconds: None,
        detectable_ratio: None,
        indistinguishable: judged.twins.clone(),
        reason: None,
    };
    let evaluation = match &judged.outcome {
        Ok(evaluation) => evaluation,
        Err(reason) => return Evidence { reason: Some(*reason), ..empty },
    };
    let (tier, reason) = tier(judged, (evaluation, q), settings);
    let end = |side: f64| {
        let end = (evaluation.log_ratio + side * INTERVAL * evaluation.standard_error).exp();
        Some(end).filter(|end| end.is_finite())
    };
    Evidence {
        observed: Some(evaluation.cases as u64),
        expected: Some(evaluation.expected_cases()),
        excess: Some(evaluation.cases - evaluation.expected_cases()),
        rate_ratio: Some(evaluation.ratio()),
        ci_low: end(-1.0),
        ci_high: end(1.0),
        p_value: Some(evaluation.p),
        q_value: q,
        dispersion: Some(evaluation.dispersion),
        score: Some(score(evaluation.evidence)),
        llr: Some(evaluation.llr.max(0.0)),
        tier,
        controls: evaluation.controls,
        placebo: evaluation.placebo,
        lag_seconds: evaluation.lag_seconds,
        detectable_ratio: evaluation.detectable_ratio,
        reason,
        ..empty
    }
}

/// The tier, and what kept it from being better.
fn tier(
    judged: &Judged<'_>,
    (evaluation, q): (&Evaluation, Option<f64>),
    settings: &Settings,
) -> (Tier, Option<Reason>) {
    let short = evaluation.weeks < settings.reference_weeks;
    match q {
        Some(q) if q <= settings.q => claim(judged, evaluation, (settings, short)),
        Some(_) if evaluation.p_model <= WEAK && evaluation.attainable > settings.q => {
            (Tier::Possible, Some(Reason::FewSites))
        }
        Some(_) if judged.explained_away => (Tier::Coincident, Some(Reason::BetterExplained)),
        Some(_) if evaluation.p <= WEAK && evaluation.pre_existing => {
            (Tier::Coincident, Some(Reason::PreExisting))
        }
        Some(_) if evaluation.p <= WEAK => (Tier::Possible, Some(Reason::Weak)),
        None if evaluation.p <= settings.q => (Tier::Possible, Some(Reason::NoControls)),
        Some(_) | None => without_rise(evaluation, short),
    }
}

/// A rise that would be a claim, unless something speaks against it.
fn claim(
    judged: &Judged<'_>,
    evaluation: &Evaluation,
    (settings, short): (&Settings, bool),
) -> (Tier, Option<Reason>) {
    if evaluation.pre_existing {
        return (Tier::Coincident, Some(Reason::PreExisting));
    }
    if evaluation.attainable > settings.q {
        return (Tier::Possible, Some(Reason::FewSites));
    }
    // Where most changes of a file are claims, or there is but one, q alone lets through what
    // nobody would call a rise of its own.
    if evaluation.p > WEAK && !mutant::active(Mutant::CorrelateSupportedByQAlone) {
        return (Tier::Possible, Some(Reason::Weak));
    }
    if evaluation.placebo.is_some_and(is_nothing_new) {
        return (Tier::Possible, Some(Reason::PlaceboExceeded));
    }
    if evaluation.weeks < MIN_WEEKS {
        return (Tier::Possible, Some(Reason::ShortHistory));
    }
    let caveat = if !judged.twins.is_empty() {
        Some(Reason::Indistinguishable)
    } else {
        short.then_some(Reason::ShortHistory)
    };
    (Tier::Supported, caveat)
}

fn without_rise(evaluation: &Evaluation, short: bool) -> (Tier, Option<Reason>) {
    let highest = (evaluation.log_ratio + INTERVAL * evaluation.standard_error).exp();
    if highest < MATTERS {
        return (Tier::Refuted, None);
    }
    let reason = if evaluation.expected < FEW_CASES {
        Reason::TooFewCases
    } else if short {
        Reason::ShortHistory
    } else if evaluation.controls.is_none() {
        Reason::NoControls
    } else {
        Reason::Inconclusive
    };
    (Tier::Undetermined, Some(reason))
}
