//! The collector at simulated time: its own library on a store on disk. The one page to change
//! when its doors do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use driftline_collector::change_requests::{RequestForm, read_requests};
use driftline_collector::classification::{judge, judge_again, judge_told, told_lately};
use driftline_collector::config::{Config, load};
use driftline_collector::ingest::{
    self, Approval, Context, Decided, Ingest, IngestError, Proof, Proposal, Settlement,
    check_report, except,
};
use driftline_collector::rollouts::{Rollout, rollouts};
use driftline_collector::standards::Standards;
use driftline_collector::store::sqlite::{self, Reader, Writer};
use driftline_collector::store::{
    Append as _, ChangeFilter, ChangeRecord, EventKind, FindingFilter, FindingRecord, MAX_LIMIT,
    NewPart, ReadFindings as _, ReadHistory as _, Step, backup,
};
use driftline_collector::weighing::weigh_due;
use driftline_protocol::ids::{HostId, Incarnation, SourceName};
use driftline_protocol::wire::{
    EnrolRequest, HostKind, Outcome, PROTOCOL_VERSION, ProblemCode, Report,
};
use driftline_tests::simulation::host::APT;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::agent::{Agent, moment};

/// So many decisions are made durable together.
const GROUP: usize = 400;

/// The collector.
pub(crate) struct Collector {
    path: PathBuf,
    config: Arc<Config>,
    store: Option<(Writer, Reader)>,
    ingest: Ingest,
    /// The collector's clock, in seconds of the world.
    pub(crate) now: i64,
    parts: Vec<NewPart>,
    steps: Vec<Step>,
    decided: usize,
    /// The drift that was weighed last.
    weighed: i64,
    /// Since when hosts told of runs that no change was held against yet.
    told: BTreeMap<HostId, Timestamp>,
}

impl Collector {
    pub(crate) fn open(path: &Path, config: &str) -> anyhow::Result<Self> {
        let config = Arc::new(load::parse("simulation", config)?);
        let (writer, reader) = sqlite::open(path)?;
        let ingest = Self::ingest(&config, &writer, &reader)?;
        Ok(Self {
            path: path.to_owned(),
            config,
            store: Some((writer, reader)),
            ingest,
            now: 0,
            parts: Vec::new(),
            steps: Vec::new(),
            decided: 0,
            weighed: 0,
            told: BTreeMap::new(),
        })
    }

    fn ingest(config: &Arc<Config>, writer: &Writer, reader: &Reader) -> anyhow::Result<Ingest> {
        let settings = ingest::Config { epoch: writer.epoch(), ..ingest::Config::default() };
        let mut ingest = Ingest::new(settings, reader)?;
        ingest.adopt(Arc::new(Standards::load(config)?));
        Ok(ingest)
    }

    fn reader(&self) -> anyhow::Result<&Reader> {
        Ok(&self.store.as_ref().context("the store is closed")?.1)
    }

    fn clock(&self) -> Timestamp {
        moment(self.now)
    }

    /// Decides one message as the writer does.
    fn decide<A>(
        &mut self,
        what: impl FnOnce(&mut Ingest, Context<'_>) -> Result<Decided<A>, IngestError>,
    ) -> anyhow::Result<Result<A, ProblemCode>> {
        let now = self.clock();
        let (_, reader) = self.store.as_ref().context("the store is closed")?;
        match what(&mut self.ingest, Context { store: reader, now }) {
            Ok(Decided { answer, parts, steps }) => {
                self.parts.extend(parts);
                self.steps.extend(steps);
                self.decided += 1;
                if self.decided >= GROUP {
                    self.settle()?;
                }
                Ok(Ok(answer))
            }
            Err(IngestError::Refused(problem)) => Ok(Err(problem.code)),
            Err(error) => Err(error.into()),
        }
    }

    fn accept(
        &mut self,
        what: impl FnOnce(&mut Ingest, Context<'_>) -> Result<Vec<Step>, IngestError>,
    ) -> anyhow::Result<()> {
        let decided = self.decide(|ingest, context| {
            Ok(Decided { answer: (), parts: Vec::new(), steps: what(ingest, context)? })
        })?;
        decided.map_err(|code| anyhow::anyhow!("refused: {}", code.as_str()))
    }

    /// Makes durable what was decided.
    pub(crate) fn settle(&mut self) -> anyhow::Result<()> {
        let now = self.clock();
        let (writer, reader) = self.store.as_mut().context("the store is closed")?;
        writer.write(&self.parts, &self.steps, now)?;
        self.ingest.settle(reader, Settlement::Durable)?;
        for step in &self.steps {
            let Step::Version(version) = step else { continue };
            if version.version.source.as_str() == APT.0 {
                let at = version.version.corrected_at;
                let told = self.told.entry(version.host.clone());
                told.and_modify(|since| *since = at.min(*since)).or_insert(at);
            }
        }
        (self.parts, self.steps, self.decided) = (Vec::new(), Vec::new(), 0);
        Ok(())
    }

    /// Judges what is new, what requests say anew and what is near runs that hosts told of, and
    /// weighs the drift that comes of it, until nothing is left.
    pub(crate) fn judge(&mut self) -> anyhow::Result<()> {
        self.settle()?;
        let now = self.clock();
        loop {
            let (writer, reader) = self.store.as_mut().context("the store is closed")?;
            let mut steps = judge(reader, &self.config, now)?.steps;
            if steps.is_empty() {
                steps = judge_again(reader, &self.config, now)?.steps;
            }
            if steps.is_empty() && !self.told.is_empty() {
                steps = judge_told(reader, (&self.config, now), &self.told)?.steps;
                self.told.clear();
            }
            if steps.is_empty() {
                steps = weigh_due(reader, &self.config, (now, &mut self.weighed))?.steps;
            }
            if steps.is_empty() {
                return Ok(());
            }
            writer.apply(&steps)?;
        }
    }

    pub(crate) fn enrol(
        &mut self,
        (proposed, kind): (&str, &str),
        (incarnation, of): (Incarnation, Option<HostId>),
    ) -> anyhow::Result<HostId> {
        let kind = HostKind::ALL.into_iter().find(|known| known.as_str() == kind);
        let request = EnrolRequest {
            version: PROTOCOL_VERSION,
            secret: None,
            replaces: of.clone(),
            proposed: proposed.parse()?,
            kind: kind.context("no such kind")?,
            incarnation,
            agent_version: "0.1.0".into(),
        };
        let mut random = [0; 32];
        random[..16].copy_from_slice(&incarnation.0);
        random[31] = u8::from(of.is_some());
        let proof = of.map_or(Proof::Secret, Proof::Token);
        let answer =
            self.decide(|ingest, context| ingest.enrol(context, &request, (proof, random)))?;
        Ok(answer.map_err(|code| anyhow::anyhow!("not enrolled: {}", code.as_str()))?.host)
    }

    /// Takes a report; every version of it must be taken.
    pub(crate) fn take(&mut self, report: Report) -> anyhow::Result<()> {
        let host = report.host.clone();
        let checked = check_report(report).map_err(|problem| anyhow::anyhow!(problem.detail))?;
        let answer = self.decide(|ingest, context| ingest.report(context, &host, checked))?;
        let answer = answer.map_err(|code| anyhow::anyhow!("{host}: {}", code.as_str()))?;
        let fine = |outcome: &Outcome| matches!(outcome, Outcome::Applied);
        ensure!(answer.outcomes.iter().all(fine), "{host}: {:?}", answer.outcomes);
        Ok(())
    }

    /// What is wanted of an agent, or that it is a clone.
    pub(crate) fn hear(
        &mut self,
        agent: &Agent,
    ) -> anyhow::Result<Result<Vec<SourceName>, ProblemCode>> {
        let heartbeat = agent.heartbeat(self.now);
        let answer =
            self.decide(|ingest, context| ingest.heartbeat(context, &agent.id, &heartbeat))?;
        Ok(answer.map(|answer| answer.want.into_keys().collect()))
    }

    pub(crate) fn approve(&mut self, host: &HostId) -> anyhow::Result<()> {
        let approval = Approval { who: "ann".into(), why: "the first day".into() };
        let proposal = Proposal::present(host.clone());
        self.accept(|ingest, context| ingest.approve(context, proposal, approval))
    }

    pub(crate) fn permit(&mut self, exception: Value) -> anyhow::Result<()> {
        let exception = serde_json::from_value(exception)?;
        self.accept(|_, context| except(context, exception))
    }

    /// Takes a request as its system posts it.
    pub(crate) fn request(&mut self, request: &Value) -> anyhow::Result<()> {
        let form = RequestForm {
            source: "itsm".into(),
            zone: TimeZone::UTC,
            columns: Default::default(),
            approvals: Default::default(),
            kinds: Default::default(),
            now: self.clock(),
        };
        let mut requests = Vec::new();
        let body = serde_json::to_vec(request)?;
        let came = read_requests(body.as_slice(), &form, &mut |request| {
            requests.push(request);
            true
        })?;
        ensure!(came.refused.total == 0, "refused: {request}");
        self.accept(|_, _| Ok(vec![Step::ChangeRequests(requests)]))
    }

    fn backup(&self) -> PathBuf {
        self.path.with_extension("backup")
    }

    pub(crate) fn back_up(&mut self) -> anyhow::Result<()> {
        self.judge()?;
        Ok(backup::write(self.reader()?, &self.backup())?)
    }

    /// Puts the backup in the place of the store, and starts again on it.
    pub(crate) fn restore(&mut self) -> anyhow::Result<()> {
        self.settle()?;
        let Some((writer, reader)) = self.store.take() else { bail!("the store is closed") };
        drop(reader);
        writer.close()?;
        backup::restore(&self.backup(), &self.path)?;
        let (writer, reader) = sqlite::open(&self.path)?;
        self.ingest = Self::ingest(&self.config, &writer, &reader)?;
        self.told = told_lately(&reader, self.clock())?;
        self.store = Some((writer, reader));
        Ok(())
    }

    /// That what befell the fleet was told: copies, and the store that was put back; and that no
    /// version of a section is unaccounted for.
    pub(crate) fn check(&self, copies: u64) -> anyhow::Result<()> {
        let events = self.reader()?.totals()?.events;
        let told = |kind| events.get(&kind).copied().unwrap_or(0);
        let cloned = told(EventKind::Cloned);
        ensure!(cloned == copies, "{copies} copies, told of {cloned}");
        ensure!(told(EventKind::StoreRestored) > 0, "nobody was told of the restored store");
        for (host, view) in self.ingest.view(self.clock()).hosts {
            let unexplained: u64 = view.sources.values().map(|source| source.imbalance).sum();
            ensure!(unexplained == 0, "{host}: {unexplained} versions unaccounted for");
        }
        Ok(())
    }

    /// Every change there is.
    pub(crate) fn changes(&self) -> anyhow::Result<Vec<ChangeRecord>> {
        let mut all = Vec::new();
        let mut filter = ChangeFilter { limit: MAX_LIMIT, ..ChangeFilter::default() };
        loop {
            let page = self.reader()?.changes(&filter)?;
            let Some(last) = page.last() else { return Ok(all) };
            filter.before = Some(last.id);
            all.extend(page);
        }
    }

    /// Every finding there ever was.
    pub(crate) fn findings(&self) -> anyhow::Result<Vec<FindingRecord>> {
        let mut all = Vec::new();
        let mut filter = FindingFilter { limit: MAX_LIMIT, ..FindingFilter::default() };
        loop {
            let page = self.reader()?.findings(&filter)?;
            let Some(last) = page.last() else { return Ok(all) };
            filter.after = Some(last.place());
            all.extend(page);
        }
    }

    /// The rollouts between two moments.
    pub(crate) fn rollouts(&self, from: i64, to: i64) -> anyhow::Result<Vec<Rollout>> {
        Ok(rollouts((self.reader()?, &self.config), (moment(from), moment(to)), 1_000)?.0)
    }
}
