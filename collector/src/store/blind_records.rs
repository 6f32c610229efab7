//! What of a host is not seen any more. Pure.

use driftline_protocol::ids::HostId;
use driftline_protocol::snapshot::Reason;

use super::Unread;

impl Unread {
    /// Why.
    pub fn reason(self) -> Reason {
        match self {
            Self::Content(reason) | Self::Whole(reason) => reason,
        }
    }
}

/// How many parts of a host were read once and are not any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlindCount {
    /// Where.
    pub host: HostId,
    /// Why they cannot be read.
    pub reason: Reason,
    /// How many.
    pub count: u64,
}
