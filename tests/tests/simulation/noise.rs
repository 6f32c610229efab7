//! What noise, later intent and lost sight must not hide.

use driftline_collector::analysis::change::{Change, ChangeKind};
use driftline_collector::analysis::classify::past::{Past, Run, Turn, runs};
use driftline_collector::analysis::classify::request::{
    Approval, ChangeRequest, RequestKind, best,
};
use driftline_collector::analysis::classify::scope::{IntentScope, Subject};
use driftline_collector::analysis::classify::transaction::{Explained, Transactions};
use driftline_collector::analysis::classify::weigh::{Led, Meant, Settling, weigh};
use driftline_collector::analysis::classify::{ChangeClass, Decision, Intent, RuleKind, classify};
use driftline_collector::api::acts::is_full;
use driftline_collector::blindness::blind;
use driftline_collector::config::{ClassificationConfig, Place};
use driftline_collector::store::{Act, ActRecord, Append as _, Handled, Unread};
use driftline_protocol::ids::{HostId, PartName, SourceName};
use driftline_protocol::item::{Item, ItemKey, ItemValue};
use driftline_protocol::snapshot::Reason;
use jiff::SignedDuration;

use super::small::{at, store, text, version};

fn act(act: Act, opening: u32) -> ActRecord {
    let (at, who, text) = (at(900), "ann".to_owned(), String::new());
    ActRecord { finding: 1, at, who, act, text, opening }
}

#[test]
fn a_finding_that_opens_anew_is_nobodys_again() {
    // By a clock that is behind, the new opening lies before the acknowledgement of the old one.
    let acts = [act(Act::Acknowledge, 1)];
    assert_eq!(Handled::by(&acts, 1).acknowledged_by.as_deref(), Some("ann"));
    assert_eq!(Handled::by(&acts, 2).acknowledged_by, None);
}

#[test]
fn notes_leave_room_for_acts() {
    let notes: Vec<ActRecord> = (0..1_000).map(|_| act(Act::Note, 1)).collect();
    assert!(is_full(&notes, Act::Note));
    assert!(!is_full(&notes, Act::Acknowledge) && !is_full(&notes, Act::Assign));
}

/// What the last of so many turns between two values is, `minutes` apart.
fn flapped(turns: i64, minutes: i64) -> Option<Decision> {
    let values = [text("a"), text("b")];
    let turn = |number: i64| {
        let (from, to) = if number % 2 == 0 { (0, 1) } else { (1, 0) };
        let (before, after) = (values.get(from), values.get(to));
        let (kind, class) = (ChangeKind::Modified, None);
        Turn { number, at: at(number * minutes), kind, before, after, class }
    };
    let mut all: Vec<Turn<'_>> = (0..turns).map(turn).collect();
    let run = *runs(all.iter().map(|turn| (turn.at, turn.before, turn.after))).last()?;
    all.reverse();
    Past::new((all, run), SignedDuration::from_hours(24)).flapping(true)
}

#[test]
fn ten_turns_in_an_hour_are_no_noise() {
    assert_eq!(flapped(11, 60).and_then(|decision| decision.class), Some(ChangeClass::Flapping));
    assert_eq!(flapped(11, 6), None);
    assert_eq!(flapped(200, 1), None);
}

#[test]
fn noise_without_an_end_is_told() {
    let class = |turns| flapped(turns, 60).and_then(|decision| decision.class);
    // Turned each hour: each day two turns are told from the eighth day on, and no others.
    let told = |turns: &i64| class(*turns) == Some(ChangeClass::Unauthorised);
    assert_eq!((11..170).filter(told).count(), 0);
    assert_eq!((171..=(24 * 10)).filter(told).count(), 2 * 2);
}

/// Changes of a text that is one item, each with its class, an hour apart; which the last undoes.
fn undone(texts: &[&str], classes: &[Option<ChangeClass>]) -> Vec<i64> {
    let item = |text: &&str| Item {
        value: ItemValue::Lines(text.split(' ').map(str::to_owned).collect()),
        rank: None,
    };
    let items: Vec<Item> = texts.iter().map(item).collect();
    let turns = (0..).zip(items.windows(2)).zip(classes).map(|((number, pair), class)| Turn {
        number,
        at: at(number * 60),
        kind: ChangeKind::Modified,
        before: pair.first(),
        after: pair.last(),
        class: *class,
    });
    let mut turns: Vec<Turn<'_>> = turns.collect();
    turns.reverse();
    Past::new((turns, Run::default()), SignedDuration::from_hours(24)).undone()
}

#[test]
fn an_edit_is_taken_back_though_a_package_wrote_another_line_meanwhile() {
    let (package, nobody) = (Some(ChangeClass::Expected), Some(ChangeClass::Unauthorised));
    let classes = [nobody, package, None];
    assert_eq!(undone(&["a b", "a x", "c x", "c b"], &classes), [0]);
    assert_eq!(undone(&["a b", "a x", "c x", "c y"], &classes), [0; 0], "to another value");
    assert_eq!(undone(&["a b", "a x", "a y", "a b"], &classes), [0; 0], "the package wrote it");
    assert_eq!(undone(&["a b", "a x", "c x", "c b"], &[package, package, None]), [0; 0]);
    // With another line that was changed in the same moment it is more than a taking back.
    assert_eq!(undone(&["a b", "a x", "c x", "d b"], &classes), [0; 0]);
}

fn decision(class: ChangeClass, rule: RuleKind) -> Decision {
    let (name, says) = ("x".to_owned(), String::new());
    Decision { class: Some(class), rule, name, level: None, says }
}

/// What changes, the newest first and an hour apart, make of a drift by now.
fn weighed(changes: &[&Decision], hours: i64) -> Meant {
    let newest = changes.len() as i64;
    let led = (0..).zip(changes).map(|(back, decision)| {
        let number = newest - back;
        Led { number, at: at(60 * number), decision }
    });
    let (after, believed) = (SignedDuration::from_hours(24), SignedDuration::from_hours(24));
    let (now, opened) = (at(60 * hours), at(60));
    weigh(&led.collect::<Vec<_>>(), Settling { now, after, believed, told: true, opened })
}

#[test]
fn a_later_window_does_not_make_an_old_drift_meant() {
    let window = decision(ChangeClass::Expected, RuleKind::Window);
    let nobody = decision(ChangeClass::Unauthorised, RuleKind::Nothing);
    let meant = weighed(&[&window, &nobody], 3);
    assert_eq!(meant.decision.class, Some(ChangeClass::Unauthorised));
    assert_eq!(weighed(&[&window, &window], 3).decision.class, Some(ChangeClass::Expected));
}

fn subject<'a>(
    (host, place): &'a (HostId, Place),
    (source, part, key): (&'a SourceName, &'a PartName, &'a ItemKey),
) -> Subject<'a> {
    let (kind, key) = (ChangeKind::Modified, Some(key));
    Subject { host, place, source, part, key, kind, became: None, at: at(60) }
}

#[test]
fn programs_of_windows_are_not_dpkgs() {
    let (source, key) = ("packages".parse().unwrap(), ItemKey::of(["Zoiper5", "version"]));
    let host = ("win-1".parse().unwrap(), Place::default());
    for (part, explained) in [("dpkg", true), ("programs", false)] {
        let part: PartName = part.parse().unwrap();
        let change = Change {
            part: part.clone(),
            key: Some(key.clone()),
            kind: ChangeKind::Modified,
            before: Some(text("1")),
            after: Some(text("2")),
        };
        let mut known = Transactions::default();
        known.add((1, at(60)), &change);
        let said = known.explain(&subject(&host, (&source, &part, &key)));
        assert_eq!(said.is_some(), explained, "{part}");
    }
}

fn emergency(approval: Approval) -> ChangeRequest {
    ChangeRequest {
        source: "itsm".into(),
        id: "E1".into(),
        kind: RequestKind::Emergency,
        approval,
        start: at(0),
        end: at(120),
        scope: IntentScope { hosts: vec!["sbc-1".into()], ..IntentScope::default() },
        url: String::new(),
        received_at: at(0),
    }
}

#[test]
fn an_emergency_that_nobody_approves_ends_in_a_question() {
    let host = ("sbc-1".parse().unwrap(), Place::default());
    let (source, part) = ("files".parse().unwrap(), "/etc/sip.conf".parse().unwrap());
    let key = ItemKey::of(["codec"]);
    let spans = ClassificationConfig::default().spans();
    for (approval, at_last) in [
        (Approval::Requested, ChangeClass::Unapproved),
        (Approval::Approved, ChangeClass::Emergency),
    ] {
        let request = emergency(approval);
        let believed = best(&subject(&host, (&source, &part, &key)), &[&request], &spans).unwrap();
        let class = |hours| weighed(&[&believed.decision], hours).decision.class;
        assert_eq!(class(2), Some(ChangeClass::Emergency));
        assert_eq!(class(99), Some(at_last));
    }
}

#[test]
fn an_emergency_of_a_host_takes_nothing_from_a_package() {
    let host = ("sbc-1".parse().unwrap(), Place::default());
    let (source, part) = ("packages".parse().unwrap(), "dpkg".parse().unwrap());
    let key = ItemKey::of(["sip:all", "version"]);
    let subject = subject(&host, (&source, &part, &key));
    let class = |scope: IntentScope| {
        let request = ChangeRequest { scope, ..emergency(Approval::Approved) };
        let intent = Intent {
            requests: &[&request],
            windows: &[],
            blackouts: &[],
            exceptions: &[],
            ignores: &[],
            spans: ClassificationConfig::default().spans(),
            told: true,
        };
        let explained = Explained {
            rule: RuleKind::Package,
            name: "dpkg 1".into(),
            says: "dpkg: sip 1 to 2".into(),
        };
        classify(&subject, (&intent, &Past::default()), Some(explained)).class
    };
    let hosts = vec!["sbc-1".to_owned()];
    let whole = IntentScope { hosts: hosts.clone(), ..IntentScope::default() };
    assert_eq!(class(whole), Some(ChangeClass::Expected));
    let named = IntentScope { hosts, sources: vec!["packages".into()], ..IntentScope::default() };
    assert_eq!(class(named), Some(ChangeClass::Emergency), "it names what was done");
}

#[test]
fn what_was_seen_and_is_not_any_more_is_told() {
    let mut store = store();
    let denied = Unread::Whole(Reason::Denied);
    store.apply(&[version(0, (1, None), Vec::new())]).unwrap();
    assert_eq!(blind(&store, at(500)).unwrap(), []);
    store.apply(&[version(600, (2, Some(denied)), Vec::new())]).unwrap();
    assert_eq!(blind(&store, at(659)).unwrap(), [], "it may come back");
    let told = blind(&store, at(661)).unwrap();
    assert_eq!((told.len(), told[0].reason, told[0].count), (1, Reason::Denied, 1));
    store.apply(&[version(700, (1, None), Vec::new())]).unwrap();
    assert_eq!(blind(&store, at(900)).unwrap(), []);
}

#[test]
fn what_never_was_seen_is_no_blind_spot() {
    let mut store = store();
    let denied = Unread::Whole(Reason::Denied);
    store.apply(&[version(0, (2, Some(denied)), Vec::new())]).unwrap();
    assert_eq!(blind(&store, at(900)).unwrap(), []);
}
