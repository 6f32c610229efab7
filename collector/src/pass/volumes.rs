//! The volume of cases by what their words mean here, for pages and queries.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::{Cached, PassInput, sources, stream};
use crate::analysis::cases::{Case, Stream};
use crate::analysis::site_clock::common_zone;
use crate::analysis::volume::levels::{self, LevelMove};
use crate::analysis::volume::{
    Bucket, Buckets, CellBucket, CellKey, Method, VolumeError, VolumeSettings, count, volume,
};
use crate::config::{Config, Mapper};
use crate::store::StoreError;
use crate::writer::Reads;

/// So much of the past is read to say what is usual: thirteen weeks.
const PAST: SignedDuration = SignedDuration::from_hours(13 * 7 * 24);

/// The one-sided rate of false alarms of pages and queries.
const ALPHA: f64 = 0.01;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct VolumeAsked {
    /// Only of this service, by its name here.
    pub service: Option<String>,
    /// Only of this site, by its name here.
    pub site: Option<String>,
    /// How long a bucket is.
    pub bucket: Bucket,
    /// What makes a cell.
    pub by: Vec<CellKey>,
    /// Buckets that begin at or after.
    pub from: Timestamp,
    /// Buckets that begin before.
    pub to: Timestamp,
    /// Up to when cases are known.
    pub until: Timestamp,
}

/// Why there is no volume.
#[derive(Debug, thiserror::Error)]
pub enum VolumesError {
    /// The store failed.
    #[error("reading cases to count them")]
    Store(#[from] StoreError),
    /// There would be more rows than can be kept.
    #[error(transparent)]
    Count(#[from] VolumeError),
}

/// Every bucket asked for, cells by name and buckets in time order. What the newest pass read is
/// counted where it holds all that is asked for; else the store is read.
///
/// # Errors
/// [`VolumesError`].
pub fn volumes(
    (store, cached): (&dyn Reads, Option<&Cached>),
    config: &Config,
    asked: &VolumeAsked,
) -> Result<Vec<CellBucket>, VolumesError> {
    let stream = narrowed((store, cached), config, asked)?;
    Ok(asked.rows(&stream, config)?)
}

/// The same, and where the level of all its cases moved since what is read of the past begins.
///
/// # Errors
/// [`VolumesError`].
pub fn volumes_and_moves(
    from: (&dyn Reads, Option<&Cached>),
    config: &Config,
    asked: &VolumeAsked,
) -> Result<(Vec<CellBucket>, Vec<DatedMove>), VolumesError> {
    let stream = narrowed(from, config, asked)?;
    Ok((asked.rows(&stream, config)?, moves(&stream, config, asked)?))
}

/// A day from which on there were more cases, or fewer, and how many a day.
#[derive(Clone, Debug, PartialEq)]
pub struct DatedMove {
    /// That day, by the clock of all sites.
    pub day: Date,
    /// How many before, and from then on.
    pub moved: LevelMove,
}

/// Whole days alone count: the first and the last may have been read in part.
fn moves(
    stream: &Stream,
    config: &Config,
    asked: &VolumeAsked,
) -> Result<Vec<DatedMove>, VolumeError> {
    let settings = VolumeSettings { bucket: Bucket::Day, by: Vec::new(), ..asked.settings(config) };
    let buckets = Buckets::of(stream, &settings);
    let cells = count(stream, &settings, &buckets)?;
    let Some(cell) = cells.first() else { return Ok(Vec::new()) };
    let whole = 1..cell.counts.len().saturating_sub(1).max(1);
    let days = cell.counts.get(whole).unwrap_or_default();
    let dated = |moved: LevelMove| {
        let start = cell.starts.get(moved.at + 1).copied()?;
        Some(DatedMove { day: settings.zone.to_datetime(start).date(), moved })
    };
    Ok(levels::moves(days).into_iter().filter_map(dated).collect())
}

/// The cases asked for, from what the newest pass read or else from the store.
fn narrowed(
    (store, cached): (&dyn Reads, Option<&Cached>),
    config: &Config,
    asked: &VolumeAsked,
) -> Result<Stream, VolumesError> {
    let (mapper, from) = (config.mapper(), asked.begin());
    let known = cached.filter(|cached| cached.from <= from && cached.mapper == mapper);
    Ok(match known {
        Some(cached) => asked.narrow(&cached.stream),
        None => asked.narrow(&read(store, mapper, (from, asked.until))?),
    })
}

fn read(
    store: &dyn Reads,
    mapper: Mapper,
    (from, until): (Timestamp, Timestamp),
) -> Result<Stream, StoreError> {
    let input = PassInput {
        engine: String::new(),
        watermark: until,
        from,
        known: store.cases_known()?,
        sources: Some(sources::counted(&store.case_feeds()?)),
        mapper,
        wrong_claims_percent: 0,
        window_hours: 0,
        days_off: Vec::new(),
        clocks: Vec::new(),
        candidates: Vec::new(),
    };
    stream(store, &input)
}

impl VolumeAsked {
    fn settings(&self, config: &Config) -> VolumeSettings {
        let clocks = config.clocks();
        VolumeSettings {
            bucket: self.bucket,
            by: self.by.clone(),
            method: Method::Auto,
            alpha: ALPHA,
            zone: common_zone(&clocks),
            until: Some(self.until.as_second()),
            holidays: config.days_off(),
            clocks,
        }
    }

    /// The buckets of `stream` that were asked for.
    fn rows(&self, stream: &Stream, config: &Config) -> Result<Vec<CellBucket>, VolumeError> {
        let end = self.to.min(self.until);
        let within = |row: &CellBucket| row.bucket_start >= self.from && row.bucket_start < end;
        Ok(volume(stream, &self.settings(config))?.into_iter().filter(within).collect())
    }

    /// From when on cases say what is usual.
    fn begin(&self) -> Timestamp {
        self.from.checked_sub(PAST).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The cases of the service and site asked for, from what is usual to what is known.
    fn narrow(&self, stream: &Stream) -> Stream {
        let place = |names: &[String], name: &Option<String>| {
            let place = |name: &String| names.iter().position(|known| known == name);
            name.as_ref().map(|name| place(name).and_then(|place| u32::try_from(place).ok()))
        };
        let service = place(&stream.services, &self.service);
        let site = place(&stream.sites, &self.site);
        let (from, until) = (self.begin().as_second(), self.until.as_second());
        let wanted = |case: &&Case| {
            (from..until).contains(&case.opened_at)
                && service.is_none_or(|service| service == Some(case.service))
                && site.is_none_or(|site| site == Some(case.site))
        };
        let cases = stream.cases.iter().filter(wanted).copied().collect();
        Stream {
            cases,
            services: stream.services.clone(),
            sites: stream.sites.clone(),
            categories: stream.categories.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::cases::{Gather, Named};
    use crate::store::memory::Memory;

    /// Thirteen weeks of one case an hour at each of two sites; the store holds none of them.
    #[test]
    fn what_the_pass_read_answers_as_the_store_would_and_only_what_it_holds() {
        let second = |second: i64| Timestamp::from_second(second).unwrap();
        let (weeks, hours) = (15, 15 * 7 * 24);
        let mut gather = Gather::default();
        for hour in 0..hours {
            for site in ["graz", "linz"] {
                let opened_at = hour * 3_600 + 60;
                let (service, category) = ("voice", "");
                gather.add(&Named { opened_at, recorded_at: None, service, site, category });
            }
        }
        let config = Config::default();
        let mapper = config.mapper();
        let cached = Cached { stream: gather.finish(), from: second(0), mapper };
        let end = second(hours * 3_600);
        let asked = VolumeAsked {
            service: Some("voice".to_owned()),
            site: Some("graz".to_owned()),
            bucket: Bucket::Day,
            by: vec![CellKey::Service],
            from: second((weeks - 1) * 7 * 86_400),
            to: end,
            until: end,
        };
        let memory = Memory::new();
        let (same, moved) = volumes_and_moves((&memory, Some(&cached)), &config, &asked).unwrap();
        assert_eq!((same.len(), moved), (7, Vec::new()));
        let rows = volumes((&memory, Some(&cached)), &config, &asked).unwrap();
        assert_eq!(rows.iter().map(|row| row.observed).collect::<Vec<_>>(), [24; 7]);
        let earlier = VolumeAsked { from: second(0), ..asked };
        let late = Cached { from: second(1), ..cached };
        assert_eq!(volumes((&memory, Some(&late)), &config, &earlier).unwrap(), []);
    }

    /// One case an hour, and two from the first day of the eleventh week on.
    #[test]
    fn a_level_that_moved_is_dated() {
        let second = |second: i64| Timestamp::from_second(second).unwrap();
        let (moved, end) = (10 * 7 * 24, 15 * 7 * 24);
        let mut gather = Gather::default();
        for hour in 0..end {
            for minute in 0..=i64::from(hour >= moved) {
                let (opened_at, service) = (hour * 3_600 + minute * 60, "voice");
                let names = ("graz", "");
                gather.add(&Named {
                    opened_at,
                    recorded_at: None,
                    service,
                    site: names.0,
                    category: names.1,
                });
            }
        }
        let config = Config::default();
        let cached = Cached { stream: gather.finish(), from: second(0), mapper: config.mapper() };
        let asked = VolumeAsked {
            service: Some("voice".to_owned()),
            site: None,
            bucket: Bucket::Hour,
            by: vec![CellKey::Service],
            from: second((end - 24) * 3_600),
            to: second(end * 3_600),
            until: second(end * 3_600),
        };
        let (rows, moves) =
            volumes_and_moves((&Memory::new(), Some(&cached)), &config, &asked).unwrap();
        assert_eq!(rows.len(), 24);
        let [only] = moves.as_slice() else { panic!("{moves:?}") };
        assert_eq!(only.day, jiff::tz::TimeZone::UTC.to_datetime(second(moved * 3_600)).date());
        assert_eq!((only.moved.before, only.moved.after), (24.0, 48.0));
    }
}
