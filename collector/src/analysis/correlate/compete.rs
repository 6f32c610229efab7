//! Which of the changes of one service: the best explanation first, and what is left for the rest.
//!
//! Changes that would be claims on their own are taken by evidence, the greatest first; each one
//! taken divides the cases it explains by its factor, and the others are looked at again through
//! what is left. Every change is then judged with all other claims taken away, so that it is
//! neither credited with its neighbour's rise nor judged against a neighbour's sites as controls.
//! Changes with nearly the same sites and hours are one set: none takes anything from another.

use driftline_protocol::mutant::{self, Mutant};

use super::clocks::Clocks;
use super::coverage::WEEK;
use super::early;
use super::evaluate::{Depth, Evaluation, Scope, evaluate};
use super::exposure::{Reach, window_hours};
use super::lens::Effect;
use super::verdict::Reason;
use crate::analysis::cases::Candidate;
use crate::analysis::stats::adjust::benjamini_hochberg;

/// What came of judging one change.
pub(super) type Outcome = Result<Evaluation, Reason>;

/// Likelihood gain a change must keep to explain anything (about p = .007).
const MIN_GAIN: f64 = 3.0;
/// Overlap of sites and hours from which no count can tell two changes apart (Jaccard).
const SAME: f64 = 0.9;
/// The most changes that are named as not to be told from one.
const TWINS: usize = 1_000;
/// Weeks before a change that its judgement looks at.
const HISTORY: i64 = 13 * WEEK;

/// One change and all that is known of it.
#[derive(Clone, Debug)]
pub(super) struct Judged<'a> {
    pub(super) candidate: &'a Candidate,
    pub(super) window_hours: u32,
    pub(super) outcome: Outcome,
    /// Whether it would have been a claim if no other change had been made, and is weaker now.
    pub(super) explained_away: bool,
    /// Changes it cannot be told from.
    pub(super) twins: Vec<String>,
    /// While its window is open: the e-value of the cases so far.
    pub(super) so_far: Option<f64>,
}

/// Judges the changes of one service.
pub(super) fn judge<'a>(scope: &Scope<'_>, candidates: &[&'a Candidate]) -> Vec<Judged<'a>> {
    let hours: Vec<u32> = candidates.iter().map(|candidate| hours(scope, candidate)).collect();
    let changes: Vec<Change<'_>> = candidates
        .iter()
        .zip(&hours)
        .map(|(candidate, hours)| Change {
            candidate,
            reach: Reach::of(candidate, scope.stream, *hours),
        })
        .collect();
    let none: &[&Effect] = &[];
    let alone = scope.parallel(changes.len(), |place| {
        changes.get(place).map(|change| change.evaluate(scope, (none, Depth::Full)))
    });
    let alone: Vec<_> = alone.into_iter().flatten().collect();
    let claims = claims(&alone, scope.settings.q);
    let twins = twins(scope, &changes);
    let explained = explain(scope, &changes, (&alone, &claims, &twins));
    let again = scope.parallel(changes.len(), |place| {
        let effects = explained.others((scope, place), (&changes, &twins));
        if effects.is_empty() {
            return None;
        }
        changes.get(place).map(|change| change.evaluate(scope, (&effects, Depth::Full)))
    });
    let judged = alone.into_iter().zip(again).zip(claims).map(|((alone, again), claim)| {
        let explained_away = claim && is_weaker(again.as_ref(), &alone);
        (again.unwrap_or(alone), explained_away)
    });
    let named = |places: &[usize]| -> Vec<String> {
        places.iter().filter_map(|place| Some(candidates.get(*place)?.id.clone())).collect()
    };
    changes
        .iter()
        .zip(hours)
        .zip(judged.zip(twins))
        .map(|((change, window_hours), ((outcome, explained_away), twins))| Judged {
            candidate: change.candidate,
            window_hours,
            so_far: change.so_far(scope, &outcome),
            outcome,
            explained_away,
            twins: named(&twins),
        })
        .collect()
}

/// Whether a change shows less when the others are taken away.
fn is_weaker(again: Option<&Outcome>, alone: &Outcome) -> bool {
    let p = |outcome: &Outcome| outcome.as_ref().map_or(1.0, |evaluation| evaluation.p);
    again.is_some_and(|again| p(again) > p(alone))
}

/// The window of `candidate`, known before any case is counted.
fn hours(scope: &Scope<'_>, candidate: &Candidate) -> u32 {
    if !mutant::active(Mutant::CorrelateWindowAfterLooking) {
        return window_hours(candidate, scope.settings);
    }
    let p = |hours: u32| {
        let reach = Reach::of(candidate, scope.stream, hours).ok()?;
        Some(evaluate(scope, (candidate, &reach), (&[], Depth::Full)).ok()?.p)
    };
    let tried = [24, 72, 168].map(|hours| (p(hours).unwrap_or(1.0), hours));
    tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map_or(72, |(_, hours)| hours)
}

struct Change<'a> {
    candidate: &'a Candidate,
    reach: Result<Reach, Reason>,
}

impl Change<'_> {
    fn evaluate(&self, scope: &Scope<'_>, how: (&[&Effect], Depth)) -> Outcome {
        let reach = self.reach.as_ref().map_err(|reason| *reason)?;
        evaluate(scope, (self.candidate, reach), how)
    }

    /// The e-value of the cases so far, where `outcome` is that the window is open.
    fn so_far(&self, scope: &Scope<'_>, outcome: &Outcome) -> Option<f64> {
        let open = matches!(outcome, Err(Reason::WindowOpen));
        self.reach.as_ref().ok().filter(|_| open).and_then(|reach| early::e_value(scope, reach))
    }

    /// The sites it reached and for how long, by their clocks.
    fn spans(&self, clocks: &Clocks<'_>) -> Vec<Option<(i64, i64)>> {
        let Ok(reach) = &self.reach else { return Vec::new() };
        let span = |site| {
            let start = clocks.wall(site, reach.reached(site)?);
            Some((start, start + reach.window))
        };
        (0..reach.wave_of.len()).map(span).collect()
    }

    /// From the first case its judgement looks at to the last, by the clocks of its sites.
    fn horizon(&self, clocks: &Clocks<'_>) -> Option<(i64, i64)> {
        let spans = self.spans(clocks);
        let first = spans.iter().flatten().map(|(start, _)| *start).min()?;
        let last = spans.iter().flatten().map(|(_, end)| *end).max()?;
        Some((first - HISTORY, last))
    }
}

/// Which changes would be claims if each were the only one.
fn claims(alone: &[Outcome], q: f64) -> Vec<bool> {
    let with_controls =
        |outcome: &&Outcome| outcome.as_ref().is_ok_and(|evaluation| evaluation.controls.is_some());
    let tested: Vec<f64> =
        alone.iter().filter(with_controls).flatten().map(|evaluation| evaluation.p).collect();
    let mut adjusted = benjamini_hochberg(&tested).into_iter();
    alone
        .iter()
        .map(|outcome| {
            let Ok(evaluation) = outcome else { return false };
            if evaluation.controls.is_none() {
                return false;
            }
            let q_value = adjusted.next().unwrap_or(1.0);
            q_value <= q && evaluation.llr >= MIN_GAIN && !evaluation.pre_existing
        })
        .collect()
}

/// For each change the others with nearly the same sites and hours.
fn twins(scope: &Scope<'_>, changes: &[Change<'_>]) -> Vec<Vec<usize>> {
    let weights: Vec<f64> = scope.index.as_ref().map_or_else(Vec::new, |index| {
        (0..scope.stream.sites.len())
            .map(|site| index.between(site, i64::MIN, i64::MAX).len() as f64)
            .collect()
    });
    let mut order: Vec<(i64, usize)> = changes
        .iter()
        .enumerate()
        .filter_map(|(place, change)| Some((change.reach.as_ref().ok()?.first(), place)))
        .collect();
    order.sort_unstable();
    let mut twins = vec![Vec::new(); changes.len()];
    for (rank, (first, place)) in order.iter().enumerate() {
        let Some(change) = changes.get(*place) else { continue };
        let Ok(reach) = &change.reach else { continue };
        let near = order.iter().skip(rank + 1);
        // Windows that begin a tenth of their length apart overlap too little already.
        for (_, other) in near.take_while(|(start, _)| start - first <= reach.window / 9) {
            let same =
                changes.get(*other).is_some_and(|b| overlap(scope, (change, b), &weights) > SAME);
            for (one, two) in [(*place, *other), (*other, *place)] {
                let room = twins.get_mut(one).filter(|list| list.len() < TWINS);
                if let (true, Some(list)) = (same, room) {
                    list.push(two);
                }
            }
        }
    }
    for list in &mut twins {
        list.sort_unstable();
    }
    twins
}

/// Common site-hours over all site-hours of two changes, sites weighed by their cases.
fn overlap(scope: &Scope<'_>, (a, b): (&Change<'_>, &Change<'_>), weights: &[f64]) -> f64 {
    let (mut common, mut all) = (0.0, 0.0);
    let (a, b) = (a.spans(&scope.clocks), b.spans(&scope.clocks));
    for ((a, b), weight) in a.into_iter().zip(b).zip(weights) {
        let length = |span: Option<(i64, i64)>| span.map_or(0, |(start, end)| end - start) as f64;
        let both = match (a, b) {
            (Some(a), Some(b)) => (a.1.min(b.1) - a.0.max(b.0)).max(0) as f64,
            (Some(_) | None, _) => 0.0,
        };
        common += weight * both;
        all += weight * (length(a) + length(b) - both);
    }
    if all > 0.0 { common / all } else { 0.0 }
}

/// What was taken as explained, and by which change.
struct Explained {
    effects: Vec<(usize, Effect)>,
    /// The evidence of every change alone.
    alone: Vec<f64>,
}

impl Explained {
    /// The effects of other changes (twins are no others) that the judgement of `place` would see.
    ///
    /// What rose during its own windows is taken from it only by a change that explains more: else
    /// the second best of two that overlap could leave the best with nothing.
    fn others<'e>(
        &'e self,
        (scope, place): (&Scope<'_>, usize),
        (changes, twins): (&[Change<'_>], &[Vec<usize>]),
    ) -> Vec<&'e Effect> {
        let horizon = changes.get(place).and_then(|change| change.horizon(&scope.clocks));
        let Some((from, to)) = horizon else {
            return Vec::new();
        };
        let twins = twins.get(place).map_or(&[][..], Vec::as_slice);
        self.effects
            .iter()
            .filter(|(of, _)| *of != place && !twins.contains(of))
            .filter(|(_, effect)| effect.reaches(from, to))
            .filter(|(of, effect)| {
                !effect.reaches(from + HISTORY, to) || self.alone.get(*of) > self.alone.get(place)
            })
            .map(|(_, effect)| effect)
            .collect()
    }
}

/// Takes claims by evidence, the greatest first, each through what is left by those before it.
fn explain(
    scope: &Scope<'_>,
    changes: &[Change<'_>],
    (alone, claims, twins): (&[Outcome], &[bool], &[Vec<usize>]),
) -> Explained {
    let mut waiting: Vec<(f64, usize, usize)> = alone
        .iter()
        .zip(claims)
        .enumerate()
        .filter_map(|(place, (outcome, claim))| {
            claim.then_some((outcome.as_ref().ok()?.evidence, place, 0))
        })
        .collect();
    let evidence = |outcome: &Outcome| outcome.as_ref().map_or(f64::NEG_INFINITY, |e| e.evidence);
    let alone = alone.iter().map(evidence).collect();
    let mut explained = Explained { effects: Vec::new(), alone };
    while let Some(best) = take_best(&mut waiting) {
        let (_, place, seen) = best;
        let Some(change) = changes.get(place) else { continue };
        let is_twin = |(of, _): &(usize, Effect)| twins.get(place).is_some_and(|t| t.contains(of));
        if explained.effects.iter().any(is_twin) {
            continue;
        }
        let others = explained.others((scope, place), (changes, twins));
        let Ok(left) = change.evaluate(scope, (&others, Depth::Effect)) else { continue };
        if left.llr < MIN_GAIN {
            continue;
        }
        let stale = seen < explained.effects.len();
        let still_best = waiting.iter().all(|(evidence, _, _)| *evidence <= left.evidence);
        if stale && !still_best {
            waiting.push((left.evidence, place, explained.effects.len()));
            continue;
        }
        let spans = change.spans(&scope.clocks);
        explained.effects.push((place, Effect { spans, factor: left.ratio() }));
    }
    explained
}

/// Takes the one with the greatest evidence; of equals the first in the file's order by place.
fn take_best(waiting: &mut Vec<(f64, usize, usize)>) -> Option<(f64, usize, usize)> {
    let best = waiting
        .iter()
        .enumerate()
        .max_by(|(_, a), (_, b)| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
        .map(|(at, _)| at)?;
    Some(waiting.swap_remove(best))
}
