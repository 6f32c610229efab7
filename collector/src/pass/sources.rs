//! Which sources of cases count, and which of them everything waits for. Pure.
//!
//! A source counts from its first whole reading on. Until then nobody knows what the cases that
//! came of it are a part of: held against changes, a part shows rises that are none. So they are
//! unobserved, all of them, and nothing waits for the rest: what one desk never managed to send
//! must not keep all others from being heard. From then on everything waits for it, since what it
//! has not told yet is not zero cases, until it was silent for `DORMANT`, or as long ago read
//! whole, or the configuration says that it ended.

#![deny(clippy::disallowed_methods, reason = "the same feeds and moment give the same watermark")]

use std::collections::BTreeSet;

use driftline_protocol::mutant::{self, Mutant};
use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::store::FeedRecord;

/// A source silent for longer is left out of the watermark, and so is one that speaks and was not
/// read whole for longer: one refused row in each of its exports would hold all others for ever.
const DORMANT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// So far behind is a source whose export comes once a day, with two hours to spare: one that is
/// further behind is told.
const BEHIND: SignedDuration = SignedDuration::from_hours(26);

/// The sources whose cases count, by name.
pub fn counted(feeds: &[FeedRecord]) -> BTreeSet<String> {
    let whole =
        |feed: &&FeedRecord| feed.last_good.is_some() || mutant::active(Mutant::PartialReadIsWhole);
    feeds.iter().filter(whole).map(|feed| feed.source.clone()).collect()
}

/// The sources that everything waits for, with up to when each told all it had.
pub fn waited_for<'f>(
    feeds: &'f [FeedRecord],
    config: &Config,
    now: Timestamp,
) -> Vec<(&'f FeedRecord, Timestamp)> {
    let awake = feeds.iter().filter(|feed| is_awake(feed, config, now));
    let whole = awake.filter_map(|feed| Some((feed, feed.last_good?)));
    whole.filter(|(_, good)| now.duration_since(*good) <= DORMANT).collect()
}

/// The source that holds the watermark, the one furthest behind, and up to when it told all.
pub fn holder<'f>(
    feeds: &'f [FeedRecord],
    config: &Config,
    now: Timestamp,
) -> Option<(&'f FeedRecord, Timestamp)> {
    waited_for(feeds, config, now).into_iter().min_by_key(|(_, good)| *good)
}

/// What holds the watermark where that is long ago: further behind than an export once a day.
pub fn held<'f>(
    feeds: &'f [FeedRecord],
    config: &Config,
    now: Timestamp,
) -> Option<(&'f FeedRecord, Timestamp)> {
    holder(feeds, config, now).filter(|(_, good)| now.duration_since(*good) > BEHIND)
}

/// Why nothing is held against changes while there was no pass yet.
pub fn waiting(feeds: &[FeedRecord]) -> String {
    let read = feeds.iter().any(|feed| feed.last_good.is_some());
    match (feeds.first(), read) {
        (None, _) => "No source of cases is known yet, so nothing is held against changes. A \
                      [[case_source]] folder or POST /api/v1/cases brings them."
            .to_owned(),
        (Some(feed), false) => format!(
            "The source {} has never been read to its end, so nothing is held against changes yet.",
            feed.source
        ),
        (Some(_), true) => "The first comparison with changes comes within a minute.".to_owned(),
    }
}

/// The sources that speak and were never read to their end, so that their cases do not count.
pub fn unread<'f>(feeds: &'f [FeedRecord], config: &Config, now: Timestamp) -> Vec<&'f FeedRecord> {
    let unread = |feed: &&FeedRecord| feed.last_good.is_none() && is_awake(feed, config, now);
    feeds.iter().filter(unread).collect()
}

fn is_awake(feed: &FeedRecord, config: &Config, now: Timestamp) -> bool {
    let ended = config.case_sources.iter().any(|source| source.name == feed.source && source.ended);
    !ended && now.duration_since(feed.last_read) <= DORMANT
}

/// The hour before which nearly all cases are known at `now`: every source that everything waits
/// for was read to its end after it, by the time its cases usually take. `None` when there is no
/// such source.
pub fn watermark(
    feeds: &[FeedRecord],
    config: &Config,
    (delay, now): (SignedDuration, Timestamp),
) -> Option<Timestamp> {
    let through = if mutant::active(Mutant::PartialReadIsWhole) {
        feeds.first().map(|_| now)
    } else {
        holder(feeds, config, now).map(|(_, good)| good.min(now))
    };
    if mutant::active(Mutant::UnreadSourcesHoldAll) && !unread(feeds, config, now).is_empty() {
        return None;
    }
    let mark = through?.checked_sub(delay).ok()?.as_second();
    Timestamp::from_second(mark - mark.rem_euclid(3_600)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;

    const HOUR: i64 = 3_600;
    const DAY: i64 = 24 * HOUR;
    const NOW: i64 = 60 * DAY;

    fn feed(name: &str, good: Option<i64>, read: i64) -> FeedRecord {
        let at = |second| Timestamp::from_second(second).unwrap();
        FeedRecord {
            source: name.into(),
            first_good: good.map(at),
            last_good: good.map(at),
            last_read: at(read),
            rows: 1,
            refused: 0,
            problem: String::new(),
            words_beyond: 0,
        }
    }

    fn check(feeds: &[FeedRecord], expect: Option<i64>) {
        let config = parse("t", "[[case_source]]\nname = 'old'\nended = true").unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let found = watermark(feeds, &config, (SignedDuration::from_secs(HOUR), at(NOW)));
        assert_eq!(found, expect.map(at), "{feeds:?}");
    }

    #[test]
    fn the_watermark_stays_behind_what_was_read_to_its_end() {
        check(&[], None);
        check(&[feed("a", Some(NOW), NOW)], Some(NOW - HOUR));
        let behind = feed("b", Some(NOW - 5 * HOUR - 7), NOW);
        check(&[feed("a", Some(NOW), NOW), behind], Some(NOW - 7 * HOUR));
        let silent = feed("b", Some(NOW - 29 * DAY), NOW - 29 * DAY);
        check(&[feed("a", Some(NOW), NOW), silent], Some(NOW - 29 * DAY - HOUR));
        let partial = feed("b", Some(NOW - 30 * DAY), NOW);
        check(&[feed("a", Some(NOW), NOW), partial], Some(NOW - 30 * DAY - HOUR));
    }

    #[test]
    fn nothing_waits_for_a_source_never_read_or_ended_or_long_silent() {
        let good = feed("a", Some(NOW), NOW);
        for other in [
            feed("b", None, NOW),
            feed("b", Some(NOW - 31 * DAY), NOW - 31 * DAY),
            feed("b", Some(NOW - 31 * DAY), NOW),
            feed("old", Some(NOW - 5 * DAY), NOW - 5 * DAY),
        ] {
            check(&[good.clone(), other.clone()], Some(NOW - HOUR));
            check(&[other], None);
        }
        let feeds = [good, feed("b", None, NOW)];
        assert_eq!(counted(&feeds), BTreeSet::from(["a".to_owned()]));
    }
}
