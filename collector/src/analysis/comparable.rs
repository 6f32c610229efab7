//! Whether two values differ, or only the keys of the fingerprints in them. Pure.
//!
//! A fingerprint stands for a value we must not hold. Under one key, different fingerprints are
//! different values; under different keys nothing can be said, and *seeing differently is not
//! change*. Fingerprints are values of their own or markers `{secret:KEY:DIGEST}` inside text.

use std::collections::BTreeSet;

use driftline_protocol::ids::{FingerprintDigest, KeyId};
use driftline_protocol::item::{Fingerprint, ItemValue};

/// How two values stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// They are the same.
    Same,
    /// They differ only in fingerprints under different keys, so nobody can tell.
    Incomparable,
    /// They differ.
    Different,
}

/// How `after` stands to `before`.
pub fn relation(before: &ItemValue, after: &ItemValue) -> Relation {
    if before == after {
        return Relation::Same;
    }
    match (before, after) {
        (ItemValue::Fingerprint(before), ItemValue::Fingerprint(after)) => {
            fingerprints(*before, *after)
        }
        (ItemValue::Text(before), ItemValue::Text(after)) => texts(before, after),
        (ItemValue::List(before), ItemValue::List(after)) => in_order(before, after, relation),
        (ItemValue::Lines(before), ItemValue::Lines(after)) => {
            in_order(before, after, |b, a| texts(b, a))
        }
        (ItemValue::Set(before), ItemValue::Set(after)) => sets(before, after),
        _ => Relation::Different,
    }
}

/// How two fingerprints stand to each other.
pub fn fingerprints(before: Fingerprint, after: Fingerprint) -> Relation {
    if before.key != after.key {
        Relation::Incomparable
    } else if before.digest == after.digest {
        Relation::Same
    } else {
        Relation::Different
    }
}

fn in_order<T>(before: &[T], after: &[T], compare: fn(&T, &T) -> Relation) -> Relation {
    if before.len() != after.len() {
        return Relation::Different;
    }
    let relations = before.iter().zip(after).map(|(before, after)| compare(before, after));
    relations.max().unwrap_or(Relation::Same)
}

fn texts(before: &str, after: &str) -> Relation {
    if before == after {
        return Relation::Same;
    }
    let (before, after) = (pieces(before), pieces(after));
    if before.len() != after.len() {
        return Relation::Different;
    }
    let relations = before.iter().zip(&after).map(|pair| match pair {
        (Piece::Plain(before), Piece::Plain(after)) if before == after => Relation::Same,
        (Piece::Marker(before), Piece::Marker(after)) => fingerprints(*before, *after),
        _ => Relation::Different,
    });
    relations.max().unwrap_or(Relation::Same)
}

/// Values on both sides say nothing. The rest is incomparable when it is alike but for its
/// fingerprints and no key is on both sides; which element became which cannot be told.
fn sets(before: &BTreeSet<ItemValue>, after: &BTreeSet<ItemValue>) -> Relation {
    let (mut keys_before, mut keys_after) = (BTreeSet::new(), BTreeSet::new());
    let mask_all = |only: Vec<&ItemValue>, keys: &mut BTreeSet<KeyId>| {
        let mut masks: Vec<ItemValue> = only.into_iter().map(|value| mask(value, keys)).collect();
        masks.sort();
        masks
    };
    let before_only = mask_all(before.difference(after).collect(), &mut keys_before);
    let after_only = mask_all(after.difference(before).collect(), &mut keys_after);
    if before_only == after_only && keys_before.is_disjoint(&keys_after) {
        Relation::Incomparable
    } else {
        Relation::Different
    }
}

const BLANK: Fingerprint = Fingerprint { key: KeyId([0; 8]), digest: FingerprintDigest([0; 16]) };

/// `value` with every fingerprint blanked and its key noted.
fn mask(value: &ItemValue, keys: &mut BTreeSet<KeyId>) -> ItemValue {
    match value {
        ItemValue::Nothing | ItemValue::Flag(_) | ItemValue::Integer(_) => value.clone(),
        ItemValue::Fingerprint(fingerprint) => {
            keys.insert(fingerprint.key);
            ItemValue::Fingerprint(BLANK)
        }
        ItemValue::Text(text) => ItemValue::Text(mask_text(text, keys)),
        ItemValue::Lines(lines) => {
            ItemValue::Lines(lines.iter().map(|line| mask_text(line, keys)).collect())
        }
        ItemValue::List(values) => {
            ItemValue::List(values.iter().map(|value| mask(value, keys)).collect())
        }
        ItemValue::Set(values) => {
            // A list on purpose: blanked values may be equal, and their number matters.
            let mut values: Vec<_> = values.iter().map(|value| mask(value, keys)).collect();
            values.sort();
            ItemValue::List(values)
        }
    }
}

fn mask_text(text: &str, keys: &mut BTreeSet<KeyId>) -> String {
    let mut masked = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Plain(plain) => masked.push_str(plain),
            Piece::Marker(fingerprint) => {
                keys.insert(fingerprint.key);
                masked.push_str(&BLANK.to_string());
            }
        }
    }
    masked
}

#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Plain(&'a str),
    Marker(Fingerprint),
}

const OPENING: &str = "{secret:";

/// `text` cut at its markers; what only looks like one stays plain.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut plain_from, mut search_from) = (0, 0);
    while let Some(found) = text.get(search_from..).and_then(|rest| rest.find(OPENING)) {
        let start = search_from + found;
        search_from = start + OPENING.len();
        let Some((marker, length)) = text.get(search_from..).and_then(marker) else { continue };
        if let Some(plain) = text.get(plain_from..start).filter(|plain| !plain.is_empty()) {
            pieces.push(Piece::Plain(plain));
        }
        pieces.push(Piece::Marker(marker));
        search_from += length;
        plain_from = search_from;
    }
    pieces.extend(text.get(plain_from..).filter(|rest| !rest.is_empty()).map(Piece::Plain));
    pieces
}

/// The fingerprint at the beginning of `inside`, which follows the opening, and how many bytes it
/// takes.
fn marker(inside: &str) -> Option<(Fingerprint, usize)> {
    // Longest form: 16 digits, ':', 32 digits, '}'. The search never reads further.
    let body = inside.get(..50)?.strip_suffix('}')?;
    let (key, digest) = body.split_once(':')?;
    Some((Fingerprint { key: key.parse().ok()?, digest: digest.parse().ok()? }, 50))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(key: u8, digest: u8) -> Fingerprint {
        Fingerprint { key: KeyId([key; 8]), digest: FingerprintDigest([digest; 16]) }
    }

    fn url(key: u8, digest: u8) -> String {
        format!("ldap://cn=app:{}@dc1", fingerprint(key, digest))
    }

    fn check(before: ItemValue, after: ItemValue, expected: Relation) {
        assert_eq!(relation(&before, &after), expected, "{before:?} then {after:?}");
        assert_eq!(relation(&after, &before), expected, "{after:?} then {before:?}");
    }

    #[test]
    fn fingerprints_are_compared_only_under_one_key() {
        use Relation::{Different, Incomparable, Same};
        let secret = |key, digest| ItemValue::Fingerprint(fingerprint(key, digest));
        let text = |key, digest| ItemValue::Text(url(key, digest));
        let lines = |key, last: &str| ItemValue::Lines(vec![url(key, 1), last.to_owned()]);
        check(secret(1, 1), secret(1, 1), Same);
        check(secret(1, 1), secret(1, 2), Different);
        check(secret(1, 1), secret(2, 2), Incomparable);
        check(text(1, 1), text(1, 2), Different);
        check(text(1, 1), text(2, 2), Incomparable);
        check(text(1, 1), ItemValue::text("ldap://cn=app@dc1"), Different);
        check(lines(1, "x"), lines(2, "x"), Incomparable);
        check(lines(1, "x"), lines(2, "y"), Different);
        check(secret(1, 1), ItemValue::Flag(true), Different);
    }

    #[test]
    fn members_of_a_set_are_not_paired_by_their_fingerprints() {
        use Relation::{Different, Incomparable};
        let set = |members: &[(u8, u8)], extra: &[i64]| {
            let secrets = members.iter().map(|(k, d)| ItemValue::Fingerprint(fingerprint(*k, *d)));
            let extra = extra.iter().map(|number| ItemValue::Integer(*number));
            ItemValue::Set(secrets.chain(extra).collect())
        };
        check(set(&[(1, 1), (1, 2)], &[7]), set(&[(2, 9), (2, 3)], &[7]), Incomparable);
        check(set(&[(1, 1), (1, 2)], &[]), set(&[(2, 9)], &[]), Different);
        check(set(&[(1, 1)], &[7]), set(&[(2, 1)], &[8]), Different);
        check(set(&[(1, 1), (2, 1)], &[]), set(&[(1, 2), (3, 1)], &[]), Different);
    }

    #[test]
    fn what_only_looks_like_a_marker_is_plain_text() {
        for text in ["{secret:", "{secret:zz:yy}", "{secret:{secret:", "ä{secret:ä"] {
            assert_eq!(pieces(text), [Piece::Plain(text)]);
        }
        let marker = fingerprint(1, 2).to_string();
        assert_eq!(pieces(&marker), [Piece::Marker(fingerprint(1, 2))]);
    }
}
