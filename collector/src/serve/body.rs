//! Reads the body of a request within every bound: its size, its time, and all bodies in memory
//! together.
//!
//! A body that says it is too large is refused before a byte of it is read. Reports share most of
//! the budget and heartbeats a part of their own, so that under load reports wait and heartbeats do
//! not.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, header};
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::wire::{self, ProblemCode, WireError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Refusal;

/// The bytes of request bodies that may be in memory at once, as received and as decompressed:
/// enough to keep the writer busy, small beside what any machine has.
pub const IN_FLIGHT_BYTES: usize = 64 * 1024 * 1024;

/// The part of [`IN_FLIGHT_BYTES`] that is kept for small messages.
pub const SMALL_IN_FLIGHT_BYTES: usize = 8 * 1024 * 1024;

/// The part of [`IN_FLIGHT_BYTES`] that is kept for enrolments: 64 at once. Whoever knows no secret
/// can use up no more.
pub const ENROL_IN_FLIGHT_BYTES: usize = 1024 * 1024;

/// The largest enrolment, in bytes: it is read before anybody proved anything.
pub const ENROL_BYTES: usize = 16 * 1024;

/// The largest heartbeat and the largest request of a person, in bytes: some 2,000 sections.
pub const SMALL_BYTES: usize = 1024 * 1024;

/// The rest of [`IN_FLIGHT_BYTES`], for parts and reports.
const BULK_IN_FLIGHT_BYTES: usize = IN_FLIGHT_BYTES - SMALL_IN_FLIGHT_BYTES - ENROL_IN_FLIGHT_BYTES;

/// How long one body may take: [`limits::BODY_BYTES`] over a line of 2 Mbit/s.
const BODY_TIME: Duration = Duration::from_secs(32);

/// How long the body of an enrolment may take, as anybody may send one: a kilobyte over any line.
const ENROL_TIME: Duration = Duration::from_secs(5);

/// From how many bytes on JSON is read on a thread of its own, so that other requests do not wait
/// for it.
pub const OFF_THREAD_BYTES: usize = 64 * 1024;

/// One permit of the budget, in bytes.
const UNIT: usize = 1024;

/// What kind of message a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// An enrolment, by anybody.
    Enrol,
    /// A heartbeat, or a person's request.
    Small,
    /// Parts or a report.
    Bulk,
}

/// The bytes that may be in memory.
pub struct Budget {
    bulk: Arc<Semaphore>,
    small: Arc<Semaphore>,
    enrol: Arc<Semaphore>,
}

/// A body with its share of the budget, given back when this is dropped.
pub struct Received {
    /// The body, decompressed.
    pub bytes: Vec<u8>,
    _share: Vec<OwnedSemaphorePermit>,
}

impl Received {
    /// The body and its share of the budget apart, for a body that moves elsewhere.
    pub fn split(mut self) -> (Vec<u8>, Self) {
        (std::mem::take(&mut self.bytes), self)
    }

    /// The same share of the budget without the body, which was read.
    pub fn emptied(mut self) -> Self {
        self.bytes = Vec::new();
        self
    }
}

impl Default for Budget {
    fn default() -> Self {
        let units = |bytes: usize| Arc::new(Semaphore::new(bytes / UNIT));
        Self {
            bulk: units(BULK_IN_FLIGHT_BYTES),
            small: units(SMALL_IN_FLIGHT_BYTES),
            enrol: units(ENROL_IN_FLIGHT_BYTES),
        }
    }
}

impl Budget {
    /// Bytes in use.
    pub fn in_use(&self) -> u64 {
        let pools = [&self.bulk, &self.small, &self.enrol];
        let free: usize = pools.iter().map(|pool| pool.available_permits()).sum();
        (IN_FLIGHT_BYTES.saturating_sub(free * UNIT)) as u64
    }

    /// Whether so much of the budget for reports is in use that senders shall wait.
    pub fn is_tight(&self) -> bool {
        self.bulk.available_permits() * UNIT < BULK_IN_FLIGHT_BYTES / 4
    }

    fn take(&self, class: Class, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let pool = match class {
            Class::Enrol => &self.enrol,
            Class::Small => &self.small,
            Class::Bulk => &self.bulk,
        };
        let units = u32::try_from(bytes.div_ceil(UNIT).max(1)).map_err(|_| too_large(class))?;
        Arc::clone(pool).try_acquire_many_owned(units).map_err(|_| Refusal::busy())
    }

    /// Reads `body`.
    ///
    /// # Errors
    /// A [`Refusal`]: too large, too slow, no zstd though it says so, or the budget is used up.
    pub async fn read(
        &self,
        class: Class,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Received, Refusal> {
        let limit = limit(class);
        let length = length(headers)?.unwrap_or(limit);
        if length > limit {
            return Err(too_large(class));
        }
        let compressed = is_zstd(headers)?;
        let received = self.take(class, length)?;
        let read = tokio::time::timeout(time(class), to_bytes(body, limit)).await;
        let bytes = match read {
            Err(_) => return Err(Refusal::malformed("the body came too slowly")),
            Ok(Err(error)) if is_over_limit(&error) => return Err(too_large(class)),
            Ok(Err(_)) => return Err(Refusal::malformed("the body broke off")),
            Ok(Ok(bytes)) => Vec::from(bytes),
        };
        if !compressed {
            return Ok(Received { bytes, _share: vec![received] });
        }
        if mutant::active(Mutant::DecompressWithoutBound) {
            let bytes = zstd::decode_all(&*bytes).map_err(|_| Refusal::failed())?;
            return Ok(Received { bytes, _share: vec![received] });
        }
        let expected = match zstd::zstd_safe::get_frame_content_size(&bytes) {
            Ok(Some(size)) => usize::try_from(size).unwrap_or(usize::MAX),
            Ok(None) => limits::DECOMPRESSED_BYTES,
            Err(_) => return Err(Refusal::malformed("the body is no zstd")),
        };
        if expected > limits::DECOMPRESSED_BYTES || (class != Class::Bulk && expected > limit) {
            return Err(too_large(class));
        }
        let decompressed = self.take(class, expected)?;
        let bytes = off_thread(bytes.len().max(expected), move || {
            wire::decompress_within(&bytes, expected)
        });
        match bytes.await? {
            Ok(bytes) => Ok(Received { bytes, _share: vec![received, decompressed] }),
            Err(WireError::TooLarge) => Err(too_large(class)),
            Err(WireError::Zstd(_)) => Err(Refusal::malformed("the body is no zstd")),
        }
    }
}

/// Runs `work` here when it is small and on a thread for blocking work when it is not.
///
/// # Errors
/// A [`Refusal`] when it panicked.
pub async fn off_thread<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    if bytes < OFF_THREAD_BYTES {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::failed())
}

fn limit(class: Class) -> usize {
    match class {
        Class::Enrol => ENROL_BYTES,
        Class::Small => SMALL_BYTES,
        Class::Bulk => limits::BODY_BYTES,
    }
}

fn time(class: Class) -> Duration {
    match class {
        Class::Enrol => ENROL_TIME,
        Class::Small | Class::Bulk => BODY_TIME,
    }
}

fn too_large(class: Class) -> Refusal {
    let detail = format!(
        "the body passes {} bytes, or {} after decompression",
        limit(class),
        limits::DECOMPRESSED_BYTES
    );
    Refusal::new(ProblemCode::TooLarge, detail)
}

fn length(headers: &HeaderMap) -> Result<Option<usize>, Refusal> {
    let Some(value) = headers.get(header::CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| Refusal::malformed("Content-Length is no number"))
}

fn is_zstd(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"identity") => Ok(false),
        Some(b"zstd") => Ok(true),
        Some(_) => Err(Refusal::malformed("Content-Encoding must be zstd or absent")),
    }
}

fn is_over_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string() == "length limit exceeded" {
            return true;
        }
        cause = error.source();
    }
    false
}

const _: () = assert!(limits::BODY_BYTES + limits::DECOMPRESSED_BYTES < BULK_IN_FLIGHT_BYTES);
const _: () = assert!(2 * ENROL_BYTES < ENROL_IN_FLIGHT_BYTES);
const _: () = assert!(SMALL_BYTES < SMALL_IN_FLIGHT_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn under_load_reports_wait_and_heartbeats_do_not() {
        let budget = Budget::default();
        let mut held = Vec::new();
        while let Ok(share) = budget.take(Class::Bulk, limits::BODY_BYTES) {
            held.push(share);
        }
        assert_eq!(held.len(), BULK_IN_FLIGHT_BYTES / limits::BODY_BYTES);
        assert!(budget.is_tight());
        let headers = HeaderMap::new();
        let read = |class| budget.read(class, &headers, Body::from("{}"));
        assert!(read(Class::Bulk).await.is_err(), "a report was read beyond the budget");
        let heartbeat = read(Class::Small).await.unwrap();
        assert_eq!(heartbeat.bytes, b"{}");
        drop((held, heartbeat));
        assert_eq!(budget.in_use(), 0);
        assert!(read(Class::Bulk).await.is_ok() && !budget.is_tight());
    }

    #[tokio::test]
    async fn whoever_may_only_enrol_keeps_no_heartbeat_out() {
        let budget = Budget::default();
        let mut held = Vec::new();
        while let Ok(share) = budget.take(Class::Enrol, ENROL_BYTES) {
            held.push(share);
        }
        assert_eq!(held.len(), ENROL_IN_FLIGHT_BYTES / ENROL_BYTES);
        let headers = HeaderMap::new();
        assert!(budget.read(Class::Small, &headers, Body::from("{}")).await.is_ok());
        assert!(time(Class::Enrol) < time(Class::Small));
    }

    #[tokio::test]
    async fn a_frame_never_becomes_more_than_its_class_allows() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, "zstd".parse().unwrap());
        let frame = |size: usize| zstd::bulk::compress(&vec![b' '; size], 3).unwrap();
        let second = [frame(10), frame(10_000_000)].concat();
        for (body, class, fine) in [
            (frame(ENROL_BYTES), Class::Enrol, true),
            (frame(ENROL_BYTES + 1), Class::Enrol, false),
            (second.clone(), Class::Enrol, false),
            (second.clone(), Class::Small, false),
            (second, Class::Bulk, false),
        ] {
            let size = body.len();
            let read = Budget::default().read(class, &headers, Body::from(body)).await;
            assert_eq!(read.is_ok(), fine, "{class:?} {size}");
        }
    }

    #[tokio::test]
    async fn a_body_that_says_it_is_too_large_is_not_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, (limits::BODY_BYTES as u64 + 1).into());
        let refusal = Budget::default().read(Class::Bulk, &headers, Body::empty()).await;
        assert!(refusal.is_err());
        let liar = Body::from(vec![b' '; ENROL_BYTES + 1]);
        let refusal = Budget::default().read(Class::Enrol, &HeaderMap::new(), liar).await;
        assert!(refusal.is_err(), "a body without a length passed its bound");
    }
}
