//! One change against the cases of its service, seen through what other changes explain.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use driftline_protocol::mutant::{self, Mutant};

use super::alone::{self, Alone};
use super::clocks::Clocks;
use super::cohort::together;
use super::coverage::Coverage;
use super::detectable::{Design, detectable_ratio};
use super::effect::{self, Table};
use super::evidence::{Witnesses, evidence};
use super::exposure::Reach;
use super::lag;
use super::lens::{Effect, Index, Lens};
use super::panel::Panel;
use super::placebo;
use super::present;
use super::randomise::{self, Draw, Surplus};
use super::settings::{Holiday, Settings};
use super::verdict::{Controls, Placebo, Reason};
use crate::analysis::cases::{Candidate, Stream};

/// The cases of one service, ready to be counted.
pub(super) struct Scope<'a> {
    pub(super) stream: &'a Stream,
    pub(super) coverage: &'a Coverage,
    pub(super) settings: &'a Settings,
    pub(super) holidays: Holidays,
    pub(super) clocks: Clocks<'a>,
    /// `None` when the service was never seen.
    pub(super) index: Option<Index>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        stream: &'a Stream,
        service: Option<&str>,
        (coverage, settings): (&'a Coverage, &'a Settings),
    ) -> Self {
        let clocks = Clocks::of(stream, &settings.clocks);
        let seen = (coverage, &clocks);
        let index = match service {
            None => Some(Index::of(stream, None, seen)),
            Some(name) => stream
                .services
                .binary_search_by(|service| service.as_str().cmp(name))
                .ok()
                .map(|place| Index::of(stream, u32::try_from(place).ok(), seen)),
        };
        let holidays = Holidays::of(stream, &settings.holidays);
        Self { stream, coverage, settings, holidays, clocks, index }
    }

    /// Applies `each` to `0..count` on as many threads as the settings allow, results in order.
    pub(super) fn parallel<T: Send>(
        &self,
        count: usize,
        each: impl Fn(usize) -> T + Sync,
    ) -> Vec<T> {
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(count));
        std::thread::scope(|threads| {
            for _ in 0..self.settings.threads.clamp(1, count.max(1)) {
                threads.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= count {
                            return;
                        }
                        let result = each(index);
                        results
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push((index, result));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

/// Days off, by place in the stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Holidays(Vec<(Option<usize>, i64, i64)>);

impl Holidays {
    fn of(stream: &Stream, holidays: &[Holiday]) -> Self {
        let place = |name: &String| stream.sites.binary_search(name).ok();
        let known = holidays.iter().filter_map(|(site, from, to)| match site {
            None => Some((None, *from, *to)),
            Some(name) => Some((Some(place(name)?), *from, *to)),
        });
        Self(known.collect())
    }

    /// Whether any site has a day off between `from` and `to`.
    pub(super) fn anywhere(&self, from: i64, to: i64) -> bool {
        self.0.iter().any(|(_, start, end)| *start < to && *end > from)
    }

    /// The sites that have no day off of their own in any window of `reach`.
    pub(super) fn working<'a>(&'a self, reach: &'a Reach) -> impl Iterator<Item = usize> + 'a {
        (0..reach.wave_of.len()).filter(|site| !self.at_site(*site, reach))
    }

    /// Whether `site` alone has a day off in any window of `reach`; one for all cancels.
    fn at_site(&self, site: usize, reach: &Reach) -> bool {
        let last = reach.waves.last().copied().unwrap_or(0) + reach.window;
        let off = |(of, start, end): &(Option<usize>, i64, i64)| {
            *of == Some(site) && *start < last && *end > reach.first()
        };
        self.0.iter().any(off)
    }
}

/// What the cases say about one change.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Evaluation {
    /// Cases of exposed sites in the windows that were compared, as they are.
    pub(super) cases: f64,
    /// The same without the tops of storms and what other changes explain.
    pub(super) observed: f64,
    pub(super) expected: f64,
    pub(super) log_ratio: f64,
    pub(super) standard_error: f64,
    pub(super) dispersion: f64,
    /// Signed; negative when exposed sites fell.
    pub(super) llr: f64,
    /// What ranks changes: how much better a rise explains the cases than none.
    pub(super) evidence: f64,
    pub(super) p_model: f64,
    pub(super) p: f64,
    /// The least p that could have come out.
    pub(super) attainable: f64,
    pub(super) controls: Option<Controls>,
    pub(super) placebo: Option<Placebo>,
    pub(super) pre_existing: bool,
    pub(super) lag_seconds: Option<i64>,
    pub(super) detectable_ratio: Option<f64>,
    pub(super) weeks: usize,
}

impl Evaluation {
    /// The rise as a factor.
    pub(super) fn ratio(&self) -> f64 {
        self.log_ratio.exp()
    }

    /// Expected cases on the scale of the cases as they are.
    pub(super) fn expected_cases(&self) -> f64 {
        if self.observed > 0.0 { self.expected * self.cases / self.observed } else { self.expected }
    }
}

/// How much of the work is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// The size of the effect and its likelihood only.
    Effect,
    /// Everything.
    Full,
}

/// Judges `candidate`, made where `reach` says, with `effects` taken away.
pub(super) fn evaluate(
    scope: &Scope<'_>,
    (candidate, reach): (&Candidate, &Reach),
    (effects, depth): (&[&Effect], Depth),
) -> Result<Evaluation, Reason> {
    let index = scope.index.as_ref().ok_or(Reason::UnknownService)?;
    let lens = Lens { index, clocks: &scope.clocks, effects };
    let panel = Panel::of(scope, reach, lens)?;
    let reached = panel.reached();
    let complete = panel.shape.complete();
    let (waves, tables): (Vec<usize>, Vec<Table>) = complete
        .iter()
        .copied()
        .zip(effect::tables(&panel.shape, &reached, &panel.total))
        .filter(|(_, table)| table.has_controls())
        .unzip();
    let seed = [candidate.id.as_str(), candidate.service.as_deref().unwrap_or("")];
    let (evaluation, waves) = if tables.is_empty() || mutant::active(Mutant::CorrelateNoControls) {
        (without_controls(&panel, &reached)?, complete)
    } else {
        let sites = scope.holidays.working(reach);
        let witnesses = Witnesses::of(sites, &panel.shape, (reach, lens));
        let exposed = Exposed { panel: &panel, reached: &reached, witnesses, tables, seed };
        (with_controls(scope, &exposed, depth), waves)
    };
    let evaluation = Evaluation { cases: panel.plain(&waves, (reach, lens)), ..evaluation };
    if depth == Depth::Effect || evaluation.log_ratio <= 0.0 {
        return Ok(evaluation);
    }
    let shock = evaluation.expected * panel.shape.weeks.len() as f64 / before(&panel, &reached);
    let lag = lag::lag_seconds((&panel, reach), lens, (shock, evaluation.dispersion));
    Ok(Evaluation { lag_seconds: lag, ..evaluation })
}

fn before(panel: &Panel, reached: &[Vec<f32>]) -> f64 {
    let waves = reached.iter().enumerate();
    waves.map(|(wave, sum)| panel.shape.before(sum, wave)).sum::<f64>().max(0.5)
}

/// A panel with controls.
struct Exposed<'a> {
    panel: &'a Panel,
    reached: &'a [Vec<f32>],
    witnesses: Witnesses,
    tables: Vec<Table>,
    seed: [&'a str; 2],
}

fn with_controls(scope: &Scope<'_>, exposed: &Exposed<'_>, depth: Depth) -> Evaluation {
    let Exposed { panel, reached, witnesses, tables, seed } = exposed;
    let common = randomise::common_dispersion(panel, seed);
    let dispersion = if mutant::active(Mutant::CorrelateNoDispersion) {
        1.0
    } else {
        randomise::of_history(panel, reached).towards(common)
    };
    let split = effect::split(tables.iter().copied());
    let (log_ratio, variance) = effect::pooled(tables);
    let observed: f64 = tables.iter().map(|table| table.exposed_after).sum();
    let expected: f64 = tables.iter().map(Table::expected).sum();
    let rest = (variance - 1.0 / (observed + 0.5)).max(0.0);
    let design = Design { expected, rest, dispersion };
    let evaluation = Evaluation {
        cases: observed,
        observed,
        expected,
        log_ratio,
        standard_error: (variance * dispersion).sqrt(),
        dispersion,
        llr: effect::likelihood_ratio(tables, dispersion),
        evidence: evidence(witnesses, panel, randomise::halves_dispersion(panel).max(1.0)),
        p_model: 1.0,
        p: 1.0,
        attainable: 0.0,
        controls: Some(controls(panel)),
        placebo: None,
        pre_existing: false,
        lag_seconds: None,
        detectable_ratio: detectable_ratio(&design),
        weeks: panel.shape.weeks.len(),
    };
    if depth == Depth::Effect {
        return evaluation;
    }
    let today = today(panel, dispersion);
    let p_model = effect::tail(tables, today);
    let draw = Draw { seed, most: scope.settings.draws, common };
    let z = Surplus { like_past: effect::z(&split, dispersion), today: effect::z(&split, today) };
    let randomised = randomise::randomise(panel, &z, &draw);
    let p = if mutant::active(Mutant::CorrelateNoDispersion) {
        p_model
    } else {
        p_model.max(randomised.p)
    };
    Evaluation {
        p_model,
        p,
        attainable: randomised.attainable,
        placebo: Some(placebo::placebo(panel, effect::z(&split, 1.0), reached)),
        pre_existing: placebo::pre_existing(panel, dispersion, reached),
        ..evaluation
    }
}

/// The dispersion of the past, drawn towards what the window itself shows where that is more.
fn today(panel: &Panel, past: f64) -> f64 {
    if mutant::active(Mutant::CorrelateNoDispersion) {
        return past;
    }
    present::dispersion(panel).towards(past)
}

fn without_controls(panel: &Panel, reached: &[Vec<f32>]) -> Result<Evaluation, Reason> {
    let shape = &panel.shape;
    let complete = || (0..).zip(reached).zip(&shape.clean).filter(|(_, clean)| clean.is_some());
    let alone = Alone {
        after: complete().map(|((wave, sum), _)| shape.after(sum, wave)).sum(),
        before: complete().map(|((wave, sum), _)| shape.before(sum, wave)).sum(),
        weeks: shape.weeks.len() as f64,
    };
    if alone.after + alone.before <= 0.0 {
        return Err(Reason::TooFewCases);
    }
    let dispersion = alone::dispersion(shape, shape.history(&together(reached)));
    let (log_ratio, variance) = alone.log_ratio();
    let expected = alone.expected();
    let rest = (variance - 1.0 / (alone.after + 0.5)).max(0.0);
    let design = Design { expected, rest, dispersion };
    let p = alone.tail(dispersion);
    Ok(Evaluation {
        cases: alone.after,
        observed: alone.after,
        expected,
        log_ratio,
        standard_error: (variance * dispersion).sqrt(),
        dispersion,
        llr: alone.likelihood_ratio(dispersion),
        evidence: alone.evidence(dispersion),
        p_model: p,
        p,
        attainable: 0.0,
        controls: None,
        placebo: None,
        pre_existing: false,
        lag_seconds: None,
        detectable_ratio: detectable_ratio(&design),
        weeks: shape.weeks.len(),
    })
}

/// Sites that were clean for at least one complete wave, and what they weigh.
fn controls(panel: &Panel) -> Controls {
    let shape = &panel.shape;
    let clean = |wave: Option<usize>| {
        wave.is_none_or(|wave| shape.clean.iter().flatten().any(|later| later.contains(&wave)))
    };
    let rows = || panel.rows.iter().filter(|row| clean(row.wave));
    let size: f32 = rows().map(|row| row.size).sum();
    Controls { sites: rows().count(), share: f64::from(size) / f64::from(panel.size) }
}
