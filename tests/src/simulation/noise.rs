//! What nobody did: comments, failed reads, new readers, what flaps, silence, clones, a restored
//! store, clocks.

use super::host::{Cell, DPKG, Happening, Place, Role, TCP, file};
use super::intent::{DAY, HOUR, MINUTE};
use super::plan::{Action, Deed, Planner, What};
use super::text::{self, CHRONY, RESOLV, SSHD};
use super::truth::{Expect, Noise, Truth};

/// Files in which `#` begins a comment and that no package brings anew.
const COMMENTED: [&str; 4] =
    [CHRONY, "/etc/sysctl.d/90-site.conf", "/etc/systemd/journald.conf", "/etc/hosts"];

/// After so many turns a value is known to flap with over 90 %: (9 + 1) / (9 + 2).
pub const LEARNED: usize = 9;

/// Who is silent when, whose clock is wrong, who is cloned, and when the store is put back:
/// before anything is planned beside it.
pub fn interruptions(planner: &mut Planner) {
    let days = planner.size.days;
    for host in 0..planner.hosts.len() {
        if planner.random.chance(0.05) {
            let by = planner.random.second(60, 3 * DAY);
            let sign = if planner.random.chance(0.5) { 1 } else { -1 };
            if let Some(host) = planner.hosts.get_mut(host) {
                host.ahead = sign * by;
            }
        }
        if planner.random.chance(0.05) {
            let from = planner.random.second(2 * DAY, (days - 4) * DAY);
            let lasts = planner.random.second(DAY / 2, (days / 4) * DAY);
            let to = (from + lasts).min((days - 1) * DAY);
            let gap = planner.gap;
            if from < gap.1 + DAY && to > gap.0 - DAY {
                continue; // who is silent through a restore is another story
            }
            planner.actions.push(Action { at: from, what: What::Silent(host) });
            let rebooted = planner.random.chance(0.2);
            planner.actions.push(Action { at: to, what: What::Back { host, rebooted } });
            if let Some(silences) = planner.silences.get_mut(host) {
                silences.push((from, to));
            }
        }
    }
    for _ in 0..planner.count(3) {
        let at = planner.random.second(3 * DAY, (days - 3) * DAY);
        let host = planner.random.below(planner.hosts.len());
        if planner.silences.get(host).is_some_and(Vec::is_empty) {
            planner.actions.push(Action { at, what: What::Cloned(host) });
        }
    }
    planner.actions.push(Action { at: planner.gap.0, what: What::BackedUp });
    planner.actions.push(Action { at: planner.gap.1, what: What::Restored });
}

/// The rest.
pub fn noise(planner: &mut Planner) {
    flapping(planner);
    for week in 0..planner.size.days / 7 {
        for _ in 0..planner.hosts.len().div_ceil(25) {
            comment(planner, week);
            failed_read(planner, week);
            moment(planner, week);
        }
    }
    new_reader(planner, 0.3, file(SSHD));
    new_reader(planner, 0.8, DPKG);
}

fn some_time(planner: &mut Planner, week: i64) -> (usize, i64) {
    let host = planner.random.below(planner.hosts.len());
    let last = ((week + 1) * 7 * DAY).min((planner.size.days - 2) * DAY);
    (host, planner.random.second((week * 7 * DAY).max(DAY), last))
}

fn comment(planner: &mut Planner, week: i64) {
    let (host, at) = some_time(planner, week);
    let cosmetic =
        |story, place| Truth::noise(Noise::Cosmetic, story, place, Expect::Kind("cosmetic"));
    let (place, happening, story) = if planner.random.chance(0.3) {
        (file(SSHD), Happening::Reordered, "lines whose order means nothing")
    } else {
        let place = file(planner.random.pick::<&'static str>(&COMMENTED));
        (place, Happening::Comment(planner.number()), "a comment")
    };
    if is_alone(planner, &Deed { host, place, at }) {
        planner.see(at, host, vec![(place, happening, cosmetic(story, place))]);
    }
}

/// Whether nothing else is seen of the part that hour, and its host is heard.
fn is_alone(planner: &Planner, deed: &Deed) -> bool {
    let clear = |times: &Vec<i64>| times.iter().all(|at| at.abs_diff(deed.at) > 2 * 3_600);
    let gap = planner.gap.0 - HOUR..planner.gap.1 + HOUR;
    planner.is_untouched(deed.host, deed.place)
        && planner.patches.get(deed.host).is_some_and(clear)
        && !gap.contains(&deed.at)
}

/// A read that fails for some hours, of a file nobody touches meanwhile.
fn failed_read(planner: &mut Planner, week: i64) {
    let (host, at) = some_time(planner, week);
    let role = planner.role(host);
    let parts: Vec<&'static str> = text::files(role).map(|(part, _)| part).collect();
    let place = file(planner.random.pick::<&'static str>(&parts));
    let until = at + planner.minutes(5, 30 * 60);
    let ours = [CHRONY, SSHD, text::RSYSLOG, text::DISPATCHER];
    let deed = Deed { host, place, at };
    if ours.contains(&place.1) || !is_alone(planner, &deed) || crosses(planner, at, until) {
        return;
    }
    planner.take(deed);
    let truth = || Truth::noise(Noise::Unobserved, "a read that failed", place, Expect::Nothing);
    planner.see(at, host, vec![(place, Happening::Refused, truth())]);
    planner.see(until, host, vec![(place, Happening::Readable, truth())]);
}

fn crosses(planner: &Planner, from: i64, to: i64) -> bool {
    from < planner.gap.1 + HOUR && to > planner.gap.0 - HOUR
}

fn moment(planner: &mut Planner, week: i64) {
    let (host, at) = some_time(planner, week);
    let key = ["@now", "loaded", "/etc/rsyslog.conf"].map(ToOwned::to_owned).to_vec();
    let row = Happening::Row(key, Some(Cell::Text(at.to_string())));
    let truth = Truth::noise(Noise::Volatile, "what is so at the moment", TCP, Expect::Nothing);
    planner.see(at, host, vec![(TCP, row, truth)]);
}

/// Name servers that come and go with a tunnel, until they stay away.
fn flapping(planner: &mut Planner) {
    for _ in 0..planner.count(8) {
        (0..TRIES).find(|_| flaps(planner).is_some());
    }
}

/// How often a host is looked for that may flap.
const TRIES: usize = 200;

/// A laptop of which nobody wants the file, heard all the time, with no request for it near.
fn tunnel(planner: &mut Planner, lasts: i64) -> Option<Deed> {
    let host = planner.random.below(planner.hosts.len());
    let place: Place = file(RESOLV);
    let at = planner.random.second(DAY, planner.size.days * DAY - lasts - 2 * DAY);
    let quiet = planner.silences.get(host).is_some_and(Vec::is_empty);
    let laptop = planner.hosts.get(host).filter(|host| host.role == Role::Laptop)?;
    let asked = planner.requests.iter().any(|request| {
        let near = request.span.0 - DAY < at + lasts && request.span.1 + DAY > at;
        near && request.covers(laptop, place)
    });
    let free = quiet && !asked && !crosses(planner, at, at + lasts);
    (free && planner.is_untouched(host, place)).then_some(Deed { host, place, at })
}

fn flaps(planner: &mut Planner) -> Option<()> {
    let turns = 24 + planner.random.below(8);
    let deed = tunnel(planner, turns as i64 * 200 * MINUTE)?;
    let Deed { host, place, mut at } = deed;
    planner.take(deed);
    let line =
        |server: &str| Happening::Line("nameserver".into(), Some(format!("nameserver {server}")));
    for turn in 0..turns {
        let (server, learned) = (["10.8.0.1", "10.0.0.53"][turn % 2], turn >= LEARNED + 3);
        let truth = if learned {
            let flapping = Expect::Class("flapping");
            Truth::noise(Noise::Volatile, "a value that flaps", place, flapping)
        } else {
            let either = Expect::Either(&["reverted", "flapping"]);
            Truth::deed("a value that begins to flap", place, either)
        };
        planner.see(at, host, vec![(place, line(server), truth)]);
        at += planner.minutes(40, 200);
    }
    let settled = (0..40).map(|step| Deed { at: at + step * 20 * MINUTE, ..deed });
    if let Some(settled) = settled.into_iter().find(|settled| planner.is_free(settled)) {
        planner.take(settled);
        let story = "a flapping value that settles on a wrong one";
        let truth = Truth::deed(story, place, Expect::Class("unauthorised"));
        planner.see(settled.at, host, vec![(place, line("198.51.100.7"), truth)]);
    }
    Some(())
}

/// Every agent reads a part by a newer reader from one morning on; on some, somebody edits the
/// file in the same moment.
fn new_reader(planner: &mut Planner, share: f64, place: Place) {
    let day = (planner.size.days as f64 * share) as i64 * DAY + 8 * HOUR;
    for host in 0..planner.hosts.len() {
        let recast = |story| Truth::noise(Noise::Recast, story, place, Expect::Kind("recast"));
        let mut at = day + planner.random.second(0, 2 * HOUR);
        let near = |times: &Vec<i64>| times.iter().any(|p| p.abs_diff(at) < 1_800);
        if planner.patches.get(host).is_some_and(near) {
            at += 6 * HOUR;
        }
        if crosses(planner, at, at) {
            continue;
        }
        let mut seen = vec![(place, Happening::NewReader, recast("a newer reader"))];
        if planner.random.chance(0.02) && place == file(SSHD) && planner.is_untouched(host, place) {
            planner.take(Deed { host, place, at });
            let line = Some("Banner /etc/issue.net".to_owned());
            let story = "a newer reader and an edit at once";
            seen = vec![
                (place, Happening::Line("Banner".into(), line), recast(story)),
                (place, Happening::NewReader, recast(story)),
            ];
        }
        planner.see(at + MINUTE, host, seen);
    }
}
