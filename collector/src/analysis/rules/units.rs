//! Numbers as rules mean them: counts, times, sizes, modes and package versions. Pure.

use std::borrow::Cow;
use std::cmp::Ordering;

use driftline_protocol::item::ItemValue;
use jiff::Timestamp;
use serde::Deserialize;

/// The seconds of a day that is left; leap seconds and local midnights do not matter here.
const DAY: i64 = 86_400;

/// What the numbers of a rule count; a closed list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Whole numbers of anything.
    #[default]
    Count,
    /// Days, as whole numbers.
    Days,
    /// Whole days from now to the moment the value names, below zero once it is over: RFC 3339, or
    /// seconds since 1970 as a number.
    DaysLeft,
    /// Seconds; text such as `1h30m` or `15min` is read as systemd.time(7) has it.
    Seconds,
    /// Bytes; text such as `64M` counts in powers of 1,024.
    Bytes,
    /// Permission bits, written in octal digits as text.
    Mode,
    /// A Debian package version, ordered as deb-version(7) has it.
    Version,
}

impl Unit {
    /// Whether what holds now may not hold tomorrow, though no host changes.
    pub fn is_of_the_clock(self) -> bool {
        self == Self::DaysLeft
    }
}

/// What of `value` is compared at `now`: the days that are left of a moment, else the value itself.
/// `None` where a moment is demanded and none is named.
pub fn at(value: &ItemValue, unit: Unit, now: Timestamp) -> Option<Cow<'_, ItemValue>> {
    if !unit.is_of_the_clock() {
        return Some(Cow::Borrowed(value));
    }
    let end = if let ItemValue::Integer(second) = value {
        *second
    } else {
        value.as_text()?.trim().parse::<Timestamp>().ok()?.as_second()
    };
    let left = end.saturating_sub(now.as_second());
    Some(Cow::Owned(ItemValue::Integer(left.div_euclid(DAY))))
}

/// How `a` stands to `b`; `None` where one of them is no number of this unit, or, of two modes,
/// where each has a bit the other lacks.
pub fn compare(a: &ItemValue, b: &ItemValue, unit: Unit) -> Option<Ordering> {
    match unit {
        Unit::Version => Some(versions(a.as_text()?, b.as_text()?)),
        Unit::Mode => modes(mode(a)?, mode(b)?),
        Unit::Count | Unit::Days | Unit::DaysLeft => Some(count(a)?.cmp(&count(b)?)),
        Unit::Seconds => Some(scaled(a, seconds)?.cmp(&scaled(b, seconds)?)),
        Unit::Bytes => Some(scaled(a, bytes)?.cmp(&scaled(b, bytes)?)),
    }
}

fn count(value: &ItemValue) -> Option<i64> {
    if let ItemValue::Integer(number) = value {
        return Some(*number);
    }
    value.as_text()?.trim().parse().ok()
}

fn scaled(value: &ItemValue, read: fn(&str) -> Option<i64>) -> Option<i64> {
    count(value).or_else(|| read(value.as_text()?))
}

fn mode(value: &ItemValue) -> Option<u32> {
    u32::from_str_radix(value.as_text()?, 8).ok()
}

/// Modes are sets of bits: one is at most the other when it has no bit beyond it.
fn modes(a: u32, b: u32) -> Option<Ordering> {
    match (a & !b, b & !a) {
        (0, 0) => Some(Ordering::Equal),
        (0, _) => Some(Ordering::Less),
        (_, 0) => Some(Ordering::Greater),
        _ => None,
    }
}

/// Seconds of a time such as `1h 30m`.
fn seconds(text: &str) -> Option<i64> {
    sum(text, |unit| match unit {
        "" | "s" | "sec" | "second" | "seconds" => Some(1),
        "m" | "min" | "minute" | "minutes" => Some(60),
        "h" | "hr" | "hour" | "hours" => Some(3_600),
        "d" | "day" | "days" => Some(86_400),
        "w" | "week" | "weeks" => Some(604_800),
        _ => None,
    })
}

/// Bytes of a size such as `64M`.
fn bytes(text: &str) -> Option<i64> {
    sum(text, |unit| match unit.trim_end_matches("iB").trim_end_matches('B') {
        "" => Some(1),
        "K" | "k" => Some(1 << 10),
        "M" | "m" => Some(1 << 20),
        "G" | "g" => Some(1 << 30),
        "T" | "t" => Some(1 << 40),
        _ => None,
    })
}

/// The sum of numbers, each with its unit behind it.
fn sum(text: &str, scale: impl Fn(&str) -> Option<i64>) -> Option<i64> {
    let mut rest = text.trim();
    let mut total: i64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, behind) = rest.split_at_checked(digits)?;
        let behind = behind.trim_start();
        let word = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at_checked(word)?;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(scale(unit)?)?)?;
        rest = next.trim_start();
    }
    Some(total)
}

/// How two Debian package versions stand to each other: `[epoch:]upstream[-revision]`,
/// deb-version(7).
pub fn versions(a: &str, b: &str) -> Ordering {
    let (epoch_a, upstream_a, revision_a) = version(a);
    let (epoch_b, upstream_b, revision_b) = version(b);
    epoch_a
        .cmp(&epoch_b)
        .then_with(|| fragments(upstream_a, upstream_b))
        .then_with(|| fragments(revision_a, revision_b))
}

fn version(text: &str) -> (u64, &str, &str) {
    let (epoch, rest) = match text.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, text),
    };
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    (epoch, upstream, revision)
}

/// Letters before other signs, `~` before everything, even before the end; numbers by value.
fn fragments(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (word_a, rest_a) = cut(a, |c| !c.is_ascii_digit());
        let (word_b, rest_b) = cut(b, |c| !c.is_ascii_digit());
        let words = signs(word_a, word_b);
        if words != Ordering::Equal {
            return words;
        }
        let (number_a, next_a) = cut(rest_a, |c| c.is_ascii_digit());
        let (number_b, next_b) = cut(rest_b, |c| c.is_ascii_digit());
        let numbers = digits(number_a).cmp(&digits(number_b));
        if numbers != Ordering::Equal {
            return numbers;
        }
        (a, b) = (next_a, next_b);
    }
    Ordering::Equal
}

fn cut(text: &str, belongs: fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A number of any length, comparable: its length without leading zeros, then its digits.
fn digits(text: &str) -> (usize, &str) {
    let text = text.trim_start_matches('0');
    (text.len(), text)
}

fn signs(a: &str, b: &str) -> Ordering {
    let place = |c: Option<char>| match c {
        Some('~') => -1,
        None => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i64::from(u32::from(letter)),
        Some(other) => i64::from(u32::from(other)) + 1_000,
    };
    let (mut a, mut b) = (a.chars(), b.chars());
    loop {
        let (x, y) = (a.next(), b.next());
        if x.is_none() && y.is_none() {
            return Ordering::Equal;
        }
        let order = place(x).cmp(&place(y));
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pairs as dpkg --compare-versions orders them.
    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        let ascending = [
            ("1.0~rc1-1", "1.0-1"),
            ("1.0-1", "1.0-1+deb12u1"),
            ("1:9.2p1-2+deb12u2", "1:9.2p1-2+deb12u10"),
            ("9.9", "1:0.1"),
            ("5.4.1-0.2", "5.6.1+really5.4.5-1"),
            ("1.9.13p3-1+deb12u1", "1.9.13p3-3"),
            ("3.0.9-1", "3.0.11-1~deb12u2"),
            ("2.36-9+deb12u9", "2.36-9+deb12u10"),
            ("1.0a", "1.0+1"),
            ("00001", "2"),
        ];
        for (less, more) in ascending {
            assert_eq!(versions(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(versions(more, less), Ordering::Greater, "{more} {less}");
        }
        for (a, b) in [("1.0-0", "1.0"), ("0:1", "1"), ("1.001", "1.1")] {
            assert_eq!(versions(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn versions_are_one_order(a in "[0-9a-z.~+-]{0,8}", b in "[0-9a-z.~+-]{0,8}",
                                  c in "[0-9a-z.~+-]{0,8}") {
            prop_assert_eq!(versions(&a, &b), versions(&b, &a).reverse());
            if versions(&a, &b) != Ordering::Greater && versions(&b, &c) != Ordering::Greater {
                prop_assert_ne!(versions(&a, &c), Ordering::Greater);
            }
        }
    }

    #[test]
    fn numbers_are_read_in_their_unit() {
        let text = |text: &str| ItemValue::text(text);
        let number = ItemValue::Integer;
        for (a, b, unit, expect) in [
            (text("1h30m"), number(5_400), Unit::Seconds, Some(Ordering::Equal)),
            (text("15min"), text("900"), Unit::Seconds, Some(Ordering::Equal)),
            (text("64M"), number(64 << 20), Unit::Bytes, Some(Ordering::Equal)),
            (text("none"), number(1), Unit::Seconds, None),
            (text("10"), number(9), Unit::Count, Some(Ordering::Greater)),
            (text("0600"), text("0640"), Unit::Mode, Some(Ordering::Less)),
            (text("0604"), text("0640"), Unit::Mode, None),
            (text("0777"), text("0755"), Unit::Mode, Some(Ordering::Greater)),
            (number(600), text("0640"), Unit::Mode, None),
            (ItemValue::Flag(true), number(1), Unit::Count, None),
        ] {
            assert_eq!(compare(&a, &b, unit), expect, "{a:?} {b:?} {unit:?}");
        }
    }

    #[test]
    fn days_are_left_until_the_moment_itself() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        for (end, left) in [
            ("2026-12-06T12:00:00Z", Some(7)),
            ("2026-12-06T11:59:59Z", Some(6)),
            ("2026-11-29T12:00:00Z", Some(0)),
            ("2026-11-29T11:59:59Z", Some(-1)),
            ("2026-11-30T13:00:00+01:00", Some(1)),
            ("99991231235959Z", None),
            ("soon", None),
        ] {
            let value = ItemValue::text(end);
            let told = at(&value, Unit::DaysLeft, now).map(Cow::into_owned);
            assert_eq!(told, left.map(ItemValue::Integer), "{end}");
            assert_eq!(at(&value, Unit::Days, now).map(Cow::into_owned), Some(value));
        }
        let never = ItemValue::Integer(i64::MAX);
        assert!(at(&never, Unit::DaysLeft, now).is_some(), "what never ends is far away");
        let second = ItemValue::Integer(now.as_second() + 3 * DAY);
        let told = at(&second, Unit::DaysLeft, now).map(Cow::into_owned);
        assert_eq!(told, Some(ItemValue::Integer(3)));
    }
}
