//! Rules not met. So far the one that is built in: content that does not follow its format. Pure.
//!
//! A file that does not parse is a fault somebody made, and it blinds us to the file's items; both
//! are worth knowing. The deviation ends when the content is read again or the part is gone, never
//! because the part could not be looked at.

use driftline_protocol::item::{Item, ItemValue};
use driftline_protocol::snapshot::{Content, Part, Reason};

use super::drift::{PartView, resolved, severity};
use super::finding::{Finding, FindingKind, Resolution, Status};

/// The deviation `malformed` of `view` if it opens or ends, given the findings of its host that are
/// open.
pub fn malformed<'a>(
    view: &PartView<'_>,
    open: impl IntoIterator<Item = &'a Finding>,
) -> Option<Finding> {
    let id = view.id(None, FindingKind::Deviation);
    let open = open.into_iter().find(|finding| finding.id == id);
    let holds = match view.current {
        None => false,
        Some(Part::Unobserved(_)) => return None,
        Some(Part::Observed(observed)) => match observed.content {
            Content::Read => false,
            Content::Unread(Reason::Malformed) => true,
            Content::Unread(_) => return None,
        },
    };
    match (holds, open) {
        (true, None) => Some(Finding {
            id,
            domain: view.domain,
            severity: severity(view.domain),
            desired: None,
            current: Some(Item { value: ItemValue::text(Reason::Malformed.as_str()), rank: None }),
            first_seen: view.now,
            status: Status::Open,
        }),
        (false, Some(open)) => Some(resolved(open, view.now, Resolution::Returned)),
        (true, Some(_)) | (false, None) => None,
    }
}
