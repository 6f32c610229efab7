//! The volume of cases by what their words mean here, for pages and queries.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{PassInput, stream};
use crate::analysis::volume::{
    Bucket, CellBucket, CellKey, Method, VolumeError, VolumeSettings, volume,
};
use crate::config::Mapper;
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

/// Every bucket asked for, cells by name and buckets in time order.
///
/// # Errors
/// [`VolumesError`].
pub fn volumes(
    store: &dyn Reads,
    mapper: Mapper,
    asked: &VolumeAsked,
) -> Result<Vec<CellBucket>, VolumesError> {
    let input = PassInput {
        engine: String::new(),
        watermark: asked.until,
        from: asked.from.checked_sub(PAST).unwrap_or(Timestamp::UNIX_EPOCH),
        known: store.cases_known()?,
        mapper,
        wrong_claims_percent: 0,
        window_hours: 0,
        candidates: Vec::new(),
    };
    let mut stream = stream(store, &input)?;
    let place = |names: &[String], name: &Option<String>| {
        let place = |name: &String| names.iter().position(|known| known == name);
        name.as_ref().map(|name| place(name).and_then(|place| u32::try_from(place).ok()))
    };
    let service = place(&stream.services, &asked.service);
    let site = place(&stream.sites, &asked.site);
    stream.cases.retain(|case| {
        service.is_none_or(|service| service == Some(case.service))
            && site.is_none_or(|site| site == Some(case.site))
    });
    let settings = VolumeSettings {
        bucket: asked.bucket,
        by: asked.by.clone(),
        method: Method::Auto,
        alpha: ALPHA,
        zone: TimeZone::UTC,
        until: Some(asked.until.as_second()),
        holidays: Vec::new(),
    };
    let end = asked.to.min(asked.until);
    let within = |row: &CellBucket| row.bucket_start >= asked.from && row.bucket_start < end;
    Ok(volume(&stream, &settings)?.into_iter().filter(within).collect())
}
