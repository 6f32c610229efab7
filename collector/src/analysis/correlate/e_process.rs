//! Evidence that may be looked at after every case: an e-process on the split of cases. Pure.
//!
//! Case by case after the change: was it from an exposed site? The product of likelihood ratios
//! against a fixed rise, averaged over a few sizes of rise, is at most `1/alpha` for ever with
//! probability `1 - alpha` when nothing rose (Ville 1939), however often somebody looks. Each
//! factor is raised to one over the dispersion.

/// Rises the evidence is averaged over.
const RATIOS: [f64; 4] = [1.5, 2.0, 3.0, 5.0];

/// The evidence so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EProcess {
    share: f64,
    dispersion: f64,
    logs: [f64; RATIOS.len()],
}

impl EProcess {
    /// Nothing seen. `share` is the exposed share of cases before the change, between 0 and 1
    /// exclusive; `dispersion` is at least 1.
    pub(super) fn new(share: f64, dispersion: f64) -> Self {
        Self { share, dispersion: dispersion.max(1.0), logs: [0.0; RATIOS.len()] }
    }

    /// Takes a case from an exposed site.
    pub(super) fn exposed(&mut self) {
        let share = self.share;
        self.step(|risen| risen / share);
    }

    /// Takes a case from an unexposed site.
    pub(super) fn unexposed(&mut self) {
        let share = self.share;
        self.step(|risen| (1.0 - risen) / (1.0 - share));
    }

    /// The e-value: a claim at level `alpha` is allowed as soon as it reaches `1 / alpha`.
    pub(super) fn value(&self) -> f64 {
        self.logs.iter().map(|log| log.exp()).sum::<f64>() / RATIOS.len() as f64
    }

    fn step(&mut self, factor: impl Fn(f64) -> f64) {
        for (log, ratio) in self.logs.iter_mut().zip(RATIOS) {
            let risen = ratio * self.share / (ratio * self.share + 1.0 - self.share);
            *log += factor(risen).ln() / self.dispersion;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::stats::random::Random;

    fn highest(rise: f64, seed: &str) -> f64 {
        let mut random = Random::seeded(&[seed]);
        let mut evidence = EProcess::new(0.3, 1.0);
        let share = rise * 0.3 / (rise * 0.3 + 0.7);
        let mut highest = 1.0_f64;
        for _ in 0..300 {
            if (random.below(1_000_000) as f64) < share * 1e6 {
                evidence.exposed();
            } else {
                evidence.unexposed();
            }
            highest = highest.max(evidence.value());
        }
        highest
    }

    #[test]
    fn looking_after_every_case_seldom_misleads() {
        let misled = (0..400).filter(|seed| highest(1.0, &seed.to_string()) >= 20.0).count();
        assert!(misled <= 20 + 13, "{misled} of 400 at level .05");
    }

    #[test]
    fn a_doubling_is_noticed() {
        let noticed = (0..50).filter(|seed| highest(2.0, &seed.to_string()) >= 20.0).count();
        assert!(noticed >= 45, "{noticed} of 50");
    }
}
