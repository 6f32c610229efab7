//! Log-linear and logistic regression of counts by iterated weighted least squares. Pure.
//!
//! As R `glm` does it: start from the data, stop when the deviance moves by less than 1e-8 of
//! itself. Dispersion is Pearson's; standard errors are given for a dispersion of 1, and the caller
//! multiplies by its root for the quasi families.

use super::linear::{add_outer, dot, inverse, times, zeros};

/// Rounds after which a fit that still moves is given up.
const MAX_ROUNDS: usize = 50;
/// Relative change of deviance that ends the fit.
const SETTLED: f64 = 1e-10;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Counts; the logarithm of their mean is linear.
    Poisson,
    /// Successes among `trials`; the log odds are linear.
    Binomial,
}

/// One observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The terms, the constant among them if there is one.
    pub x: Vec<f64>,
    /// The count.
    pub count: f64,
    /// Of how many, for [`Family::Binomial`]; ignored otherwise.
    pub trials: f64,
    /// Known part of the linear term, such as the logarithm of the people at risk.
    pub offset: f64,
    /// Prior weight; 0 leaves the observation out.
    pub weight: f64,
}

/// A fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// One coefficient per term.
    pub beta: Vec<f64>,
    /// Covariance of the coefficients, for a dispersion of 1.
    pub covariance: Vec<Vec<f64>>,
    /// Pearson's statistic over the degrees of freedom; `None` without any.
    pub dispersion: Option<f64>,
    /// Twice the log likelihood this fit leaves to the saturated one.
    pub deviance: f64,
    /// Fitted means, in the order of the observations.
    pub fitted: Vec<f64>,
    /// How far each observation draws the fit to itself, 0 to 1.
    pub leverage: Vec<f64>,
}

impl Fit {
    /// Standard errors of the coefficients, for a dispersion of 1.
    pub fn standard_errors(&self) -> Vec<f64> {
        let diagonal = self.covariance.iter().enumerate();
        diagonal.map(|(i, row)| row.get(i).copied().unwrap_or(0.0).max(0.0).sqrt()).collect()
    }
}

/// Fits `observations`; `None` when the terms are not independent or the fit does not settle.
pub fn fit(family: Family, observations: &[Observation]) -> Option<Fit> {
    let terms = observations.first()?.x.len();
    let mut fitted: Vec<f64> = observations.iter().map(|o| family.start(o)).collect();
    let mut deviance = f64::INFINITY;
    for _ in 0..MAX_ROUNDS {
        let step = Step::from(family, observations, &fitted, terms)?;
        fitted =
            observations.iter().map(|o| family.mean(o, dot(&o.x, &step.beta) + o.offset)).collect();
        let next: f64 =
            observations.iter().zip(&fitted).map(|(o, mean)| family.deviance(o, *mean)).sum();
        let settled = (next - deviance).abs() < SETTLED * (next.abs() + 0.1);
        deviance = next;
        if settled {
            return Some(finish(family, observations, (step, fitted, deviance)));
        }
    }
    None
}

struct Step {
    beta: Vec<f64>,
    covariance: Vec<Vec<f64>>,
}

impl Step {
    fn from(family: Family, all: &[Observation], fitted: &[f64], terms: usize) -> Option<Self> {
        let mut information = zeros(terms);
        let mut score = vec![0.0; terms];
        for (o, mean) in all.iter().zip(fitted).filter(|(o, _)| o.weight > 0.0) {
            let variance = family.variance(o, *mean);
            let response = family.link(o, *mean) - o.offset + (o.count - mean) / variance;
            let weight = o.weight * variance;
            add_outer(&mut information, &o.x, weight);
            for (sum, x) in score.iter_mut().zip(&o.x) {
                *sum += weight * x * response;
            }
        }
        let covariance = inverse(&information)?;
        let beta = times(&covariance, &score);
        beta.iter().all(|b| b.is_finite()).then_some(Self { beta, covariance })
    }
}

fn finish(family: Family, all: &[Observation], found: (Step, Vec<f64>, f64)) -> Fit {
    let (Step { beta, covariance }, fitted, deviance) = found;
    let used = all.iter().filter(|o| o.weight > 0.0).count();
    let pearson: f64 = all
        .iter()
        .zip(&fitted)
        .filter(|(o, _)| o.weight > 0.0)
        .map(|(o, mean)| o.weight * (o.count - mean).powi(2) / family.variance(o, *mean))
        .sum();
    let dispersion = (used > beta.len()).then(|| pearson / (used - beta.len()) as f64);
    let leverage = all
        .iter()
        .zip(&fitted)
        .map(|(o, m)| o.weight * family.variance(o, *m) * dot(&o.x, &times(&covariance, &o.x)))
        .collect();
    Fit { beta, covariance, dispersion, deviance, fitted, leverage }
}

impl Family {
    fn start(self, o: &Observation) -> f64 {
        match self {
            Self::Poisson => o.count + 0.1,
            Self::Binomial => (o.count + 0.5) / (o.trials + 1.0) * o.trials,
        }
    }

    fn link(self, o: &Observation, mean: f64) -> f64 {
        match self {
            Self::Poisson => mean.ln(),
            Self::Binomial => (mean / (o.trials - mean)).ln(),
        }
    }

    fn mean(self, o: &Observation, linear: f64) -> f64 {
        // Far out the mean would be 0 or all; a working weight of 0 ends the fit, so stay inside.
        match self {
            Self::Poisson => linear.clamp(-300.0, 300.0).exp(),
            Self::Binomial => o.trials / (1.0 + (-linear.clamp(-30.0, 30.0)).exp()),
        }
    }

    fn variance(self, o: &Observation, mean: f64) -> f64 {
        match self {
            Self::Poisson => mean,
            Self::Binomial => mean * (1.0 - mean / o.trials),
        }
    }

    fn deviance(self, o: &Observation, mean: f64) -> f64 {
        let part = |seen: f64, mean: f64| if seen > 0.0 { seen * (seen / mean).ln() } else { 0.0 };
        let sum = match self {
            Self::Poisson => part(o.count, mean) - (o.count - mean),
            Self::Binomial => part(o.count, mean) + part(o.trials - o.count, o.trials - mean),
        };
        2.0 * o.weight * sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(x: &[f64], count: f64, trials: f64) -> Observation {
        Observation { x: x.to_vec(), count, trials, offset: 0.0, weight: 1.0 }
    }

    /// Before and after, exposed and not: the odds ratio of the table is the coefficient.
    #[test]
    fn the_split_of_cases_is_a_logistic_fit() {
        let fit =
            fit(Family::Binomial, &[row(&[1.0, 0.0], 40.0, 100.0), row(&[1.0, 1.0], 30.0, 50.0)]);
        let fit = fit.unwrap();
        let ratio: f64 = (30.0 / 20.0) / (40.0 / 60.0);
        assert!((fit.beta[1] - ratio.ln()).abs() < 1e-9);
        let variance: f64 = 1.0 / 30.0 + 1.0 / 20.0 + 1.0 / 40.0 + 1.0 / 60.0;
        assert!((fit.standard_errors()[1] - variance.sqrt()).abs() < 1e-8);
    }

    #[test]
    fn a_log_linear_fit_leaves_residuals_no_term_explains() {
        let counts = [2.0, 3.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 15.0];
        let rows: Vec<_> =
            counts.iter().zip(0..).map(|(y, t)| row(&[1.0, f64::from(t)], *y, 0.0)).collect();
        let fit = fit(Family::Poisson, &rows).unwrap();
        // At the maximum the residuals are orthogonal to every term.
        for term in 0..2 {
            let score: f64 =
                rows.iter().zip(&fit.fitted).map(|(o, m)| o.x[term] * (o.count - m)).sum();
            assert!(score.abs() < 1e-6, "{score}");
        }
        assert!((fit.leverage.iter().sum::<f64>() - 2.0).abs() < 1e-5);
    }

    #[test]
    fn a_term_told_twice_has_no_fit() {
        let rows: Vec<_> = (1..6).map(|t| row(&[1.0, 2.0], f64::from(t), 0.0)).collect();
        assert_eq!(fit(Family::Poisson, &rows), None);
    }
}
