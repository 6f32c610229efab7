//! The schedule against its promises, with invented time.

use driftline_protocol::ids::SourceName;
use proptest::prelude::*;

use super::*;

fn source(name: &str) -> SourceName {
    name.parse().unwrap()
}

fn names(count: usize) -> Vec<SourceName> {
    (0..count).map(|number| source(&format!("s{number}"))).collect()
}

/// A schedule of one source, `s0`, first read at 0 in no time.
fn at_rest() -> (Schedule, SourceName) {
    let mut schedule = Schedule::new([(source("s0"), INTERVAL_MS)], 1, 0);
    let name = source("s0");
    schedule.begin(&name, 0);
    schedule.end(&name, 0, Ended::Well);
    (schedule, name)
}

/// Reads whatever is due at the time it is due, until `until`; gives the times.
fn run(schedule: &mut Schedule, until: u64, ended: Ended) -> Vec<u64> {
    let mut times = Vec::new();
    while let Some(at) = schedule.wake_at().filter(|at| *at <= until) {
        let name = schedule.due(at).expect("woken for a source that is due").clone();
        schedule.begin(&name, at);
        schedule.end(&name, at, ended);
        times.push(at);
        assert!(times.len() < 100_000, "the schedule spins");
    }
    times
}

#[test]
fn every_source_is_due_at_the_start() {
    let mut schedule = Schedule::new(names(3).into_iter().map(|name| (name, INTERVAL_MS)), 1, 5);
    assert_eq!(schedule.wake_at(), Some(5));
    assert_eq!(run(&mut schedule, 5, Ended::Well), [5, 5, 5]);
}

#[test]
fn an_event_waits_for_quiet_and_no_longer_than_the_delay() {
    for (events, at) in [
        (vec![1_000], 1_000 + QUIET_MS),
        (vec![1_000, 1_100], 1_100 + QUIET_MS),
        (vec![1_000, 1_100, 1_200, 1_300, 1_400, 1_499], 1_000 + DELAY_MS),
    ] {
        let (mut schedule, name) = at_rest();
        for event in &events {
            schedule.event(&name, *event);
        }
        assert_eq!(schedule.wake_at(), Some(at), "after events at {events:?}");
        assert_eq!(schedule.due(at - 1), None);
        assert_eq!(schedule.due(at), Some(&name));
    }
}

#[test]
fn an_event_during_a_reading_asks_for_another() {
    let (mut schedule, name) = at_rest();
    schedule.event(&name, 1_000);
    schedule.begin(&name, 1_150);
    schedule.event(&name, 1_160);
    assert_eq!(schedule.wake_at(), None, "a source is read twice at once");
    schedule.end(&name, 1_200, Ended::Well);
    assert_eq!(schedule.wake_at(), Some(1_160 + QUIET_MS));
}

#[test]
fn a_failing_source_is_read_less_and_less() {
    let (mut schedule, name) = at_rest();
    schedule.event(&name, 0);
    let times = run(&mut schedule, 10 * INTERVAL_MS, Ended::Badly);
    let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits[..3], [BACKOFF_MS, 2 * BACKOFF_MS, 4 * BACKOFF_MS]);
    assert!(waits.iter().is_sorted());
    assert_eq!(waits.last(), Some(&INTERVAL_MS));
}

#[test]
fn events_do_not_shorten_the_backoff_and_success_ends_it() {
    let (mut schedule, name) = at_rest();
    schedule.begin(&name, 0);
    schedule.end(&name, 0, Ended::Badly);
    schedule.event(&name, 10);
    assert_eq!(schedule.wake_at(), Some(BACKOFF_MS));
    schedule.begin(&name, BACKOFF_MS);
    schedule.end(&name, BACKOFF_MS, Ended::Well);
    schedule.event(&name, BACKOFF_MS);
    assert_eq!(schedule.wake_at(), Some(BACKOFF_MS + QUIET_MS));
}

#[test]
fn a_source_that_was_stopped_waits_for_its_interval_whatever_happens() {
    let (mut schedule, name) = at_rest();
    schedule.begin(&name, 0);
    schedule.end(&name, 1_000, Ended::Stopped);
    schedule.event(&name, 2_000);
    assert_eq!(schedule.wake_at(), Some(1_000 + INTERVAL_MS));
}

#[test]
fn a_source_that_never_rests_takes_a_tenth_of_the_time_in_the_end() {
    let (mut schedule, name) = at_rest();
    let (mut now, mut busy) = (0, 0);
    while now < 10_000_000 {
        schedule.event(&name, now);
        now = schedule.wake_at().unwrap();
        schedule.begin(&name, now);
        now += 2_000;
        busy += 2_000;
        schedule.end(&name, now, Ended::Well);
    }
    let share = now / SHARE_DIVISOR;
    assert!(busy < share + ALLOWANCE_MS + 10_000, "busy for {busy} of {now}");
    assert!(busy > share / 2, "starved: busy for {busy} of {now}");
}

#[test]
fn hosts_and_sources_are_spread_over_a_tenth_of_the_interval() {
    let mut firsts = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let mut schedule = Schedule::new([(source("s0"), INTERVAL_MS)], seed, 0);
        run(&mut schedule, 0, Ended::Well);
        let at = schedule.wake_at().unwrap();
        assert!(at.abs_diff(INTERVAL_MS) <= INTERVAL_MS / SPLAY_DIVISOR / 2 + 1);
        firsts.insert(at);
    }
    assert!(firsts.len() > 90, "only {} different times for 100 hosts", firsts.len());
}

#[derive(Clone, Debug)]
enum Step {
    Event(usize),
    Wait(u64),
    Slow(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..3usize).prop_map(Step::Event),
        (0..400u64).prop_map(Step::Wait),
        (0..100u64).prop_map(Step::Slow),
    ];
    proptest::collection::vec(step, 1..200)
}

/// A reader with one hand: reads what is due, one source at a time, each in `slow` milliseconds.
struct Reader {
    schedule: Schedule,
    now: u64,
    slow: u64,
    /// Of each source, the first event no reading has begun after.
    unanswered: BTreeMap<SourceName, u64>,
    readings: usize,
}

impl Reader {
    /// Reads until `until`, and gives the longest time an event waited for a reading to begin.
    fn run(&mut self, until: u64) -> u64 {
        let mut longest = 0;
        while let Some(at) = self.schedule.wake_at().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            let name = self.schedule.due(self.now).expect("woken for nothing").clone();
            if let Some(event) = self.unanswered.remove(&name) {
                assert!(event <= self.now);
                longest = longest.max(self.now - event);
            }
            self.schedule.begin(&name, self.now);
            self.now += self.slow;
            self.schedule.end(&name, self.now, Ended::Well);
            self.readings += 1;
        }
        self.now = self.now.max(until);
        longest
    }
}

proptest! {
    #[test]
    fn every_event_is_answered_within_the_delay(steps in steps(), seed in any::<u64>()) {
        let sources = names(3);
        let intervals = sources.iter().cloned().map(|name| (name, INTERVAL_MS));
        let mut reader = Reader {
            schedule: Schedule::new(intervals, seed, 0),
            now: 0,
            slow: 0,
            unanswered: BTreeMap::new(),
            readings: 0,
        };
        reader.run(0);
        let first = reader.readings;
        let mut events = 0;
        let mut longest = 0;
        for step in steps {
            match step {
                Step::Event(index) => {
                    let name = &sources[index];
                    reader.schedule.event(name, reader.now);
                    reader.unanswered.entry(name.clone()).or_insert(reader.now);
                    events += 1;
                }
                Step::Wait(ms) => longest = longest.max(reader.run(reader.now + ms)),
                Step::Slow(ms) => reader.slow = ms,
            }
        }
        longest = longest.max(reader.run(reader.now + 2_000));
        prop_assert!(reader.unanswered.is_empty(), "an event was never answered");
        // While one source is read, at most two others stand before the third.
        prop_assert!(longest <= DELAY_MS + 3 * 100, "an event waited {longest} ms");
        prop_assert!(reader.readings - first <= events, "read more often than asked");
    }

    #[test]
    fn a_quiet_host_reads_once_an_interval(
        interval in DELAY_MS..100_000,
        seed in any::<u64>(),
        count in 1..5usize,
    ) {
        let sources = names(count).into_iter().map(|name| (name, interval));
        let mut schedule = Schedule::new(sources, seed, 0);
        let readings = run(&mut schedule, 100 * interval, Ended::Well).len();
        prop_assert!(readings <= count * 107, "{readings} readings in 100 intervals");
        prop_assert!(readings >= count * 94, "{readings} readings in 100 intervals");
    }
}
