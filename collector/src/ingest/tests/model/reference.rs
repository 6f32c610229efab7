//! What should be known of one host: the reference model.

use super::*;

pub(super) type Items = BTreeMap<&'static str, i64>;

/// A file as it is on a host.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sight {
    /// It was read, by a reader of this version.
    Read(Items, u32),
    /// It could not be read.
    Denied,
}

/// What a finding is about: a file, and an item of it or the file as a whole.
pub(super) type About = (&'static str, Option<&'static str>);

/// A value on one side of a finding; a file as a whole is there or not.
pub(super) type Value = Option<i64>;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) desired: Value,
    pub(super) current: Value,
    pub(super) first_seen: Timestamp,
    pub(super) openings: u32,
    pub(super) ended: Option<Resolution>,
}

/// What a model may get wrong, to see that the histories would tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    UnobservedIsAbsent,
    RecastIsChange,
    RetirementClosesNothing,
    ExceptionsNeverEnd,
    GroupsAgreeToNothing,
    ExemptIsCompared,
    AcceptanceTakesThePart,
    AcceptedPermitsAnyValue,
    AcceptedForgetsTheWhole,
}

/// What somebody permits.
#[derive(Clone, Debug)]
pub(super) enum Permit {
    /// Whatever a file becomes.
    Whatever(&'static str),
    /// What a finding is about, as it was then.
    As(About, Has),
}

/// What a finding has: its value, and of a whole file that is there what it says.
pub(super) type Has = (Value, Option<Items>);

/// What was agreed of files, each with the number of the approval; `None` for one that shall not
/// be there.
pub(super) type Agreed = BTreeMap<&'static str, (i64, Option<Sight>)>;

/// What was agreed of both hosts together.
#[derive(Clone, Default)]
pub(super) struct Group {
    pub(super) agreed: Agreed,
    /// The key that is each host's own.
    pub(super) exempt: Option<&'static str>,
}

/// What should be known of one host.
#[derive(Default)]
pub(super) struct Model {
    pub(super) now: BTreeMap<&'static str, Sight>,
    /// The last time each file was read, as long as it is there.
    pub(super) read: BTreeMap<&'static str, Sight>,
    /// Whether it has ever reported.
    pub(super) heard: bool,
    pub(super) own: Agreed,
    pub(super) retired: bool,
    pub(super) told: BTreeMap<About, Told>,
    /// What, from, until.
    pub(super) exceptions: Vec<(Permit, i64, i64)>,
}

/// The moment, and what the model gets wrong.
pub(super) type When = (i64, Fault);

const THERE: Value = Some(-1);

impl Model {
    pub(super) fn observe(
        &mut self,
        files: &BTreeMap<&'static str, Sight>,
        group: &Group,
        when: When,
    ) {
        self.heard = true;
        self.now.clone_from(files);
        self.read.retain(|name, _| files.contains_key(name));
        for (name, sight) in files {
            if matches!(sight, Sight::Read(..)) {
                self.read.insert(name, sight.clone());
            }
        }
        self.judge(group, (when, Resolution::Returned));
    }

    /// The state somebody would agree to: what was not seen is as it was read last.
    pub(super) fn state(&self) -> BTreeMap<&'static str, Sight> {
        let agreed = |(name, sight): (&&'static str, &Sight)| {
            (*name, self.read.get(name).unwrap_or(sight).clone())
        };
        self.now.iter().map(agreed).collect()
    }

    pub(super) fn approve(&mut self, number: i64) {
        let state = self.state();
        self.own = PARTS.map(|name| (name, (number, state.get(name).cloned()))).into();
        self.end(|_| true, Resolution::Accepted);
    }

    /// Accepts one finding.
    pub(super) fn accept(&mut self, about: About, group: &Group, (number, fault): (i64, Fault)) {
        let (name, key) = about;
        let agreed = self.desired(name, group, fault).flatten();
        let whole = key.is_none() || fault == Fault::AcceptanceTakesThePart;
        let next = match (agreed, key.filter(|_| !whole)) {
            (Some(Sight::Read(mut items, version)), Some(key)) => {
                match self.told[&about].current {
                    Some(value) => items.insert(key, value),
                    None => items.remove(key),
                };
                Some(Sight::Read(items, version))
            }
            _ => self.state().remove(name),
        };
        self.own.insert(name, (number, next));
        self.end(|other| *other == about, Resolution::Accepted);
    }

    pub(super) fn retire(&mut self, fault: Fault) {
        self.retired = true;
        if fault != Fault::RetirementClosesNothing {
            self.end(|_| true, Resolution::Retired);
        }
    }

    pub(super) fn end(&mut self, which: impl Fn(&About) -> bool, how: Resolution) {
        for (about, told) in &mut self.told {
            if told.ended.is_none() && which(about) {
                told.ended = Some(how);
                if how == Resolution::Returned {
                    told.current = told.desired;
                }
            }
        }
    }

    /// What counts of a file: the newest approval that speaks of it.
    pub(super) fn desired(&self, name: &str, group: &Group, fault: Fault) -> Option<Option<Sight>> {
        let of_group = group.agreed.get(name).filter(|_| fault != Fault::GroupsAgreeToNothing);
        let newest = self.own.get(name).into_iter().chain(of_group).max_by_key(|one| one.0);
        newest.map(|(_, sight)| sight.clone())
    }

    /// Holds each file against what was agreed; what ends by it ended as `how` says.
    pub(super) fn judge(&mut self, group: &Group, ((now, fault), how): (When, Resolution)) {
        if self.retired || !self.heard {
            return;
        }
        let exempt = group.exempt.filter(|_| fault != Fault::ExemptIsCompared);
        for name in PARTS {
            let Some(desired) = self.desired(name, group, fault) else { continue };
            let current = match self.now.get(name) {
                Some(Sight::Denied) if fault == Fault::UnobservedIsAbsent => None,
                Some(Sight::Denied) => continue,
                other => other.cloned(),
            };
            if desired != Some(Sight::Denied) && exempt.is_some() {
                self.end(|about| *about == (name, exempt), how);
            }
            match (desired, current) {
                (Some(Sight::Denied), _) | (_, Some(Sight::Denied)) => {}
                (None, None) => self.end(|(of, _)| *of == name, how),
                (None, Some(Sight::Read(..))) => self.open((name, None), (None, THERE), now),
                (Some(Sight::Read(..)), None) => {
                    self.open((name, None), (THERE, None), now);
                    for ((of, key), told) in &mut self.told {
                        if *of == name && key.is_some() && told.ended.is_none() {
                            told.current = None;
                        }
                    }
                }
                (Some(Sight::Read(should, one)), Some(Sight::Read(is, other))) => {
                    self.end(|about| *about == (name, None), how);
                    if one == other || fault == Fault::RecastIsChange {
                        self.items((name, exempt), (&should, &is), (now, how));
                    }
                }
            }
        }
    }

    fn items(
        &mut self,
        (name, exempt): (&'static str, Option<&'static str>),
        (should, is): (&Items, &Items),
        (now, how): (i64, Resolution),
    ) {
        for key in KEYS.into_iter().filter(|key| Some(*key) != exempt) {
            let (desired, current) = (should.get(key).copied(), is.get(key).copied());
            if desired == current {
                self.end(|about| *about == (name, Some(key)), how);
            } else {
                self.open((name, Some(key)), (desired, current), now);
            }
        }
    }

    pub(super) fn open(&mut self, about: About, (desired, current): (Value, Value), now: i64) {
        let told = self.told.entry(about).or_insert_with(|| Told {
            desired,
            current,
            first_seen: at(now),
            openings: 0,
            ended: Some(Resolution::Returned),
        });
        if told.ended.take().is_some() {
            told.openings += 1;
            told.first_seen = at(now);
        }
        (told.desired, told.current) = (desired, current);
    }

    pub(super) fn permitted(&self, now: i64, fault: Fault) -> BTreeSet<About> {
        let open = self.told.iter().filter(|(_, told)| told.ended.is_none());
        let is_of = |permit: &Permit, about: &About| match permit {
            Permit::Whatever(name) => *name == about.0,
            Permit::As(of, has) => {
                let (value, says) = self.has(about);
                let any = fault == Fault::AcceptedPermitsAnyValue;
                let whole = says == has.1 || fault == Fault::AcceptedForgetsTheWhole;
                of == about && (any || (value == has.0 && whole))
            }
        };
        let permits = |about: &About| {
            let ends = |until: i64| now < until || fault == Fault::ExceptionsNeverEnd;
            self.exceptions
                .iter()
                .any(|(permit, from, until)| is_of(permit, about) && *from <= now && ends(*until))
        };
        open.map(|(about, _)| *about).filter(permits).collect()
    }

    /// What a finding has at this moment.
    pub(super) fn has(&self, about: &About) -> Has {
        let value = self.told[about].current;
        let says = match self.state().remove(about.0) {
            Some(Sight::Read(items, _)) if about.1.is_none() && value == THERE => Some(items),
            Some(Sight::Read(..) | Sight::Denied) | None => None,
        };
        (value, says)
    }
}
