//! Is this count more than the last few let expect? EARS C1, C2 and C3. Pure.
//!
//! Hutwagner, Thompson, Seeman and Treadwell (Journal of Urban Health 2003): mean and standard
//! deviation of the seven points before, in C2 and C3 with a gap of two points so that a rise of
//! several points is not its own yardstick; C3 adds what the last two points were above. A bound
//! for those who have no history: it knows no rhythm, and seven points are few, so that it alarms
//! more often than its error rate says.

use crate::analysis::stats::special::normal_quantile_above;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarsMethod {
    /// The points just before.
    C1,
    /// With a gap of two points.
    C2,
    /// With a gap, and the two points before counted in.
    C3,
}

/// How the bound is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarsSettings {
    /// Which of the three.
    pub method: EarsMethod,
    /// How many points make the yardstick.
    pub baseline: usize,
    /// The least standard deviation, so that seven equal points do not make an eighth one certain.
    pub least_deviation: f64,
    /// The one-sided rate of false alarms, were the yardstick known.
    pub alpha: f64,
}

impl EarsSettings {
    /// Seven points and a least deviation of a half.
    pub const fn new(method: EarsMethod, alpha: f64) -> Self {
        Self { method, baseline: 7, least_deviation: 0.5, alpha }
    }

    /// The first point that has enough past.
    pub const fn first(&self) -> usize {
        match self.method {
            EarsMethod::C1 => self.baseline,
            EarsMethod::C2 => self.baseline + GAP,
            EarsMethod::C3 => self.baseline + GAP + MEMORY,
        }
    }
}

/// How many points C2 and C3 leave out.
const GAP: usize = 2;

/// How many points C3 counts in.
const MEMORY: usize = 2;

/// What was expected of one point, and whether it is more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarsBound {
    /// The place of the point in the series, from 0.
    pub at: usize,
    /// The mean of the yardstick.
    pub expected: f64,
    /// Its standard deviation, not less than the least.
    pub deviation: f64,
    /// The largest count that is no alarm. C3's is only to be compared with this very count: it is
    /// an alarm when the two points before were far enough above, as R `surveillance` 1.20.3 has
    /// it.
    pub upper: f64,
    /// Whether it is one.
    pub alarm: bool,
}

/// Judges every point of `series` that has enough past.
pub fn ears(settings: &EarsSettings, series: &[u64]) -> Vec<EarsBound> {
    (settings.first()..series.len()).filter_map(|at| judge(settings, series, at)).collect()
}

pub(super) fn judge(settings: &EarsSettings, series: &[u64], at: usize) -> Option<EarsBound> {
    let z = normal_quantile_above(settings.alpha);
    let yardstick = Yardstick::of(settings, series, at)?;
    let memory = match settings.method {
        EarsMethod::C1 | EarsMethod::C2 => 0.0,
        EarsMethod::C3 => {
            let before = (at - MEMORY..at).filter_map(|earlier| {
                let yardstick = Yardstick::of(settings, series, earlier)?;
                let above = (*series.get(earlier)? as f64 - yardstick.mean) / yardstick.deviation;
                Some((above - 1.0).max(0.0))
            });
            before.sum()
        }
    };
    let observed = *series.get(at)? as f64;
    // What C3 adds up may be an alarm whatever the count is, so its bound stands on the count.
    let base = match settings.method {
        EarsMethod::C1 | EarsMethod::C2 => yardstick.mean,
        EarsMethod::C3 => observed,
    };
    let upper = (base + yardstick.deviation * (z - memory)).max(0.0);
    Some(EarsBound {
        at,
        expected: yardstick.mean,
        deviation: yardstick.deviation,
        upper,
        alarm: observed > upper,
    })
}

struct Yardstick {
    mean: f64,
    deviation: f64,
}

impl Yardstick {
    fn of(settings: &EarsSettings, series: &[u64], at: usize) -> Option<Self> {
        let gap = if settings.method == EarsMethod::C1 { 0 } else { GAP };
        let end = at.checked_sub(gap)?;
        let points = series.get(end.checked_sub(settings.baseline)?..end)?;
        let size = points.len() as f64;
        let mean = points.iter().map(|y| *y as f64).sum::<f64>() / size;
        let squares: f64 = points.iter().map(|y| (*y as f64 - mean).powi(2)).sum();
        let deviation = (squares / (size - 1.0)).sqrt().max(settings.least_deviation);
        Some(Self { mean, deviation })
    }
}
