//! What an item's own past says of its newest change: did it go back, does it alternate? Pure.
//!
//! Both are noise: nothing is left to look at. A value that went back closes the changes it undoes,
//! unless one of them was intended; then somebody has undone what was approved, and that is judged
//! as any change is. Alternation is learned by counting: after `k` turns in a row to a value the
//! item had before, the next one is expected with `(k + 1) / (k + 2)` (Laplace's rule of
//! succession), and one new value begins the count anew. Ten turns in a minute are somebody at
//! work, so they must take [`LEARNED_IN`] at least; and a value that alternates for longer than
//! [`PATIENCE`] is told each day, since nobody but a person can end it.

use std::collections::BTreeMap;

use driftline_protocol::item::{Item, ItemValue};
use driftline_protocol::mutant::{self, Mutant};
use jiff::{SignedDuration, Timestamp};

use super::{ChangeClass, Decision, RuleKind};
use crate::analysis::change::ChangeKind;

/// One earlier change of the same item.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// Its number.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub kind: ChangeKind,
    /// What the item was.
    pub before: Option<&'a Item>,
    /// What it became.
    pub after: Option<&'a Item>,
    /// What that was judged to be, so far.
    pub class: Option<ChangeClass>,
}

/// How an item's value has alternated up to one of its changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// How many changes in a row went to a value the item had before, that one among them.
    pub turns: usize,
    /// When the first of them was.
    pub since: Timestamp,
    /// How many of them were on the last one's day, in UTC.
    pub today: usize,
}

/// The runs up to each of an item's changes, which come as time, value before and value after, the
/// oldest first. A value counts as known if the item had it within [`TURNS_MOST`] changes.
pub fn runs<'a>(
    changes: impl IntoIterator<Item = (Timestamp, Option<&'a Item>, Option<&'a Item>)>,
) -> Vec<Run> {
    let mut had: BTreeMap<Option<&ItemValue>, usize> = BTreeMap::new();
    let (mut run, mut last) = (Run::default(), None);
    let mut runs = Vec::new();
    for (place, (at, before, after)) in changes.into_iter().enumerate() {
        let after = after.map(|item| &item.value);
        had.insert(before.map(|item| &item.value), place);
        let known = had.get(&after).is_some_and(|had| place - had < TURNS_MOST);
        had.insert(after, place);
        let day = at.as_second().div_euclid(86_400);
        run = match (known, run.turns) {
            (false, _) => Run::default(),
            (true, 0) => Run { turns: 1, since: at, today: 1 },
            (true, turns) if last == Some(day) => {
                Run { turns: turns + 1, today: run.today + 1, ..run }
            }
            (true, turns) => Run { turns: turns + 1, today: 1, ..run },
        };
        last = Some(day);
        runs.push(run);
    }
    runs
}

/// The changes of one item, the one that is judged first, then newest first.
#[derive(Clone, Debug, Default)]
pub struct Past<'a> {
    turns: Vec<Turn<'a>>,
    run: Run,
    revert: SignedDuration,
}

/// How many changes of an item are looked at.
pub const TURNS_MOST: usize = 64;

/// How many turns in a row make the next one known: 10 of 11 is above 90 %, 9 of 10 is not.
pub const TURNS_LEARNED: usize = 9;

/// Over how long they must be spread: who tries something out, or means to hide in noise, does it
/// in less.
pub const LEARNED_IN: SignedDuration = SignedDuration::from_hours(6);

/// How long a value may alternate until it is told.
pub const PATIENCE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How many turns of each day are told then: of two in a row, one leads away from any value.
pub const TOLD_A_DAY: usize = 2;

/// How many changes one may undo at once.
const UNDONE_MOST: usize = 16;

impl<'a> Past<'a> {
    /// The past of an item, whose value has alternated as `run` says; one that goes back within
    /// `revert` counts as reverted.
    pub fn new((mut turns, run): (Vec<Turn<'a>>, Run), revert: SignedDuration) -> Self {
        turns.truncate(TURNS_MOST);
        Self { turns, run, revert }
    }

    /// The earlier changes the newest one undoes, newest first: none unless its value is one the
    /// item had before the oldest of them, and none of them was intended; of a text or a set, also
    /// the one whose lines or values it puts back while others have changed.
    pub fn undone(&self) -> Vec<i64> {
        let undone = self.undone_as_a_whole();
        match undone.is_empty() {
            true => self.undone_in_pieces().into_iter().collect(),
            false => undone,
        }
    }

    /// The earlier change of which the newest one puts back exactly what it took and takes what it
    /// put there: a text is one item, so that a package may have written another line of it since.
    fn undone_in_pieces(&self) -> Option<i64> {
        if mutant::active(Mutant::ReversalsAreOfWholeValues) {
            return None;
        }
        let (newest, earlier) = self.turns.split_first()?;
        let put_back = pieces(newest)?;
        let mut at = newest;
        for turn in earlier.iter().take(UNDONE_MOST) {
            let soon = newest.at.duration_since(turn.at) <= self.revert;
            if !soon || !same(turn.after, at.before, turn.kind) {
                return None;
            }
            let taken = pieces(turn)?;
            if taken.keys().any(|piece| put_back.contains_key(piece)) {
                let inverse = taken.len() == put_back.len()
                    && taken.iter().all(|(piece, many)| put_back.get(piece) == Some(&-many));
                let intended = turn.class.is_some_and(ChangeClass::is_intended);
                return (inverse && !intended).then_some(turn.number);
            }
            at = turn;
        }
        None
    }

    fn undone_as_a_whole(&self) -> Vec<i64> {
        let Some((newest, earlier)) = self.turns.split_first() else { return Vec::new() };
        let mut undone = Vec::new();
        let mut at = *newest;
        for turn in earlier.iter().take(UNDONE_MOST) {
            let follows = same(turn.after, at.before, turn.kind);
            let soon = newest.at.duration_since(turn.at) <= self.revert;
            let intended = turn.class.is_some_and(ChangeClass::is_intended);
            if !follows || !soon || intended {
                return Vec::new();
            }
            undone.push(turn.number);
            if same(turn.before, newest.after, newest.kind) {
                return undone;
            }
            at = *turn;
        }
        Vec::new()
    }

    /// That the newest change puts back what earlier ones changed.
    pub fn put_back(&self) -> Option<Decision> {
        let undone = self.undone();
        let last = undone.last()?;
        Some(Decision {
            class: Some(ChangeClass::Reverted),
            rule: RuleKind::Past,
            name: last.to_string(),
            level: None,
            says: format!("puts back what change {last} found"),
        })
    }

    /// That the newest change is one more turn of a value that alternates; that it has done so for
    /// too long, if it is one of the day's first. Where a site is `told` of intent, nobody meant
    /// that.
    pub fn flapping(&self, told: bool) -> Option<Decision> {
        let Run { turns, since, today } = self.run;
        let lasts = self.turns.first()?.at.duration_since(since);
        let enough = if mutant::active(Mutant::OneTurnIsFlapping) { 0 } else { TURNS_LEARNED };
        let hasty = mutant::active(Mutant::FlappingNeedsNoTime) || enough == 0;
        if turns <= enough || lasts < LEARNED_IN && !hasty {
            return None;
        }
        let before = turns - 1; // those from which it was expected
        let percent = 100 * (before + 1) / (before + 2);
        let told_now = lasts >= PATIENCE && today <= TOLD_A_DAY;
        let (class, says) = if told_now && !mutant::active(Mutant::NoiseIsNeverTold) {
            let since = since.strftime("%Y-%m-%d %H:%M");
            let says = format!(
                "the value has gone back and forth since {since} UTC, {turns} times; it is told \
                 once a day until somebody ends it"
            );
            (told.then_some(ChangeClass::Unauthorised), says)
        } else {
            let says = format!(
                "{before} changes in a row went to a value it had before; one more was expected \
                 with {percent} %"
            );
            (Some(ChangeClass::Flapping), says)
        };
        Some(Decision { class, rule: RuleKind::Past, name: String::new(), level: None, says })
    }
}

/// That a change was undone by the one numbered `by`.
pub fn undone_by(by: i64) -> Decision {
    Decision {
        class: Some(ChangeClass::Reverted),
        rule: RuleKind::Undone,
        name: by.to_string(),
        level: None,
        says: format!("change {by} put the value back"),
    }
}

/// A line of a text, or a value of a set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Piece<'a> {
    Line(&'a str),
    Value(&'a ItemValue),
}

/// How many of each piece came, or went where it is negative; `None` where the item does not
/// consist of pieces, or none of them did.
fn pieces<'a>(turn: &Turn<'a>) -> Option<BTreeMap<Piece<'a>, i64>> {
    let mut pieces: BTreeMap<Piece<'a>, i64> = BTreeMap::new();
    let mut count = |item: Option<&'a Item>, sign: i64| match item.map(|item| &item.value) {
        Some(ItemValue::Lines(lines)) => {
            lines.iter().for_each(|line| *pieces.entry(Piece::Line(line)).or_default() += sign);
            true
        }
        Some(ItemValue::Set(values)) => {
            values.iter().for_each(|one| *pieces.entry(Piece::Value(one)).or_default() += sign);
            true
        }
        _ => false,
    };
    let whole = count(turn.before, -1) && count(turn.after, 1);
    pieces.retain(|_, many| *many != 0);
    (whole && !pieces.is_empty()).then_some(pieces)
}

/// Whether two items are the same for a change of `kind`: a place counts only where it moved, since
/// other items move it as well.
fn same(a: Option<&Item>, b: Option<&Item>, kind: ChangeKind) -> bool {
    if kind == ChangeKind::Moved {
        return a == b;
    }
    a.map(|item| &item.value) == b.map(|item| &item.value)
}
