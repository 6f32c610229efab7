//! The volume of cases by what their words mean here, for pages and queries.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Cached, PassInput, stream};
use crate::analysis::cases::{Case, Stream};
use crate::analysis::volume::{
    Bucket, CellBucket, CellKey, Method, VolumeError, VolumeSettings, volume,
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
    let (mapper, from) = (config.mapper(), asked.begin());
    let known = cached.filter(|cached| cached.from <= from && cached.mapper == mapper);
    let stream = match known {
        Some(cached) => asked.narrow(&cached.stream),
        None => asked.narrow(&read(store, mapper, (from, asked.until))?),
    };
    let settings = VolumeSettings {
        bucket: asked.bucket,
        by: asked.by.clone(),
        method: Method::Auto,
        alpha: ALPHA,
        zone: TimeZone::UTC,
        until: Some(asked.until.as_second()),
        holidays: config.days_off(),
    };
    let end = asked.to.min(asked.until);
    let within = |row: &CellBucket| row.bucket_start >= asked.from && row.bucket_start < end;
    Ok(volume(&stream, &settings)?.into_iter().filter(within).collect())
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
        mapper,
        wrong_claims_percent: 0,
        window_hours: 0,
        days_off: Vec::new(),
        candidates: Vec::new(),
    };
    stream(store, &input)
}

impl VolumeAsked {
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
        let rows = volumes((&memory, Some(&cached)), &config, &asked).unwrap();
        assert_eq!(rows.iter().map(|row| row.observed).collect::<Vec<_>>(), [24; 7]);
        let earlier = VolumeAsked { from: second(0), ..asked };
        let late = Cached { from: second(1), ..cached };
        assert_eq!(volumes((&memory, Some(&late)), &config, &earlier).unwrap(), []);
    }
}
