//! What nobody need look at because it happens every week: packages, and what they bring.

use std::collections::BTreeSet;

use super::apt;
use super::host::{Cell, DPKG, Happening, PACKAGES, Place, Role, TCP, file, package};
use super::intent::{DAY, HOUR, MINUTE};
use super::log::Effect;
use super::people;
use super::plan::Planner;
use super::text;
use super::truth::{Expect, Noise, Truth};

/// When the packages of a role begin to come, in seconds of the week, and over how many seconds.
fn ring(role: Role, number: usize) -> (i64, i64) {
    match role {
        Role::Laptop => (DAY * (1 + number as i64 % 3) + 10 * HOUR, 5 * HOUR),
        Role::Server | Role::Queue => (DAY + 2 * HOUR + 30 * MINUTE, 2 * HOUR),
        Role::Proxy => (2 * DAY + 2 * HOUR, 90 * MINUTE),
    }
}

fn expected(story: &'static str, place: Place, frozen: bool) -> Truth {
    if frozen {
        let expect = Expect::Class("unauthorised");
        return Truth::deed("packages brought up to date in a freeze", place, expect);
    }
    Truth::noise(Noise::Routine, story, place, Expect::Class("expected"))
}

/// Every host's packages, every week: first a configuration file where one comes with them, then
/// what dpkg says, then a service that was started again.
pub fn patches(planner: &mut Planner) {
    for week in 0..planner.size.days / 7 {
        let mut names = BTreeSet::new();
        while names.len() < 3 + week as usize % 3 {
            names.insert(planner.random.pick(&PACKAGES[3..]).0);
        }
        // Each other week one of the two whose files people edit.
        let with_file = PACKAGES.get(week as usize / 2 % 2).filter(|_| week % 2 == 1);
        names.extend(with_file.map(|(name, _)| *name));
        for host in 0..planner.hosts.len() {
            let Some(role) = planner.hosts.get(host).map(|host| host.role) else { continue };
            let (from, lasts) = ring(role, host);
            let at = week * 7 * DAY + planner.random.second(from, from + lasts);
            if week == 0 && at < DAY || at + DAY > planner.size.days * DAY {
                continue;
            }
            let frozen = role == Role::Proxy && people::is_frozen(at, planner.size.days);
            // A site that freezes its edge holds the packages back; now and then somebody forgets.
            if frozen && !planner.random.chance(0.1) {
                continue;
            }
            if let Some(patches) = planner.patches.get_mut(host) {
                patches.push(at);
            }
            if with_file.is_some() {
                brought_file(planner, (host, at), (week, frozen));
            }
            let done = at + 30 + host as i64 % 270; // dpkg is looked at when it is done
            upgraded(planner, (host, done), (&names, week, frozen));
        }
    }
}

/// The file a package brings: another default.
fn brought_file(planner: &mut Planner, (host, at): (usize, i64), (week, frozen): (i64, bool)) {
    let (part, find, line) = match week / 2 % 2 {
        0 => (text::SSHD, "LoginGraceTime", format!("LoginGraceTime {}", 40 + week)),
        _ => (text::RSYSLOG, "$FileCreateMode", format!("$FileCreateMode 06{}", 20 + week)),
    };
    let happening = Happening::Line(find.into(), Some(line));
    let truth = expected("a package brings its file", file(part), frozen);
    planner.see(at, host, vec![(file(part), happening, truth)]);
}

fn upgraded(
    planner: &mut Planner,
    (host, at): (usize, i64),
    (names, week, frozen): (&BTreeSet<&'static str>, i64, bool),
) {
    let (mut seen, mut wrote) = (Vec::new(), Vec::new());
    for name in names {
        let key = vec![package(name), "version".to_owned()];
        let version = format!("1.{}-1", week + 1);
        wrote.push(Effect::Package("upgraded", package(name), version.clone(), false));
        let truth = expected("packages brought up to date", DPKG, frozen);
        seen.push((DPKG, Happening::Row(key, Some(Cell::Text(version))), truth));
    }
    if let Some(name) = apt::needed(planner.role(host), week) {
        let story = "what packages that are brought up to date need anew";
        let row = vec![package(name), "version".to_owned()];
        let version = "1.0-1".to_owned();
        let truth = expected(story, DPKG, frozen).of(name);
        seen.push((DPKG, Happening::Row(row, Some(Cell::Text(version.clone()))), truth));
        wrote.push(Effect::Package("installed", package(name), version, true));
    }
    planner.see(at, host, seen);
    apt::upgraded(planner, (host, at), wrote);
    let started = ["@now", "started", "sshd"].map(ToOwned::to_owned).to_vec();
    let row = Happening::Row(started, Some(Cell::Text(at.to_string())));
    let truth = Truth::noise(Noise::Volatile, "a service was started", TCP, Expect::Nothing);
    planner.see(at + MINUTE, host, vec![(TCP, row, truth)]);
}
