//! What somebody read of a finding, in a tag that can be held against what it has now. Pure.
//!
//! Whoever accepts a finding answers for what they read. Its host may have moved on since, and what
//! it moved to nobody has looked at. So a page gives each finding a tag of this opening of it and
//! of both its sides, and who accepts gives the tag back. The tag is no secret and proves
//! nothing: it is a digest of what its reader was shown, and values that nobody may see are
//! fingerprints already.
//!
//! What is found of a whole part has no value but that the part is there, or that it cannot be
//! read; what is agreed to is all the part says, so that counts as its value here ([`says`]).
//!
//! Where an item stands among others is no value, unless that is all that differs.

use std::collections::BTreeMap;

use driftline_protocol::ids::Digest;
use driftline_protocol::item::{Item, ItemKey, ItemValue, MALFORMED};
use driftline_protocol::snapshot::{Content, Observed, Part, Reason};
use serde::{Deserialize, Serialize};

use super::change::{Change, ChangeKind};
use super::drift::{existence, is_unset};
use super::finding::{Finding, FindingKind};

const VALUE_CONTEXT: &str = "driftline 2026-11 value of a finding v1";
const SAYS_CONTEXT: &str = "driftline 2026-11 what a part says of itself v1";
const SEEN_CONTEXT: &str = "driftline 2026-11 finding as it was read v1";

/// How many digits a tag has. A host that could find two values of one tag would have one read
/// and the other accepted; 128 bits are more than it can try.
const DIGITS: usize = 32;

/// How many items of a part are shown to whoever accepts all of it: a screenful.
pub const SHOWN: usize = 20;

/// What a part says, as far as it is shown to whoever accepts all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Its first items by key.
    pub items: Vec<SaidItem>,
    /// How many more there are.
    pub more: u64,
    /// Why its content cannot be read; what is accepted then is its bytes as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<Reason>,
    /// What is wrong with it, in the agent's words, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
}

/// One item of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidItem {
    /// Its key.
    pub key: ItemKey,
    /// What it has.
    pub now: Item,
}

impl Said {
    /// What `part` says, without what is so at the moment only, as in [`says`].
    pub fn of(part: &Part) -> Self {
        let observed = match part {
            Part::Observed(observed) => observed,
            Part::Unobserved(reason) => {
                return Self { items: Vec::new(), more: 0, unread: Some(*reason), wrong: None };
            }
        };
        let steady = || observed.items.iter().filter(|(key, _)| key.of_the_moment().is_none());
        let item =
            |(key, item): (&ItemKey, &Item)| SaidItem { key: key.clone(), now: item.clone() };
        Self {
            items: steady().take(SHOWN).map(item).collect(),
            more: steady().skip(SHOWN).count() as u64,
            unread: match observed.content {
                Content::Read => None,
                Content::Unread(reason) => Some(reason),
            },
            wrong: wrong(observed).map(str::to_owned),
        }
    }

    /// How much is not shown, in words; empty where everything is.
    pub fn left_out(&self) -> String {
        match self.more {
            0 => String::new(),
            1 => "and 1 more item".to_owned(),
            more => format!("and {more} more items"),
        }
    }
}

/// What is wrong with a content that could not be read, in the agent's words, where it says so.
pub fn wrong(observed: &Observed) -> Option<&str> {
    let item = observed.items.get(&ItemKey::momentary([MALFORMED]));
    item.filter(|_| observed.content != Content::Read)?.value.as_text()
}

/// Whether what `finding` has now is all that its part says.
pub fn is_of_all_it_says(finding: &Finding) -> bool {
    finding.id.key.is_none() && finding.current.is_some()
}

/// The digest of all that `part` says: its items, and where nobody could read them its bytes. What
/// is so at the moment only is none of it: it moves by itself.
pub fn says(part: &Part) -> Digest {
    let Part::Observed(observed) = part else { return digest(SAYS_CONTEXT, part) };
    let steady = observed.items.iter().filter(|(key, _)| key.of_the_moment().is_none());
    let steady: BTreeMap<&ItemKey, &Item> = steady.collect();
    let bytes = match observed.content {
        Content::Read => None,
        Content::Unread(_) => observed.raw,
    };
    digest(SAYS_CONTEXT, &(observed.content, steady, bytes))
}

/// Where the item of `finding` should stand among others and where it does, of a finding both sides
/// of which have the same value.
pub fn places(finding: &Finding) -> Option<[u32; 2]> {
    let (should, is) = (finding.desired.as_ref()?, finding.current.as_ref()?);
    (should.value == is.value).then_some([should.rank?, is.rank?])
}

/// How the item of `finding` should be and how it is, for a person; `values` writes those of an
/// item that is more than there or not there.
pub fn sides(
    finding: &Finding,
    values: impl FnOnce(Option<&Item>, Option<&Item>) -> [String; 2],
) -> [String; 2] {
    let there = |is: bool| if is { "there" } else { "not there" }.to_owned();
    let [should, now] = match existence(finding) {
        Some((should, now)) => [there(should), there(now)],
        None => values(finding.desired.as_ref(), finding.current.as_ref()),
    };
    match places(finding) {
        Some([first, second]) => {
            [format!("{should} (place {})", first + 1), format!("{now} (place {})", second + 1)]
        }
        None if is_unset(finding) => [should, "not set".to_owned()],
        None => [should, now],
    }
}

/// The digest of what `finding` has now; `says` is that of what its part says, where that is asked
/// for ([`is_of_all_it_says`]). A discrepancy has both its sides of the host, so both are what it
/// has. The item's key is in it: an exception of a whole part has no key, and what was accepted
/// is not each of its items.
pub fn value(finding: &Finding, says: Option<Digest>) -> Digest {
    let written = match finding.id.kind {
        FindingKind::Discrepancy => value_of(finding.desired.as_ref()),
        FindingKind::Drift | FindingKind::Deviation => None,
    };
    let place = places(finding).map(|[_, is]| is);
    value_digest((&finding.id.key, finding.current.as_ref()), (written, says, place))
}

/// The digest of what the item `key` has, and of what else its finding tells of it.
fn value_digest(
    (key, now): (&Option<ItemKey>, Option<&Item>),
    (written, says, place): (Option<&ItemValue>, Option<Digest>, Option<u32>),
) -> Digest {
    digest(VALUE_CONTEXT, &(key, value_of(now), written, says, place))
}

fn value_of(item: Option<&Item>) -> Option<&ItemValue> {
    item.map(|item| &item.value)
}

/// The same of a change, as the value of the drift that it leads to; `None` where a change does not
/// tell: where a part came, went or changed as a whole, which a change that sums up many says with
/// the same words, and where an item has moved among others.
pub fn value_after(change: &Change) -> Option<Digest> {
    let Change { part: _, key, kind, before: _, after } = change;
    if key.is_none() || *kind == ChangeKind::Moved {
        return None;
    }
    Some(value_digest((key, after.as_ref()), (None, None, None)))
}

/// The tag of `finding` as it stands: which opening of it, how it should be and how it is.
pub fn etag(finding: &Finding, says: Option<Digest>) -> String {
    let Finding { id, domain: _, severity: _, desired, current: _, first_seen, status: _ } =
        finding;
    let desired = value_of(desired.as_ref());
    let now = value(finding, says);
    tag(SEEN_CONTEXT, &(id, first_seen, desired, now))
}

/// The tag of what somebody read, by what it is about.
pub fn tag(context: &str, of: &impl Serialize) -> String {
    let mut tag = digest(context, of).to_string();
    tag.truncate(DIGITS);
    tag
}

fn digest(context: &str, of: &impl Serialize) -> Digest {
    let bytes = serde_json::to_vec(of).expect("items have only string keys, so they always encode");
    Digest(blake3::derive_key(context, &bytes))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::analysis::finding::{FindingId, Severity, made_up};

    fn item(text: &str) -> Item {
        Item { value: ItemValue::text(text), rank: None }
    }

    fn finding(key: Option<&str>, current: Option<Item>) -> Finding {
        Finding { desired: Some(item("alaw")), current, ..made_up("/etc/a", key) }
    }

    #[test]
    fn whatever_was_read_is_in_the_word() {
        let read = finding(Some("codec"), Some(item("opus")));
        let tag = etag(&read, None);
        assert_eq!(tag.len(), DIGITS);
        assert_eq!(tag, etag(&read.clone(), None), "the same is the same");
        for other in [
            finding(Some("codec"), Some(item("g722"))),
            finding(Some("codec"), None),
            finding(Some("port"), Some(item("opus"))),
            Finding { desired: Some(item("ulaw")), ..read.clone() },
            Finding { first_seen: read.first_seen + SignedDuration::from_secs(1), ..read.clone() },
        ] {
            assert_ne!(tag, etag(&other, None), "{other:?}");
        }
        let (a, b) = (Digest([1; 32]), Digest([2; 32]));
        let whole = finding(None, Some(crate::analysis::drift::present()));
        assert_ne!(etag(&whole, Some(a)), etag(&whole, Some(b)), "the part says something else");
        // For how bad it is nobody answers.
        let worse = Finding { severity: Severity::Critical, ..read.clone() };
        assert_eq!(tag, etag(&worse, None));
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
    fn where_an_item_stands_counts_where_only_that_differs() {
        let at = |text: &str, place: u32| Some(Item { rank: Some(place), ..item(text) });
        let of = |desired: Option<Item>, current: Option<Item>| Finding {
            desired,
            ..finding(Some("codec"), current)
        };
        let words = |finding: Finding| (etag(&finding, None), value(&finding, None));
        let moved = |place: u32| words(of(at("alaw", 9), at("alaw", place)));
        assert_ne!(moved(3), moved(0));
        assert_ne!(moved(3).1, moved(0).1);
        // A line that was written above it moves an item that has another value anyway; nobody
        // reads it anew for that.
        let other = |place: u32| words(of(at("alaw", 9), at("opus", place)));
        assert_eq!(other(3), other(4));
        assert_eq!(places(&of(at("alaw", 9), at("alaw", 3))), Some([9, 3]));
        assert_eq!(places(&of(at("alaw", 9), at("opus", 3))), None);
    }

    #[test]
    fn a_change_tells_the_value_of_the_drift_it_leads_to() {
        let change = |key: Option<&str>, kind: ChangeKind, after: Option<Item>| Change {
            part: "/etc/a".parse().unwrap(),
            key: key.map(|key| ItemKey::of([key])),
            kind,
            before: None,
            after,
        };
        for (kind, now) in [(ChangeKind::Modified, Some(item("opus"))), (ChangeKind::Removed, None)]
        {
            let drift = value(&finding(Some("codec"), now.clone()), None);
            assert_eq!(value_after(&change(Some("codec"), kind, now)), Some(drift));
        }
        for (key, kind, after, why) in [
            (None, ChangeKind::Added, Some(item("there")), "it does not say all of it"),
            (None, ChangeKind::Modified, None, "one that sums up many does not say that it went"),
            (None, ChangeKind::Removed, None, "nor does one of a part that went"),
            (Some("codec"), ChangeKind::Moved, Some(item("alaw")), "the value is not what moved"),
        ] {
            assert_eq!(value_after(&change(key, kind, after)), None, "{why}");
        }
    }

    #[test]
    fn a_part_says_its_items_or_its_bytes_and_nothing_of_the_moment() {
        use driftline_protocol::canonical::scope_digest;
        use driftline_protocol::ids::{FingerprintDigest, KeyId};
        use driftline_protocol::item::Fingerprint;
        use driftline_protocol::snapshot::{Observed, Reading, Reason};

        let part = |content: Content, raw: u8, items: &[(ItemKey, &str)]| {
            Part::Observed(Observed {
                reading: Reading { parser: "ini".into(), version: 1, scope: scope_digest([""; 0]) },
                raw: Some(Fingerprint { key: KeyId([1; 8]), digest: FingerprintDigest([raw; 16]) }),
                size: None,
                content,
                items: items.iter().map(|(key, text)| (key.clone(), item(text))).collect(),
            })
        };
        let malformed = Content::Unread(Reason::Malformed);
        assert_ne!(says(&part(malformed, 1, &[])), says(&part(malformed, 2, &[])));
        assert_eq!(says(&part(malformed, 1, &[])), says(&part(malformed, 1, &[])));
        let key = || ItemKey::of(["codec"]);
        let read = |raw, text| says(&part(Content::Read, raw, &[(key(), text)]));
        assert_eq!(read(1, "opus"), read(2, "opus"), "a comment says nothing");
        assert_ne!(read(1, "opus"), read(1, "gsm"));
        let started = |when| (ItemKey::momentary(["started"]), when);
        for when in ["yesterday", "today"] {
            let now = part(Content::Read, 1, &[(key(), "opus"), started(when)]);
            assert_eq!(says(&now), read(1, "opus"), "when it started is of the moment");
            assert_eq!(Said::of(&now).items.len(), 1, "nor is it shown");
        }
        let said = Said::of(&part(malformed, 1, &[]));
        assert_eq!((said.unread, said.items.len(), said.more), (Some(Reason::Malformed), 0, 0));
        let wrong = (ItemKey::momentary([MALFORMED]), "line 3: no end");
        let said = Said::of(&part(malformed, 1, std::slice::from_ref(&wrong)));
        assert_eq!((said.wrong.as_deref(), said.items.len()), (Some(wrong.1), 0));
        let read_since = Said::of(&part(Content::Read, 1, &[wrong]));
        assert_eq!(read_since.wrong, None, "what was read is not wrong");
        let keys: Vec<String> = (0..SHOWN + 2).map(|number| format!("{number:03}")).collect();
        let items: Vec<(ItemKey, &str)> =
            keys.iter().map(|key| (ItemKey::of([key]), "opus")).collect();
        let said = Said::of(&part(Content::Read, 1, &items));
        assert_eq!((said.items.len(), said.left_out().as_str()), (SHOWN, "and 2 more items"));
        assert_eq!(said.items[0].key.as_str(), "000");
    }
}
