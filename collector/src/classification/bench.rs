//! One host with its past, and what each of its changes is judged to be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use driftline_protocol::ids::{Digest, HostId, PartName, SourceName};
use driftline_protocol::item::ItemKey;
use driftline_protocol::manifest::Manifest;
use driftline_protocol::snapshot::Part;
use jiff::{SignedDuration, Timestamp};

use super::told::{stretch, told};
use super::{changes, subject};
use crate::analysis::classify::past::{Past, Run, TURNS_MOST, Turn, runs, undone_by};
use crate::analysis::classify::runs::{Runs, Verdict};
use crate::analysis::classify::transaction::{
    DPKG, Explained, PACKAGES, TOGETHER, Transactions, is_as_shipped,
};
use crate::analysis::classify::{ChangeClass, Classified, Decision, Intent, RuleKind, classify};
use crate::config::{Config, Place};
use crate::store::{ChangeId, ChangeRecord, Judgement, StoreError};
use crate::writer::Reads;

/// How far back an item's past is looked at.
pub(super) const PAST: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The most changes of one host that are looked at as the past, the newest ones.
const PAST_MOST: usize = 20_000;

/// What is added where nothing covers a change that dpkg could have explained.
const BY_HAND: &str = "; dpkg worked on its package about then, and this is not what it ships";

/// Names one item of a host.
type Item = (SourceName, PartName, Option<ItemKey>);

fn item(record: &ChangeRecord) -> Item {
    (record.source.clone(), record.change.part.clone(), record.change.key.clone())
}

/// One host with its past, and what of it is to be judged.
pub(super) struct Bench {
    /// By time, then by number.
    records: BTreeMap<(Timestamp, ChangeId), ChangeRecord>,
    /// When each change was made.
    times: BTreeMap<ChangeId, Timestamp>,
    /// Where the changes of each item stand, in their order.
    items: BTreeMap<Item, Vec<(Timestamp, ChangeId)>>,
    wanted: BTreeSet<ChangeId>,
    pub(super) transactions: Transactions,
    /// Of what dpkg may explain: what somebody wrote into a configuration file meanwhile.
    by_hand: BTreeSet<ChangeId>,
    runs: Runs,
    /// What runs make of what is wanted.
    of_runs: BTreeMap<ChangeId, Verdict>,
}

impl Bench {
    pub(super) fn load(
        store: &dyn Reads,
        (host, given): (&HostId, Vec<ChangeRecord>),
    ) -> Result<Self, StoreError> {
        let times = given.iter().map(|record| record.at);
        let first = times.clone().min().unwrap_or_default();
        let last = times.max().unwrap_or_default();
        let from = first.checked_sub(PAST).unwrap_or(Timestamp::MIN);
        let to = last.checked_add(PAST).unwrap_or(Timestamp::MAX);
        let (past, _) = changes(store, (Some(host), from, to), PAST_MOST)?;
        // What is judged is there even where the past was longer than anybody looks.
        let records: BTreeMap<_, _> =
            given.into_iter().chain(past).map(|record| ((record.at, record.id), record)).collect();
        let mut items: BTreeMap<Item, Vec<(Timestamp, ChangeId)>> = BTreeMap::new();
        let mut transactions = Transactions::default();
        for (place, record) in &records {
            items.entry(item(record)).or_default().push(*place);
            if record.source.as_str() == PACKAGES {
                transactions.add((record.id.0, record.at), &record.change);
            }
        }
        let times = records.keys().map(|(at, id)| (*id, *at)).collect();
        let (wanted, by_hand) = (BTreeSet::new(), BTreeSet::new());
        let (runs, of_runs) = (Runs::default(), BTreeMap::new());
        Ok(Self { records, times, items, wanted, transactions, by_hand, runs, of_runs })
    }

    /// Which changes are judged: those asked for, what dpkg may explain of the others, and what was
    /// judged by one of these.
    pub(super) fn widen(&mut self, wanted: BTreeSet<ChangeId>) {
        let of_dpkg: Vec<Timestamp> = self
            .records
            .values()
            .filter(|record| wanted.contains(&record.id) && record.source.as_str() == PACKAGES)
            .map(|record| record.at)
            .collect();
        let touched: BTreeSet<Item> =
            self.records.values().filter(|record| wanted.contains(&record.id)).map(item).collect();
        for record in self.records.values() {
            let Some(classified) = &record.classified else { continue };
            let class = classified.decision.class;
            let unexplained = classified.decision.yields_to_transaction();
            // Of those in the order of time, the first that is not too early.
            let early = |at: &Timestamp| record.at.duration_since(*at) > TOGETHER;
            let next = of_dpkg.get(of_dpkg.partition_point(early));
            let near = next.is_some_and(|at| at.duration_since(record.at) <= TOGETHER);
            let by_dpkg = unexplained && near;
            let turned = class == Some(ChangeClass::Reverted) && touched.contains(&item(record));
            if by_dpkg || turned {
                self.wanted.insert(record.id);
            }
        }
        self.wanted.extend(wanted);
    }

    /// Which configuration files belong to which package, as the host last said.
    pub(super) fn learn_owners(
        &mut self,
        store: &dyn Reads,
        host: &HostId,
    ) -> Result<(), StoreError> {
        let Ok(source) = PACKAGES.parse() else { return Ok(()) };
        for part in store.section_parts(host, &source)? {
            let Some(digest) = part.read.filter(|_| part.part.as_str() == DPKG) else { continue };
            if let Some(Part::Observed(observed)) = store.part(&digest)? {
                let items = observed.items.iter().map(|(key, item)| (key, &item.value));
                self.transactions.owned_by(items);
            }
        }
        Ok(())
    }

    /// Which of the changes of configuration files led to something else than their package ships,
    /// as far as the host tells.
    pub(super) fn learn_shipped(
        &mut self,
        store: &dyn Reads,
        (host, place): (&HostId, &Place),
    ) -> Result<(), StoreError> {
        let Ok(packages) = PACKAGES.parse::<SourceName>() else { return Ok(()) };
        let Ok(dpkg) = DPKG.parse::<PartName>() else { return Ok(()) };
        let mut states = States { store, host, stood: BTreeMap::new(), read: BTreeMap::new() };
        for record in self.records.values().filter(|record| self.wanted.contains(&record.id)) {
            let subject = subject(record, place);
            let Some(at) = self.transactions.worked_on_file(&subject) else { continue };
            let told = states.part((&packages, at), &dpkg)?;
            let after = states.part((&record.source, record.at), &record.change.part)?;
            if !is_as_shipped((&subject, after.as_deref()), told.as_deref()) {
                self.by_hand.insert(record.id);
            }
        }
        Ok(())
    }

    /// What runs that the host tells of make of what is judged.
    pub(super) fn learn_runs(
        &mut self,
        store: &dyn Reads,
        (host, place): (&HostId, &Place),
        config: &Config,
    ) -> Result<(), StoreError> {
        let wanted = || self.records.values().filter(|record| self.wanted.contains(&record.id));
        let times = || wanted().map(|record| record.at);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(()) };
        let runs = told(store, (host, config), stretch(first, last))?;
        let mut states = States { store, host, stood: BTreeMap::new(), read: BTreeMap::new() };
        for record in wanted().filter(|record| runs.were_at_work(record.at)) {
            let after = states.part((&record.source, record.at), &record.change.part)?;
            if let Some(verdict) = runs.explain(&subject(record, place), after.as_deref()) {
                self.of_runs.insert(record.id, verdict);
            }
        }
        self.runs = runs;
        Ok(())
    }

    /// What explains a change, and what is known of it besides: that nothing did although something
    /// of the kind was at work, or who had it done.
    fn explained(&mut self, record: &ChangeRecord, place: &Place) -> (Option<Explained>, String) {
        let subject = subject(record, place);
        let by_hand = self.by_hand.contains(&record.id);
        let package = self.transactions.explain(&subject).filter(|_| !by_hand);
        let mut explained = package;
        let mut besides = if by_hand { BY_HAND.to_owned() } else { String::new() };
        match self.of_runs.get(&record.id) {
            Some(Verdict::Explained(run)) if explained.is_none() => {
                return (Some(run.clone()), String::new());
            }
            Some(Verdict::Otherwise(tool)) => {
                besides = format!("; {tool} changed it about then, and this is not what it left");
            }
            Some(Verdict::Explained(_)) | None => {}
        }
        let about = self.transactions.package_of(&subject);
        let who = about
            .and_then(|(manager, package)| self.runs.evidence(subject.at, (manager, &package)));
        if let Some(who) = who {
            match &mut explained {
                Some(explained) => explained.says.push_str(&format!("; {who}")),
                None => besides.push_str(&format!("; {who}")),
            }
        }
        (explained, besides)
    }

    /// How the value of each item alternated, of which something is judged.
    fn runs(&self) -> BTreeMap<Item, Vec<Run>> {
        let wanted = self.records.values().filter(|record| self.wanted.contains(&record.id));
        let items: BTreeSet<Item> = wanted.map(item).collect();
        let of = |item: Item| {
            let places = self.items.get(&item).map_or(&[][..], Vec::as_slice);
            let records = places.iter().filter_map(|place| self.records.get(place));
            let turns = records.map(|record| {
                let change = &record.change;
                (record.at, change.before.as_ref(), change.after.as_ref())
            });
            (item, runs(turns))
        };
        items.into_iter().map(of).collect()
    }

    /// Judges what is wanted, oldest first, so that each sees what those before it became.
    pub(super) fn judge(
        &mut self,
        (intent, place): (&Intent<'_>, &Place),
        now: Timestamp,
    ) -> Vec<Judgement> {
        let mut done: BTreeMap<ChangeId, Classified> = BTreeMap::new();
        let runs = self.runs();
        let order: Vec<(Timestamp, ChangeId)> =
            self.records.keys().filter(|(_, id)| self.wanted.contains(id)).copied().collect();
        for key in order {
            let Some(record) = self.records.get(&key).cloned() else { continue };
            let (explained, besides) = self.explained(&record, place);
            let past = Past::new(self.past(&record, key, &runs), intent.spans.revert);
            let mut decision = classify(&subject(&record, place), (intent, &past), explained);
            if decision.rule == RuleKind::Nothing {
                decision.says += &besides;
            }
            // One more turn of noise undoes nothing: the turn before it is noise as well.
            let noise =
                decision.rule == RuleKind::Past && decision.class != Some(ChangeClass::Reverted);
            let undone = if noise { Vec::new() } else { past.undone() };
            let (id, before) = (record.id, record.classified.clone());
            self.decide((id, key), (before, decision), (now, &mut done));
            for other in undone.into_iter().map(ChangeId) {
                let key = self.times.get(&other).map(|at| (*at, other));
                let found = key.and_then(|key| Some((key, self.records.get(&key)?)));
                let found = found.map(|(key, record)| (key, record.classified.clone()));
                // What was made when nothing may be stays that, however soon it was undone.
                let forbidden = |before: &Classified| before.decision.rule == RuleKind::Blackout;
                let found = found.filter(|(_, before)| !before.as_ref().is_some_and(forbidden));
                if let Some((key, before)) = found {
                    self.decide((other, key), (before, undone_by(id.0)), (now, &mut done));
                }
            }
        }
        done.into_iter().map(|(change, classified)| Judgement { change, classified }).collect()
    }

    /// Gives a change its class, unless that is what it has, or less than it has.
    fn decide(
        &mut self,
        (id, key): (ChangeId, (Timestamp, ChangeId)),
        (before, decision): (Option<Classified>, Decision),
        (now, done): (Timestamp, &mut BTreeMap<ChangeId, Classified>),
    ) {
        let next = match before {
            None => Some(Classified::first(decision, now)),
            Some(before) if keeps(&before.decision, &decision) => None,
            Some(before) => before.again(decision, now),
        };
        let Some(next) = next else { return };
        if let Some(record) = self.records.get_mut(&key) {
            record.classified = Some(next.clone());
        }
        done.insert(id, next);
    }

    /// The changes of the same item up to this one, newest first, and how they alternated.
    fn past(
        &self,
        record: &ChangeRecord,
        key: (Timestamp, ChangeId),
        runs: &BTreeMap<Item, Vec<Run>>,
    ) -> (Vec<Turn<'_>>, Run) {
        let run = |until: usize| runs.get(&item(record))?.get(until.checked_sub(1)?).copied();
        let all = self.items.get(&item(record)).map_or(&[][..], Vec::as_slice);
        let until = all.partition_point(|place| *place <= key);
        let records = all.get(..until).unwrap_or_default().iter().rev().take(TURNS_MOST);
        let records = records.filter_map(|place| self.records.get(place));
        let turns = records
            .map(|record| {
                let classified = record.classified.as_ref();
                Turn {
                    number: record.id.0,
                    at: record.at,
                    kind: record.change.kind,
                    before: record.change.before.as_ref(),
                    after: record.change.after.as_ref(),
                    class: classified.and_then(|classified| classified.decision.class),
                }
            })
            .collect();
        (turns, run(until).unwrap_or_default())
    }
}

/// The states of a host's sections at moments of the past. Changes come by time, and those of one
/// file together, so of each source what was read last is kept, and never more.
struct States<'a> {
    store: &'a dyn Reads,
    host: &'a HostId,
    stood: BTreeMap<SourceName, (Timestamp, Manifest)>,
    read: BTreeMap<SourceName, (Digest, Option<Arc<Part>>)>,
}

impl States<'_> {
    /// A part as it was at that moment; `None` where it was not there.
    fn part(
        &mut self,
        (source, at): (&SourceName, Timestamp),
        part: &PartName,
    ) -> Result<Option<Arc<Part>>, StoreError> {
        if self.stood.get(source).is_none_or(|(then, _)| *then != at) {
            let manifest = self.store.manifest_at(self.host, source, at)?.unwrap_or_default();
            self.stood.insert(source.clone(), (at, manifest));
        }
        let stood = self.stood.get(source);
        let digest = stood.and_then(|(_, Manifest(parts))| parts.get(part)).copied();
        let Some(digest) = digest else { return Ok(None) };
        if let Some((_, known)) = self.read.get(source).filter(|(read, _)| *read == digest) {
            return Ok(known.clone());
        }
        let found = self.store.part(&digest)?.map(Arc::new);
        self.read.insert(source.clone(), (digest, found.clone()));
        Ok(found)
    }
}

/// Whether what a change was judged to be stays: that its value went back later is not known when
/// it is judged by itself, and only an intent counts for more.
fn keeps(before: &Decision, next: &Decision) -> bool {
    before.rule == RuleKind::Undone
        && next.rule != RuleKind::Undone
        && !next.class.is_some_and(ChangeClass::is_intended)
}
