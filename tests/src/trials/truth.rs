//! What really happens in a world, and how it is put into a stream.
//!
//! A rise adds copies of the service's own cases from the same hours of the weeks before, so that
//! what is added has the stream's rhythm and clumps as the stream does; or it thins everything but
//! the place of the rise, which leaves the real cases there untouched. Knows times, sites and
//! ratios; nothing of how a rise is looked for.

use super::random::Random;
use super::stream::{Case, Change, HOUR, Stream, WEEK};

/// How many weeks before a rise lend it their cases.
const LENDERS: i64 = 4;

/// What is true about a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// Nothing happened.
    Nothing,
    /// All sites of the service rise alike, in the change's window.
    RiseForAll,
    /// All sites rise, each by another ratio.
    UnevenRise,
    /// One region rises; the change touched other regions.
    RegionApart,
    /// One region rises; the change touched sites without regard to regions.
    RegionBlind,
    /// The sites the change touched rise, each from its own turn on.
    Effect,
}

impl Truth {
    /// Every truth.
    pub const ALL: [Self; 6] = [
        Self::Nothing,
        Self::RiseForAll,
        Self::UnevenRise,
        Self::RegionApart,
        Self::RegionBlind,
        Self::Effect,
    ];

    /// Its name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::RiseForAll => "rise for all",
            Self::UnevenRise => "uneven rise for all",
            Self::RegionApart => "rise of an untouched region",
            Self::RegionBlind => "rise of a region, change blind to it",
            Self::Effect => "effect",
        }
    }
}

/// How a rise is put into a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Cases are added where it rises.
    Add,
    /// Cases are taken away everywhere else in the service.
    Thin,
}

/// Where, when and how much a service rises.
#[derive(Clone, Debug)]
pub struct Rise {
    /// The service.
    pub service: u16,
    /// Site, first second, ratio.
    pub places: Vec<(u16, i64, f64)>,
    /// For how many seconds.
    pub lasts: i64,
}

impl Rise {
    /// The rise of the sites that `change` touched.
    pub fn of(change: &Change, ratio: f64) -> Self {
        let place = |site: &u16| (*site, change.onset(*site), ratio);
        Self {
            service: change.service,
            places: change.exposed.iter().map(place).collect(),
            lasts: change.window(),
        }
    }

    /// The cases its places would have had in its time, from the weeks that lend theirs.
    pub fn expected(&self, stream: &Stream) -> f64 {
        let lent = self.places.iter().map(|place| self.lent(stream, place.0, place.1).count());
        lent.sum::<usize>() as f64 / LENDERS as f64
    }

    /// Puts the rise into the stream.
    pub fn put(&self, stream: &mut Stream, means: Means, random: &mut Random) {
        match means {
            Means::Add => self.add(stream, random),
            Means::Thin => self.thin(stream, random),
        }
        stream.sort();
    }

    fn lent<'a>(
        &'a self,
        stream: &'a Stream,
        site: u16,
        begin: i64,
    ) -> impl Iterator<Item = i64> + 'a {
        (1..=LENDERS).flat_map(move |weeks| {
            let from = begin - weeks * WEEK;
            let first = stream.cases.partition_point(|case| case.at < from);
            let cases = stream.cases[first..].iter().take_while(move |c| c.at < from + self.lasts);
            cases
                .filter(move |case| case.service == self.service && case.site == site)
                .map(move |case| case.at + weeks * WEEK)
        })
    }

    fn add(&self, stream: &mut Stream, random: &mut Random) {
        let mut added = Vec::new();
        for (site, begin, ratio) in &self.places {
            let end = begin + self.lasts;
            for at in self.lent(stream, *site, *begin) {
                for _ in 0..random.poisson((ratio - 1.0) / LENDERS as f64) {
                    let hour = at - at.rem_euclid(HOUR);
                    let at = random.second(hour, hour + HOUR).clamp(*begin, end - 1);
                    if at < stream.to {
                        added.push(Case { at, service: self.service, site: *site });
                    }
                }
            }
        }
        stream.cases.extend(added);
    }

    /// Each case stays with a chance in proportion to its place's ratio, the largest one for sure.
    fn thin(&self, stream: &mut Stream, random: &mut Random) {
        let mut ratios = vec![None; stream.sites.len()];
        for (site, begin, ratio) in &self.places {
            ratios[usize::from(*site)] = Some((*begin, *ratio));
        }
        let largest = self.places.iter().map(|place| place.2).fold(1.0, f64::max);
        let ratio_at = |case: &Case| match ratios[usize::from(case.site)] {
            Some((begin, ratio)) if (begin..begin + self.lasts).contains(&case.at) => ratio,
            _ => 1.0,
        };
        let stays = |case: &Case, random: &mut Random| {
            case.service != self.service || random.chance(ratio_at(case) / largest)
        };
        stream.cases.retain(|case| stays(case, random));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::stream::DAY;
    use crate::trials::synthetic::{self, Shape};

    /// Observed against expected, at the places of the rise and everywhere else in its time.
    fn ratios(means: Means, ratio: f64) -> (f64, f64) {
        let (mut inside, mut outside) = ((0.0, 0.0), (0.0, 0.0));
        for seed in 0..12 {
            let mut random = Random::new(seed);
            let shape = Shape { services: 1, weeks: 8, common: 0.0, ..synthetic::ALL[0].clone() };
            let mut stream = synthetic::stream(&shape, &mut random);
            let begin = stream.from + 6 * WEEK + 2 * DAY;
            let places = |sites: std::ops::Range<u16>| {
                sites.map(|site| (site, begin, ratio)).collect::<Vec<_>>()
            };
            let rise = Rise { service: 0, places: places(0..8), lasts: DAY };
            let rest = Rise { service: 0, places: places(8..16), lasts: DAY };
            rise.put(&mut stream, means, &mut random);
            let observed = |rise: &Rise| {
                let place = |case: &&Case| {
                    rise.places.iter().any(|place| place.0 == case.site)
                        && (begin..begin + DAY).contains(&case.at)
                };
                stream.cases.iter().filter(place).count() as f64
            };
            inside = (inside.0 + observed(&rise), inside.1 + rise.expected(&stream));
            outside = (outside.0 + observed(&rest), outside.1 + rest.expected(&stream));
        }
        (inside.0 / inside.1, outside.0 / outside.1)
    }

    #[test]
    fn a_rise_has_its_ratio_where_it_is_and_none_elsewhere() {
        for (means, ratio) in [(Means::Add, 3.0), (Means::Add, 1.5), (Means::Thin, 2.0)] {
            let (inside, outside) = ratios(means, ratio);
            assert!((inside / ratio - 1.0).abs() < 0.15, "{means:?} {ratio}: {inside}");
            assert!((outside - 1.0).abs() < 0.15, "{means:?} {ratio}: {outside}");
        }
    }

    #[test]
    fn a_rise_keeps_to_its_window() {
        let mut random = Random::new(4);
        let shape = Shape { services: 2, weeks: 8, ..synthetic::ALL[0].clone() };
        let before = synthetic::stream(&shape, &mut random);
        let begin = before.from + 6 * WEEK + 2 * DAY + 9 * HOUR + 1_234;
        let rise = Rise { service: 1, places: vec![(3, begin, 5.0), (4, begin, 5.0)], lasts: DAY };
        let mut after = before.clone();
        rise.put(&mut after, Means::Add, &mut random);
        assert!(after.cases.len() > before.cases.len());
        let new = after.cases.iter().filter(|case| !before.cases.contains(case));
        for case in new {
            assert!((begin..begin + DAY).contains(&case.at) && case.service == 1);
            assert!([3, 4].contains(&case.site));
        }
    }
}
