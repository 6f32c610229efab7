//! What people do by hand on a host that Puppet manages, before, beside and after its runs.

use std::collections::BTreeMap;

use super::host::{Cell, DPKG, GROUP, Happening, PASSWD, Place, UNIT, key, package, rows};
use super::intent::{HOUR, MINUTE};
use super::log::Effect;
use super::people::times;
use super::plan::{Deed, Planner};
use super::runs::{
    AUTHORIZED, BANNER, CLOCK, Fate, JOURNAL, LIMITS, Managed, OTHER_UNIT, PARAMETERS, Puppet,
    SETTINGS, SOCKET, Session, Wanted, half_hourly, report,
};
use super::truth::{Expect, Noise, Truth};

const UNAUTHORISED: Expect = Expect::Class("unauthorised");
/// What a run wrote and nobody can prove any more, since a hand wrote the same file before its
/// report was read. Who was there knows it; the specification does not say.
const LOST: Expect = Expect::Either(&["expected", "unauthorised"]);
/// What the sentence says of what a hand left in a file that a run names.
const NOT_LEFT: &str = "puppet changed it about then, and this is not what it left";

/// All of it.
pub fn hands(planner: &mut Planner, puppet: &mut Puppet) {
    for number in times(planner, 12) {
        let fate = [Fate::Soon, Fate::Late, Fate::Unheard][number % 3];
        put_back(planner, puppet, (number, fate));
        edited_after_told(planner, puppet, number);
        edited_before_told(planner, puppet, fate);
        written_at_once(planner, puppet, fate);
        looked_only(planner, puppet);
        failed(planner, puppet, fate);
        beside(planner, puppet, (number, fate));
        mode_of_what_was_written(planner, puppet, fate);
    }
}

fn run(story: &'static str, place: Place) -> Truth {
    Truth::noise(Noise::Routine, story, place, Expect::Class("expected"))
}

/// A hand edits a managed file, and the next run puts it back.
fn put_back(planner: &mut Planner, puppet: &mut Puppet, (number, fate): (usize, Fate)) {
    let managed = [&PARAMETERS, &BANNER][number % 2];
    let place = managed.place();
    let (places, names) = ([place], ["put back", managed.path]);
    let wanted = Wanted { places: &places, names: &names, fate, last: false };
    let Some(session) = puppet.session(planner, wanted) else { return };
    let earliest = if half_hourly(session.host) { 28 } else { 9 * 60 };
    let mut at = session.began - planner.minutes(2, earliest);
    if number % 4 == 3 {
        at = session.began + 5;
    } else if fate == Fate::Unheard || !planner.is_free(&Deed { host: session.host, place, at }) {
        at = session.began - 10 * MINUTE;
    }
    let story = "an edit that the next run puts back";
    let truth = Truth::deed(story, place, Expect::Class("reverted"));
    planner.see(at, session.host, vec![(place, managed.edited(), truth)]);
    let (back, effect) = managed.put_back();
    let truth = run("a run puts an edit back", place);
    planner.see(session.began + 20, session.host, vec![(place, back, truth)]);
    puppet.tells(planner, &session, ("success", vec![effect]));
}

/// A run that is the last on its host, and writes `managed`.
fn last(
    planner: &mut Planner,
    puppet: &mut Puppet,
    (managed, fate): (&Managed, Fate),
) -> Option<Session> {
    let (places, names) = ([managed.place()], [managed.path]);
    puppet.session(planner, Wanted { places: &places, names: &names, fate, last: true })
}

/// The report says how the run left the file; then a hand writes it, and in some cases an agent
/// that starts again reads the same report once more.
fn edited_after_told(planner: &mut Planner, puppet: &mut Puppet, number: usize) {
    let Some(session) = last(planner, puppet, (&CLOCK, Fate::Soon)) else { return };
    let (place, (written, effect)) = (CLOCK.place(), CLOCK.written());
    let truth = run("a run writes what a hand writes after it", place);
    planner.see(session.began + 20, session.host, vec![(place, written, truth)]);
    puppet.tells(planner, &session, ("success", vec![effect.clone()]));
    let mut at = session.told + planner.random.second(20, 9 * MINUTE);
    let mut says = NOT_LEFT;
    let mut story = "an edit of what a run had just written";
    if number % 2 == 1 {
        story = "an edit of what a run had just written, which is read again";
        let later = session.told + 2 * HOUR;
        if number % 4 == 1 && planner.is_free(&Deed { host: session.host, place, at: later }) {
            (at, says) = (later, "");
        }
        report(planner, (&session, at + 90), ("success", vec![effect]));
    }
    let truth = Truth::deed(story, place, UNAUTHORISED).because(says);
    planner.see(at, session.host, vec![(place, CLOCK.edited(), truth)]);
}

/// A hand writes the file before the report is read, which so finds it otherwise.
fn edited_before_told(planner: &mut Planner, puppet: &mut Puppet, fate: Fate) {
    let Some(session) = last(planner, puppet, (&JOURNAL, fate)) else { return };
    let (place, (written, effect)) = (JOURNAL.place(), JOURNAL.written());
    let truth = Truth::deed("what a run wrote, and a hand before it was told", place, LOST);
    planner.see(session.began + 10, session.host, vec![(place, written, truth)]);
    let until = session.told.min(session.ended + 14 * MINUTE);
    let at = planner.random.second(session.began + 15, until);
    let story = "an edit of what a run had just written, before it was told";
    let truth = Truth::deed(story, place, UNAUTHORISED).because(NOT_LEFT);
    planner.see(at, session.host, vec![(place, JOURNAL.edited(), truth)]);
    puppet.tells(planner, &session, ("success", vec![effect]));
}

/// The agent looks once after both of them have written.
fn written_at_once(planner: &mut Planner, puppet: &mut Puppet, fate: Fate) {
    let Some(session) = last(planner, puppet, (&PARAMETERS, fate)) else { return };
    let (place, (written, effect)) = (PARAMETERS.place(), PARAMETERS.written());
    let [ours, theirs] = PARAMETERS.keys();
    let lost = Truth::deed("what a run wrote, seen with an edit", place, LOST).of(ours);
    let story = "an edit seen with what a run wrote";
    let truth = Truth::deed(story, place, UNAUTHORISED).of(theirs).because(NOT_LEFT);
    let seen = vec![(place, written, lost), (place, PARAMETERS.edited(), truth)];
    planner.see(session.began + 30, session.host, seen);
    puppet.tells(planner, &session, ("success", vec![effect]));
}

/// A run without changes would have written the file; a hand did.
fn looked_only(planner: &mut Planner, puppet: &mut Puppet) {
    let Some(session) = last(planner, puppet, (&LIMITS, Fate::Soon)) else { return };
    let place = LIMITS.place();
    let truth = Truth::deed("an edit while a run only looked", place, UNAUTHORISED);
    planner.see(session.began + 40, session.host, vec![(place, LIMITS.edited(), truth)]);
    puppet.tells(planner, &session, ("success", Vec::new()));
}

/// A run writes one file and fails to write another, which a hand edits meanwhile. It goes on
/// failing, so nothing puts that back.
fn failed(planner: &mut Planner, puppet: &mut Puppet, fate: Fate) {
    let (ours, theirs) = (BANNER.place(), SETTINGS.place());
    let (places, names) = ([ours, theirs], [BANNER.path, SETTINGS.path]);
    let wanted = Wanted { places: &places, names: &names, fate, last: false };
    let Some(session) = puppet.session(planner, wanted) else { return };
    let (written, effect) = BANNER.written();
    let truth = run("what succeeded of a run that failed", ours);
    planner.see(session.began + 20, session.host, vec![(ours, written, truth)]);
    let story = "an edit of what a run failed to write";
    let truth = Truth::deed(story, theirs, UNAUTHORISED);
    planner.see(session.began + 45, session.host, vec![(theirs, SETTINGS.edited(), truth)]);
    puppet.tells(planner, &session, ("failed", vec![effect]));
}

/// A run does one thing, and a hand another of the same sort in the same minutes.
fn beside(planner: &mut Planner, puppet: &mut Puppet, (number, fate): (usize, Fate)) {
    let (ours, theirs) = two(number);
    let (places, names) = ([ours.0, theirs.0], [ours.3, theirs.2]);
    let wanted = Wanted { places: &places, names: &names, fate, last: false };
    let Some(session) = puppet.session(planner, wanted) else { return };
    let truth = run("a run that a hand works beside", ours.0);
    planner.see(session.began + 20, session.host, vec![(ours.0, ours.1, truth)]);
    let truth = Truth::deed("an edit beside a run", theirs.0, UNAUTHORISED);
    let at = planner.random.second(session.began + 25, session.ended + 10 * MINUTE);
    planner.see(at, session.host, vec![(theirs.0, theirs.1, truth)]);
    puppet.tells(planner, &session, ("success", vec![ours.2]));
}

/// What a run does and what a hand does beside it, each with its name on the host.
type Two = ((Place, Happening, Effect, &'static str), (Place, Happening, &'static str));

/// The first so many sorts; all of them again after the last.
fn two(number: usize) -> Two {
    let row =
        |names: &[&str], text: &str| Happening::Row(key(names), Some(Cell::Text(text.into())));
    let unit =
        || (UNIT, row(&["enablement"], "enabled"), Effect::Named("service", "rsync"), "rsync");
    let account = || {
        let effect = Effect::Named("user", "deploy");
        (PASSWD, row(&["deploy", "shell"], "/bin/sh"), effect, "deploy")
    };
    match number % 9 {
        0 => {
            let (written, effect) = LIMITS.written();
            let edited = (SETTINGS.place(), SETTINGS.edited(), SETTINGS.path);
            ((LIMITS.place(), written, effect, LIMITS.path), edited)
        }
        1 => (unit(), (OTHER_UNIT, row(&["enablement"], "enabled"), "nfs-server")),
        // The unit is the run's, what it starts is not; nor is the socket of its name.
        2 => (unit(), (UNIT, row(&["Service/ExecStart"], "/usr/local/sbin/run"), "rsync by hand")),
        3 => (unit(), (SOCKET, row(&["enablement"], "enabled"), "rsync.socket")),
        4 => (account(), (PASSWD, row(&["visitor", "shell"], "/bin/bash"), "visitor")),
        // Who may log in as the account that the run makes, and what it may do, is another matter.
        5 => {
            let keys = BTreeMap::from([(key(&["SHA256:x", "type"]), Cell::Text("rsa".into()))]);
            (account(), (AUTHORIZED, Happening::Appears(rows(keys)), "authorized keys"))
        }
        // An account of the run's, with the number of root.
        6 => (account(), (PASSWD, row(&["deploy", "uid"], "0"), "deploy by hand")),
        7 => (account(), (GROUP, row(&["sudo", "members"], "deploy"), "sudo")),
        _ => {
            let version = |name| row(&[&package(name), "version"], "1.0-1");
            let done = (DPKG, version("iftop"), Effect::Named("package", "iftop"), "iftop");
            (done, (DPKG, version("iftop-remote"), "iftop-remote"))
        }
    }
}

/// A run writes a file whose mode it does not set; a hand does.
fn mode_of_what_was_written(planner: &mut Planner, puppet: &mut Puppet, fate: Fate) {
    let place = CLOCK.place();
    let (places, names) = ([place], [CLOCK.path]);
    let wanted = Wanted { places: &places, names: &names, fate, last: false };
    let Some(session) = puppet.session(planner, wanted) else { return };
    let (written, effect) = CLOCK.written();
    let truth = run("a run writes a file whose mode a hand sets", place);
    planner.see(session.began + 20, session.host, vec![(place, written, truth)]);
    let at = planner.random.second(session.began + 25, session.began + 45);
    let truth = Truth::deed("a mode set by hand during a run", place, UNAUTHORISED);
    planner.see(at, session.host, vec![(place, Happening::Mode("0666"), truth)]);
    puppet.tells(planner, &session, ("success", vec![effect]));
}
