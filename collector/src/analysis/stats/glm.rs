//! Generalised linear models with few columns: log-linear counts and logit shares. Pure.
//!
//! Iteratively reweighted least squares (Nelder and Wedderburn 1972), with the starting values, the
//! step halving and the stopping rule of R's `glm.fit`, so that its numbers are reproduced where a
//! fit runs to the border (a group without a single case) and only the rule says where to stop.
//! Each step is a least-squares problem solved by `Triangle`, never by normal equations: their
//! condition is squared, and groups without cases have weights near zero.
//!
//! It does not know what is counted. Dispersion is measured and reported, never assumed.

use super::triangle::Triangle;

/// The most steps of one fit; R's default. A fit that needs more is not one to rely on.
const STEPS: usize = 25;

/// A step that changes the deviance by less than this share ends the fit; R's default.
const TOLERANCE: f64 = 1e-8;

/// The most halvings of a step that led out of the model.
const HALVINGS: usize = 25;

/// What is modelled: one response per row, and what it may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Design<'a> {
    /// How many columns a row has.
    pub columns: usize,
    /// The rows one after the other, `columns` values each; a constant is a column of ones.
    pub rows: &'a [f64],
    /// One value a row: a count ([`Family::Poisson`]) or a share ([`Family::Binomial`]).
    pub response: &'a [f64],
    /// How much each row counts; all 1 if absent. Trials, for shares. A row of weight 0 is not
    /// there.
    pub weights: Option<&'a [f64]>,
    /// A known part of each row's link; all 0 if absent.
    pub offset: Option<&'a [f64]>,
}

/// How the variance follows the mean, and the link that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Counts: log link, variance equal to the mean times the dispersion.
    Poisson,
    /// Shares of trials: logit link, variance `mean * (1 - mean) / trials` times the dispersion.
    Binomial,
}

/// A fitted model.
#[derive(Clone, Debug)]
pub struct Fit {
    /// One coefficient a column; 0 for a column that follows from those before it.
    pub beta: Vec<f64>,
    /// The fitted mean of each row.
    pub fitted: Vec<f64>,
    /// How much each row pulls its own fitted mean, 0 to 1.
    pub leverage: Vec<f64>,
    /// Twice the distance in log likelihood to a perfect fit.
    pub deviance: f64,
    /// Pearson's sum of squares over the residual degrees of freedom; `None` without any. Not
    /// raised to 1: who needs that does it.
    pub dispersion: Option<f64>,
    /// Rows of positive weight less independent columns.
    pub degrees: usize,
    /// Whether the steps came to rest within the bound.
    pub converged: bool,
    triangle: Triangle,
}

/// What a model expects of a row it has not seen, on the scale of the link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The linear predictor, without offset.
    pub link: f64,
    /// Its standard error at a dispersion of 1: multiply by the root of the dispersion.
    pub unit_error: f64,
}

impl Fit {
    /// The standard error of each coefficient at a dispersion of 1; `None` where a column follows
    /// from those before it.
    pub fn unit_errors(&self) -> Vec<Option<f64>> {
        let columns = self.beta.len();
        let unit = |at: usize| (0..columns).map(|c| if c == at { 1.0 } else { 0.0 }).collect();
        let error = |at: usize| {
            let row: Vec<f64> = unit(at);
            self.triangle.keeps(at).then(|| self.triangle.length(&row))
        };
        (0..columns).map(error).collect()
    }

    /// The covariance of the coefficients at a dispersion of 1, row by row.
    pub fn covariance(&self) -> Vec<Vec<f64>> {
        self.triangle.inverse_square()
    }

    /// What the model expects of `row`.
    pub fn predict(&self, row: &[f64]) -> Prediction {
        let link = row.iter().zip(&self.beta).map(|(x, b)| x * b).sum();
        Prediction { link, unit_error: self.triangle.length(row) }
    }
}

/// Fits `design`. `None` when its sizes do not agree, a value is not finite, no row counts, or no
/// coefficients give a finite deviance.
pub fn fit(design: &Design<'_>, family: Family) -> Option<Fit> {
    check(design)?;
    let mut state = State::start(design, family);
    for _ in 0..STEPS {
        let step = state.step()?;
        let (before, after) = (state.deviance, step.deviance);
        state = step;
        if (after - before).abs() / (after.abs() + 0.1) < TOLERANCE {
            state.converged = true;
            break;
        }
    }
    state.finish()
}

fn check(design: &Design<'_>) -> Option<()> {
    let rows = design.response.len();
    let sizes = design.columns > 0
        && Some(design.rows.len()) == rows.checked_mul(design.columns)
        && design.weights.is_none_or(|weights| weights.len() == rows)
        && design.offset.is_none_or(|offset| offset.len() == rows);
    let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
    let finite = finite(design.rows)
        && finite(design.response)
        && design.weights.is_none_or(|w| w.iter().all(|w| w.is_finite() && *w >= 0.0))
        && design.offset.is_none_or(finite);
    let counts = rows > 0 && design.weights.is_none_or(|w| w.iter().any(|w| *w > 0.0));
    (sizes && finite && counts).then_some(())
}

/// Where an iteration stands.
#[derive(Clone)]
struct State<'a> {
    design: &'a Design<'a>,
    family: Family,
    link: Vec<f64>,
    means: Vec<f64>,
    deviance: f64,
    /// Absent before the first step, whose means come from the responses.
    last: Option<Step>,
    converged: bool,
}

/// What the last least-squares problem came to.
#[derive(Clone)]
struct Step {
    beta: Vec<f64>,
    triangle: Triangle,
    weights: Vec<f64>,
}

impl<'a> State<'a> {
    fn start(design: &'a Design<'a>, family: Family) -> Self {
        let mean = |(row, y): (usize, &f64)| match family {
            Family::Poisson => y + 0.1,
            Family::Binomial => {
                let trials = design.weight(row);
                (trials * y + 0.5) / (trials + 1.0)
            }
        };
        let means: Vec<f64> = design.response.iter().enumerate().map(mean).collect();
        let link = means.iter().map(|mean| family.link(*mean)).collect();
        let deviance = design.deviance(family, &means);
        Self { design, family, link, means, deviance, last: None, converged: false }
    }

    /// One least-squares problem; its solution is halved towards the last one while the deviance
    /// is not finite.
    fn step(&self) -> Option<Self> {
        let design = self.design;
        let slopes: Vec<f64> = self.means.iter().map(|mean| self.family.slope(*mean)).collect();
        let mut weights = Vec::with_capacity(slopes.len());
        let mut working = Vec::with_capacity(slopes.len());
        for (row, y) in design.response.iter().enumerate() {
            let (mean, link) = (at(&self.means, row), at(&self.link, row));
            let slope = at(&slopes, row);
            // With a canonical link the variance is the slope.
            weights.push(design.weight(row) * slope);
            working.push(link - design.offset(row) + (y - mean) / slope);
        }
        let (triangle, mut beta) = Triangle::solve(design, &weights, working);
        for _ in 0..HALVINGS {
            let next = self.moved_to(&beta);
            if next.deviance.is_finite() && beta.iter().all(|b| b.is_finite()) {
                return Some(Self { last: Some(Step { beta, triangle, weights }), ..next });
            }
            let last = self.last.as_ref()?;
            beta =
                beta.iter().zip(&last.beta).map(|(new, old)| f64::midpoint(*new, *old)).collect();
        }
        None
    }

    fn moved_to(&self, beta: &[f64]) -> Self {
        let design = self.design;
        let rows = design.rows.chunks_exact(design.columns).enumerate();
        let link: Vec<f64> = rows
            .map(|(row, x)| {
                x.iter().zip(beta).map(|(x, b)| x * b).sum::<f64>() + design.offset(row)
            })
            .collect();
        let means: Vec<f64> = link.iter().map(|link| self.family.mean(*link)).collect();
        let deviance = design.deviance(self.family, &means);
        Self { design, family: self.family, link, means, deviance, last: None, converged: false }
    }

    fn finish(self) -> Option<Fit> {
        let Step { beta, triangle, weights } = self.last?;
        let mut pearson = 0.0;
        let mut leverage = Vec::with_capacity(weights.len());
        let rows = self.design.rows.chunks_exact(self.design.columns).enumerate();
        for (row, x) in rows {
            let (weight, mean) = (at(&weights, row), at(&self.means, row));
            let residual = (at(self.design.response, row) - mean) / self.family.slope(mean);
            if weight > 0.0 {
                pearson += weight * residual * residual;
            }
            leverage.push((weight * triangle.length(x).powi(2)).min(1.0));
        }
        let counted = (0..weights.len()).filter(|row| self.design.weight(*row) > 0.0).count();
        let degrees = counted.saturating_sub(triangle.rank());
        Some(Fit {
            beta,
            fitted: self.means,
            leverage,
            deviance: self.deviance,
            dispersion: (degrees > 0).then(|| pearson / degrees as f64),
            degrees,
            converged: self.converged,
            triangle,
        })
    }
}

impl Design<'_> {
    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| at(weights, row))
    }

    fn offset(&self, row: usize) -> f64 {
        self.offset.map_or(0.0, |offset| at(offset, row))
    }

    fn deviance(&self, family: Family, means: &[f64]) -> f64 {
        let rows = self.response.iter().zip(means).enumerate();
        rows.map(|(row, (y, mean))| self.weight(row) * family.deviance(*y, *mean)).sum()
    }
}

impl Family {
    fn link(self, mean: f64) -> f64 {
        match self {
            Self::Poisson => mean.ln(),
            Self::Binomial => (mean / (1.0 - mean)).ln(),
        }
    }

    /// The inverse of the link, kept off the border where logarithms end.
    fn mean(self, link: f64) -> f64 {
        match self {
            Self::Poisson => link.exp().max(f64::EPSILON),
            Self::Binomial => {
                let odds = link.exp().clamp(f64::EPSILON, 1.0 / f64::EPSILON);
                odds / (1.0 + odds)
            }
        }
    }

    /// How fast the mean moves with the link; with these links also the variance.
    fn slope(self, mean: f64) -> f64 {
        match self {
            Self::Poisson => mean,
            Self::Binomial => (mean * (1.0 - mean)).max(f64::EPSILON),
        }
    }

    fn deviance(self, y: f64, mean: f64) -> f64 {
        let log = |y: f64, mean: f64| if y > 0.0 { y * (y / mean).ln() } else { 0.0 };
        match self {
            Self::Poisson => 2.0 * (log(y, mean) - (y - mean)),
            Self::Binomial => 2.0 * (log(y, mean) + log(1.0 - y, 1.0 - mean)),
        }
    }
}

/// The value at `row`; all slices of a checked design have the same length.
fn at(values: &[f64], row: usize) -> f64 {
    values.get(row).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests;
