//! What somebody read of a finding, in a word that can be held against what it has now. Pure.
//!
//! Whoever accepts a finding answers for what they read. Its host may have moved on since, and what
//! it moved to nobody has looked at. So a page gives each finding a word of this opening of it and
//! of both its sides, and who accepts gives the word back. The word is no secret and proves
//! nothing: it is a digest of what its reader was shown, and values that nobody may see are
//! fingerprints already.
//!
//! A drift of a whole part has no value but that the part is there; what is agreed to is all the
//! part says, so that counts as its value here.

use driftline_protocol::ids::Digest;
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use serde::Serialize;

use super::finding::{Finding, FindingKind};

const VALUE_CONTEXT: &str = "driftline 2026-11 value of a finding v1";
const SEEN_CONTEXT: &str = "driftline 2026-11 finding as it was read v1";

/// How many digits a word has. A host that could find two values of one word would have one read
/// and the other accepted; 128 bits are more than it can try.
const DIGITS: usize = 32;

/// Whether what `finding` has now is all that its part says.
pub fn is_of_all_it_says(finding: &Finding) -> bool {
    let id = &finding.id;
    id.kind == FindingKind::Drift && id.key.is_none() && finding.current.is_some()
}

/// The digest of what `finding` has now; `says` is that of what its part says, where that is asked
/// for ([`is_of_all_it_says`]). Where an item stands among others is none of its value. A
/// discrepancy has both its sides of the host, so both are what it has. The item's key is in it: an
/// exception of a whole part has no key, and what was accepted is not each of its items.
pub fn value(finding: &Finding, says: Option<Digest>) -> Digest {
    let written = match finding.id.kind {
        FindingKind::Discrepancy => value_of(finding.desired.as_ref()),
        FindingKind::Drift | FindingKind::Deviation => None,
    };
    digest(VALUE_CONTEXT, &(&finding.id.key, value_of(finding.current.as_ref()), written, says))
}

fn value_of(item: Option<&Item>) -> Option<&ItemValue> {
    item.map(|item| &item.value)
}

/// The same of a change, as the value of the drift that it leads to; `None` where a change does not
/// tell, which is where a part came or changed as a whole.
pub fn value_after(key: Option<&ItemKey>, after: Option<&Item>) -> Option<Digest> {
    let (written, says): (Option<&ItemValue>, Option<Digest>) = (None, None);
    let told = key.is_some() || after.is_none();
    told.then(|| digest(VALUE_CONTEXT, &(key, value_of(after), written, says)))
}

/// The word for `finding` as it stands: which opening of it, how it should be and how it is.
pub fn seen(finding: &Finding, says: Option<Digest>) -> String {
    let Finding { id, domain: _, severity: _, desired, current, first_seen, status: _ } = finding;
    let desired = value_of(desired.as_ref());
    let place = current.as_ref().and_then(|item| item.rank);
    let now = value(finding, says);
    let mut word = digest(SEEN_CONTEXT, &(id, first_seen, desired, place, now)).to_string();
    word.truncate(DIGITS);
    word
}

fn digest(context: &str, of: &impl Serialize) -> Digest {
    let bytes = serde_json::to_vec(of).expect("items have only string keys, so they always encode");
    Digest(blake3::derive_key(context, &bytes))
}

#[cfg(test)]
mod tests {
    use driftline_protocol::snapshot::Domain;
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::analysis::finding::{FindingId, Severity, Status};

    fn item(text: &str) -> Item {
        Item { value: ItemValue::text(text), rank: None }
    }

    fn finding(key: Option<&str>, current: Option<Item>) -> Finding {
        Finding {
            id: FindingId {
                host: "sbc-1".parse().unwrap(),
                source: "files".parse().unwrap(),
                part: "/etc/a".parse().unwrap(),
                key: key.map(|key| ItemKey::of([key])),
                kind: FindingKind::Drift,
                rule: None,
            },
            domain: Domain::Config,
            severity: Severity::Info,
            desired: Some(item("alaw")),
            current,
            first_seen: Timestamp::UNIX_EPOCH,
            status: Status::Open,
        }
    }

    #[test]
    fn whatever_was_read_is_in_the_word() {
        let read = finding(Some("codec"), Some(item("opus")));
        let word = seen(&read, None);
        assert_eq!(word.len(), DIGITS);
        assert_eq!(word, seen(&read.clone(), None), "the same is the same");
        let moved = Item { rank: Some(3), ..item("opus") };
        for other in [
            finding(Some("codec"), Some(item("g722"))),
            finding(Some("codec"), None),
            finding(Some("codec"), Some(moved.clone())),
            finding(Some("port"), Some(item("opus"))),
            Finding { desired: Some(item("ulaw")), ..read.clone() },
            Finding { first_seen: read.first_seen + SignedDuration::from_secs(1), ..read.clone() },
        ] {
            assert_ne!(word, seen(&other, None), "{other:?}");
        }
        let (a, b) = (Digest([1; 32]), Digest([2; 32]));
        let whole = finding(None, Some(crate::analysis::drift::present()));
        assert_ne!(seen(&whole, Some(a)), seen(&whole, Some(b)), "the part says something else");
        // For how bad it is nobody answers.
        let worse = Finding { severity: Severity::Critical, ..read.clone() };
        assert_eq!(word, seen(&worse, None));
        assert_eq!(
            value(&read, None),
            value(&finding(Some("codec"), Some(moved)), None),
            "an item has its value wherever it stands"
        );
        let gone = [finding(None, None), finding(Some("codec"), None)];
        assert_ne!(value(&gone[0], None), value(&gone[1], None), "a part is none of its items");
        // What was agreed is no value of the host; what it is written to do is.
        for (kind, same) in [(FindingKind::Drift, true), (FindingKind::Discrepancy, false)] {
            let id = FindingId { kind, ..read.id.clone() };
            let one = Finding { id, ..read.clone() };
            let other = Finding { desired: Some(item("ulaw")), ..one.clone() };
            assert_eq!(value(&one, None) == value(&other, None), same, "{kind:?}");
        }
    }

    #[test]
    fn a_change_tells_the_value_of_the_drift_it_leads_to() {
        let key = ItemKey::of(["codec"]);
        for now in [Some(item("opus")), None] {
            let drift = value(&finding(Some("codec"), now.clone()), None);
            assert_eq!(value_after(Some(&key), now.as_ref()), Some(drift));
        }
        assert_eq!(value_after(None, Some(&item("there"))), None, "it does not say all of it");
        assert_eq!(value_after(None, None), Some(value(&finding(None, None), None)));
        assert_ne!(value_after(Some(&key), None), value_after(Some(&key), Some(&item(""))));
    }
}
