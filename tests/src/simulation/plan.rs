//! Everything that will happen in a world, in order, with the truth beside it.

use std::collections::BTreeSet;

use super::host::{Happening, Host, Place, Role, SITES, file};
use super::intent::{DAY, HOUR, MINUTE, Request};
use super::rollout::Rollout;
use super::text::{self, Edit};
use super::truth::{Expect, Truth};
use super::{apt, noise, people, rollout, routine, runs};
use crate::trials::random::Random;

/// How large a world is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Hosts.
    pub hosts: usize,
    /// Days.
    pub days: i64,
}

/// The world the bars are set for.
pub const WHOLE: Size = Size { hosts: 2_000, days: 90 };

/// One thing that happens.
#[derive(Clone, Debug)]
pub struct Action {
    /// When, in seconds of the world.
    pub at: i64,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum What {
    /// Parts of a host change and its agent looks at them.
    Seen {
        /// The host's number.
        host: usize,
        /// What changed.
        happened: Vec<(Place, Happening)>,
        /// What is true of it.
        truths: Vec<Truth>,
    },
    /// A change system sends a request.
    Requested(Request),
    /// Somebody permits a part of a host to differ for a while.
    Permitted {
        /// The host's number.
        host: usize,
        /// The part.
        place: Place,
        /// For how many seconds.
        lasts: i64,
    },
    /// A host is heard no more.
    Silent(usize),
    /// It is heard again, from another boot or the same.
    Back {
        /// The host's number.
        host: usize,
        /// Whether it was booted meanwhile.
        rebooted: bool,
    },
    /// The disk of a host is copied, and both machines run.
    Cloned(usize),
    /// The store is backed up.
    BackedUp,
    /// The store is put back to its backup.
    Restored,
}

/// A world.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its hosts, as they are on the first day.
    pub hosts: Vec<Host>,
    /// What happens, in order.
    pub actions: Vec<Action>,
    /// What was rolled out.
    pub rollouts: Vec<Rollout>,
    /// How large it is.
    pub size: Size,
    /// Deeds for which no place was found.
    pub left_out: usize,
}

/// A deed that has its place: nothing else comes near it.
#[derive(Clone, Copy, Debug)]
pub struct Deed {
    /// The host's number.
    pub host: usize,
    /// Where.
    pub place: Place,
    /// When.
    pub at: i64,
}

/// A deed to be, and the line it writes.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Where and when.
    pub deed: Deed,
    /// The line.
    pub edit: Edit,
    /// The same with a number of its own.
    pub line: Option<String>,
}

impl Slot {
    /// The line is written.
    pub fn written(&self) -> Happening {
        Happening::Line(self.edit.find.to_owned(), self.line.clone())
    }

    /// It is put back as it was on the first day of a host of this role.
    pub fn undone(&self, role: Role) -> Happening {
        let text = text::files(role).find(|(part, _)| *part == self.edit.part);
        let old = text.and_then(|(_, text)| text.lines().find(|l| l.starts_with(self.edit.find)));
        let find = self.line.clone().unwrap_or_else(|| self.edit.find.to_owned());
        Happening::Line(find, old.map(ToOwned::to_owned))
    }
}

/// Makes a plan, thing by thing.
pub struct Planner {
    /// The numbers it is drawn from.
    pub random: Random,
    /// The hosts as they are on the first day.
    pub hosts: Vec<Host>,
    /// How large it is.
    pub size: Size,
    /// What happens, in no order yet.
    pub actions: Vec<Action>,
    /// What was rolled out.
    pub rollouts: Vec<Rollout>,
    /// Every request so far.
    pub requests: Vec<Request>,
    /// When the packages of each host are brought up to date.
    pub patches: Vec<Vec<i64>>,
    /// When each host is not heard.
    pub silences: Vec<Vec<(i64, i64)>>,
    /// Backup and restore of the store.
    pub gap: (i64, i64),
    deeds: Vec<Deed>,
    taken: BTreeSet<(usize, Place)>,
    number: u32,
    left_out: usize,
}

/// How often a place for a deed is looked for.
const TRIES: usize = 5_000;

/// The world of this size and seed.
pub fn plan(size: Size, seed: u64) -> Plan {
    let mut planner = Planner::new(size, seed);
    noise::interruptions(&mut planner);
    routine::patches(&mut planner);
    rollout::rollouts(&mut planner);
    people::deeds(&mut planner);
    noise::noise(&mut planner);
    apt::apt(&mut planner);
    runs::runs(&mut planner);
    let Planner { hosts, mut actions, rollouts, requests, deeds, left_out, .. } = planner;
    for action in &mut actions {
        doubt(action, &hosts, (&requests, &deeds));
    }
    actions.sort_by_key(|action| action.at);
    Plan { hosts, actions, rollouts, size, left_out }
}

/// What nothing covers may be called out of scope where a request is open for a host beside it; the
/// specification leaves that open.
fn doubt(action: &mut Action, hosts: &[Host], (requests, deeds): (&[Request], &[Deed])) {
    let What::Seen { host: number, truths, .. } = &mut action.what else { return };
    let Some(host) = hosts.get(*number) else { return };
    for truth in truths {
        let is_deed = deeds.iter().any(|deed| deed.host == *number && deed.place == truth.place);
        let beside = |request: &Request| {
            request.approval == "approved" && request.names_a_neighbour(host, hosts, action.at)
        };
        if truth.expect == Expect::Class("unauthorised") && is_deed && requests.iter().any(beside) {
            truth.expect = Expect::Either(&["unauthorised", "out_of_scope"]);
        }
    }
}

impl Planner {
    fn new(size: Size, seed: u64) -> Self {
        let mut random = Random::part(seed, &[size.hosts as u64, 61]);
        let mut hosts = Vec::with_capacity(size.hosts);
        for number in 0..size.hosts {
            // Of ten hosts six are laptops; at least one of each other role among ten.
            let role = match number % 20 {
                0..12 => Role::Laptop,
                12..17 => Role::Server,
                17..19 => Role::Proxy,
                _ => Role::Queue,
            };
            let site = *random.pick(&SITES);
            hosts.push(Host::new(number, role, site));
        }
        // The night from Monday to Tuesday of the week after the middle, while packages come.
        let week = size.days / 7 / 2;
        let gap = (week * 7 * DAY + DAY + 2 * HOUR, week * 7 * DAY + DAY + 5 * HOUR);
        Self {
            patches: vec![Vec::new(); hosts.len()],
            silences: vec![Vec::new(); hosts.len()],
            random,
            hosts,
            size,
            actions: Vec::new(),
            rollouts: Vec::new(),
            requests: Vec::new(),
            gap,
            deeds: Vec::new(),
            taken: BTreeSet::new(),
            number: 0,
            left_out: 0,
        }
    }

    /// As many of this world as `whole` of the world the bars are set for; a small world has more
    /// of them for each host, so that each is there.
    pub fn count(&self, whole: usize) -> usize {
        let share =
            self.size.hosts as f64 / WHOLE.hosts as f64 * self.size.days as f64 / WHOLE.days as f64;
        ((whole as f64 * share.powf(0.25).min(1.0)).round() as usize).max(1)
    }

    /// The next number nobody has had.
    pub fn number(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    /// Lets an agent see something.
    pub fn see(&mut self, at: i64, host: usize, seen: Vec<(Place, Happening, Truth)>) {
        let (mut happened, mut truths) = (Vec::new(), Vec::new());
        for (place, happening, truth) in seen {
            happened.push((place, happening));
            truths.push(truth);
        }
        self.actions.push(Action { at, what: What::Seen { host, happened, truths } });
    }

    /// Lets a change system send `request` at `at`, under a new name.
    pub fn request(&mut self, at: i64, request: Request) {
        let id = format!("CHG{:05}", self.number());
        let request = Request { id, ..request };
        self.requests.push(request.clone());
        self.actions.push(Action { at, what: What::Requested(request) });
    }

    /// A line nobody has written, on a host of one of `roles`, in working hours, with nothing near.
    pub fn slot(&mut self, roles: &[Role]) -> Option<Slot> {
        self.slot_where(roles, |_, at| Some(at))
    }

    /// The same at the time `when` makes of a draw.
    pub fn slot_where(
        &mut self,
        roles: &[Role],
        when: impl Fn(&mut Random, i64) -> Option<i64>,
    ) -> Option<Slot> {
        for _ in 0..TRIES {
            let number = self.random.below(self.hosts.len());
            let Some(host) = self.hosts.get(number) else { continue };
            if !roles.contains(&host.role) {
                continue;
            }
            let edits: Vec<Edit> = text::edits(host.role).collect();
            let edit = *self.random.pick(&edits);
            let place = file(edit.part);
            let day = self.random.second(2, self.size.days - 2);
            let at = day * DAY + self.random.second(7 * HOUR, 16 * HOUR);
            let Some(at) = when(&mut self.random, at) else { continue };
            let deed = Deed { host: number, place, at };
            if !self.taken.contains(&(number, place)) && self.is_free(&deed) {
                self.take(deed);
                let own = (2 + self.number() % 240).to_string();
                let line = edit.line.map(|line| line.replace('#', &own));
                return Some(Slot { deed, edit, line });
            }
        }
        self.leave_out();
        None
    }

    /// A deed for which no place was found.
    pub fn leave_out(&mut self) {
        self.left_out += 1;
    }

    /// Whether nothing that is planned comes near it, and its host is heard.
    pub fn is_free(&self, deed: &Deed) -> bool {
        let silent = |spans: &[(i64, i64)]| {
            spans.iter().any(|span| (span.0 - HOUR..span.1 + HOUR).contains(&deed.at))
        };
        self.is_free_unheard(deed) && !self.silences.get(deed.host).is_some_and(|s| silent(s))
    }

    /// Whether nothing that is planned comes near it, whether its host is heard or not.
    pub fn is_free_unheard(&self, deed: &Deed) -> bool {
        let Some(host) = self.hosts.get(deed.host) else { return false };
        let apart = |times: &[i64]| times.iter().all(|at| at.abs_diff(deed.at) > 1_800);
        let gap = self.gap.0 - HOUR..self.gap.1 + HOUR;
        self.patches.get(deed.host).is_some_and(|times| apart(times))
            && !gap.contains(&deed.at)
            && !people::is_open(host.role, deed.at, self.size.days)
            && !self.requests.iter().any(|r| r.comes_near(host, deed.place, deed.at))
    }

    /// Keeps the part of the host for this deed.
    pub fn take(&mut self, deed: Deed) {
        self.taken.insert((deed.host, deed.place));
        self.deeds.push(deed);
    }

    /// Whether nobody wants this part of the host for himself.
    pub fn is_untouched(&self, host: usize, place: Place) -> bool {
        !self.taken.contains(&(host, place))
    }

    /// Whether a request would say something of a deed of somebody else.
    pub fn disturbs(&self, request: &Request, own: &[Deed]) -> bool {
        self.deeds.iter().any(|deed| {
            let is_own = own.iter().any(|own| own.host == deed.host && own.place == deed.place);
            let host = self.hosts.get(deed.host);
            !is_own && host.is_some_and(|host| request.comes_near(host, deed.place, deed.at))
        })
    }

    /// The role of a host.
    pub fn role(&self, host: usize) -> Role {
        self.hosts.get(host).map_or(Role::Laptop, |host| host.role)
    }

    /// The name of a host.
    pub fn name(&self, host: usize) -> String {
        self.hosts.get(host).map(|host| host.name.clone()).unwrap_or_default()
    }

    /// Some minutes, at random.
    pub fn minutes(&mut self, low: i64, high: i64) -> i64 {
        self.random.second(low * MINUTE, high * MINUTE)
    }
}
