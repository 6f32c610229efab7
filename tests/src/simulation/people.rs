//! What people do: with leave, without it, beside it, and wrongly.

use super::host::{Cell, DPKG, Happening, PASSWD, Role, package};
use super::intent::{DAY, HOUR, MINUTE, Request};
use super::plan::{Action, Deed, Planner, Slot, What};
use super::truth::{Expect, Noise, Truth};

/// The window of servers: Sundays from two to six in Vienna.
const SUNDAY: i64 = 6;
/// The day on whose noon the edge is frozen, for two days, as a share of all days.
const FREEZE: f64 = 0.6;

const UNAUTHORISED: Expect = Expect::Class("unauthorised");
const EXPECTED: Expect = Expect::Class("expected");

/// The first second in which the edge is frozen.
pub fn freeze(days: i64) -> i64 {
    (days as f64 * FREEZE) as i64 * DAY + 12 * HOUR
}

/// Whether the edge is frozen.
pub fn is_frozen(at: i64, days: i64) -> bool {
    (freeze(days)..freeze(days) + 2 * DAY).contains(&at)
}

/// Whether a window or a freeze counts for hosts of this role, or could within an hour.
pub fn is_open(role: Role, at: i64, days: i64) -> bool {
    let frozen = is_frozen(at, days) || is_frozen(at - HOUR, days);
    if role == Role::Proxy && frozen {
        return true;
    }
    let (day, second) = (at.div_euclid(DAY) % 7, at.rem_euclid(DAY));
    role == Role::Server && day == SUNDAY && second < 7 * HOUR
}

/// All of it.
pub fn deeds(planner: &mut Planner) {
    approved(planner);
    done_wrong(planner);
    plain(planner);
    beside_a_request(planner);
    not_approved(planner);
    beside_its_time(planner);
    emergencies(planner);
    permitted(planner);
    in_a_window(planner);
    in_a_freeze(planner);
    taken_back(planner);
    by_hand(planner);
    unheard(planner);
}

/// So many numbers, from anywhere on, so that small worlds together have all shapes.
pub fn times(planner: &mut Planner, whole: usize) -> std::ops::Range<usize> {
    let first = planner.random.below(60);
    first..first + planner.count(whole)
}

/// The deed of a slot, with what must be said of it.
fn done(planner: &mut Planner, slot: &Slot, truth: Truth) {
    planner.see(slot.deed.at, slot.deed.host, vec![(slot.deed.place, slot.written(), truth)]);
}

fn deed(slot: &Slot, story: &'static str, expect: Expect) -> Truth {
    Truth::deed(story, slot.deed.place, expect)
}

/// A request that covers the slot, in one of the ways people write them; the first two name the
/// host, the others say less.
fn covering(planner: &Planner, slot: &Slot, shape: usize, span: (i64, i64)) -> Request {
    let Some(host) = planner.hosts.get(slot.deed.host) else { return Request::default() };
    let part = || vec![slot.edit.part.to_owned()];
    let name = || vec![host.name.clone()];
    let plain = Request::approved(span);
    let exact = Request { hosts: name(), parts: part(), ..plain.clone() };
    let wide = match shape % 6 {
        0 => Request { hosts: name(), ..plain },
        1 if !slot.edit.key.is_empty() => {
            Request { keys: vec![format!("*{}*", slot.edit.key)], ..exact.clone() }
        }
        2 => Request { groups: vec![host.role.group().into()], parts: part(), ..plain },
        3 => Request { services: vec![host.role.service().into()], parts: part(), ..plain },
        4 => Request { sites: vec![host.site.into()], parts: part(), ..plain },
        _ => Request { sources: vec!["files".into()], ..exact.clone() },
    };
    if planner.disturbs(&wide, &[slot.deed]) { exact } else { wide }
}

/// A window of two to five hours about a moment.
fn about(planner: &mut Planner, at: i64) -> (i64, i64) {
    let from = at - planner.minutes(20, 120);
    (from, at + planner.minutes(40, 180))
}

fn approved(planner: &mut Planner) {
    for shape in times(planner, 11) {
        let Some(slot) = planner.slot(&Role::ALL) else { continue };
        let at = slot.deed.at;
        let mut span = about(planner, at);
        let mut story = "an approved change";
        let mut sent = span.0 - DAY;
        if shape % 4 == 1 {
            span.0 = at + 8 * MINUTE;
            story = "an approved change, within its slack";
        }
        if shape % 4 == 3 {
            sent = at + planner.minutes(30, 600);
            story = "an approved change whose request is sent later";
        }
        let request = covering(planner, &slot, shape, span);
        planner.request(sent, request);
        let truth = deed(&slot, story, EXPECTED);
        done(planner, &slot, truth);
    }
}

/// The item that was approved, and another one of the same file.
fn done_wrong(planner: &mut Planner) {
    for _ in times(planner, 4) {
        let slot = planner.slot(&Role::ALL);
        let Some(slot) =
            slot.filter(|slot| slot.edit.part == super::text::SSHD).or_else(|| sshd(planner))
        else {
            continue;
        };
        let span = about(planner, slot.deed.at);
        let hosts = vec![planner.name(slot.deed.host)];
        let parts = vec![slot.edit.part.to_owned()];
        let keys = vec!["*clientaliveinterval*".to_owned()];
        planner.request(span.0 - DAY, Request { hosts, parts, keys, ..Request::approved(span) });
        let right = Happening::Line("ClientAlive".into(), Some("ClientAliveInterval 120".into()));
        let wrong = Happening::Line("X11Forwarding".into(), Some("X11Forwarding yes".into()));
        let story = "an approved change that was done wrong";
        let truth = |key, expect| deed(&slot, story, expect).of(key);
        let place = slot.deed.place;
        let seen = vec![
            (place, right, truth("clientaliveinterval", EXPECTED)),
            (place, wrong, truth("x11forwarding", Expect::Class("out_of_scope"))),
        ];
        planner.see(slot.deed.at, slot.deed.host, seen);
    }
}

/// A slot in sshd's file.
fn sshd(planner: &mut Planner) -> Option<Slot> {
    (0..40)
        .find_map(|_| planner.slot(&Role::ALL).filter(|slot| slot.edit.part == super::text::SSHD))
}

/// Nobody asked.
fn plain(planner: &mut Planner) {
    for number in times(planner, 19) {
        let Some(slot) = planner.slot(&Role::ALL) else { continue };
        if number % 6 == 5 {
            unseen(planner, &slot);
            continue;
        }
        let truth = deed(&slot, "an edit nobody asked for", UNAUTHORISED);
        done(planner, &slot, truth);
    }
}

/// An edit while the file cannot be read: seen when it can be again.
fn unseen(planner: &mut Planner, slot: &Slot) {
    let Deed { host, place, at } = slot.deed;
    let story = "an edit while the file could not be read";
    let nothing = || Truth::noise(Noise::Unobserved, "a read that failed", place, Expect::Nothing);
    planner.see(at - 40 * MINUTE, host, vec![(place, Happening::Refused, nothing())]);
    planner.see(at - 20 * MINUTE, host, vec![(place, slot.written(), nothing())]);
    let truth = Truth::deed(story, place, UNAUTHORISED);
    planner.see(at, host, vec![(place, Happening::Readable, truth)]);
}

/// Inside somebody's window, and not in its scope.
fn beside_a_request(planner: &mut Planner) {
    for shape in times(planner, 12) {
        let Some(slot) = planner.slot(&Role::ALL) else { continue };
        let span = about(planner, slot.deed.at);
        let Some(host) = planner.hosts.get(slot.deed.host) else { continue };
        let other = vec!["/etc/motd".to_owned()];
        let plain = Request::approved(span);
        let name = vec![host.name.clone()];
        let request = match shape % 5 {
            0 => Request { hosts: name, parts: other, ..plain },
            1 => Request { hosts: name, keys: vec!["*nosuchkey*".into()], ..plain },
            2 => Request { groups: vec![host.role.group().into()], parts: other, ..plain },
            3 => Request { sites: vec![host.site.into()], parts: other, ..plain },
            _ => Request { hosts: name, sources: vec!["packages".into()], ..plain },
        };
        if planner.disturbs(&request, &[slot.deed]) {
            continue;
        }
        planner.request(span.0 - DAY, request);
        let story = "an edit inside a window for something else";
        let truth = deed(&slot, story, Expect::Class("out_of_scope"));
        done(planner, &slot, truth);
    }
}

fn not_approved(planner: &mut Planner) {
    for number in times(planner, 12) {
        let Some(slot) = planner.slot(&Role::ALL) else { continue };
        let span = about(planner, slot.deed.at);
        let approval = if number % 2 == 0 { "requested" } else { "rejected" };
        let request = Request { approval, ..covering(planner, &slot, number, span) };
        planner.request(span.0 - DAY, request.clone());
        if number % 6 == 4 {
            // The board says yes the day after.
            let approved = Request { approval: "approved", ..request };
            resend(planner, slot.deed.at + 20 * HOUR, approved);
            let truth = deed(&slot, "approved the day after", EXPECTED);
            done(planner, &slot, truth);
            continue;
        }
        let truth = deed(&slot, "an edit nobody had approved yet", Expect::Class("unapproved"));
        done(planner, &slot, truth);
    }
}

/// The last request once more, saying something else.
fn resend(planner: &mut Planner, at: i64, request: Request) {
    let Some(last) = planner.requests.last_mut() else { return };
    let request = Request { id: last.id.clone(), ..request };
    *last = request.clone();
    planner.actions.push(Action { at, what: What::Requested(request) });
}

/// A day is the longest that early and late reach; most people miss by hours.
fn beside_its_time(planner: &mut Planner) {
    for number in times(planner, 24) {
        let Some(slot) = planner.slot(&Role::ALL) else { continue };
        let (at, by) = (slot.deed.at, planner.minutes(60, 20 * 60));
        let (span, class) = match number % 2 {
            0 => ((at + by, at + by + 3 * HOUR), "early"),
            _ => ((at - by - 3 * HOUR, at - by), "late"),
        };
        let request = covering(planner, &slot, number / 2, span);
        planner.request(span.0.min(at) - DAY, request);
        let truth = deed(&slot, "an approved change beside its time", Expect::Class(class));
        done(planner, &slot, truth);
    }
}

fn emergencies(planner: &mut Planner) {
    for number in times(planner, 12) {
        let Some(slot) = planner.slot(&Role::ALL) else { continue };
        let at = slot.deed.at;
        let from = at + planner.minutes(-30, 30);
        let covers = covering(planner, &slot, number % 2, (from, from + 3 * HOUR));
        let sent = if number % 3 == 0 { at - 30 * MINUTE } else { at + planner.minutes(60, 1_200) };
        planner.request(sent.max(0), Request { kind: "emergency", ..covers });
        let truth = deed(&slot, "an emergency", Expect::Class("emergency"));
        done(planner, &slot, truth);
    }
}

fn permitted(planner: &mut Planner) {
    for _ in times(planner, 12) {
        let Some(slot) = planner.slot(&Role::ALL) else { continue };
        let Deed { host, place, at } = slot.deed;
        let what = What::Permitted { host, place, lasts: 40 * DAY };
        planner.actions.push(Action { at: at - DAY, what });
        let truth = deed(&slot, "an edit somebody permitted", Expect::Class("excepted"));
        done(planner, &slot, truth);
    }
}

/// Servers may be changed on Sunday mornings, whoever asked.
fn in_a_window(planner: &mut Planner) {
    let sundays = planner.size.days / 7;
    for _ in times(planner, 8) {
        let sunday = planner.random.second(0, sundays) * 7 * DAY + SUNDAY * DAY;
        // Vienna is one or two hours ahead.
        let within = sunday + planner.random.second(75 * MINUTE, 225 * MINUTE);
        let moved = within - 6 * HOUR;
        let slot = planner.slot_where(&[Role::Server], |_, _| Some(moved));
        let Some(slot) = slot.filter(|_| within < planner.size.days * DAY - DAY) else { continue };
        let truth = deed(&slot, "an edit in the servers' window", EXPECTED);
        planner.see(within, slot.deed.host, vec![(slot.deed.place, slot.written(), truth)]);
    }
}

/// The edge is frozen; what was approved waits, except in an emergency.
fn in_a_freeze(planner: &mut Planner) {
    let from = freeze(planner.size.days);
    for number in times(planner, 8) {
        let at = from + planner.minutes(60, 46 * 60);
        // Nothing else is planned in a freeze; what counts is that the host is free before it.
        let before = from - 6 * HOUR;
        let Some(slot) = planner.slot_where(&[Role::Proxy], |_, _| Some(before)) else { continue };
        let request = covering(planner, &slot, 0, (at - HOUR, at + 2 * HOUR));
        let (kind, class) = match number % 4 {
            3 => ("emergency", Expect::Class("emergency")),
            _ => ("normal", UNAUTHORISED),
        };
        planner.request(at - 2 * HOUR, Request { kind, ..request });
        let truth = deed(&slot, "a change in a freeze", class);
        planner.see(at, slot.deed.host, vec![(slot.deed.place, slot.written(), truth)]);
    }
}

/// Somebody tried something and took it back.
fn taken_back(planner: &mut Planner) {
    for number in times(planner, 20) {
        let Some(slot) = planner.slot(&Role::ALL) else { continue };
        let Deed { host, place, at } = slot.deed;
        let after = match number % 2 {
            0 => planner.minutes(10, 90),
            _ => planner.minutes(20 * 60, 4 * 24 * 60),
        };
        let back = Deed { host, place, at: at + after };
        let reverted = Expect::Class("reverted");
        if back.at > planner.size.days * DAY - DAY || !planner.is_free(&back) {
            continue;
        }
        planner.take(back);
        let truth = || deed(&slot, "an edit that was taken back", reverted);
        done(planner, &slot, truth());
        let undone = slot.undone(planner.role(host));
        planner.see(back.at, host, vec![(place, undone, truth())]);
    }
}

/// Packages and accounts, by hand.
fn by_hand(planner: &mut Planner) {
    for number in times(planner, 12) {
        // Only the time and the host of the slot count.
        let Some(slot) = planner.slot(&[Role::Server, Role::Laptop]) else { continue };
        let Deed { host, at, .. } = slot.deed;
        let own = format!("nmap{}", planner.number());
        let (place, key, row, asked) = match number % 4 {
            0 => (DPKG, "nmap", vec![package(&own), "version".to_owned()], true),
            1 => (DPKG, "nmap", vec![package(&own), "version".to_owned()], false),
            2 => (PASSWD, "", vec![format!("tmp{own}"), "shell".to_owned()], false),
            _ => (DPKG, "curl", vec![package("curl"), "hold".to_owned()], false),
        };
        let deed = Deed { host, place, at };
        if !planner.is_free(&deed) || !planner.is_untouched(host, place) {
            continue;
        }
        planner.take(deed);
        let cell = if key == "curl" { Cell::Flag(true) } else { Cell::Text("7.93-1".into()) };
        let (story, expect) = match asked {
            true => ("a package installed as approved", EXPECTED),
            false => ("a package or account by hand", UNAUTHORISED),
        };
        if asked {
            let span = about(planner, at);
            let hosts = vec![planner.name(host)];
            let keys = vec!["nmap*".to_owned()];
            let request = Request { hosts, keys, ..Request::approved(span) };
            planner.request(span.0 - DAY, request);
        }
        let truth = Truth::deed(story, place, expect).of(key);
        planner.see(at, host, vec![(place, Happening::Row(row, Some(cell)), truth)]);
    }
}

/// While a host is not heard: its agent sees it then and tells of it days later.
fn unheard(planner: &mut Planner) {
    for host in 0..planner.hosts.len() {
        let Some(&(from, to)) = planner.silences.get(host).and_then(|spans| spans.first()) else {
            continue;
        };
        let at = planner.random.second(from + HOUR, (to - HOUR).max(from + HOUR + 1));
        let edits: Vec<_> = super::text::edits(planner.role(host)).collect();
        let edit = *planner.random.pick(&edits);
        let place = super::host::file(edit.part);
        let deed = Deed { host, place, at };
        let line = edit.line.map(|line| line.replace('#', "17"));
        let slot = Slot { deed, edit, line };
        if !planner.is_untouched(host, place) || !planner.is_free_unheard(&deed) {
            continue;
        }
        planner.take(deed);
        let span = about(planner, at);
        let (story, expect) = match host % 2 {
            0 => ("an approved change on a host that is not heard", EXPECTED),
            _ => ("an edit on a host that is not heard", UNAUTHORISED),
        };
        if host % 2 == 0 {
            let hosts = vec![planner.name(host)];
            planner.request(span.0 - DAY, Request { hosts, ..Request::approved(span) });
        }
        let truth = self::deed(&slot, story, expect);
        done(planner, &slot, truth);
    }
}
