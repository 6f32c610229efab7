//! Streams made from nothing, of unlike shapes: what a service desk's cases can look like.
//!
//! A day of a site and service has a mean (size, weekday, trend, shocks that sites share) and its
//! cases hours of their own; storms come on top. Each service has shocks of its own, so that each
//! is a world apart and one file can hold many trials. No change has happened in these streams.

use super::random::Random;
use super::stream::{Case, DAY, HOUR, Stream};

/// Monday 2024-01-01, 00:00 UTC.
const FROM: i64 = 1_704_067_200;

/// What a stream is like.
#[derive(Clone, Debug)]
pub struct Shape {
    /// What it is called in tables.
    pub name: &'static str,
    /// How many services, each a world apart.
    pub services: usize,
    /// How many sites.
    pub sites: usize,
    /// How many regions they form.
    pub regions: usize,
    /// How many weeks.
    pub weeks: i64,
    /// Cases of a service in an ordinary week.
    pub weekly: f64,
    /// How unequal sites are: 0 all alike, 1 as Zipf has it.
    pub concentration: f64,
    /// Cases of each hour of a day, as weights.
    pub hours: &'static [f64; 24],
    /// Cases of each day from Monday, as weights.
    pub days: &'static [f64; 7],
    /// Shape of the gamma noise of each site and day; large is Poisson.
    pub noise: f64,
    /// Standard deviation of the log shock a region's sites share; it fades within days.
    pub regional: f64,
    /// Standard deviation of the log shock that all sites share.
    pub common: f64,
    /// Storms of a service in a week.
    pub storms: f64,
    /// Cases in a storm, on average.
    pub storm: f64,
    /// Growth of all volume in a week.
    pub growth: f64,
    /// How many hours the last region is behind the first.
    pub spread_hours: i64,
}

const OFFICE_HOURS: &[f64; 24] = &[
    0.2, 0.1, 0.1, 0.1, 0.2, 0.5, 1.5, 4.0, 9.0, 11.0, 10.0, 8.0, 6.0, 8.0, 9.0, 8.0, 6.0, 3.0,
    1.5, 1.0, 0.8, 0.6, 0.4, 0.3,
];
const NIGHT_HOURS: &[f64; 24] = &[
    8.0, 8.0, 7.0, 6.0, 5.0, 5.0, 3.0, 1.0, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.5, 0.5, 1.0, 2.0,
    4.0, 7.0, 9.0, 9.0, 9.0,
];
const OFFICE_DAYS: &[f64; 7] = &[1.3, 1.1, 1.0, 1.0, 0.9, 0.1, 0.05];
const NIGHT_DAYS: &[f64; 7] = &[0.7, 0.7, 0.8, 0.9, 1.2, 1.5, 1.4];

const OFFICE: Shape = Shape {
    name: "office",
    services: 20,
    sites: 16,
    regions: 4,
    weeks: 11,
    weekly: 250.0,
    concentration: 0.5,
    hours: OFFICE_HOURS,
    days: OFFICE_DAYS,
    noise: 20.0,
    regional: 0.0,
    common: 0.15,
    storms: 0.0,
    storm: 0.0,
    growth: 0.0,
    spread_hours: 0,
};

/// Every shape.
pub const ALL: [Shape; 7] = [
    OFFICE,
    Shape { name: "shocks", sites: 24, noise: 3.0, regional: 0.35, common: 0.3, ..OFFICE },
    Shape { name: "storms", sites: 20, storms: 1.5, storm: 25.0, weekly: 200.0, ..OFFICE },
    Shape { name: "few sites", sites: 4, regions: 4, weekly: 120.0, ..OFFICE },
    Shape {
        name: "many sites",
        sites: 200,
        regions: 10,
        concentration: 1.0,
        noise: 2.0,
        regional: 0.1,
        ..OFFICE
    },
    Shape {
        name: "night shift",
        hours: NIGHT_HOURS,
        days: NIGHT_DAYS,
        spread_hours: 9,
        common: 0.2,
        ..OFFICE
    },
    Shape { name: "trend", growth: 0.05, regional: 0.1, concentration: 0.8, ..OFFICE },
];

/// A stream of this shape.
pub fn stream(shape: &Shape, random: &mut Random) -> Stream {
    let name = |prefix: &str, place: usize| format!("{prefix}{place:03}");
    let regions: Vec<u16> =
        (0..shape.sites).map(|site| (site * shape.regions / shape.sites) as u16).collect();
    let mut stream = Stream {
        name: shape.name.into(),
        services: (0..shape.services).map(|place| name("service-", place)).collect(),
        sites: (0..shape.sites).map(|place| name("site-", place)).collect(),
        regions,
        cases: Vec::new(),
        from: FROM,
        to: FROM + shape.weeks * 7 * DAY,
    };
    for service in stream.service_places() {
        let mut sizes = sizes(shape, random);
        random.shuffle(&mut sizes);
        let desk = Desk { shape, service, sizes };
        desk.ordinary(&mut stream, random);
        desk.storms(&mut stream, random);
    }
    stream.sort();
    stream
}

/// The share of each site, some of chance on top of Zipf's.
fn sizes(shape: &Shape, random: &mut Random) -> Vec<f64> {
    let raw: Vec<f64> = (1..=shape.sites)
        .map(|rank| (rank as f64).powf(-shape.concentration) * random.gamma(6.0))
        .collect();
    let sum: f64 = raw.iter().sum();
    raw.iter().map(|size| size / sum).collect()
}

/// A log shock that fades by 40 % a day, with mean factor 1.
fn fading(state: &mut f64, deviation: f64, random: &mut Random) -> f64 {
    *state = 0.6 * *state + 0.8 * deviation * random.normal();
    (*state - deviation * deviation / 2.0).exp()
}

/// One service of a stream.
struct Desk<'a> {
    shape: &'a Shape,
    service: u16,
    /// The share of each site.
    sizes: Vec<f64>,
}

impl Desk<'_> {
    /// Every day its mean, every case its hour.
    fn ordinary(&self, stream: &mut Stream, random: &mut Random) {
        let Self { shape, service, sizes } = self;
        let service = *service;
        let per_week: f64 = shape.days.iter().sum();
        let mut common = 0.0;
        let mut regional = vec![0.0; shape.regions];
        for day in 0..shape.weeks * 7 {
            let weekday = shape.days[(day % 7) as usize] / per_week;
            let grown = (1.0 + shape.growth).powf(day as f64 / 7.0);
            let all = shape.weekly * weekday * grown * fading(&mut common, shape.common, random);
            let shocks: Vec<f64> =
                regional.iter_mut().map(|state| fading(state, shape.regional, random)).collect();
            for (site, size) in sizes.iter().enumerate() {
                let region = stream.regions[site];
                let mean = all * size * shocks[usize::from(region)] * random.gamma(shape.noise);
                let behind = HOUR * shape.spread_hours * i64::from(region) / shape.regions as i64;
                for _ in 0..random.poisson(mean) {
                    let hour = random.weighted(shape.hours) as i64;
                    let at = FROM + day * DAY + hour * HOUR + random.second(0, HOUR) + behind;
                    if at < stream.to {
                        stream.cases.push(Case { at, service, site: site as u16 });
                    }
                }
            }
        }
    }

    /// One site, or half the time its whole region, calls about the same thing within hours.
    fn storms(&self, stream: &mut Stream, random: &mut Random) {
        let Self { shape, service, sizes } = self;
        let service = *service;
        for _ in 0..random.poisson(shape.storms * shape.weeks as f64) {
            let day = random.below((shape.weeks * 7) as usize) as i64;
            let hour = random.weighted(shape.hours) as i64;
            let begin = FROM + day * DAY + hour * HOUR;
            let centre = random.weighted(sizes);
            let wide = random.chance(0.5);
            let hours = random.between(0.5, 3.0);
            for _ in 0..(shape.storm * random.exponential()).ceil() as u32 {
                let near = |site: usize| stream.regions[site] == stream.regions[centre];
                let reached: Vec<f64> = sizes
                    .iter()
                    .enumerate()
                    .map(|(site, size)| if near(site) { *size } else { 0.0 })
                    .collect();
                let site = if wide { random.weighted(&reached) } else { centre };
                let at = begin + (random.exponential() * hours * HOUR as f64) as i64;
                if at < stream.to {
                    stream.cases.push(Case { at, service, site: site as u16 });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_the_volume_and_rhythm_they_name() {
        for shape in &ALL {
            let shape = Shape { services: 3, ..shape.clone() };
            let stream = stream(&shape, &mut Random::new(3));
            let weekly = stream.cases.len() as f64 / (3 * shape.weeks) as f64;
            assert!(weekly > 0.6 * shape.weekly && weekly < 2.0 * shape.weekly, "{weekly}");
            assert!(stream.cases.is_sorted_by_key(|case| case.at));
            let weekend = |case: &&Case| (case.at - FROM) / DAY % 7 >= 5;
            let share =
                stream.cases.iter().filter(weekend).count() as f64 / stream.cases.len() as f64;
            assert_eq!(share > 0.2, shape.name == "night shift", "{} {share}", shape.name);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_stream() {
        let shape = Shape { services: 2, ..ALL[2].clone() };
        let make = |seed| stream(&shape, &mut Random::new(seed)).csv();
        assert_eq!(make(5), make(5));
        assert_ne!(make(5), make(6));
    }
}
