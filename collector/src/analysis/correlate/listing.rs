//! Every way to put sites into waves that weigh about as much as the true ones.
//!
//! Site by site, each into one of the waves or into none; a beginning that cannot come to the
//! weights any more is given up, and one that takes no site more is ended. It knows weights only,
//! and gives up itself where there are too many ways: then they are drawn.

use super::cohort::TOLERANCE;

/// Sites and the wave each is put into, by site; all others stay unexposed.
pub(super) type Way = Vec<(usize, usize)>;

/// Waves tried for a site for each way that is wanted, on the way to it: enough for those that lead
/// nowhere, and little beside holding a cohort against ours.
const STEPS_A_WAY: usize = 20;
/// What sums may be off by when a beginning is given up, as a part of all weights.
const ROUNDED: f32 = 1e-4;

/// All ways to put sites of these weights into waves of about the `targets`; `None` where there are
/// more than `most`, or they cannot be found in as many steps as that is worth.
pub(super) fn all(weights: &[f32], targets: &[f32], most: usize) -> Option<Vec<Way>> {
    let all: f32 = weights.iter().sum();
    let mut least = vec![f32::INFINITY];
    least.extend(weights.iter().rev().scan(f32::INFINITY, |least, weight| {
        *least = least.min(*weight);
        Some(*least)
    }));
    least.reverse();
    let mut search = Search {
        weights,
        least,
        targets,
        most,
        slack: ROUNDED * all,
        steps: most.saturating_mul(STEPS_A_WAY),
        sums: vec![0.0; targets.len()],
        chosen: Vec::new(),
        found: Vec::new(),
    };
    search.go(0, all)?;
    Some(search.found)
}

struct Search<'a> {
    weights: &'a [f32],
    /// The least weight from each site on.
    least: Vec<f32>,
    targets: &'a [f32],
    most: usize,
    slack: f32,
    steps: usize,
    sums: Vec<f32>,
    chosen: Way,
    found: Vec<Way>,
}

impl Search<'_> {
    /// Puts the site everywhere it may be; `left` weigh all sites from it on.
    fn go(&mut self, site: usize, left: f32) -> Option<()> {
        self.steps = self.steps.checked_sub(1 + self.targets.len())?;
        let least = self.least.get(site).copied()?;
        if !(0..self.targets.len()).any(|wave| self.fits(wave, least)) {
            return self.end();
        }
        if self.lacks() > left + self.slack {
            return Some(());
        }
        let weight = self.weights.get(site).copied()?;
        self.go(site + 1, left - weight)?;
        for wave in 0..self.targets.len() {
            if !self.fits(wave, weight) {
                continue;
            }
            let before = self.sums.get(wave).copied()?;
            *self.sums.get_mut(wave)? = before + weight;
            self.chosen.push((site, wave));
            self.go(site + 1, left - weight)?;
            self.chosen.pop();
            *self.sums.get_mut(wave)? = before;
        }
        Some(())
    }

    fn fits(&self, wave: usize, weight: f32) -> bool {
        let pair = self.sums.get(wave).zip(self.targets.get(wave));
        pair.is_some_and(|(sum, target)| sum + weight - target <= TOLERANCE * target)
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
            let way = |number: usize| -> Way {
                let put = |site: usize| (number / 3_usize.pow(site as u32) % 3).checked_sub(1);
                (0..7).filter_map(|site| Some((site, put(site)?))).collect()
            };
            let own = way(random.below(3_usize.pow(7)));
            let sums = |way: &Way| {
                [0, 1].map(|wave| {
                    let of = way.iter().filter(|(_, put)| *put == wave);
                    of.map(|(site, _)| weights[*site]).sum::<f32>()
                })
            };
            let targets = sums(&own);
            let near = |sum: f32, target: f32| (sum - target).abs() <= TOLERANCE * target;
            let fits = |way: &Way| {
                let sums = sums(way);
                near(sums[0], targets[0]) && near(sums[1], targets[1])
            };
            let mut expected: Vec<Way> = (0..3_usize.pow(7)).map(way).filter(fits).collect();
            let mut found = all(&weights, &targets, 9_999).unwrap();
            expected.sort();
            found.sort();
            assert!(found.contains(&own) && found == expected, "seed {seed}");
        }
    }
}
