//! The same change on many hosts: three of them, with stragglers, hurry and failure.

use super::host::{Cell, DPKG, Happening, Place, Role, file, package};
use super::intent::{DAY, HOUR, MINUTE, Request};
use super::people;
use super::plan::Planner;
use super::text;
use super::truth::{Expect, Truth};

/// What was rolled out, as it really went.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// Where.
    pub place: Place,
    /// What its item's key has in it.
    pub item: &'static str,
    /// The first and the last moment.
    pub span: (i64, i64),
    /// How many hosts it reached, failed ones among them.
    pub reached: usize,
    /// How many were never reached.
    pub stragglers: usize,
    /// On how many it failed, so that they are as before.
    pub went_back: usize,
}

const EITHER: Expect = Expect::Either(&["expected", "reverted"]);

struct Way {
    role: Role,
    place: Place,
    done: Happening,
    undone: Happening,
    request: Request,
    /// When each wave begins.
    waves: Vec<i64>,
}

/// All three.
pub fn rollouts(planner: &mut Planner) {
    let week = |planner: &Planner, share: f64| (planner.size.days as f64 * share) as i64 * DAY;
    let at = week(planner, 0.2) + 18 * HOUR;
    let pool = |name: &str| {
        Happening::Line("pool".into(), Some(format!("pool {name}.example.org iburst")))
    };
    roll(
        planner,
        Way {
            role: Role::Laptop,
            place: file(text::CHRONY),
            done: pool("ntp2"),
            undone: pool("ntp1"),
            request: Request {
                groups: vec![Role::Laptop.group().into()],
                parts: vec![text::CHRONY.into()],
                ..Request::approved((at, at + 2 * DAY + 12 * HOUR))
            },
            waves: vec![at + 2 * HOUR, at + DAY + 2 * HOUR, at + 2 * DAY + 2 * HOUR],
        },
    );
    let at = week(planner, 0.45) + 21 * HOUR;
    let target = |weight: u32| {
        let line = format!("1 sip:10.1.0.12:5060 0 10 weight={weight}");
        Happening::Line("1 sip:10.1.0.12".into(), Some(line))
    };
    roll(
        planner,
        Way {
            role: Role::Proxy,
            place: file(text::DISPATCHER),
            done: target(71),
            undone: target(50),
            request: Request {
                services: vec![Role::Proxy.service().into()],
                sources: vec!["files".into()],
                parts: vec![text::DISPATCHER.into()],
                ..Request::approved((at, at + 6 * HOUR))
            },
            waves: vec![at + HOUR],
        },
    );
    let at = week(planner, 0.7) + 20 * HOUR;
    let row = |cell| Happening::Row(vec![package("falcon-sensor"), "version".into()], cell);
    roll(
        planner,
        Way {
            role: Role::Server,
            place: DPKG,
            done: row(Some(Cell::Text("7.14-1".into()))),
            undone: row(None),
            request: Request {
                groups: vec![Role::Server.group().into()],
                keys: vec!["falcon-sensor:*".into()],
                kind: "standard",
                ..Request::approved((at, at + DAY + 6 * HOUR))
            },
            waves: vec![at + HOUR, at + DAY + HOUR],
        },
    );
}

fn roll(planner: &mut Planner, way: Way) {
    planner.request(way.request.span.0 - 2 * DAY - HOUR, way.request.clone());
    let (from, to) = way.request.span;
    let mut rollout = Rollout {
        place: way.place,
        item: hint(way.place),
        span: (from - DAY, to + DAY),
        reached: 0,
        stragglers: 0,
        went_back: 0,
    };
    let deed = |story, expect| Truth::deed(story, way.place, expect).of(hint(way.place));
    for host in 0..planner.hosts.len() {
        if planner.hosts.get(host).is_none_or(|host| host.role != way.role) {
            continue;
        }
        let done = (way.place, way.done.clone());
        let draw = planner.random.uniform();
        let wave = *planner.random.pick(&way.waves);
        let at = wave + planner.minutes(0, 50);
        let truth = |story, class| deed(story, Expect::Class(class));
        let (at, truth) = match draw {
            0.0..0.04 => {
                rollout.stragglers += 1;
                continue;
            }
            0.04..0.08 => {
                let late = to + planner.minutes(90, 20 * 60);
                if people::is_open(way.role, late, planner.size.days) {
                    rollout.stragglers += 1;
                    continue;
                }
                (late, truth("a straggler of a rollout, after its end", "late"))
            }
            0.08..0.11 => {
                let early = from - planner.minutes(90, 20 * 60);
                if people::is_open(way.role, early, planner.size.days) {
                    rollout.stragglers += 1;
                    continue; // then it is another window's
                }
                (early, truth("a host before its rollout begins", "early"))
            }
            0.11..0.14 => {
                let undone = (way.place, way.undone.clone());
                let back = deed("a rollout that failed on a host", EITHER);
                planner.see(at + 20 * MINUTE, host, vec![(undone.0, undone.1, back.clone())]);
                rollout.went_back += 1;
                (at, back)
            }
            _ => (at, truth("a rollout", "expected")),
        };
        rollout.reached += 1;
        planner.see(at, host, vec![(done.0, done.1, truth)]);
    }
    planner.rollouts.push(rollout);
}

/// Packages may come in the same hour, so the item is named.
fn hint(place: Place) -> &'static str {
    if place == DPKG { "falcon" } else { "" }
}
