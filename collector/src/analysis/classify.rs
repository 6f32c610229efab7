//! What was meant by a change: one class for each, with the rule that gave it. Pure.
//!
//! Intent comes from change requests, windows and blackouts, package transactions and exceptions;
//! noise from the item's own past. The strongest statement wins, in the order of [`classify`]. What
//! nobody could have known of is told apart from what nobody approved: as long as a site has told
//! of no intent at all, a change that nothing explains has no class.
//!
//! | class | means |
//! |---|---|
//! | expected | an approved request or a window covers it, or a package or a run brought it |
//! | early, late | an approved request covers it and the time is just beside it |
//! | out_of_scope | a request names this host at this time, and another item or host |
//! | unapproved | a request covers it that nobody has approved |
//! | emergency | an emergency request covers it, made before or within its time after |
//! | excepted | an exception permits it |
//! | reverted | the value went back, or it is the change that put it back |
//! | flapping | the value goes back and forth so often that the next turn is known beforehand |
//! | volatile, routine | a list says that it changes by itself, or is everyday work |
//! | unauthorised | nothing covers it |

pub mod ignore;
pub mod past;
pub mod request;
pub mod runs;
pub mod scope;
pub mod transaction;
pub mod weigh;
pub mod window;

#[cfg(test)]
mod tests;

use driftline_protocol::mutant::{self, Mutant};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::exceptions::Exception;
use super::finding::{FindingId, FindingKind};
use super::rules::About;
use ignore::{Ignore, Noise, listed};
use past::Past;
use request::{Believed, ChangeRequest};
use scope::{Fit, Level, Subject};
use transaction::Explained;
use window::Window;

/// What was meant by a change; a closed list, so it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeClass {
    /// Approved, in scope and in time; or brought by a package or a run.
    Expected,
    /// Approved and in scope, before its time.
    Early,
    /// Approved and in scope, after its time.
    Late,
    /// A request names the host, and another item or another host beside it.
    OutOfScope,
    /// A request covers it, and nobody has approved the request.
    Unapproved,
    /// Nothing covers it.
    Unauthorised,
    /// An emergency request covers it.
    Emergency,
    /// An exception permits it.
    Excepted,
    /// The value went back.
    Reverted,
    /// The value alternates.
    Flapping,
    /// A list says that it changes by itself.
    Volatile,
    /// A list says that it is everyday work.
    Routine,
}

impl ChangeClass {
    /// Every class, in the order of the metric reference.
    pub const ALL: [Self; 12] = [
        Self::Expected,
        Self::Early,
        Self::Late,
        Self::OutOfScope,
        Self::Unapproved,
        Self::Unauthorised,
        Self::Emergency,
        Self::Excepted,
        Self::Reverted,
        Self::Flapping,
        Self::Volatile,
        Self::Routine,
    ];

    /// The word used in metrics, code and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Early => "early",
            Self::Late => "late",
            Self::OutOfScope => "out_of_scope",
            Self::Unapproved => "unapproved",
            Self::Unauthorised => "unauthorised",
            Self::Emergency => "emergency",
            Self::Excepted => "excepted",
            Self::Reverted => "reverted",
            Self::Flapping => "flapping",
            Self::Volatile => "volatile",
            Self::Routine => "routine",
        }
    }

    /// Whether a drift it led to is nobody's to look at: it was meant, or it is noise. What an
    /// exception permitted is not among them, since an exception ends.
    pub fn is_quiet(self) -> bool {
        match self {
            Self::Expected | Self::Emergency => true,
            Self::Flapping | Self::Volatile | Self::Routine => true,
            Self::Early | Self::Late | Self::OutOfScope | Self::Unapproved => false,
            Self::Unauthorised | Self::Excepted | Self::Reverted => false,
        }
    }

    /// Whether somebody who may say so wanted it.
    pub fn is_intended(self) -> bool {
        matches!(self, Self::Expected | Self::Emergency | Self::Excepted)
    }
}

/// What kind of rule gave a class; a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// A change request.
    Request,
    /// An emergency request that nobody has approved yet.
    Claim,
    /// A window of the configuration.
    Window,
    /// A blackout of the configuration.
    Blackout,
    /// A transaction of a package manager.
    Package,
    /// A run of a configuration-management tool.
    Run,
    /// An exception.
    Exception,
    /// The item's own past.
    Past,
    /// A later change of the item, which put the value back.
    Undone,
    /// An entry of the lists of what asks for nobody.
    Ignore,
    /// That there is nothing else.
    Nothing,
}

impl RuleKind {
    /// The word used in pages and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Claim => "claim",
            Self::Window => "window",
            Self::Blackout => "blackout",
            Self::Package => "package",
            Self::Run => "run",
            Self::Exception => "exception",
            Self::Past => "past",
            Self::Undone => "undone",
            Self::Ignore => "ignore",
            Self::Nothing => "nothing",
        }
    }
}

/// What a change was judged to be, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The class; `None` where nobody tells of intent and nothing explains the change.
    pub class: Option<ChangeClass>,
    /// What kind of rule matched.
    pub rule: RuleKind,
    /// The rule's name: `source/id` of a request, the name of a window, blackout or exception, the
    /// transaction of a package, the tool and run, the number of a change.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// On what the rule matched, where it has a scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The same in a sentence, for whoever asks later.
    pub says: String,
}

impl Decision {
    fn approves(&self) -> bool {
        self.class.is_some_and(ChangeClass::is_intended)
    }

    /// Whether [`classify`] asks what packages and runs explain before it comes to this: so one
    /// that is told later than its files may still be what brought them.
    pub fn yields_to_transaction(&self) -> bool {
        match self.rule {
            RuleKind::Nothing | RuleKind::Exception | RuleKind::Undone => true,
            RuleKind::Request | RuleKind::Claim => self.class != Some(ChangeClass::Expected),
            // What flaps comes first, what was put back does not.
            RuleKind::Past => self.class == Some(ChangeClass::Reverted),
            RuleKind::Window | RuleKind::Blackout | RuleKind::Ignore => false,
            RuleKind::Package | RuleKind::Run => false,
        }
    }
}

/// A decision as it is kept, with those it replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classified {
    /// What holds.
    #[serde(flatten)]
    pub decision: Decision,
    /// When that was decided.
    pub decided_at: Timestamp,
    /// What held before, newest first, at most [`EARLIER_MOST`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Replaced>,
}

/// A decision that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// What held.
    #[serde(flatten)]
    pub decision: Decision,
    /// Until when.
    pub until: Timestamp,
}

/// How many replaced decisions a change keeps: more is a request that is edited for ever.
pub const EARLIER_MOST: usize = 8;

impl Classified {
    /// A first decision.
    pub fn first(decision: Decision, now: Timestamp) -> Self {
        Self { decision, decided_at: now, earlier: Vec::new() }
    }

    /// The same change decided again; `None` when the decision is what it was.
    pub fn again(&self, decision: Decision, now: Timestamp) -> Option<Self> {
        if decision == self.decision {
            return None;
        }
        let mut earlier = self.earlier.clone();
        earlier.insert(0, Replaced { decision: self.decision.clone(), until: now });
        earlier.truncate(EARLIER_MOST);
        Some(Self { decision, decided_at: now, earlier })
    }
}

/// How far beside its time a change still belongs to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spans {
    /// Clocks and schedules are not exact: so much beside a request or window is inside it.
    pub slack: SignedDuration,
    /// How long before its request a change is early.
    pub early: SignedDuration,
    /// How long after its request a change is late.
    pub late: SignedDuration,
    /// How long after a change its emergency request may begin.
    pub emergency: SignedDuration,
    /// How long after a change its value may go back and count as reverted.
    pub revert: SignedDuration,
}

/// Everything that says what was meant, at the time of one pass.
#[derive(Clone, Copy, Debug)]
pub struct Intent<'a> {
    /// Change requests near the changes that are judged.
    pub requests: &'a [&'a ChangeRequest],
    /// When changes may be made.
    pub windows: &'a [Window],
    /// When they must not.
    pub blackouts: &'a [Window],
    /// Permissions to differ.
    pub exceptions: &'a [Exception],
    /// What asks for nobody, by a list.
    pub ignores: &'a [Ignore],
    /// How exact times are taken.
    pub spans: Spans,
    /// Whether the site tells of intent at all: only then can a change be unauthorised.
    pub told: bool,
}

/// What one change was, given everything that is known of it.
///
/// In this order: what changes by itself; a blackout, which only an emergency passes; a value that
/// flaps while no request is open; a request that approves; everyday work; a window; a package or a
/// run; an emergency that begins after the change; an exception; a value that went back; a request
/// that comes near; nothing. An emergency that names no item gives way to a package or a run while
/// it is open too: it names whole hosts as a rule, and would claim the patching that falls into its
/// hours.
pub fn classify(
    subject: &Subject<'_>,
    (intent, past): (&Intent<'_>, &Past<'_>),
    explained: Option<Explained>,
) -> Decision {
    if let Some(decision) = listed(subject, intent.ignores, Noise::Volatile) {
        return decision;
    }
    let believed = request::best(subject, intent.requests, &intent.spans);
    let open = request::is_open(subject, intent.requests, &intent.spans);
    // Before noise: nothing makes a change in a blackout ordinary.
    if let Some(decision) = blackout(subject, intent, believed.as_ref()) {
        return decision;
    }
    if let Some(decision) = past.flapping(intent.told).filter(|_| !open) {
        return decision;
    }
    let (afterwards, near) = match believed.map(|b| (b.came_after(subject, &intent.spans), b)) {
        Some((true, Believed { decision, .. })) => (Some(decision), None),
        Some((false, believed)) if believed.decision.approves() => {
            let brought = explained.filter(|_| believed.may_be_patching());
            return brought.map_or(believed.decision, by_transaction);
        }
        near => (None, near.map(|(_, near)| near.decision)),
    };
    listed(subject, intent.ignores, Noise::Routine)
        .or_else(|| in_window(subject, intent))
        .or_else(|| explained.map(by_transaction))
        .or(afterwards)
        .or_else(|| permitted(subject, intent))
        .or_else(|| past.put_back())
        .or(near)
        .unwrap_or_else(|| uncovered(intent))
}

fn blackout(
    subject: &Subject<'_>,
    intent: &Intent<'_>,
    believed: Option<&Believed<'_>>,
) -> Option<Decision> {
    if mutant::active(Mutant::BlackoutsDoNotCount) {
        return None;
    }
    let (window, level) = covering(subject, intent.blackouts, SignedDuration::ZERO)?;
    if let Some(passes) = request::emergency(subject, intent.requests, &intent.spans) {
        // Nothing else lets it pass, so that is what it was, whatever else covers or brought it.
        return Some(passes.decision);
    }
    let covers = |b: &Believed<'_>| b.decision.class == Some(ChangeClass::Expected);
    let although = match believed.filter(|b| covers(b)) {
        Some(believed) => format!(", although request {} covers it", believed.decision.name),
        None => String::new(),
    };
    Some(Decision {
        class: Some(ChangeClass::Unauthorised),
        rule: RuleKind::Blackout,
        name: window.name.clone(),
        level: Some(level),
        says: format!("made in the blackout {}{although}", window.name),
    })
}

fn in_window(subject: &Subject<'_>, intent: &Intent<'_>) -> Option<Decision> {
    let (window, level) = covering(subject, intent.windows, intent.spans.slack)?;
    Some(Decision {
        class: Some(ChangeClass::Expected),
        rule: RuleKind::Window,
        name: window.name.clone(),
        level: Some(level),
        says: format!("made in the change window {}", window.name),
    })
}

/// The first window, as configured, that is open and has the change in its scope.
fn covering<'a>(
    subject: &Subject<'_>,
    windows: &'a [Window],
    slack: SignedDuration,
) -> Option<(&'a Window, Level)> {
    windows.iter().find_map(|window| {
        let level = match window.scope.fit(subject) {
            Fit::Covers(level) => level,
            Fit::Everything => Level::Place,
            Fit::Beside | Fit::Elsewhere => return None,
        };
        window.is_open(subject.at, slack).then_some((window, level))
    })
}

fn by_transaction(Explained { rule, name, says }: Explained) -> Decision {
    let class = Some(ChangeClass::Expected);
    Decision { class, rule, name, level: None, says }
}

fn permitted(subject: &Subject<'_>, intent: &Intent<'_>) -> Option<Decision> {
    let id = FindingId {
        host: subject.host.clone(),
        source: subject.source.clone(),
        part: subject.part.clone(),
        key: subject.key.cloned(),
        kind: FindingKind::Drift,
        rule: None,
    };
    let about = About {
        kind: subject.place.kind,
        site: subject.place.site.clone(),
        groups: subject.place.groups.clone(),
    };
    let permits =
        |e: &&Exception| e.covers(&id, &about, subject.at) && e.permits_value(subject.became);
    let exception = intent.exceptions.iter().find(permits)?;
    Some(Decision {
        class: Some(ChangeClass::Excepted),
        rule: RuleKind::Exception,
        name: exception.name.clone(),
        level: None,
        says: format!("permitted by the exception {}", exception.name),
    })
}

fn uncovered(intent: &Intent<'_>) -> Decision {
    let (class, says) = if intent.told {
        let says = "no change request, window, package, run or exception covers it";
        (Some(ChangeClass::Unauthorised), says)
    } else {
        (None, "this site tells of no change requests and has no change windows")
    };
    let (rule, name) = (RuleKind::Nothing, String::new());
    Decision { class, rule, name, level: None, says: says.to_owned() }
}
