//! What the changes of an item make of its drift: why it differs, as far as anybody said. Pure.
//!
//! The change that led to the present value decides. Who approves a change of an item has seen what
//! it was before; what was put back since counts for nothing. A value that alternates explains only
//! a drift that opened by one of its turns: where the drift was open before, the baseline's value
//! is not among those it alternates between, and what opened it still stands. A value that has
//! stayed as it is for [`Settling::after`] alternates no longer, and is a drift as any other.
//!
//! The baseline never moves by itself. What was approved elsewhere, in a request or a window, is
//! told apart from what nobody meant and wakes nobody; until a person says so, the agreement with
//! the host is what it was, and a window left open agrees to nothing.
//!
//! | class | asks for a person | why |
//! |---|---|---|
//! | expected, emergency | no | request, window or transaction is named; the baseline is behind |
//! | flapping | no | the next turn is known; it is told once the value stays |
//! | volatile, routine | no | a list names it, with its reason |
//! | early, late, out_of_scope, unapproved | yes | somebody asked, and not for this |
//! | unauthorised, and none at all | yes | nobody asked |
//! | reverted | yes | what was agreed to was undone |
//! | excepted | yes, unless the exception still holds | an exception ends when it says |

use driftline_protocol::mutant::{self, Mutant};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ChangeClass, Decision, RuleKind};

/// What was meant by the changes that led to a drift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meant {
    /// The class of the change that counts, with the rule that gave it.
    #[serde(flatten)]
    pub decision: Decision,
    /// That change's number; `None` where none is on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<i64>,
    /// When it is to be judged again if nothing happens: the end of noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settles_at: Option<Timestamp>,
}

/// What is known of the intent behind a finding; a closed list, so it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingClass {
    /// Its changes were not judged yet.
    Unjudged,
    /// Nothing is: nobody tells of intent, no change led to it, or it is no drift.
    Untold,
    /// That of the change that led to it.
    Of(ChangeClass),
}

impl FindingClass {
    /// Every class, in the order of the metric reference.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Unjudged, Self::Untold].into_iter().chain(ChangeClass::ALL.map(Self::Of))
    }

    /// How many there are.
    pub const COUNT: usize = ChangeClass::ALL.len() + 2;

    /// The class of a drift that means `meant`; `None` before it was judged.
    pub fn of(meant: Option<&Meant>) -> Self {
        match meant {
            None => Self::Unjudged,
            Some(meant) => meant.decision.class.map_or(Self::Untold, Self::Of),
        }
    }

    /// The word used in metrics, code and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unjudged => "unjudged",
            Self::Untold => "none",
            Self::Of(class) => class.as_str(),
        }
    }

    /// Whether nobody need look: it was meant, or it is noise.
    pub fn is_quiet(self) -> bool {
        match self {
            Self::Unjudged | Self::Untold => false,
            Self::Of(class) => class.is_quiet() && !mutant::active(Mutant::DriftIsAlwaysLoud),
        }
    }
}

/// One change of the item since its drift opened.
#[derive(Clone, Copy, Debug)]
pub struct Led<'a> {
    /// Its number.
    pub number: i64,
    /// When, corrected time.
    pub at: Timestamp,
    /// What it was judged to be.
    pub decision: &'a Decision,
}

/// When noise ends.
#[derive(Clone, Copy, Debug)]
pub struct Settling {
    /// The time of this judgement.
    pub now: Timestamp,
    /// How long a value must have stayed.
    pub after: SignedDuration,
    /// Whether the site tells of intent at all: only then can a change be unauthorised.
    pub told: bool,
    /// When the drift opened: noise explains it only where its opening is on record.
    pub opened: Timestamp,
}

/// What `changes`, the newest first, make of the drift that the last of them opened.
pub fn weigh(changes: &[Led<'_>], settling: Settling) -> Meant {
    let (Some(newest), Some(opening)) = (changes.first(), changes.last()) else {
        return untold("no change of it is on record since it opened");
    };
    if mutant::active(Mutant::OldIntentExplainsNewDrift) {
        return Meant::by(opening);
    }
    // The change down to which everything was put back.
    let mut undone_to: Option<i64> = None;
    let mut put_back = None;
    for led in changes {
        if let Some(last) = undone_to {
            undone_to = (led.number != last).then_some(last);
            continue;
        }
        match (led.decision.class, led.decision.rule) {
            (Some(ChangeClass::Reverted), RuleKind::Past) => {
                undone_to = led.decision.name.parse().ok();
                put_back = put_back.or(Some(led));
            }
            (Some(ChangeClass::Reverted), _) => {}
            (Some(ChangeClass::Flapping), _) => {
                if led.number == opening.number && led.at == settling.opened {
                    return noise(led, newest.at, settling);
                }
            }
            (None | Some(_), _) => return Meant::by(led),
        }
    }
    // What was put back is what stood before the drift opened: an agreement was undone.
    match put_back {
        Some(led) => Meant::by(led),
        None => untold("the change that opened it is not on record"),
    }
}

/// A drift that one turn of an alternating value opened; `last` is its newest turn.
fn noise(opening: &Led<'_>, last: Timestamp, settling: Settling) -> Meant {
    let settles_at = last.checked_add(settling.after).unwrap_or(Timestamp::MAX);
    if settling.now < settles_at {
        return Meant { settles_at: Some(settles_at), ..Meant::by(opening) };
    }
    let class = settling.told.then_some(ChangeClass::Unauthorised);
    let says = format!(
        "the value alternated, and has stayed as it is since {} UTC",
        last.strftime("%Y-%m-%d %H:%M")
    );
    let (rule, name) = (RuleKind::Past, String::new());
    let decision = Decision { class, rule, name, level: None, says };
    Meant { decision, change: Some(opening.number), settles_at: None }
}

fn untold(says: &str) -> Meant {
    let (rule, name, says) = (RuleKind::Nothing, String::new(), says.to_owned());
    let decision = Decision { class: None, rule, name, level: None, says };
    Meant { decision, change: None, settles_at: None }
}

impl Meant {
    fn by(led: &Led<'_>) -> Self {
        Self { decision: led.decision.clone(), change: Some(led.number), settles_at: None }
    }

    /// The louder of two parts of one finding: what asks for a person counts before what does not.
    pub fn louder(self, other: Self) -> Self {
        let quiet = |meant: &Self| FindingClass::of(Some(meant)).is_quiet();
        if quiet(&self) && !quiet(&other) { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChangeClass::{Expected, Flapping, Reverted, Unauthorised};

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + hour * 3_600).unwrap()
    }

    fn decision(class: Option<ChangeClass>, rule: RuleKind, name: &str) -> Decision {
        Decision { class, rule, name: name.into(), level: None, says: "because".into() }
    }

    /// What changes, numbered from 1 and an hour apart, make of a drift at `hour`.
    fn check(
        changes: &[(Option<ChangeClass>, RuleKind, &str)],
        hour: i64,
        expect: (Option<ChangeClass>, i64),
    ) {
        let decisions: Vec<Decision> =
            changes.iter().map(|(class, rule, name)| decision(*class, *rule, name)).collect();
        let mut led: Vec<Led<'_>> = (1..)
            .zip(&decisions)
            .map(|(number, decision)| Led { number, at: at(number), decision })
            .collect();
        led.reverse();
        let after = SignedDuration::from_hours(24);
        let opened = at(1);
        let meant = weigh(&led, Settling { now: at(hour), after, told: true, opened });
        assert_eq!((meant.decision.class, meant.change.unwrap_or(0)), expect, "{changes:?}");
    }

    const REQUEST: (Option<ChangeClass>, RuleKind, &str) =
        (Some(Expected), RuleKind::Request, "itsm/CHG1");
    const NOBODY: (Option<ChangeClass>, RuleKind, &str) =
        (Some(Unauthorised), RuleKind::Nothing, "");
    const TURN: (Option<ChangeClass>, RuleKind, &str) = (Some(Flapping), RuleKind::Past, "");
    const UNDONE: (Option<ChangeClass>, RuleKind, &str) = (Some(Reverted), RuleKind::Undone, "9");

    fn back(to: &str) -> (Option<ChangeClass>, RuleKind, &str) {
        (Some(Reverted), RuleKind::Past, to)
    }

    #[test]
    fn the_change_that_led_to_the_present_value_decides() {
        check(&[NOBODY, REQUEST], 3, (Some(Expected), 2));
        check(&[REQUEST, NOBODY], 3, (Some(Unauthorised), 2));
        check(&[], 3, (None, 0));
        check(&[(None, RuleKind::Nothing, "")], 3, (None, 1));
    }

    #[test]
    fn what_was_put_back_counts_for_nothing() {
        check(&[REQUEST, UNDONE, back("2")], 4, (Some(Expected), 1));
        check(&[NOBODY, UNDONE, UNDONE, back("2")], 5, (Some(Unauthorised), 1));
        // What a blackout forbade keeps its class, and is put back all the same.
        let forbidden = (Some(Unauthorised), RuleKind::Blackout, "freeze");
        check(&[REQUEST, forbidden, back("2")], 4, (Some(Expected), 1));
        // Put back to before the drift opened: what was agreed to was undone.
        check(&[back("-3")], 2, (Some(Reverted), 1));
    }

    #[test]
    fn noise_explains_only_what_it_opened_and_only_until_it_settles() {
        check(&[TURN], 2, (Some(Flapping), 1));
        check(&[TURN, TURN, TURN], 26, (Some(Flapping), 1));
        check(&[TURN, TURN, TURN], 27, (Some(Unauthorised), 1));
        check(&[NOBODY, TURN, TURN], 4, (Some(Unauthorised), 1));
        check(&[REQUEST, TURN, TURN], 4, (Some(Expected), 1));
    }

    #[test]
    fn noise_whose_opening_is_not_on_record_explains_nothing() {
        let turn = decision(TURN.0, TURN.1, TURN.2);
        let led = [Led { number: 7, at: at(2), decision: &turn }];
        let after = SignedDuration::from_hours(24);
        let meant = weigh(&led, Settling { now: at(3), after, told: true, opened: at(1) });
        assert_eq!(FindingClass::of(Some(&meant)), FindingClass::Untold);
    }

    #[test]
    fn of_two_items_of_a_part_the_louder_counts() {
        let meant = |class| Meant {
            decision: decision(class, RuleKind::Nothing, ""),
            change: None,
            settles_at: None,
        };
        for (one, two) in [(Some(Expected), None), (None, Some(Expected))] {
            assert_eq!(meant(one).louder(meant(two)), meant(None));
        }
        assert_eq!(meant(Some(Flapping)).louder(meant(Some(Expected))), meant(Some(Flapping)));
    }
}
