//! Whether one value meets what a rule wants. Pure.

use std::cmp::Ordering;

use driftline_protocol::item::ItemValue;

use super::Operator;
use super::units::{Unit, compare};
use crate::config::place::matches;

/// What a rule says of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it must be.
    Met,
    /// It is not.
    Broken,
    /// Nobody can tell: the value is hidden, or the expression cannot be evaluated over it.
    Unknown,
}

impl From<bool> for Verdict {
    fn from(met: bool) -> Self {
        if met { Self::Met } else { Self::Broken }
    }
}

/// How `value` stands to what is `wanted`.
///
/// A secret's fingerprint says nothing about the secret, so nobody can tell. A value that is no
/// number where a number is demanded does not meet the demand.
pub fn check(value: &ItemValue, operator: Operator, wanted: &[ItemValue], unit: Unit) -> Verdict {
    let elements = elements(value);
    if elements.iter().any(|element| is_hidden(element)) {
        return Verdict::Unknown;
    }
    let among = |element: &&ItemValue| wanted.iter().any(|one| same(element, one));
    let follows = |element: &&ItemValue| wanted.iter().any(|pattern| follows(element, pattern));
    let not_above = |most: &ItemValue, element: &&ItemValue| {
        matches!(compare(element, most, unit), Some(Ordering::Less | Ordering::Equal))
    };
    let not_below = |least: &ItemValue, element: &&ItemValue| {
        matches!(compare(element, least, unit), Some(Ordering::Greater | Ordering::Equal))
    };
    let (first, last) = (wanted.first(), wanted.last());
    let met = match operator {
        Operator::Is => elements.iter().all(among),
        Operator::IsNot => !elements.iter().any(among),
        Operator::Contains => wanted.iter().all(|one| elements.iter().any(|e| same(e, one))),
        Operator::AtLeast => {
            elements.iter().all(|e| first.is_some_and(|least| not_below(least, e)))
        }
        Operator::AtMost => elements.iter().all(|e| first.is_some_and(|most| not_above(most, e))),
        Operator::Within => elements.iter().all(|e| {
            first.is_some_and(|least| not_below(least, e))
                && last.is_some_and(|most| not_above(most, e))
        }),
        Operator::Matches => elements.iter().all(follows),
        Operator::MatchesNot => !elements.iter().any(follows),
    };
    Verdict::from(met)
}

/// A list or set by its elements, lines by line, anything else as itself.
fn elements(value: &ItemValue) -> Vec<&ItemValue> {
    match value {
        ItemValue::List(values) => values.iter().collect(),
        ItemValue::Set(values) => values.iter().collect(),
        ItemValue::Nothing
        | ItemValue::Flag(_)
        | ItemValue::Integer(_)
        | ItemValue::Text(_)
        | ItemValue::Fingerprint(_)
        | ItemValue::Lines(_) => vec![value],
    }
}

/// Whether a value, or some of its text, was replaced by a fingerprint.
pub(super) fn is_hidden(value: &ItemValue) -> bool {
    match value {
        ItemValue::Fingerprint(_) => true,
        ItemValue::Text(text) => text.contains("{secret:"),
        ItemValue::Lines(lines) => lines.iter().any(|line| line.contains("{secret:")),
        ItemValue::List(values) => values.iter().any(is_hidden),
        ItemValue::Set(values) => values.iter().any(is_hidden),
        ItemValue::Nothing | ItemValue::Flag(_) | ItemValue::Integer(_) => false,
    }
}

/// Whether two values mean the same to whoever wrote the rule: `22` is 22 and `yes` is true.
fn same(a: &ItemValue, b: &ItemValue) -> bool {
    a == b || plain(a).is_some_and(|a| plain(b).is_some_and(|b| a == b))
}

/// A scalar as one would write it.
pub(super) fn plain(value: &ItemValue) -> Option<String> {
    match value {
        ItemValue::Flag(true) => Some("yes".to_owned()),
        ItemValue::Flag(false) => Some("no".to_owned()),
        ItemValue::Integer(number) => Some(number.to_string()),
        ItemValue::Text(text) => Some(text.clone()),
        ItemValue::Nothing => Some(String::new()),
        ItemValue::Fingerprint(_)
        | ItemValue::List(_)
        | ItemValue::Set(_)
        | ItemValue::Lines(_) => None,
    }
}

fn follows(element: &ItemValue, pattern: &ItemValue) -> bool {
    let ItemValue::Text(pattern) = pattern else { return same(element, pattern) };
    if let ItemValue::Lines(lines) = element {
        return lines.iter().any(|line| matches(pattern, line));
    }
    plain(element).is_some_and(|text| matches(pattern, &text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftline_protocol::ids::{FingerprintDigest, KeyId};
    use driftline_protocol::item::Fingerprint;

    fn text(text: &str) -> ItemValue {
        ItemValue::text(text)
    }

    fn set(words: &[&str]) -> ItemValue {
        ItemValue::Set(words.iter().map(|word| text(word)).collect())
    }

    #[test]
    fn a_value_meets_what_is_wanted_or_does_not() {
        use Operator::{AtLeast, AtMost, Contains, Is, IsNot, Matches, MatchesNot, Within};
        use Verdict::{Broken, Met};
        let number = ItemValue::Integer;
        for (value, operator, wanted, expect) in [
            (ItemValue::Flag(false), Is, vec![text("no")], Met),
            (text("prohibit-password"), Is, vec![text("no"), text("prohibit-password")], Met),
            (set(&["a", "b"]), Is, vec![text("a")], Broken),
            (set(&["a", "b"]), IsNot, vec![text("c")], Met),
            (set(&["a", "b"]), IsNot, vec![text("b")], Broken),
            (set(&["a", "b"]), Contains, vec![text("b")], Met),
            (set(&["a"]), Contains, vec![text("a"), text("b")], Broken),
            (number(4), AtMost, vec![number(4)], Met),
            (number(5), AtMost, vec![number(4)], Broken),
            (text("none"), AtMost, vec![number(4)], Broken),
            (number(0), Within, vec![number(1), number(60)], Broken),
            (number(60), Within, vec![number(1), number(60)], Met),
            (number(3), AtLeast, vec![number(4)], Broken),
            (set(&["aes128-cbc", "x"]), MatchesNot, vec![text("*-cbc")], Broken),
            (set(&["aes128-ctr"]), MatchesNot, vec![text("*-cbc")], Met),
            (text("/usr/sbin/nologin"), Matches, vec![text("*/nologin")], Met),
        ] {
            assert_eq!(check(&value, operator, &wanted, Unit::Count), expect, "{value:?}");
        }
    }

    #[test]
    fn nobody_can_tell_what_a_secret_is() {
        let secret = Fingerprint { key: KeyId([1; 8]), digest: FingerprintDigest([2; 16]) };
        for value in [ItemValue::Fingerprint(secret), text(&format!("user:{secret}@host"))] {
            for operator in [Operator::Is, Operator::IsNot, Operator::MatchesNot] {
                let verdict = check(&value, operator, &[text("x")], Unit::Count);
                assert_eq!(verdict, Verdict::Unknown, "{value:?} {operator:?}");
            }
        }
    }
}
