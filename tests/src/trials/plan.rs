//! The designs of trials: what is put into a world, and the changes that are laid beside it.
//!
//! Knows which truths belong together in one file; not how they are judged. A trial is a function
//! of world, design, seed and number.

use super::cohort::{self, Style};
use super::random::Random;
use super::stream::{Change, DAY, HOUR, Stream, WEEK};
use super::synthetic::{self, Shape};
use super::truth::{Means, Rise, Truth};

/// Windows in which a rise is looked for, hours.
pub const WINDOWS: [u32; 3] = [24, 72, 168];
/// Rate ratios of effects that are measured.
pub const RATIOS: [f64; 5] = [1.2, 1.5, 2.0, 3.0, 5.0];
/// Rate ratios of effects that must be found among others.
pub const CLEAR_RATIOS: [f64; 4] = [1.5, 2.0, 3.0, 5.0];
/// Rate ratios of rises that no change goes with.
const RISES: [f64; 3] = [1.5, 2.0, 3.0];
/// Weeks before the first change, so that there is something to compare with.
const HISTORY: i64 = 5 * WEEK;
/// How far apart two changes of one service are in a mix, so that each has a truth of its own.
const APART: i64 = 2 * DAY;
/// The fewest cases of a service of a real stream in which changes are tried.
const FEWEST: usize = 600;
/// How often a world is searched for a place that fits, before a trial is given up.
const ATTEMPTS: usize = 400;

/// Where streams come from.
#[derive(Clone, Debug)]
pub enum World {
    /// One stream, the same in every trial.
    Real(Stream),
    /// A new stream of this shape for every trial.
    Made(Shape),
}

impl World {
    /// What it is called in tables.
    pub fn name(&self) -> &str {
        match self {
            Self::Real(stream) => &stream.name,
            Self::Made(shape) => shape.name,
        }
    }

    fn stream(&self, random: &mut Random) -> Stream {
        match self {
            Self::Real(stream) => stream.clone(),
            Self::Made(shape) => synthetic::stream(shape, random),
        }
    }

    /// Services in which changes are tried: of a real stream those with cases enough.
    pub fn eligible(&self, stream: &Stream) -> Vec<u16> {
        match self {
            Self::Real(_) => {
                let enough = |service: &u16| stream.count(*service) >= FEWEST;
                stream.service_places().filter(enough).collect()
            }
            Self::Made(_) => stream.service_places().collect(),
        }
    }
}

/// What a file of changes holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Design {
    /// One change, and this about it. In made worlds every service is such a trial.
    Each(Truth),
    /// One change at any time at all, and nothing about it.
    Shuffled,
    /// Ten changes of one kind (one window) to one service within a day, one of them true.
    Ten,
    /// Twenty changes: 14 nothing, 2 rises for all, 4 effects.
    Mix,
}

impl Design {
    fn number(self) -> u64 {
        match self {
            Self::Each(truth) => 10 + truth as u64,
            Self::Shuffled => 1,
            Self::Ten => 2,
            Self::Mix => 3,
        }
    }
}

/// A change and what is true about it.
#[derive(Clone, Debug)]
pub struct Planted {
    /// The change as the file names it.
    pub change: Change,
    /// What is true.
    pub truth: Truth,
    /// The rate ratio of whatever rises; 1 where nothing does.
    pub ratio: f64,
    /// Cases the touched sites would have had in the window.
    pub expected: f64,
    /// How its sites came together.
    pub style: Style,
}

/// A stream, and changes beside it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The cases, with whatever rises put in.
    pub stream: Stream,
    /// The changes, as many as the design has.
    pub planted: Vec<Planted>,
}

/// Makes the trial of this number; none when the world has no room for it.
pub fn trial(world: &World, design: Design, seed: u64, number: u64) -> Option<Trial> {
    let mut random = Random::part(seed, &[design.number(), number]);
    let stream = world.stream(&mut random);
    let eligible = world.eligible(&stream);
    let mut maker = Maker { stream, random, planted: Vec::new(), means: Means::Add };
    match design {
        Design::Each(truth) => {
            let services = match world {
                World::Real(_) => vec![*maker.random.pick(&eligible)],
                World::Made(_) => eligible,
            };
            for (place, service) in (number..).zip(services) {
                maker.means = if maker.random.chance(0.3) { Means::Thin } else { Means::Add };
                let ratio = RATIOS[(place % RATIOS.len() as u64) as usize];
                maker.one(&[service], truth, ratio);
            }
        }
        Design::Shuffled => match world {
            World::Real(_) => maker.shuffled(&eligible),
            World::Made(_) => eligible.iter().for_each(|service| maker.shuffled(&[*service])),
        },
        Design::Ten => maker.ten(&eligible)?,
        Design::Mix => maker.mix(&eligible),
    }
    let Maker { stream, planted, .. } = maker;
    (!planted.is_empty()).then_some(Trial { stream, planted })
}

struct Maker {
    stream: Stream,
    random: Random,
    planted: Vec<Planted>,
    means: Means,
}

impl Maker {
    /// A change to one of `services` and its truth, wherever there is room.
    fn one(&mut self, services: &[u16], truth: Truth, ratio: f64) {
        for _ in 0..ATTEMPTS {
            let service = *self.random.pick(services);
            let at = self.working_time();
            if let Some(planted) = self.change(service, at, truth)
                && self.has_room(&planted.change)
                && self.put(planted, ratio)
            {
                return;
            }
        }
    }

    fn shuffled(&mut self, services: &[u16]) {
        for _ in 0..ATTEMPTS {
            let service = *self.random.pick(services);
            let at = self.random.second(self.stream.from + HISTORY, self.stream.to);
            if let Some(planted) = self.change(service, at, Truth::Nothing) {
                self.planted.push(planted);
                return;
            }
        }
    }

    fn mix(&mut self, services: &[u16]) {
        let mut truths = vec![Truth::Nothing; 14];
        truths.extend([Truth::RiseForAll; 2]);
        truths.extend([Truth::Effect; 4]);
        self.random.shuffle(&mut truths);
        for truth in truths {
            let ratio = *self.random.pick(&CLEAR_RATIOS);
            self.one(services, truth, ratio);
        }
    }

    fn ten(&mut self, services: &[u16]) -> Option<()> {
        for _ in 0..ATTEMPTS {
            let service = *self.random.pick(services);
            let at = self.working_time();
            let Some(mut first) = self.change(service, at, Truth::Effect) else { continue };
            first.change.waves.clear();
            let around = if self.random.chance(0.5) { HOUR } else { DAY };
            let mut others = Vec::new();
            for _ in 0..ATTEMPTS {
                let near = at + self.random.second(-around, around);
                if let Some(mut other) = self.change(service, near, Truth::Nothing) {
                    other.change.window_hours = first.change.window_hours;
                    let fits = other.change.end() <= self.stream.to;
                    others.extend((fits && differ(&first.change, &other.change)).then_some(other));
                }
                if others.len() == 9 {
                    let ratio = *self.random.pick(&CLEAR_RATIOS);
                    return self.ten_of(first, others, ratio);
                }
            }
        }
        None
    }

    /// The true one takes any place in the file.
    fn ten_of(&mut self, first: Planted, others: Vec<Planted>, ratio: f64) -> Option<()> {
        let place = self.random.below(10);
        self.put(first, ratio).then_some(())?;
        let first = self.planted.pop()?;
        self.planted = others;
        self.planted.insert(place, first);
        for (number, planted) in self.planted.iter_mut().enumerate() {
            planted.change.id = id(number);
        }
        Some(())
    }

    /// Three times in four a weekday between 7 and 20 h, when most changes are made.
    fn working_time(&mut self) -> i64 {
        let anything = self.random.chance(0.25);
        loop {
            let at = self.random.second(self.stream.from + HISTORY, self.stream.to);
            let (day, hour) = ((at - self.stream.from) / DAY % 7, at.rem_euclid(DAY) / HOUR);
            if anything || day < 5 && (7..20).contains(&hour) {
                return at;
            }
        }
    }

    fn change(&mut self, service: u16, at: i64, truth: Truth) -> Option<Planted> {
        let style = match truth {
            Truth::RegionApart => Style::Regions,
            Truth::RegionBlind => Style::Scattered,
            Truth::Nothing | Truth::RiseForAll | Truth::UnevenRise | Truth::Effect => {
                Style::any(&mut self.random)
            }
        };
        let volume = self.stream.volume(service, at);
        let exposed = cohort::draw(&self.stream, &volume, style, &mut self.random)?;
        let window_hours = *self.random.pick(&WINDOWS);
        let id = id(self.planted.len());
        let mut change = Change { id, at, service, exposed, window_hours, waves: Vec::new() };
        if self.random.chance(0.25) {
            self.stagger(&mut change);
        }
        let fits = change.end() <= self.stream.to;
        fits.then_some(Planted { change, truth, ratio: 1.0, expected: 0.0, style })
    }

    /// Two to four waves, hours or days apart, sites in any order.
    fn stagger(&mut self, change: &mut Change) {
        let waves = (2 + self.random.below(3)).min(change.exposed.len());
        let step = *self.random.pick(&[6 * HOUR, DAY, 2 * DAY]);
        let mut sites = change.exposed.clone();
        self.random.shuffle(&mut sites);
        let turn = |place: usize| change.at + step * (place % waves) as i64;
        change.waves =
            sites.into_iter().enumerate().map(|(place, site)| (site, turn(place))).collect();
        change.waves.sort_unstable();
    }

    fn has_room(&self, change: &Change) -> bool {
        let near = |other: &Planted| {
            other.change.service == change.service
                && change.at < other.change.end() + APART
                && other.change.at < change.end() + APART
        };
        !self.planted.iter().any(near)
    }

    /// Puts what is true about a change into the stream; false when there is no place for it.
    fn put(&mut self, mut planted: Planted, ratio: f64) -> bool {
        let change = &planted.change;
        planted.expected = Rise::of(change, 1.0).expected(&self.stream);
        let common = *self.random.pick(&RISES);
        let all = 0..self.stream.sites.len() as u16;
        let (ratio, places) = match planted.truth {
            Truth::Nothing => (1.0, Vec::new()),
            Truth::Effect => (ratio, Rise::of(change, ratio).places),
            Truth::RiseForAll => (common, all.map(|site| (site, change.at, common)).collect()),
            Truth::UnevenRise => {
                let place = |site| (site, change.at, 1.0 + (common - 1.0) * self.random.gamma(4.0));
                (common, all.map(place).collect())
            }
            Truth::RegionApart | Truth::RegionBlind => match self.region(change, planted.truth) {
                Some(sites) => (common, sites.map(|site| (site, change.at, common)).collect()),
                None => return false,
            },
        };
        let change = &planted.change;
        planted.ratio = ratio;
        let lasts = match planted.truth {
            Truth::Effect => change.window(),
            // Whatever hits others does not follow the change's waves.
            Truth::Nothing
            | Truth::RiseForAll
            | Truth::UnevenRise
            | Truth::RegionApart
            | Truth::RegionBlind => (change.end() - change.at).min(WEEK),
        };
        let rise = Rise { service: change.service, places, lasts };
        let even = planted.truth != Truth::UnevenRise;
        let means = if even && ratio <= 3.0 { self.means } else { Means::Add };
        if !rise.places.is_empty() {
            rise.put(&mut self.stream, means, &mut self.random);
        }
        self.planted.push(planted);
        true
    }

    /// A region with cases; for [`Truth::RegionApart`] one that the change did not touch.
    fn region(&mut self, change: &Change, truth: Truth) -> Option<std::vec::IntoIter<u16>> {
        let stream = &self.stream;
        let of = |site: u16| stream.regions[usize::from(site)];
        let touched: Vec<u16> = change.exposed.iter().map(|site| of(*site)).collect();
        let free = |region: u16| truth != Truth::RegionApart || !touched.contains(&region);
        let mut weights = vec![0.0; 1 + usize::from(stream.regions.iter().copied().max()?)];
        for (site, volume) in (0u16..).zip(stream.volume(change.service, change.at)) {
            if free(of(site)) {
                weights[usize::from(of(site))] += volume;
            }
        }
        if weights.iter().all(|weight| *weight <= 0.0) {
            return None;
        }
        let region = self.random.weighted(&weights) as u16;
        let sites = (0..stream.sites.len() as u16).filter(|site| of(*site) == region);
        Some(sites.collect::<Vec<_>>().into_iter())
    }
}

fn id(number: usize) -> String {
    format!("change-{number:02}")
}

/// Whether two cohorts share less than four fifths of what either has.
fn differ(a: &Change, b: &Change) -> bool {
    let both = a.exposed.iter().filter(|site| b.exposed.contains(site)).count();
    let either = a.exposed.len() + b.exposed.len() - both;
    (both as f64) < 0.8 * either as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(services: usize) -> World {
        World::Made(Shape { services, ..synthetic::ALL[0].clone() })
    }

    #[test]
    fn every_design_has_the_changes_it_names() {
        for truth in Truth::ALL {
            let trial = trial(&made(3), Design::Each(truth), 1, 0).unwrap();
            assert_eq!(trial.planted.len(), 3, "{truth:?}");
            assert!(trial.planted.iter().all(|planted| planted.truth == truth));
        }
        let ten = trial(&made(2), Design::Ten, 1, 0).unwrap();
        let first: Vec<_> = ten.planted.iter().filter(|p| p.truth == Truth::Effect).collect();
        assert_eq!((ten.planted.len(), first.len()), (10, 1));
        let mix = trial(&made(20), Design::Mix, 1, 0).unwrap();
        let count = |truth| mix.planted.iter().filter(|p| p.truth == truth).count();
        assert_eq!(
            (count(Truth::Nothing), count(Truth::RiseForAll), count(Truth::Effect)),
            (14, 2, 4)
        );
    }

    #[test]
    fn ids_differ_and_windows_end_inside_the_stream() {
        for (design, number) in [(Design::Ten, 3), (Design::Mix, 4), (Design::Shuffled, 5)] {
            let trial = trial(&made(20), design, 2, number).unwrap();
            let mut ids: Vec<_> = trial.planted.iter().map(|p| p.change.id.clone()).collect();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), trial.planted.len());
            for planted in &trial.planted {
                let end = planted.change.at + planted.change.window();
                assert!(end <= trial.stream.to && planted.change.at >= trial.stream.from + HISTORY);
            }
        }
    }

    #[test]
    fn a_trial_follows_from_its_number() {
        let csv = |number| trial(&made(2), Design::Ten, 1, number).unwrap().stream.csv();
        assert_eq!(csv(1), csv(1));
        assert_ne!(csv(1), csv(2));
    }
}
