//! Which sites a change touches: anywhere, or whole regions.
//!
//! A cohort holds 10 to 70 % of the service's cases so far; only sites that had a case of the
//! service before the change are eligible. Knows nothing of what happens afterwards.

use super::random::Random;
use super::stream::Stream;

/// The least share of a service's cases that a cohort has.
const LEAST: f64 = 0.1;
/// The largest share.
const MOST: f64 = 0.7;
/// How often a cohort is drawn anew before the service is given up.
const ATTEMPTS: usize = 20;

/// How sites come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Style {
    /// Sites anywhere.
    Scattered,
    /// Whole regions.
    Regions,
}

impl Style {
    /// Either, equally likely.
    pub fn any(random: &mut Random) -> Self {
        *random.pick(&[Self::Scattered, Self::Regions])
    }
}

/// Draws a cohort of this style from sites with these volumes, in order of their places; none
/// where the service's cases do not divide so.
pub fn draw(
    stream: &Stream,
    volume: &[f64],
    style: Style,
    random: &mut Random,
) -> Option<Vec<u16>> {
    let all: f64 = volume.iter().sum();
    let mut groups = groups(stream, volume, style);
    for _ in 0..ATTEMPTS {
        let target = random.between(LEAST, MOST);
        random.shuffle(&mut groups);
        let mut cohort = Vec::new();
        let mut share = 0.0;
        for group in &groups {
            let weight = group.iter().map(|site| volume[usize::from(*site)]).sum::<f64>() / all;
            if share + weight <= target + 0.05 {
                share += weight;
                cohort.extend(group);
            }
        }
        if (LEAST..=MOST).contains(&share) {
            cohort.sort_unstable();
            return Some(cohort);
        }
    }
    None
}

fn groups(stream: &Stream, volume: &[f64], style: Style) -> Vec<Vec<u16>> {
    let eligible = (0u16..).zip(volume).filter(|(_, volume)| **volume > 0.0).map(|(site, _)| site);
    match style {
        Style::Scattered => eligible.map(|site| vec![site]).collect(),
        Style::Regions => {
            let mut regions = std::collections::BTreeMap::<u16, Vec<u16>>::new();
            for site in eligible {
                regions.entry(stream.regions[usize::from(site)]).or_default().push(site);
            }
            regions.into_values().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::synthetic;

    #[test]
    fn a_cohort_has_its_share_and_its_style() {
        let mut random = Random::new(9);
        for shape in &synthetic::ALL {
            let shape = synthetic::Shape { services: 1, ..shape.clone() };
            let stream = synthetic::stream(&shape, &mut random);
            let volume = stream.volume(0, stream.to);
            for style in [Style::Scattered, Style::Regions] {
                let cohort = draw(&stream, &volume, style, &mut random).unwrap();
                let share: f64 = cohort.iter().map(|site| volume[usize::from(*site)]).sum();
                let share = share / volume.iter().sum::<f64>();
                assert!((LEAST..=MOST).contains(&share), "{}: {share}", shape.name);
                let whole = |site: u16| {
                    let region = stream.regions[usize::from(site)];
                    (0u16..).zip(&stream.regions).all(|(other, at)| {
                        *at != region
                            || cohort.contains(&other)
                            || volume[usize::from(other)] == 0.0
                    })
                };
                assert!(style == Style::Scattered || cohort.iter().all(|site| whole(*site)));
            }
        }
    }

    #[test]
    fn a_service_of_one_site_has_no_cohort() {
        let shape =
            synthetic::Shape { services: 1, sites: 1, regions: 1, ..synthetic::ALL[0].clone() };
        let stream = synthetic::stream(&shape, &mut Random::new(1));
        let volume = stream.volume(0, stream.to);
        assert_eq!(draw(&stream, &volume, Style::Scattered, &mut Random::new(1)), None);
    }
}
