//! What the changes of an item make of its drift: why it differs, as far as anybody said. Pure.
//!
//! The change that led to the present value decides, if it asks for a person. If it does not, those
//! before it count too, back to the one that led away from the baseline: a window, a package, a run
//! or an emergency says when and where something may change, and not that what it found was right.
//! A request that names the item does: who approves it has seen what the item was. What was put
//! back since counts for nothing. A value that alternates explains only
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
//! | emergency that nobody approved | after its time | it was believed, and is asked about once |
//! | flapping | no | the next turn is known; it is told once the value stays |
//! | volatile, routine | no | a list names it, with its reason |
//! | early, late, out_of_scope, unapproved | yes | somebody asked, and not for this |
//! | unauthorised, and none at all | yes | nobody asked |
//! | reverted | yes | what was agreed to was undone |
//! | excepted | yes, unless the exception still holds | an exception ends when it says |
//!
//! What nobody approved is a warning at least, whatever it changed: where a site tells of intent, a
//! setting that moved past all of that is for somebody to look at today, and must not sort below a
//! hint of a rule. What only missed its time or its item stays as bad as its domain says.

use driftline_protocol::mutant::{self, Mutant};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::scope::Level;
use super::{ChangeClass, Decision, RuleKind};
use crate::analysis::finding::Severity;

/// What was meant by the changes that led to a drift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meant {
    /// The class of the change that counts, with the rule that gave it.
    #[serde(flatten)]
    pub decision: Decision,
    /// That change's number; `None` where none is on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<i64>,
    /// When it is to be judged again if nothing happens: the end of noise, or of belief.
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

    /// The one of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::all().find(|class| class.as_str() == word)
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

    /// The classes of what nobody approved.
    pub const UNAPPROVED: [Self; 2] =
        [Self::Of(ChangeClass::Unauthorised), Self::Of(ChangeClass::Unapproved)];

    /// How bad a drift of this class is, which by its domain is as bad as `by_domain`.
    pub fn severity(self, by_domain: Severity) -> Severity {
        let unapproved = Self::UNAPPROVED.contains(&self);
        // The worse of two comes first.
        let by_class = if unapproved { Severity::Warning } else { Severity::Info };
        if mutant::active(Mutant::UnauthorisedIsForTheRecord) {
            return by_domain;
        }
        by_domain.min(by_class)
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
    /// How long an emergency is believed that nobody approves.
    pub believed: SignedDuration,
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
    // The newest that counts, once it is known that it asks for nobody.
    let mut quiet: Option<Meant> = None;
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
                let opened = led.number == opening.number && led.at == settling.opened;
                if opened && quiet.is_none() {
                    return noise(led, newest.at, settling);
                }
            }
            (None | Some(_), _) => {
                let meant = said(led, settling);
                let loud = !FindingClass::of(Some(&meant)).is_quiet();
                quiet = match quiet {
                    None if loud => return meant,
                    Some(later) if loud => return meant.although(&later),
                    None => Some(meant),
                    Some(later) => Some(later.no_later_than(meant.settles_at)),
                };
                if answers(led) || mutant::active(Mutant::LaterIntentExplainsOldDrift) {
                    break;
                }
            }
        }
    }
    // What was put back is what stood before the drift opened: an agreement was undone.
    match (quiet, put_back) {
        (Some(meant), _) => meant,
        (None, Some(led)) => Meant::by(led),
        (None, None) => untold("the change that opened it is not on record"),
    }
}

/// Whether a change was asked for by somebody who saw what the item was.
fn answers(led: &Led<'_>) -> bool {
    let Decision { class, rule, level, .. } = led.decision;
    (*class, *rule, *level) == (Some(ChangeClass::Expected), RuleKind::Request, Some(Level::Item))
}

/// What one change says of a drift: what it was judged to be, unless it was believed for too long.
fn said(led: &Led<'_>, settling: Settling) -> Meant {
    let meant = Meant::by(led);
    if led.decision.rule != RuleKind::Claim {
        return meant;
    }
    let until = led.at.checked_add(settling.believed).unwrap_or(Timestamp::MAX);
    if settling.now < until {
        return Meant { settles_at: Some(until), ..meant };
    }
    let hours = settling.believed.as_hours();
    let name = led.decision.name.clone();
    let says = format!(
        "emergency request {name} was believed for {hours} hours, and nobody has approved it: was \
         it right?"
    );
    let class = Some(ChangeClass::Unapproved);
    let decision = Decision { class, rule: RuleKind::Request, says, ..led.decision.clone() };
    Meant { decision, ..meant }
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

    /// The same where `later` was meant, and did not put it back.
    fn although(mut self, later: &Self) -> Self {
        let number = later.change.unwrap_or_default();
        let says = &mut self.decision.says;
        says.push_str(&format!("; change {number} came later and did not put it back"));
        self
    }

    fn no_later_than(mut self, other: Option<Timestamp>) -> Self {
        self.settles_at = self.settles_at.into_iter().chain(other).min();
        self
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
    use ChangeClass::{Emergency, Expected, Flapping, Reverted, Unapproved, Unauthorised};

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + hour * 3_600).unwrap()
    }

    fn decision(class: Option<ChangeClass>, rule: RuleKind, name: &str) -> Decision {
        let level = (rule == RuleKind::Request).then_some(Level::Item);
        Decision { class, rule, name: name.into(), level, says: "because".into() }
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
        let (now, believed) = (at(hour), after);
        let meant = weigh(&led, Settling { now, after, believed, told: true, opened });
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
    fn a_later_window_package_run_or_emergency_does_not_make_an_older_change_meant() {
        for rule in [RuleKind::Window, RuleKind::Package, RuleKind::Run, RuleKind::Ignore] {
            let later = (Some(Expected), rule, "x");
            check(&[NOBODY, later], 3, (Some(Unauthorised), 1));
            check(&[NOBODY, later, later], 3, (Some(Unauthorised), 1));
            check(&[later, NOBODY], 3, (Some(Unauthorised), 2));
            check(&[later, later], 3, (Some(Expected), 2));
            // Somebody saw what it was, and asked for another value.
            check(&[NOBODY, REQUEST, later], 3, (Some(Expected), 3));
            // It was put back, and what followed was meant.
            check(&[NOBODY, later, back("1"), later], 4, (Some(Expected), 4));
        }
        let emergency = (Some(Emergency), RuleKind::Request, "itsm/E1");
        check(&[NOBODY, emergency], 3, (Some(Unauthorised), 1));
        check(&[(None, RuleKind::Nothing, ""), emergency], 3, (None, 1));
    }

    #[test]
    fn an_emergency_that_nobody_approves_is_asked_about_after_its_time() {
        let claim = (Some(Emergency), RuleKind::Claim, "itsm/E1");
        check(&[claim], 24, (Some(Emergency), 1));
        check(&[claim], 25, (Some(Unapproved), 1));
        let later = (Some(Expected), RuleKind::Window, "sundays");
        check(&[claim, later], 24, (Some(Expected), 2));
        check(&[claim, later], 25, (Some(Unapproved), 1));
        let approved = (Some(Emergency), RuleKind::Request, "itsm/E1");
        check(&[approved], 99, (Some(Emergency), 1));
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
        let (now, believed, opened) = (at(3), after, at(1));
        let meant = weigh(&led, Settling { now, after, believed, told: true, opened });
        assert_eq!(FindingClass::of(Some(&meant)), FindingClass::Untold);
    }

    #[test]
    fn what_nobody_approved_is_a_warning_at_least() {
        let by_class = |class| FindingClass::Of(class).severity(Severity::Info);
        for class in ChangeClass::ALL {
            let unapproved = [Unauthorised, Unapproved].contains(&class);
            let expected = if unapproved { Severity::Warning } else { Severity::Info };
            assert_eq!(by_class(class), expected, "{}", class.as_str());
            let worst = FindingClass::Of(class).severity(Severity::Critical);
            assert_eq!(worst, Severity::Critical, "no class makes less of anything");
        }
        for class in [FindingClass::Untold, FindingClass::Unjudged] {
            assert_eq!(class.severity(Severity::Info), Severity::Info);
        }
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
