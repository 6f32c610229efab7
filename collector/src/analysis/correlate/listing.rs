//! Every way to put sites into waves that weigh about as much as the true ones.
//!
//! Site by site, each into one of the waves or into none; a beginning that cannot come to the
//! weights any more is given up. It knows weights only, and gives up itself where there are too
//! many ways: then they are drawn.

use super::cohort::TOLERANCE;

/// The wave a site is put into; `None` leaves it unexposed.
pub(super) type Wave = Option<usize>;

/// Sites put somewhere for each way that is wanted, on the way to it: enough for those that lead
/// nowhere.
const STEPS_A_WAY: usize = 100;
/// What sums may be off by when a beginning is given up, as a part of all weights.
const ROUNDED: f32 = 1e-4;

/// All ways to put sites of these weights into waves of about the `targets`; `None` where there are
/// more than `most`, or they cannot be found in as many steps as that is worth.
pub(super) fn all(weights: &[f32], targets: &[f32], most: usize) -> Option<Vec<Vec<Wave>>> {
    let all: f32 = weights.iter().sum();
    let mut search = Search {
        weights,
        targets,
        most,
        slack: ROUNDED * all,
        steps: most.saturating_mul(STEPS_A_WAY),
        sums: vec![0.0; targets.len()],
        chosen: Vec::with_capacity(weights.len()),
        found: Vec::new(),
    };
    search.go(all)?;
    Some(search.found)
}

struct Search<'a> {
    weights: &'a [f32],
    targets: &'a [f32],
    most: usize,
    slack: f32,
    steps: usize,
    sums: Vec<f32>,
    chosen: Vec<Wave>,
    found: Vec<Vec<Wave>>,
}

impl Search<'_> {
    /// Puts the next site everywhere it may be; `left` weigh all sites that are not put anywhere.
    fn go(&mut self, left: f32) -> Option<()> {
        self.steps = self.steps.checked_sub(1)?;
        let Some(weight) = self.weights.get(self.chosen.len()).copied() else {
            return self.end();
        };
        if self.lacks() > left + self.slack {
            return Some(());
        }
        self.chosen.push(None);
        self.go(left - weight)?;
        self.chosen.pop();
        for wave in 0..self.targets.len() {
            let before = self.sums.get(wave).copied()?;
            let target = self.targets.get(wave).copied()?;
            if before + weight - target > TOLERANCE * target {
                continue;
            }
            *self.sums.get_mut(wave)? = before + weight;
            self.chosen.push(Some(wave));
            self.go(left - weight)?;
            self.chosen.pop();
            *self.sums.get_mut(wave)? = before;
        }
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        let mut pairs = self.sums.iter().zip(self.targets);
        if pairs.all(|(sum, target)| (sum - target).abs() <= TOLERANCE * target) {
            if self.found.len() == self.most {
                return None;
            }
            self.found.push(self.chosen.clone());
        }
        Some(())
    }

    /// What all waves lack together.
    fn lacks(&self) -> f32 {
        let pairs = self.sums.iter().zip(self.targets);
        pairs.map(|(sum, target)| (target * (1.0 - TOLERANCE) - sum).max(0.0)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::stats::random::Random;

    #[test]
    fn of_equal_sites_there_are_as_many_ways_as_can_be_counted() {
        let ways =
            |sites: usize, waves: &[f32]| all(&vec![1.0; sites], waves, 9_999).map(|w| w.len());
        assert_eq!(ways(3, &[1.0, 1.0]), Some(6));
        assert_eq!(ways(4, &[1.0, 1.0]), Some(12));
        assert_eq!(ways(10, &[3.0]), Some(120));
        assert_eq!(ways(9, &[2.0, 2.0, 2.0]), Some(36 * 21 * 10));
        assert_eq!(ways(100, &[1.0, 1.0]), Some(9_900));
        assert_eq!(ways(101, &[1.0, 1.0]), None);
        assert_eq!(ways(14, &[3.0, 4.0]), None);
        // A wave that reached no eligible site has none.
        assert_eq!(ways(4, &[1.0, 0.0]), Some(4));
    }

    /// Against every way there is, tried one by one.
    #[test]
    fn no_way_is_missed_and_none_is_told_twice() {
        for seed in 0..40_usize {
            let mut random = Random::seeded(&["ways", &seed.to_string()]);
            let weights: Vec<f32> = (0..7).map(|_| 3.0 + random.below(40) as f32).collect();
            let own: Vec<Wave> = (0..7).map(|_| random.below(3).checked_sub(1)).collect();
            let sums = |ways: &[Wave]| {
                [0, 1].map(|wave| {
                    let of = ways.iter().zip(&weights).filter(|(way, _)| **way == Some(wave));
                    of.map(|(_, weight)| weight).sum::<f32>()
                })
            };
            let targets = sums(&own);
            let near = |sum: f32, target: f32| (sum - target).abs() <= TOLERANCE * target;
            let mut expected: Vec<Vec<Wave>> = (0..3_usize.pow(7))
                .map(|number| {
                    (0..7).map(|site| (number / 3_usize.pow(site) % 3).checked_sub(1)).collect()
                })
                .filter(|ways: &Vec<Wave>| {
                    let sums = sums(ways);
                    near(sums[0], targets[0]) && near(sums[1], targets[1])
                })
                .collect();
            let mut found = all(&weights, &targets, 9_999).unwrap();
            expected.sort();
            found.sort();
            assert!(found.contains(&own) && found == expected, "seed {seed}");
        }
    }
}
