//! What an item's own past says of its newest change: did it go back, does it alternate? Pure.
//!
//! Both are noise: nothing is left to look at. A value that went back closes the changes it undoes,
//! unless one of them was intended; then somebody has undone what was approved, and that is judged
//! as any change is. Alternation is learned by counting: after `k` turns in a row to a value the
//! item had before, the next one is expected with `(k + 1) / (k + 2)` (Laplace's rule of
//! succession), and one new value begins the count anew.

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

/// The changes of one item, the one that is judged first, then newest first.
#[derive(Clone, Debug, Default)]
pub struct Past<'a> {
    turns: Vec<Turn<'a>>,
    revert: SignedDuration,
}

/// How many changes of an item are looked at.
pub const TURNS_MOST: usize = 64;

/// How many turns in a row make the next one known: 10 of 11 is above 90 %, 9 of 10 is not.
pub const TURNS_LEARNED: usize = 9;

/// How many changes one may undo at once.
const UNDONE_MOST: usize = 16;

impl<'a> Past<'a> {
    /// The past of an item; a value that goes back within `revert` counts as reverted.
    pub fn new(mut turns: Vec<Turn<'a>>, revert: SignedDuration) -> Self {
        turns.truncate(TURNS_MOST);
        Self { turns, revert }
    }

    /// The earlier changes the newest one undoes, newest first: none unless its value is one the
    /// item had before the oldest of them, and none of them was intended.
    pub fn undone(&self) -> Vec<i64> {
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

    /// That the newest change is one more turn of a value that alternates.
    pub fn flapping(&self) -> Option<Decision> {
        let mut seen: Vec<Option<&ItemValue>> = Vec::new();
        let mut turns = 0;
        let value = |item: Option<&'a Item>| item.map(|item| &item.value);
        for turn in self.turns.iter().rev() {
            let (before, after) = (value(turn.before), value(turn.after));
            if !seen.contains(&before) {
                seen.push(before);
            }
            if seen.contains(&after) {
                turns += 1;
            } else {
                seen.push(after);
                turns = 0;
            }
        }
        let enough = if mutant::active(Mutant::OneTurnIsFlapping) { 0 } else { TURNS_LEARNED };
        (turns > enough).then(|| {
            let turns = turns - 1; // those before this one, from which it was expected
            let percent = 100 * (turns + 1) / (turns + 2);
            Decision {
                class: Some(ChangeClass::Flapping),
                rule: RuleKind::Past,
                name: String::new(),
                level: None,
                says: format!(
                    "{turns} changes in a row went to a value it had before; one more was \
                     expected with {percent} %"
                ),
            }
        })
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

/// Whether two items are the same for a change of `kind`: a place counts only where it moved, since
/// other items move it as well.
fn same(a: Option<&Item>, b: Option<&Item>, kind: ChangeKind) -> bool {
    if kind == ChangeKind::Moved {
        return a == b;
    }
    a.map(|item| &item.value) == b.map(|item| &item.value)
}
