//! What is kept of change requests and of what changes were judged to be.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::records::{ChangeId, ChangeRecord, FindingRecord};
use super::{Cursor, StoreError};
use crate::analysis::classify::Classified;
use crate::analysis::classify::request::ChangeRequest;
use crate::analysis::classify::weigh::Meant;
use crate::analysis::finding::FindingId;

/// A change request as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// A number for places in lists; stable as long as the request is kept.
    pub number: i64,
    /// How often it said something new.
    pub revision: i64,
    /// The request.
    #[serde(flatten)]
    pub request: ChangeRequest,
}

impl RequestRecord {
    /// Its place in a list of requests.
    pub fn place(&self) -> Cursor {
        Cursor { at: self.request.end, number: self.number }
    }
}

/// Which change requests are asked for; every field narrows.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    /// Of this source.
    pub source: Option<String>,
    /// With this id.
    pub id: Option<String>,
    /// That end after.
    pub from: Option<Timestamp>,
    /// That begin before.
    pub to: Option<Timestamp>,
    /// After this place in the list, for the next page.
    pub after: Option<Cursor>,
    /// At most this many; 0 means [`super::DEFAULT_LIMIT`].
    pub limit: u32,
}

/// A request that says something new, and the stretch in which changes may be judged otherwise for
/// it: where it is now, and where it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconsider {
    /// The request.
    pub record: RequestRecord,
    /// The beginning of the stretch.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

/// What one change was judged to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The change.
    pub change: ChangeId,
    /// What it is; replaces what it was.
    pub classified: Classified,
}

/// What one open drift was found to be made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighing {
    /// The drift.
    pub finding: FindingId,
    /// Since when it was open as it was looked at; one that opened anew since then is not meant.
    pub opened: Timestamp,
    /// What it is; `None` leaves it as it is, until a change of it is judged.
    pub meant: Option<Meant>,
}

/// What pages, queries and the judging of changes ask about intent.
pub trait ReadIntent: Send + Sync {
    /// Change requests, the one that ends last first, then by number.
    ///
    /// # Errors
    /// [`StoreError`], as for all of these.
    fn change_requests(&self, filter: &RequestFilter) -> Result<Vec<RequestRecord>, StoreError>;

    /// How many change requests of a source are kept.
    fn count_requests(&self, source: &str) -> Result<u64, StoreError>;

    /// The sources of the requests that are kept, by name.
    fn request_sources(&self) -> Result<Vec<String>, StoreError>;

    /// Requests that say something new since [`super::Step::Reconsidered`], by number.
    fn to_reconsider(&self, limit: u32) -> Result<Vec<Reconsider>, StoreError>;

    /// Changes that nobody has judged yet, by number.
    fn unjudged(&self, limit: u32) -> Result<Vec<ChangeRecord>, StoreError>;

    /// Open drift that is to be weighed: it opened, or a change of its part was judged, since it
    /// was, or it was noise that ends by `now`. By number, those after `behind` first.
    fn to_weigh(
        &self,
        now: Timestamp,
        behind: i64,
        limit: u32,
    ) -> Result<Vec<FindingRecord>, StoreError>;
}
