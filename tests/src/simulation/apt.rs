//! What apt writes of its runs on servers: upgrades that nobody decided, and what admins install.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::host::{
    APT, Cell, Content, DPKG, Happening, Host, Place, Role, State, key, package, rows,
};
use super::intent::{DAY, HOUR, MINUTE, Request};
use super::log::{Effect, Run};
use super::people::times;
use super::plan::{Deed, Planner};
use super::runs::{Seen, Session};
use super::truth::{Expect, Noise, Truth};

const UNAUTHORISED: Expect = Expect::Class("unauthorised");
const EXPECTED: Expect = Expect::Class("expected");

/// What upgrades the packages of servers by itself.
const UNATTENDED: &str = "/usr/bin/unattended-upgrade";
/// How often a host is looked for.
const TRIES: usize = 500;
/// A library that nothing needs any more, installed on the first day.
const OBSOLETE: &str = "libicu72";
/// A package that upgrades bring anew.
const NEEDED: [&str; 4] = ["libssl3t64", "liblzma6", "libzstd2", "libcap3"];

/// Whether hosts of this role keep apt's log; laptops have an older agent.
fn keeps(role: Role) -> bool {
    matches!(role, Role::Server | Role::Queue)
}

/// Who asked for what, as the log has it.
struct Asked {
    by: Option<&'static str>,
    command: &'static str,
    /// What the sentence of what he decided says.
    says: &'static str,
}

/// Packages that an admin installs; the second has a name that looks like a program's.
const ADAS: [(&str, Asked); 2] = [
    (
        "tcpdump",
        Asked {
            by: Some("ada"),
            command: "apt install tcpdump",
            says: "ada by `apt install tcpdump`",
        },
    ),
    (
        "unattended-upgrades",
        Asked {
            by: Some("ada"),
            command: "apt install unattended-upgrades",
            says: "ada by `apt install unattended-upgrades`",
        },
    ),
];

/// Of each host with a log, what it has on the first day; and what happens beside the weekly
/// upgrades.
pub fn apt(planner: &mut Planner) {
    for host in planner.hosts.iter_mut().filter(|host| keeps(host.role)) {
        first_day(host);
    }
    let mut own = BTreeSet::new();
    for number in times(planner, 12) {
        let late = if number % 2 == 0 { 4 } else { 50 };
        asked_for(planner, &mut own, (number, late));
        told_twice(planner, &mut own);
        broken_off(planner, &mut own, late);
        taken_away(planner, &mut own, late);
        dpkg_by_hand(planner, &mut own, late);
    }
}

fn first_day(host: &mut Host) {
    host.parts.insert(APT, State::of(rows(BTreeMap::new())));
    let Some(dpkg) = host.parts.get_mut(&DPKG) else { return };
    if let Content::Rows(rows) = &mut dpkg.content {
        let version = key(&[&package(OBSOLETE), "version"]);
        Rc::make_mut(rows).insert(version, Cell::Text("72.1-3".into()));
    }
}

/// The library that an upgrade of this week brings anew.
pub fn needed(role: Role, week: i64) -> Option<&'static str> {
    let all = NEEDED.get(usize::try_from(week / 2).ok()?).filter(|_| week % 2 == 0);
    all.filter(|_| keeps(role)).copied()
}

/// What apt writes of a weekly upgrade that dpkg was done with at `done`.
pub fn upgraded(planner: &mut Planner, (host, done): (usize, i64), effects: Vec<Effect>) {
    if !keeps(planner.role(host)) {
        return;
    }
    let asked = Asked { by: None, command: UNATTENDED, says: "" };
    let run = stanza((done - 30, Some(done)), &asked, ("success", effects));
    wrote(planner, (host, done + 5 + host as i64 % 180), run);
}

fn stanza(
    span: (i64, Option<i64>),
    asked: &Asked,
    (result, effects): (&'static str, Vec<Effect>),
) -> Rc<Run> {
    let command = Some(asked.command);
    Rc::new(Run { span, result, asked_by: asked.by, command, effects })
}

fn wrote(planner: &mut Planner, (host, at): (usize, i64), run: Rc<Run>) {
    let story = "what a tool wrote of its run";
    let truth = Truth::noise(Noise::Volatile, story, APT, Expect::Nothing);
    planner.see(at, host, vec![(APT, Happening::Stanza(run), truth)]);
}

/// A package that is new, and apt's word of it.
fn installed(name: &'static str, truth: Truth, automatic: bool) -> (Seen, Effect) {
    let (name_there, version) = (package(name), "4.99.3-1".to_owned());
    let row = Happening::Row(key(&[&name_there, "version"]), Some(Cell::Text(version.clone())));
    let effect = Effect::Package("installed", name_there, version, automatic);
    ((DPKG, row, truth.of(name)), effect)
}

/// A time on a host with a log at which nothing comes near; `name` is once on a host.
fn moment(
    planner: &mut Planner,
    own: &mut BTreeSet<(usize, &'static str)>,
    name: &'static str,
) -> Option<Deed> {
    for _ in 0..TRIES {
        let host = planner.random.below(planner.hosts.len());
        let day = planner.random.second(2, planner.size.days - 2);
        let at = day * DAY + planner.random.second(7 * HOUR, 16 * HOUR);
        let deed = Deed { host, place: DPKG, at };
        let free =
            [at - HOUR, at, at + HOUR].into_iter().all(|at| planner.is_free(&Deed { at, ..deed }));
        if keeps(planner.role(host)) && free && own.insert((host, name)) {
            planner.take(deed);
            return Some(deed);
        }
    }
    planner.leave_out();
    None
}

/// An admin installs a package, which brings another; with a request or without one.
fn asked_for(
    planner: &mut Planner,
    own: &mut BTreeSet<(usize, &'static str)>,
    (number, late): (usize, i64),
) {
    let Some(Deed { host, at, .. }) = moment(planner, own, "tcpdump") else { return };
    let (name, asked) = if number % 3 == 1 { &ADAS[1] } else { &ADAS[0] };
    let (hosts, span) = (vec![planner.name(host)], (at - 50 * MINUTE, at + 2 * HOUR));
    let request = Request { hosts, keys: vec!["tcpdump*".into()], ..Request::approved(span) };
    let own = Deed { host, place: DPKG, at };
    let truth = if number % 3 == 2 && !planner.disturbs(&request, &[own]) {
        planner.request(span.0 - DAY, request);
        Truth::deed("a package that apt installs as approved", DPKG, EXPECTED)
    } else {
        let story = "a package that an admin installs by apt";
        Truth::deed(story, DPKG, UNAUTHORISED).because(asked.says)
    };
    let (named, its) = installed(name, truth, false);
    let story = "what a package that apt installs needs";
    let truth = Truth::noise(Noise::Routine, story, DPKG, EXPECTED);
    let (needed, theirs) = installed("libpcap0.8t64", truth, true);
    planner.see(at, host, vec![named, needed]);
    let run = stanza((at - 20, Some(at + 15)), asked, ("success", vec![its, theirs]));
    let told = at + 16 + planner.minutes(0, late);
    wrote(planner, (host, told), run);
}

/// The log is read while apt is at work and once more when it is done.
fn told_twice(planner: &mut Planner, own: &mut BTreeSet<(usize, &'static str)>) {
    let Some(Deed { host, at, .. }) = moment(planner, own, "strace") else { return };
    let command = "apt install strace";
    let asked = Asked { by: Some("bob"), command, says: "bob by `apt install strace`" };
    let truth = Truth::deed("a package whose log is read twice", DPKG, UNAUTHORISED);
    let (named, its) = installed("strace", truth.because(asked.says), false);
    let story = "what a package needs whose log is read twice";
    let truth = Truth::noise(Noise::Routine, story, DPKG, EXPECTED);
    let (needed, theirs) = installed("libunwind8", truth, true);
    let effects = vec![its, theirs];
    let unfinished = stanza((at - 20, None), &asked, ("unfinished", effects.clone()));
    wrote(planner, (host, at - 15), unfinished);
    planner.see(at, host, vec![named, needed]);
    let ended = at + planner.minutes(1, 25);
    let run = stanza((at - 20, Some(ended)), &asked, ("success", effects));
    wrote(planner, (host, ended + 20), run);
}

/// What apt needs for the package that a run of Puppet installs; apt writes of both.
pub fn by_puppet(planner: &mut Planner, session: &Session, truth: Truth) -> Seen {
    let named = Effect::Package("installed", package("iftop"), "1.0~pre4-9".into(), false);
    let (needed, theirs) = installed("libncurses7", truth, true);
    let command = "/usr/bin/apt-get -q -y -o DPkg::Options::=--force-confold install iftop";
    let asked = Asked { by: None, command, says: "" };
    let span = (session.began + 8, Some(session.began + 19));
    let run = stanza(span, &asked, ("success", vec![named, theirs]));
    wrote(planner, (session.host, session.began + 25), run);
    needed
}

/// An admin installs a package, and dpkg fails or is killed.
fn broken_off(planner: &mut Planner, own: &mut BTreeSet<(usize, &'static str)>, late: i64) {
    let Some(Deed { host, at, .. }) = moment(planner, own, "ngrep") else { return };
    let asked = Asked { by: Some("ada"), command: "apt install ngrep", says: "" };
    let of = |story| Truth::deed(story, DPKG, UNAUTHORISED);
    let (named, its) = installed("ngrep", of("a package whose installation broke off"), false);
    let story = "what a package needs whose installation broke off";
    let (needed, theirs) = installed("libnet9", of(story), true);
    planner.see(at, host, vec![named, needed]);
    let (ended, result) = match host % 2 {
        0 => (None, "unfinished"),
        _ => (Some(at + 15), "failed"),
    };
    let run = stanza((at - 20, ended), &asked, (result, vec![its, theirs]));
    let told = at + 16 + planner.minutes(0, late);
    wrote(planner, (host, told), run);
}

/// What upgrades by itself takes away what nothing needs any more; or an admin does.
fn taken_away(planner: &mut Planner, own: &mut BTreeSet<(usize, &'static str)>, late: i64) {
    let Some(Deed { host, at, .. }) = moment(planner, own, OBSOLETE) else { return };
    let (asked, truth) = if host % 3 == 0 {
        let command = "apt remove libicu72";
        let asked = Asked { by: Some("bob"), command, says: "bob by `apt remove libicu72`" };
        let story = "a package that an admin removes by apt";
        let truth = Truth::deed(story, DPKG, UNAUTHORISED).because(asked.says);
        (asked, truth)
    } else {
        let story = "a package that unattended-upgrade removes";
        let asked = Asked { by: None, command: UNATTENDED, says: "" };
        (asked, Truth::noise(Noise::Routine, story, DPKG, EXPECTED))
    };
    let gone = Happening::Row(key(&[&package(OBSOLETE), "version"]), None);
    planner.see(at, host, vec![(DPKG, gone, truth.of(OBSOLETE))]);
    let removed = Effect::Package("removed", package(OBSOLETE), "72.1-3".into(), false);
    let run = stanza((at - 20, Some(at + 15)), &asked, ("success", vec![removed]));
    let told = at + 16 + planner.minutes(0, late);
    wrote(planner, (host, told), run);
}

/// While packages are upgraded, somebody installs one past apt.
fn dpkg_by_hand(planner: &mut Planner, own: &mut BTreeSet<(usize, &'static str)>, late: i64) {
    let Some(Deed { host, at, .. }) = moment(planner, own, "remote-tool") else { return };
    let place: Place = DPKG;
    let version = Cell::Text("1.99-1".into());
    let row = Happening::Row(key(&[&package("curl"), "version"]), Some(version));
    let routine =
        Truth::noise(Noise::Routine, "an upgrade that a hand works beside", place, EXPECTED);
    let truth = Truth::deed("a package installed past apt", place, UNAUTHORISED);
    let (by_hand, _) = installed("remote-tool", truth, false);
    planner.see(at, host, vec![(place, row, routine.of("curl")), by_hand]);
    let upgraded = Effect::Package("upgraded", package("curl"), "1.99-1".into(), false);
    let asked = Asked { by: None, command: UNATTENDED, says: "" };
    let run = stanza((at - 20, Some(at + 15)), &asked, ("success", vec![upgraded]));
    let told = at + 16 + planner.minutes(0, late);
    wrote(planner, (host, told), run);
}
