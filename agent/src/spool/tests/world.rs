//! A host, a collector that applies what it is sent, and a list of what was observed.

use super::*;

/// What the collector has of one section, and how it came to it.
#[derive(Clone, Default)]
pub(super) struct Kept {
    pub(super) manifest: Manifest,
    pub(super) generation: Generation,
    pub(super) chain: Option<Chain>,
    pub(super) accounted: u64,
}

impl Kept {
    pub(super) fn held(&self) -> Held {
        let digest = (self.generation > Generation(0)).then(|| self.manifest.digest());
        Held { generation: self.generation, digest }
    }

    /// Applies one version as a collector does; gives whether it could.
    pub(super) fn apply(&mut self, version: &SectionVersion, strict: Strictness) -> bool {
        if version.generation <= self.generation {
            return true;
        }
        let Ok(next) = self.manifest.apply(&version.delta) else { return false };
        assert_eq!(next.digest(), version.digest, "the delta does not give what it says");
        if version.coalesced + version.expired == 0 {
            let chain = version.chain_before.after(version.generation, &version.digest);
            assert_eq!(chain, version.chain, "the chain does not verify");
        }
        if strict == Strictness::Whole {
            let before = self.chain.unwrap_or(Chain::start(&version.source));
            assert_eq!(before, version.chain_before, "the chain has a gap");
        }
        self.manifest = next;
        self.generation = version.generation;
        self.chain = Some(version.chain);
        self.accounted += 1 + version.coalesced + version.expired;
        true
    }
}

/// Whether anything happened that may leave a gap at the collector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Strictness {
    Whole,
    Gaps,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Observe(u8, Vec<u8>),
    Deliver { limit: usize, answer_arrives: bool },
    Crash,
    RestoreCollector,
    RollBack,
    Truncate(&'static str, u16),
    Flip(&'static str, u16),
}

/// The two files of the database; a closed one has the first only.
pub(super) const FILES: [&str; 2] = ["agent.db", "agent.db-wal"];

pub(super) fn steps(damage: u32) -> impl Strategy<Value = Vec<Step>> {
    let observe = (0u8..2, proptest::collection::vec(0u8..40, 0..4));
    let deliver = (1usize..5, any::<bool>());
    let file = proptest::sample::select(&FILES[..]);
    let step = prop_oneof![
        8 => observe.prop_map(|(source, values)| Step::Observe(source, values)),
        4 => deliver.prop_map(|(limit, answer_arrives)| Step::Deliver { limit, answer_arrives }),
        2 => Just(Step::Crash),
        damage => Just(Step::RestoreCollector),
        damage => Just(Step::RollBack),
        damage => (file.clone(), any::<u16>()).prop_map(|(file, at)| Step::Truncate(file, at)),
        damage => (file, any::<u16>()).prop_map(|(file, at)| Step::Flip(file, at)),
    ];
    proptest::collection::vec(step, 1..40)
}

/// A host with its folder, a collector, and what was observed last.
pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) spool: Option<Spool>,
    pub(super) collector: BTreeMap<SourceName, Kept>,
    pub(super) backup: BTreeMap<SourceName, Kept>,
    pub(super) observed: BTreeMap<SourceName, Vec<u8>>,
    pub(super) strictness: Strictness,
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spool = Some(open(folder.path()));
        let (collector, backup, observed) = Default::default();
        Self { folder, spool, collector, backup, observed, strictness: Strictness::Whole }
    }

    pub(super) fn spool(&mut self) -> &mut Spool {
        self.spool.as_mut().unwrap()
    }

    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Observe(number, values) => self.observe(&source(*number), values),
            Step::Deliver { limit, answer_arrives } => self.deliver(*limit, *answer_arrives),
            Step::Crash => self.crash("agent.db", |_| ()),
            Step::RestoreCollector => {
                self.strictness = Strictness::Gaps;
                std::mem::swap(&mut self.collector, &mut self.backup);
                self.greet();
            }
            Step::RollBack => self.roll_back(),
            Step::Truncate(file, at) => {
                self.strictness = Strictness::Gaps;
                self.crash(file, |bytes| bytes.truncate(place(*at, bytes.len())));
            }
            Step::Flip(file, at) => {
                self.strictness = Strictness::Gaps;
                self.crash(file, |bytes| {
                    let index = place(*at, bytes.len());
                    if let Some(byte) = bytes.get_mut(index) {
                        *byte ^= 0x10;
                    }
                });
            }
        }
        for (source, section) in self.status().sections {
            assert_eq!(section.account.imbalance(), 0, "{source} is out of balance");
        }
    }

    pub(super) fn status(&mut self) -> Status {
        match self.spool().status() {
            Err(SpoolError::Damaged(_)) => self.spool().status().unwrap(),
            other => other.unwrap(),
        }
    }

    pub(super) fn observe(&mut self, source: &SourceName, values: &[u8]) {
        let seen = match observe(self.spool(), source, values) {
            Err(SpoolError::Damaged(_)) => observe(self.spool(), source, values),
            other => other,
        };
        seen.unwrap();
        self.observed.insert(source.clone(), values.to_vec());
    }

    /// What a heartbeat does: the host learns what the collector holds.
    pub(super) fn greet(&mut self) {
        // Damage may show itself only now; the next heartbeat finds the new file.
        match self.try_to_greet() {
            Err(SpoolError::Damaged(_)) => self.try_to_greet().unwrap(),
            other => other.unwrap(),
        }
    }

    fn try_to_greet(&mut self) -> Result<(), SpoolError> {
        let newest = self.collector.values().map(|kept| kept.generation).max().unwrap_or_default();
        let status = self.status();
        self.spool().jump_above(newest)?;
        for (source, ours) in status.sections {
            let held = self.collector.entry(source.clone()).or_default().held();
            if (ours.generation, Some(ours.digest)) != (held.generation, held.digest) {
                self.spool().reconcile(&source, &held)?;
            }
        }
        Ok(())
    }

    pub(super) fn deliver(&mut self, limit: usize, answer_arrives: bool) {
        if let Err(error) = self.try_deliver(limit, answer_arrives) {
            assert!(matches!(error, SpoolError::Damaged(_)), "{error}");
            assert_eq!(self.strictness, Strictness::Gaps);
        }
    }

    pub(super) fn try_deliver(
        &mut self,
        limit: usize,
        answer_arrives: bool,
    ) -> Result<(), SpoolError> {
        for version in self.spool().waiting(limit)? {
            let digests: Vec<_> = version.delta.set.values().copied().collect();
            let parts = self.spool().parts(&digests, usize::MAX)?;
            for (part, digest) in parts.iter().zip(&digests) {
                assert_eq!(part.digest(), *digest);
            }
            let strictness = self.strictness;
            let kept = self.collector.entry(version.source.clone()).or_default();
            if !kept.apply(&version, strictness) {
                let held = kept.held();
                assert_eq!(strictness, Strictness::Gaps, "a base was unknown without a reason");
                self.spool().reconcile(&version.source, &held)?;
                return Ok(());
            }
            if answer_arrives {
                self.spool().acknowledge(&version.source, version.generation)?;
            }
        }
        if self.collector.len() == 1 {
            self.backup = self.collector.clone();
        }
        Ok(())
    }

    /// The agent is killed, `file` is damaged, and the agent starts again and greets its
    /// collector.
    pub(super) fn crash(&mut self, file: &str, damage: impl FnOnce(&mut Vec<u8>)) {
        let image = image(self.folder.path());
        let path = image.path().join(file);
        if let Ok(mut bytes) = fs::read(&path) {
            let before = bytes.clone();
            damage(&mut bytes);
            if bytes != before {
                fs::write(&path, bytes).unwrap();
            }
        }
        self.spool = None;
        self.folder = image;
        self.spool = Some(open(self.folder.path()));
        // A log whose end is cut off is an older state in good order: nobody but the collector can
        // tell.
        self.greet();
    }

    /// The virtual machine goes back to a copy of its disk while the collector goes on.
    pub(super) fn roll_back(&mut self) {
        self.strictness = Strictness::Gaps;
        let copy = tempfile::tempdir().unwrap();
        self.spool = None;
        for file in ["agent.db", "identity.json"] {
            fs::copy(self.folder.path().join(file), copy.path().join(file)).unwrap();
        }
        self.spool = Some(open(self.folder.path()));
        self.observe(&source(0), &[1, 2, 3]);
        self.observe(&source(1), &[4]);
        self.deliver(64, true);
        self.spool = None;
        self.folder = copy;
        self.spool = Some(open(self.folder.path()));
        self.greet();
    }

    /// One more pass over everything and enough rounds to deliver it.
    pub(super) fn settle(&mut self) {
        for (source, values) in self.observed.clone() {
            self.observe(&source, &values);
        }
        for _ in 0..6 {
            self.greet();
            self.deliver(64, true);
            for (source, values) in self.observed.clone() {
                self.observe(&source, &values);
            }
        }
    }

    pub(super) fn check_delivered(&mut self) {
        assert!(self.spool().waiting(64).unwrap().is_empty(), "something still waits");
        for (source, values) in self.observed.clone() {
            let kept = &self.collector[&source];
            assert_eq!(kept.manifest, manifest_of(&values), "{source} did not arrive");
        }
        if self.strictness == Strictness::Whole {
            for (source, section) in self.status().sections {
                let account = section.account;
                assert_eq!(self.collector[&source].accounted, account.observed, "{source}");
                assert_eq!(account.expired, 0);
            }
        }
        let counted = |connection: &rusqlite::Connection| {
            let sum = "SELECT coalesce(sum(refs), 0) FROM parts";
            let count = || connection.query_row(sum, [], |row| row.get::<_, i64>(0)).unwrap();
            let before = count();
            database::verify(connection).unwrap();
            (before, count())
        };
        let (kept, recounted) = self.spool().with_connection(counted);
        assert_eq!(kept, recounted, "parts are not named as often as counted");
    }
}

/// What the disk would hold if the agent were killed now. The log begins anew with another salt
/// once all of it is in the file; within one salt, any mixture of older and newer pages is made
/// good by the log.
pub(super) fn image(folder: &Path) -> tempfile::TempDir {
    let copy = |file: &str, to: &Path| fs::copy(folder.join(file), to.join(file)).map(|_| ());
    let salt = || fs::read(folder.join(FILES[1])).map(|log| log.get(..32).map(<[u8]>::to_vec)).ok();
    loop {
        let image = tempfile::tempdir().unwrap();
        let before = salt();
        copy(FILES[0], image.path()).unwrap();
        let logged = copy(FILES[1], image.path()).is_ok();
        // Last, since a generation is reserved there before it is used.
        copy("identity.json", image.path()).unwrap();
        if salt() == before && logged == before.is_some() {
            return image;
        }
    }
}

pub(super) fn place(at: u16, length: usize) -> usize {
    (usize::from(at) * length / 65_536).min(length.saturating_sub(1))
}

pub(super) fn run(steps: &[Step]) -> World {
    let mut world = World::new();
    for step in steps {
        world.step(step);
    }
    world.settle();
    world.check_delivered();
    world
}
