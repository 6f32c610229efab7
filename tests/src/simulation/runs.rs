//! Configuration management on the servers of some sites: what its runs bring, and when their
//! reports are read.
//!
//! Puppet keeps the report of its last run alone. So where it runs each half hour, the report of a
//! run that changed something is there for half an hour; where it runs now and then, for long.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::apt;
use super::hands::hands;
use super::host::{
    Cell, Content, DPKG, GROUP, Happening, PASSWD, PUPPET, Place, Role, State, UNIT, file, key,
    package, rows,
};
use super::intent::{DAY, HOUR, MINUTE, Request};
use super::log::{Effect, Run};
use super::plan::{Action, Deed, Planner, What};
use super::text;
use super::truth::{Expect, Noise, Truth};

/// The sites whose servers are managed.
const MANAGED: [&str; 3] = ["vienna", "graz", "linz"];

/// How often a host is looked for that may have a run.
const TRIES: usize = 500;

/// So long before and after a run its host has no other that changes something.
const APART: i64 = 3 * HOUR;

/// A file that is managed: what it says, the line a run writes and the one a hand writes, each with
/// what it begins with and a piece of its item's key.
#[derive(Debug)]
pub struct Managed {
    /// The file.
    pub path: &'static str,
    text: &'static str,
    run: [&'static str; 3],
    hand: [&'static str; 3],
}

/// Parameters of the kernel.
pub const PARAMETERS: Managed = Managed {
    path: "/etc/sysctl.d/60-app.conf",
    text: "vm.swappiness = 10\nnet.ipv4.tcp_syncookies = 1\nfs.file-max = 100000\n",
    run: ["vm.swappiness", "vm.swappiness = 20", "swappiness"],
    hand: ["net.ipv4.tcp_syncookies", "net.ipv4.tcp_syncookies = 0", "syncookies"],
};
/// A time service.
pub const CLOCK: Managed = Managed {
    path: "/etc/systemd/timesyncd.conf",
    text: "[Time]\nNTP=ntp1.example.org\nFallbackNTP=ntp2.example.org\n",
    run: ["NTP", "NTP=ntp3.example.org", "/ntp"],
    hand: ["FallbackNTP", "FallbackNTP=198.51.100.7", "fallbackntp"],
};
/// What is said to who logs in; no format claims it.
pub const BANNER: Managed = Managed {
    path: "/etc/app/banner.txt",
    text: "Welcome.\nAuthorised use only.\n",
    run: ["Welcome", "Welcome to the site.", ""],
    hand: ["Authorised", "Use as you like.", ""],
};
/// Limits of an application.
pub const LIMITS: Managed = Managed {
    path: "/etc/security/limits.d/90-app.conf",
    text: "app soft nofile 1024\napp hard nofile 4096\n",
    run: ["app soft", "app soft nofile 2048", ""],
    hand: ["app hard", "app hard nofile 999999", ""],
};
/// An application's log.
pub const JOURNAL: Managed = Managed {
    path: "/etc/systemd/journald.conf.d/app.conf",
    text: "[Journal]\nSystemMaxUse=200M\nForwardToSyslog=yes\n",
    run: ["SystemMaxUse", "SystemMaxUse=300M", "systemmaxuse"],
    hand: ["ForwardToSyslog", "ForwardToSyslog=no", "forwardtosyslog"],
};
/// An application's settings.
pub const SETTINGS: Managed = Managed {
    path: "/etc/app/site.conf",
    text: "[app]\nlisten=127.0.0.1\nworkers=4\n",
    run: ["workers", "workers=8", ""],
    hand: ["listen", "listen=0.0.0.0", ""],
};

const FILES: [&Managed; 6] = [&PARAMETERS, &CLOCK, &BANNER, &LIMITS, &JOURNAL, &SETTINGS];

/// A file that a run takes away, and one that it brings.
const OLD: &str = "/etc/sysctl.d/50-old.conf";
const NEW: (&str, &str) = ("/etc/sysctl.d/70-app.conf", "net.core.somaxconn = 4096\n");

/// A unit nobody manages.
pub const OTHER_UNIT: Place = ("services", "nfs-server.service");
/// A unit nobody manages, beside one that is.
pub const SOCKET: Place = ("services", "rsync.socket");
/// Who may log in as the account that runs make; not there on the first day.
pub const AUTHORIZED: Place = ("accounts", "authorized_keys/deploy");

impl Managed {
    /// Where.
    pub fn place(&self) -> Place {
        file(self.path)
    }

    /// The run writes it, with what it then says.
    pub fn written(&self) -> (Happening, Effect) {
        let [find, line, _] = self.run;
        let text = text::written(self.text, find, Some(line)).into();
        (Happening::Line(find.into(), Some(line.into())), Effect::Content(self.path, text))
    }

    /// The run puts it back as it was.
    pub fn put_back(&self) -> (Happening, Effect) {
        let text: Rc<str> = self.text.into();
        let old = self.text.lines().find(|line| line.starts_with(self.hand[0]));
        let back = Happening::Line(self.hand[1].into(), old.map(ToOwned::to_owned));
        (back, Effect::Content(self.path, text))
    }

    /// A hand writes it.
    pub fn edited(&self) -> Happening {
        Happening::Line(self.hand[0].into(), Some(self.hand[1].into()))
    }

    /// Pieces of the keys of what the run and the hand write.
    pub fn keys(&self) -> [&'static str; 2] {
        [self.run[2], self.hand[2]]
    }
}

/// When an agent tells of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A moment after it ended.
    Soon,
    /// Up to an hour after it, since nothing woke the agent.
    Late,
    /// At once, but nobody hears the host until hours later.
    Unheard,
}

/// A run that has its place.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// The host's number.
    pub host: usize,
    /// When it begins.
    pub began: i64,
    /// When it ends.
    pub ended: i64,
    /// When its report is read.
    pub told: i64,
    /// How its report comes to be heard.
    pub fate: Fate,
}

/// The hosts with a Puppet, and when each ran.
#[derive(Debug)]
pub struct Puppet {
    hosts: Vec<usize>,
    runs: BTreeMap<usize, Vec<i64>>,
    /// Since when nobody lets it run on a host.
    ends: BTreeMap<usize, i64>,
    own: BTreeSet<(usize, &'static str)>,
}

/// A thing that is seen in a run.
pub type Seen = (Place, Happening, Truth);

/// What a run does that is everyday work.
struct Bring {
    /// Names it on its host, on which it happens once.
    name: &'static str,
    seen: Vec<Seen>,
    effect: Effect,
}

/// What is wanted of a run.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Where nothing else may come near.
    pub places: &'a [Place],
    /// What no other run of the host has.
    pub names: &'a [&'static str],
    /// How its report comes to be heard.
    pub fate: Fate,
    /// Whether somebody stops Puppet on the host after it.
    pub last: bool,
}

/// All of it. What hands do comes first, since some of it ends the runs of a host.
pub fn runs(planner: &mut Planner) {
    let mut puppet = Puppet::of(planner);
    if puppet.hosts.is_empty() {
        return;
    }
    hands(planner, &mut puppet);
    let first = planner.random.below(4);
    for number in 0..planner.count(12) * KINDS {
        let fate = match (first + number / KINDS) % 4 {
            2 => Fate::Late,
            3 => Fate::Unheard,
            _ => Fate::Soon,
        };
        puppet.brings(planner, number % KINDS, fate);
    }
}

/// The sort that installs a package.
const PACKAGE: usize = 5;

/// How many sorts of everyday work there are.
const KINDS: usize = 8;

fn routine(story: &'static str, place: Place) -> Truth {
    Truth::noise(Noise::Routine, story, place, Expect::Class("expected"))
}

/// The first so many kinds of [`KINDS`]; beyond them the last.
fn bring(kind: usize) -> Bring {
    let one = |name, story, (place, happening): (Place, Happening), effect| Bring {
        name,
        seen: vec![(place, happening, routine(story, place))],
        effect,
    };
    let row =
        |names: &[&str], text: &str| Happening::Row(key(names), Some(Cell::Text(text.into())));
    match kind {
        0 | 1 => {
            let managed = [&PARAMETERS, &BANNER][kind];
            let (happening, effect) = managed.written();
            one(managed.path, "a run writes a file", (managed.place(), happening), effect)
        }
        2 => {
            let text: Rc<str> = NEW.1.into();
            let appears = Happening::Appears(Content::Text(Rc::clone(&text)));
            let effect = Effect::Content(NEW.0, text);
            one(NEW.0, "a run brings a new file", (file(NEW.0), appears), effect)
        }
        3 => {
            let (path, set) = (LIMITS.path, Happening::Mode("0640"));
            let effect = Effect::Mode(path, "0640");
            one(path, "a run sets a mode", (LIMITS.place(), set), effect)
        }
        4 => {
            let effect = Effect::Named("service", "rsync");
            let enabled = row(&["enablement"], "enabled");
            let mut bring = one("rsync", "a run enables a unit", (UNIT, enabled), effect);
            let wanted = row(&["wanted_by"], "multi-user.target");
            bring.seen.push((UNIT, wanted, routine("a run enables a unit", UNIT)));
            bring
        }
        PACKAGE => {
            let effect = Effect::Named("package", "iftop");
            let installed = row(&[&package("iftop"), "version"], "1.0~pre4-9");
            let mut bring = one("iftop", "a run installs a package", (DPKG, installed), effect);
            bring.seen[0].2.key = "iftop";
            bring
        }
        6 => {
            let effect = Effect::Named("user", "deploy");
            let shell = row(&["deploy", "shell"], "/bin/sh");
            let mut bring = one("deploy", "a run makes an account", (PASSWD, shell), effect);
            let home = row(&["deploy", "home"], "/home/deploy");
            bring.seen.push((PASSWD, home, routine("a run makes an account", PASSWD)));
            // useradd gives it a group of its own.
            let truth = routine("a run makes an account", GROUP);
            bring.seen.push((GROUP, row(&["deploy", "gid"], "998"), truth));
            bring
        }
        _ => {
            let gone = (file(OLD), Happening::Goes);
            one(OLD, "a run takes a file away", gone, Effect::Gone(OLD))
        }
    }
}

/// A story's name where something else about the run matters more.
fn named(truth: &mut Truth, fate: Fate, ahead: i64) {
    if truth.noise.is_none() {
        return;
    }
    truth.story = match fate {
        Fate::Late => "what a run brings, told late",
        Fate::Unheard => "what a run brings, on a host that is not heard",
        Fate::Soon if ahead != 0 => "what a run brings, by a clock that is wrong",
        Fate::Soon => return,
    };
}

impl Puppet {
    /// The managed hosts, which have their files from the first day on; some clocks are wrong.
    fn of(planner: &mut Planner) -> Self {
        let mut hosts = Vec::new();
        for number in 0..planner.hosts.len() {
            let wrong = planner.random.chance(0.15);
            let by = planner.random.second(-3 * DAY, 3 * DAY);
            let Some(host) = planner.hosts.get_mut(number) else { continue };
            if host.role != Role::Server || !MANAGED.contains(&host.site) {
                continue;
            }
            if wrong && host.ahead == 0 {
                host.ahead = by;
            }
            for managed in FILES {
                let text = Content::Text(managed.text.into());
                host.parts.insert(managed.place(), State::of(text));
            }
            let old = Content::Text("net.ipv4.tcp_sack = 1\n".into());
            host.parts.insert(file(OLD), State::of(old));
            let row = |names: &[&str], text: &str| (key(names), Cell::Text(text.into()));
            let unit = |enabled| {
                let state = row(&["enablement"], enabled);
                State::of(rows([state, row(&["Service/ExecStart"], "/usr/sbin/run")].into()))
            };
            host.parts.insert(UNIT, unit("disabled"));
            host.parts.insert(OTHER_UNIT, unit("disabled"));
            host.parts.insert(SOCKET, unit("disabled"));
            let group = rows([row(&["ops", "gid"], "1000")].into());
            host.parts.insert(GROUP, State::of(group));
            host.parts.insert(PUPPET, State::of(rows(BTreeMap::new())));
            hosts.push(number);
        }
        Self { hosts, runs: BTreeMap::new(), ends: BTreeMap::new(), own: BTreeSet::new() }
    }

    /// A run that does one thing of every day.
    fn brings(&mut self, planner: &mut Planner, kind: usize, fate: Fate) {
        let Bring { name, mut seen, effect } = bring(kind);
        let places: Vec<Place> = seen.iter().map(|(place, _, _)| *place).collect();
        let wanted = Wanted { places: &places, names: &[name], fate, last: false };
        let Some(session) = self.session(planner, wanted) else { return };
        let ahead = planner.hosts.get(session.host).map_or(0, |host| host.ahead);
        for (_, _, truth) in &mut seen {
            named(truth, fate, ahead);
        }
        if fate == Fate::Soon
            && planner.random.chance(0.2)
            && asks_for_another(planner, &session, &places)
        {
            let truths = seen.iter_mut().map(|(_, _, truth)| truth);
            truths
                .filter(|truth| truth.noise.is_some())
                .for_each(|truth| truth.story = "what a run brings in a window for something else");
        }
        if kind == PACKAGE {
            let story = "what a package that a run installs needs";
            seen.push(apt::by_puppet(planner, &session, routine(story, DPKG)));
        }
        planner.see(session.began + 20, session.host, seen);
        self.tells(planner, &session, ("success", vec![effect]));
    }

    /// A run at a time when nothing else comes near.
    pub fn session(&mut self, planner: &mut Planner, wanted: Wanted<'_>) -> Option<Session> {
        let Wanted { places, names, fate, last } = wanted;
        for _ in 0..TRIES {
            let host = *planner.random.pick(&self.hosts);
            let day = planner.random.second(2, planner.size.days - 2);
            let began = day * DAY + planner.random.second(6 * HOUR, 17 * HOUR);
            let ended = began + planner.random.second(50, 4 * MINUTE);
            let told = match fate {
                Fate::Late => ended + planner.minutes(16, 60),
                Fate::Soon | Fate::Unheard => ended + planner.random.second(3, 5 * MINUTE),
            };
            let session = Session { host, began, ended, told, fate };
            let is_own = names.iter().any(|name| self.own.contains(&(host, name)));
            if is_own || !self.has_room(&session, last) || !is_quiet(planner, &session, places) {
                continue;
            }
            if fate == Fate::Unheard && !unheard(planner, &session) {
                continue;
            }
            if last {
                self.ends.insert(host, began);
            }
            for place in places {
                planner.take(Deed { host, place: *place, at: began });
            }
            self.own.extend(names.iter().map(|name| (host, *name)));
            self.runs.entry(host).or_default().push(began);
            return Some(session);
        }
        planner.leave_out();
        None
    }

    /// Whether the host may run then, and for the last time where that is wanted.
    fn has_room(&self, session: &Session, last: bool) -> bool {
        let Session { host, began, fate, .. } = *session;
        let runs = self.runs.get(&host).map_or(&[][..], Vec::as_slice);
        let apart = runs.iter().all(|other| other.abs_diff(began) > APART.unsigned_abs());
        let is_on = self.ends.get(&host).is_none_or(|end| began + APART < *end);
        let is_last = runs.iter().all(|other| *other < began) && !self.ends.contains_key(&host);
        // Where it runs each half hour, a report that is read late is another's.
        let is_read = fate != Fate::Late || !half_hourly(host);
        apart && is_on && is_read && (is_last || !last)
    }

    /// The report of a run is read; half an hour later that of one that changed nothing, where
    /// Puppet runs so often and nobody stopped it.
    pub fn tells(
        &self,
        planner: &mut Planner,
        session: &Session,
        told: (&'static str, Vec<Effect>),
    ) {
        report(planner, (session, session.told), told);
        if half_hourly(session.host) && self.ends.get(&session.host) != Some(&session.began) {
            report(planner, (session, session.began + 30 * MINUTE + 40), ("success", Vec::new()));
        }
    }
}

/// The report of a run is read, and what it is about compared with what is there then.
pub fn report(
    planner: &mut Planner,
    (session, at): (&Session, i64),
    (result, effects): (&'static str, Vec<Effect>),
) {
    let span = (session.began, Some(session.ended));
    let run = Run { span, result, asked_by: None, command: None, effects };
    let run = (!run.effects.is_empty()).then(|| Rc::new(run));
    let story = "what a tool wrote of its run";
    let truth = Truth::noise(Noise::Volatile, story, PUPPET, Expect::Nothing);
    planner.see(at, session.host, vec![(PUPPET, Happening::Report(run), truth)]);
}

/// Whether Puppet runs each half hour on this host.
pub fn half_hourly(host: usize) -> bool {
    host.is_multiple_of(2)
}

/// An approved request names the host and another file while the run goes on; false where that
/// would say something of somebody else's deed.
fn asks_for_another(planner: &mut Planner, session: &Session, places: &[Place]) -> bool {
    let (hosts, parts) = (vec![planner.name(session.host)], vec!["/etc/motd".to_owned()]);
    let span = (session.began - HOUR, session.told + 2 * HOUR);
    let request = Request { hosts, parts, ..Request::approved(span) };
    let deed = |place: &Place| Deed { host: session.host, place: *place, at: session.began };
    if planner.disturbs(&request, &places.iter().map(deed).collect::<Vec<_>>()) {
        return false;
    }
    planner.request(span.0 - DAY, request);
    true
}

/// Whether nothing comes near what a run does, from an hour before it to a while after it is told.
fn is_quiet(planner: &Planner, session: &Session, places: &[Place]) -> bool {
    let Session { host, began, told, .. } = *session;
    [began - HOUR, began, told, told + 20 * MINUTE]
        .into_iter()
        .all(|at| places.iter().all(|place| planner.is_free(&Deed { host, place: *place, at })))
}

/// Nobody hears the host from before the run until hours later; false where something else befalls
/// it meanwhile.
fn unheard(planner: &mut Planner, session: &Session) -> bool {
    let host = session.host;
    let from = session.began - planner.minutes(5, 55);
    let to = session.told + planner.minutes(40, 20 * 60);
    let near = |action: &&Action| (from - HOUR..to + HOUR).contains(&action.at);
    let befalls = |action: &Action| match &action.what {
        What::Seen { host: other, .. } | What::Permitted { host: other, .. } => *other == host,
        What::Silent(other) | What::Back { host: other, .. } | What::Cloned(other) => {
            *other == host
        }
        What::BackedUp | What::Restored => true,
        What::Requested(_) => false,
    };
    let befallen = planner.actions.iter().filter(near).any(befalls);
    let known = planner.silences.get(host).is_some_and(|spans| !spans.is_empty());
    if befallen || known || to + DAY > planner.size.days * DAY {
        return false;
    }
    planner.actions.push(Action { at: from, what: What::Silent(host) });
    let rebooted = planner.random.chance(0.2);
    planner.actions.push(Action { at: to, what: What::Back { host, rebooted } });
    if let Some(spans) = planner.silences.get_mut(host) {
        spans.push((from, to));
    }
    true
}
