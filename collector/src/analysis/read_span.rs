//! From when to when the rows of a source say anything. Pure.
//!
//! A file is taken as read from its first row to its last. One old case that was only updated
//! lately, or a year that was mistyped, would make years without a row count as read, and *no row*
//! would be told as *no case*. So a few rows at an end that lie behind a gap which the other rows
//! make implausible, and which is longer than all that those span, are stragglers: what lies
//! between is not covered, and they are counted and told, never dropped in silence. Gaps inside and
//! blocks of some size stay as they are: those a person knows of. So do a summer without school, a
//! closure, a pilot that went before, and a quiet service beside a busy one: the rows behind them
//! are not few in years.

use driftline_protocol::mutant::{self, Mutant};

use super::cases::{Case, Stream};

const DAY: i64 = 86_400;
/// The shortest gap: four weeks, where the other rows span less.
const SHORTEST: i64 = 28 * DAY;
/// So many days with a row a gap must be short of, at the rate of the middle. Days, because a storm
/// of rows says nothing of how often any come. Were their variance twice that of chance, none would
/// come less than once in a million such stretches: `exp(-mean * ln 2)`.
const MISSED: f64 = 20.0;
/// How many times the longest gap inside a gap at an end is: a source that is silent for weeks now
/// and then was silent there, too.
const LONGER: i64 = 2;
/// At most one day with rows in so many has stragglers, at each end.
const DAYS_ONE_IN: usize = 10;
/// At most one row in so many is a straggler, at each end.
const ROWS_ONE_IN: usize = 20;

/// The rows that are taken as read without a gap, and how many lie apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadSpan {
    /// The moment of the first, in seconds since 1970.
    pub first: i64,
    /// The moment of the last.
    pub last: i64,
    /// How many lie far before, and the moment of the first of them.
    pub before: Option<(u64, i64)>,
    /// How many lie far after, and the moment of the last of them.
    pub after: Option<(u64, i64)>,
}

/// Whether the end of what was read is where the rows end, or somebody said where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the last row that is no straggler.
    OfRows,
    /// Somebody said up to when was read, so that what lies between the last rows was read.
    Said,
}

impl ReadSpan {
    /// Of the cases of `stream` that are known at `until`, which is then what was read up to.
    pub fn of_stream(stream: &Stream, until: Option<i64>) -> Option<Self> {
        let known = |case: &&Case| until.is_none_or(|until| case.is_known(until));
        let moments = stream.cases.iter().filter(known).map(|case| case.opened_at);
        let end = if until.is_some() { End::Said } else { End::OfRows };
        Self::of(&moments.collect::<Vec<_>>(), end)
    }

    /// Of moments in order; `None` where there are none.
    pub fn of(moments: &[i64], end: End) -> Option<Self> {
        let (first, last) = (*moments.first()?, *moments.last()?);
        let mut span = Self { first, last, before: None, after: None };
        if mutant::active(Mutant::StragglersStretchTheReading) {
            return Some(span);
        }
        let days = Days::of(moments);
        let (few, rows) = (days.starts.len() / DAYS_ONE_IN, moments.len() / ROWS_ONE_IN);
        let Some(shortest) = days.shortest_gap(few) else { return Some(span) };
        // The innermost gap at each end that has few rows outside: what lies outside it is no
        // better than what lies at it, and a block behind a gap does not shield a slip behind it.
        let start = |day: usize| days.start(day).filter(|_| days.gap(day) >= shortest);
        let before = (1..=few).rev().find_map(|day| start(day).filter(|row| *row <= rows));
        if let Some(start) = before {
            span.first = *moments.get(start)?;
            span.before = Some((start as u64, first));
        }
        let is_few = |row: &usize| moments.len() - row <= rows;
        let mut outer = (days.starts.len() - few..).take(few);
        let after = outer.find_map(|day| start(day).filter(is_few));
        if let Some(start) = after.filter(|_| end == End::OfRows) {
            span.last = *moments.get(start - 1)?;
            span.after = Some(((moments.len() - start) as u64, last));
        }
        Some(span)
    }

    /// Whether the row of this moment is none of those that lie apart.
    pub fn holds(&self, at: i64) -> bool {
        let apart =
            (self.before.is_some() && at < self.first) || (self.after.is_some() && at > self.last);
        !apart
    }
}

/// Moments by the days that have any.
struct Days<'a> {
    moments: &'a [i64],
    /// The place of the first moment of each day.
    starts: Vec<usize>,
}

impl<'a> Days<'a> {
    fn of(moments: &'a [i64]) -> Self {
        let (mut starts, mut day) = (Vec::new(), i64::MIN);
        for (place, at) in moments.iter().enumerate() {
            let this = at.div_euclid(DAY);
            if this != day {
                starts.push(place);
                day = this;
            }
        }
        Self { moments, starts }
    }

    fn start(&self, day: usize) -> Option<usize> {
        self.starts.get(day).copied()
    }

    /// From the last row before a day to its first.
    fn gap(&self, day: usize) -> i64 {
        let gap = || {
            let start = self.start(day)?;
            Some(self.moments.get(start)? - self.moments.get(start.checked_sub(1)?)?)
        };
        gap().unwrap_or(0)
    }

    /// The gap from which on the days but for `few` at each end make it implausible, at least as
    /// long as all those; `None` where there are too few to say.
    fn shortest_gap(&self, few: usize) -> Option<i64> {
        let end = self.starts.len() - few;
        if few == 0 {
            return None;
        }
        let inside = (few + 1..end).map(|day| self.gap(day)).max().unwrap_or(0);
        let moment = |day: usize| self.moments.get(self.start(day)?);
        let length = (moment(end - 1)? - moment(few)?).max(SHORTEST);
        let missed = (MISSED * length as f64 / (end - few) as f64).ceil() as i64;
        Some(length.max(LONGER * inside).max(missed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::stats::random::Random;

    /// So many rows at random moments of so many days, in order.
    fn rows(count: usize, days: i64, seed: usize) -> Vec<i64> {
        let mut random = Random::seeded(&["rows", &seed.to_string()]);
        let mut rows: Vec<i64> =
            (0..count).map(|_| random.below((days * DAY) as usize) as i64).collect();
        rows.sort_unstable();
        rows
    }

    fn with(mut rows: Vec<i64>, more: &[i64]) -> Vec<i64> {
        rows.extend(more);
        rows.sort_unstable();
        rows
    }

    fn apart(moments: &[i64], end: End) -> (u64, u64) {
        let span = ReadSpan::of(moments, end).unwrap();
        let held = moments.iter().filter(|at| span.holds(**at)).count() as u64;
        let (before, after) = (span.before.map_or(0, |b| b.0), span.after.map_or(0, |a| a.0));
        assert_eq!(held + before + after, moments.len() as u64, "a row is nowhere");
        (before, after)
    }

    #[test]
    fn ordinary_rows_are_all_read() {
        for (count, days) in [(1, 1), (2, 400), (30, 700), (60, 60), (500, 70), (5_000, 365)] {
            for seed in 0..200 {
                let moments = rows(count, days, seed);
                assert_eq!(apart(&moments, End::OfRows), (0, 0), "{count} in {days}, {seed}");
            }
        }
        // A closure of three weeks right after the start, and a storm beside a quiet year.
        let closed = with(rows(2_000, 70, 0), &[-21 * DAY, -21 * DAY - 60]);
        assert_eq!(apart(&closed, End::OfRows), (0, 0));
        let storm = with(rows(40, 365, 0), &[200 * DAY; 500]);
        assert_eq!(apart(&storm, End::OfRows), (0, 0));
        assert_eq!(ReadSpan::of(&[], End::OfRows), None);
    }

    #[test]
    fn a_few_rows_years_away_are_stragglers_and_are_counted() {
        let far = [-900 * DAY, -400 * DAY, -399 * DAY];
        let bulk = rows(600, 70, 1);
        let (first, last) = (bulk[0], bulk[599]);
        let moments = with(bulk.clone(), &[far[0], far[1], far[2], 60_000 * DAY]);
        assert_eq!(apart(&moments, End::OfRows), (3, 1));
        let span = ReadSpan::of(&moments, End::OfRows).unwrap();
        assert_eq!((span.first, span.last), (first, last));
        assert_eq!((span.before, span.after), (Some((3, far[0])), Some((1, 60_000 * DAY))));
        assert_eq!(apart(&moments, End::Said), (3, 0), "who says an end has read up to it");
        // A tenth of all rows is a past of its own, not a slip.
        let block: Vec<i64> = rows(60, 5, 2).iter().map(|at| at - 900 * DAY).collect();
        assert_eq!(apart(&with(bulk, &block), End::OfRows), (0, 0));
    }

    /// So many rows on each of so many days from `first` on, in office hours.
    fn office(first: i64, days: i64, each: i64) -> impl Iterator<Item = i64> {
        let hours = move |day| (0..each).map(move |row| day * DAY + 28_800 + row * 1_800);
        (first..first + days).flat_map(hours)
    }

    /// None of these lies apart, and a slip to 1999 or 2199 beside them does.
    #[test]
    fn what_has_a_reason_keeps_all_its_rows() {
        let year = 365;
        let monthly = || (0..12).map(|month| month * 30 * DAY);
        let wound_down = || (1..=12).map(|month| (2 * year + month * 30) * DAY);
        let files: [(&str, Vec<i64>); 6] = [
            ("school year", office(0, 290, 10).chain(office(353, 10, 10)).collect()),
            ("closure", office(0, 3, 4).chain(office(38, 300, 4)).collect()),
            ("pilot", monthly().chain(office(year, 300, 6)).collect()),
            ("winding down", office(year, 300, 6).chain(wound_down()).collect()),
            ("gap", office(0, 60, 8).chain(office(95, 5, 4)).collect()),
            ("quiet service", (0..5).map(|n| n * 9 * DAY).chain(office(75, 70, 4)).collect()),
        ];
        for (name, file) in files {
            assert_eq!(apart(&file, End::OfRows), (0, 0), "{name}");
            let slips = [file[0] - 27 * year * DAY, file[0] + 173 * year * DAY];
            assert_eq!(apart(&with(file, &slips), End::OfRows), (1, 1), "{name}");
        }
    }

    #[test]
    fn a_block_shields_no_slip_behind_it() {
        let bulk = rows(600, 70, 1);
        let block = |start: i64| rows(40, 5, 2).into_iter().map(move |at| at + start * DAY);
        let both: Vec<i64> = block(-184).chain(bulk).chain(block(250)).collect();
        assert_eq!(apart(&both, End::OfRows), (0, 0));
        let slips = [-10_000 * DAY, 13_000 * DAY];
        assert_eq!(apart(&with(both, &slips), End::OfRows), (1, 1));
    }

    #[test]
    fn a_source_that_is_silent_now_and_then_was_silent_there_too() {
        let pauses = |start: i64| rows(300, 20, 3).into_iter().map(move |at| at + start);
        let moments: Vec<i64> =
            pauses(0).chain(pauses(80 * DAY)).chain(pauses(160 * DAY)).collect();
        assert_eq!(apart(&with(moments.clone(), &[-90 * DAY]), End::OfRows), (0, 0));
        assert_eq!(apart(&with(moments, &[-300 * DAY]), End::OfRows), (1, 0));
    }
}
