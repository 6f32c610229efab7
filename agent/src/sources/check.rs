//! What every source must keep, checked for all of them from one table.
//!
//! A source enters [`super::all`] only with a [`Fixture`]: a tree, what breaks it, what denies it,
//! and a secret planted in it. The checks know no source; they hold the invariants of the product
//! against each: *replay*, *malformed*, *denied*, *canary*, *recast*, that *the same* is said
//! of nothing that changed, and that whatever is read is *watched*.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use driftline_protocol::canonical;
use driftline_protocol::ids::PartName;
use driftline_protocol::item::{ItemKey, MALFORMED};
use driftline_protocol::redact::{RawItems, RawPart, Redactor};
use driftline_protocol::snapshot::{Content, Part, Reason};

use crate::machine::{Machine, Seam};
use crate::platform::System;
use crate::sources::look::Look;
use crate::sources::table::Trouble;
use crate::sources::{Carry, Receipt, Sink, Source};
use crate::sources::{files, os, windows};

mod watched;

/// What the checks need to know of one source.
pub(crate) struct Fixture {
    /// The source as it is in production.
    pub(crate) source: fn() -> Box<dyn Source>,
    /// The same source that reads differently: another parser version or another scope.
    pub(crate) recast: fn() -> Box<dyn Source>,
    /// Path, mode and content of every file; a content `-> target` is a symbolic link.
    pub(crate) tree: Vec<(&'static str, u32, &'static str)>,
    /// What makes one part unparsable; nothing where whatever stands in its files means something.
    pub(crate) malformed: Option<Broken>,
    /// What makes one part unreadable.
    pub(crate) denied: Denied,
    /// A file and its new content, which must be seen in the next pass.
    pub(crate) edit: (&'static str, &'static str),
    /// A secret that stands in the tree and must be in no redacted part.
    pub(crate) canary: Option<&'static str>,
}

/// A file whose content breaks a part.
pub(crate) struct Broken {
    pub(crate) path: &'static str,
    pub(crate) content: &'static str,
    pub(crate) part: &'static str,
}

/// A file or directory whose denial makes a part unobserved.
pub(crate) struct Denied {
    pub(crate) path: &'static str,
    pub(crate) part: &'static str,
}

/// What one pass said, to a sink that holds what the pass before said.
#[derive(Default)]
struct Recording {
    /// What the pass before left behind, as receipts.
    held: BTreeMap<PartName, Receipt>,
    receipts: BTreeMap<PartName, Receipt>,
    seen: BTreeMap<PartName, Part>,
    same: BTreeSet<PartName>,
    blind: Vec<(PartName, Reason)>,
}

impl Recording {
    /// A sink that holds the parts for these receipts.
    fn after(held: &BTreeMap<PartName, Receipt>) -> Self {
        Self { held: held.clone(), ..Self::default() }
    }

    fn named(&self) -> BTreeSet<PartName> {
        self.same.iter().chain(self.seen.keys()).cloned().collect()
    }
}

impl Sink for Recording {
    fn seen(&mut self, part: PartName, raw: RawPart) -> Receipt {
        assert!(!self.same.contains(&part), "{part} is both seen and the same");
        let redacted = redactor().redact(raw);
        let (digest, _) = redactor().seal(&redacted);
        let receipt = Receipt::of(digest, redacted.get().unobserved_reason());
        self.receipts.insert(part.clone(), receipt);
        let before = self.seen.insert(part.clone(), redacted.into_inner());
        assert!(before.is_none(), "{part} is seen twice");
        receipt
    }

    fn same(&mut self, part: &PartName, receipt: &Receipt) -> Carry {
        assert!(!self.seen.contains_key(part), "{part} is both seen and the same");
        if self.held.get(part) != Some(receipt) {
            return Carry::ReadAgain;
        }
        assert!(self.same.insert(part.clone()), "{part} is the same twice");
        self.receipts.insert(part.clone(), *receipt);
        Carry::Carried
    }

    fn blind(&mut self, place: &PartName, reason: Reason) {
        self.blind.push((place.clone(), reason));
    }
}

/// The one table: a row for every source, in the order of [`super::all`].
fn fixtures(system: System) -> Vec<Fixture> {
    match system {
        System::Unix => of_unix(),
        System::Windows => {
            let mut fixtures = windows::tests::fixtures();
            fixtures.push(files::windows::fixture());
            fixtures
        }
    }
}

/// Its trees have links and modes, which only a Unix can make.
#[cfg(not(unix))]
fn of_unix() -> Vec<Fixture> {
    Vec::new()
}

#[cfg(unix)]
fn of_unix() -> Vec<Fixture> {
    use crate::sources::transactions;
    use crate::sources::{accounts, audio, browser_policy, certificates, containers, cron};
    use crate::sources::{desktop_uc_client, directory, firewall, kernel_policy, listeners};
    use crate::sources::{login_policy, network, origins, packages, services, time_sync};
    vec![
        os::tests::fixture(),
        packages::tests::fixture(),
        transactions::tests::fixture(),
        services::tests::fixture(),
        accounts::tests::fixture(),
        login_policy::tests::fixture(),
        listeners::tests::fixture(),
        certificates::tests::fixture(),
        time_sync::tests::fixture(),
        kernel_policy::tests::fixture(),
        network::tests::fixture(),
        cron::tests::fixture(),
        browser_policy::tests::fixture(),
        firewall::tests::fixture(),
        directory::tests::fixture(),
        containers::tests::fixture(),
        desktop_uc_client::tests::fixture(),
        audio::tests::fixture(),
        origins::tests::asterisk(),
        origins::tests::kamailio(),
        origins::tests::opensips(),
        origins::tests::freeswitch(),
        origins::tests::ejabberd(),
        origins::tests::prosody(),
        files::tests::fixture(),
    ]
}

#[test]
#[cfg(unix)]
fn every_source_of_unix_passes_every_check() {
    each_passes_every_check(System::Unix);
}

#[test]
fn every_source_of_windows_passes_every_check() {
    each_passes_every_check(System::Windows);
}

fn each_passes_every_check(system: System) {
    let mut fixtures: BTreeMap<_, _> =
        fixtures(system).into_iter().map(|fixture| ((fixture.source)().name(), fixture)).collect();
    let mut broken = Vec::new();
    for source in super::defaults(system) {
        let fixture = fixtures.remove(&source.name());
        let Some(fixture) = fixture else {
            panic!(
                "{0} has no fixture: write `fixture()` in agent/src/sources/{0}/tests.rs and its \
                line in `fixtures()` of this page",
                source.name()
            )
        };
        // The assertions below know parts; whoever reads them wants the source first.
        if catch_unwind(AssertUnwindSafe(|| check(&fixture))).is_err() {
            broken.push(source.name());
        }
    }
    assert!(broken.is_empty(), "{broken:?} break an invariant of every source; see above which");
    let left: Vec<_> = fixtures.into_keys().collect();
    assert!(left.is_empty(), "{left:?} have a fixture and do not stand in `sources::all`");
}

/// Holds every invariant against one source.
fn check(fixture: &Fixture) {
    let whole = run(fixture, &mut *(fixture.source)(), &Seam::default()).seen;
    let source = (fixture.source)().name();
    assert!(!whole.is_empty(), "{source} finds no part in the tree of its fixture");
    for (name, part) in &whole {
        assert_eq!(part.unobserved_reason(), None, "{name} of the whole fixture is not read");
        canonical::decode(&canonical::encode(part)).expect("a part keeps the protocol's bounds");
    }
    replays(fixture, &whole);
    malformed_content_keeps_its_attributes(fixture, &whole);
    denied_is_not_absent(fixture, &whole);
    secrets_stay(fixture, &whole);
    reading_differently_is_no_change(fixture, &whole);
    the_same_is_never_said_of_a_change(fixture);
    watched::what_is_read_is_watched(fixture);
}

fn replays(fixture: &Fixture, whole: &BTreeMap<PartName, Part>) {
    let again = run(fixture, &mut *(fixture.source)(), &Seam::default()).seen;
    let bytes = |parts: &BTreeMap<PartName, Part>| -> Vec<_> {
        parts.iter().map(|(name, part)| (name.clone(), canonical::encode(part))).collect()
    };
    assert_eq!(bytes(whole), bytes(&again), "the same tree gives other bytes");
}

fn malformed_content_keeps_its_attributes(fixture: &Fixture, whole: &BTreeMap<PartName, Part>) {
    let Some(Broken { path, content, part }) = &fixture.malformed else { return };
    let root = plant(fixture);
    write(root.path(), path, content);
    let broken = read(root.path(), &mut *(fixture.source)(), Seam::default()).seen;
    let name: PartName = part.parse().unwrap();
    let Some(Part::Observed(observed)) = broken.get(&name) else {
        panic!("{part} is not observed")
    };
    assert_eq!(
        observed.content,
        Content::Unread(Reason::Malformed),
        "{content:?} in {path} is no text that the reader of {part} refuses, as `malformed` must be"
    );
    let (why, attributes): (Vec<_>, Vec<_>) =
        observed.items.iter().partition(|(key, _)| key.of_the_moment().is_some());
    assert!(!attributes.is_empty(), "{part} lost its attributes");
    let [(key, why)] = why.as_slice() else { panic!("{part} says nothing or too much: {why:?}") };
    assert_eq!(**key, ItemKey::momentary([MALFORMED]), "{part} does not say what is wrong");
    let why = why.value.as_text().unwrap_or_default();
    assert!(!why.is_empty() && !why.contains(content), "{part} is wrong in this: {why:?}");
    assert!(observed.items.keys().all(ItemKey::is_attribute), "{part}");
    assert!(observed.raw.is_some(), "{part} lost its digest");
    others_are_untouched(whole, &broken, &name);
}

fn denied_is_not_absent(fixture: &Fixture, whole: &BTreeMap<PartName, Part>) {
    let Denied { path, part } = fixture.denied;
    let seam = Seam { denied: vec![path.into()], ..Seam::default() };
    let recording = run(fixture, &mut *(fixture.source)(), &seam);
    let name: PartName = part.parse().unwrap();
    let blind = recording.blind.iter().any(|(place, reason)| {
        *reason == Reason::Denied && Path::new(part).starts_with(place.as_str())
    });
    let denied = recording.seen;
    let reason = denied.get(&name).and_then(Part::unobserved_reason);
    assert!(blind || reason == Some(Reason::Denied), "{part} with {path} denied: {reason:?}");
    others_are_untouched(whole, &denied, &name);
}

fn others_are_untouched(
    whole: &BTreeMap<PartName, Part>,
    now: &BTreeMap<PartName, Part>,
    but: &PartName,
) {
    for (name, part) in whole.iter().filter(|(name, _)| *name != but) {
        assert_eq!(now.get(name), Some(part), "{name} changed with {but}");
    }
}

fn secrets_stay(fixture: &Fixture, whole: &BTreeMap<PartName, Part>) {
    let Some(canary) = fixture.canary else { return };
    assert!(fixture.tree.iter().any(|(_, _, content)| content.contains(canary)), "no canary");
    for (name, part) in whole {
        let text = String::from_utf8(canonical::encode(part)).unwrap();
        assert!(!text.contains(canary) && !name.as_str().contains(canary), "{name} tells: {text}");
    }
}

fn reading_differently_is_no_change(fixture: &Fixture, whole: &BTreeMap<PartName, Part>) {
    let recast = run(fixture, &mut *(fixture.recast)(), &Seam::default()).seen;
    for (name, part) in whole {
        let before = part.observed().expect("the whole fixture is observed");
        let after = recast.get(name).and_then(Part::observed).expect("a recast part is observed");
        assert_ne!(
            before.reading, after.reading,
            "{name} does not say that it is read differently"
        );
        assert_eq!(before.raw, after.raw, "{name} has other bytes when it is read differently");
    }
}

fn the_same_is_never_said_of_a_change(fixture: &Fixture) {
    let root = plant(fixture);
    let mut source = (fixture.source)();
    let settled = || Seam { clock_ahead: Duration::from_secs(3_600), ..Seam::default() };
    let mut pass =
        |held: &BTreeMap<PartName, Receipt>| read_after(root.path(), &mut *source, settled(), held);
    let first = pass(&BTreeMap::new());
    let second = pass(&first.receipts);
    assert_eq!(second.named(), first.named(), "a second pass names other parts");
    assert_eq!(second.receipts, first.receipts, "a part changed by itself");
    // A sink that lost everything must be told everything, though nothing has changed.
    let lost = pass(&BTreeMap::new());
    assert_eq!(lost.seen, first.seen, "a part that was not carried is not read again");
    let (path, content) = fixture.edit;
    write(root.path(), path, content);
    let third = pass(&lost.receipts);
    let fresh = read(root.path(), &mut *(fixture.source)(), settled());
    assert_ne!(fresh.seen, first.seen, "the edit of {path} changes nothing");
    assert_eq!(third.receipts, fresh.receipts, "a part depends on the passes before");
}

fn run(fixture: &Fixture, source: &mut dyn Source, seam: &Seam) -> Recording {
    let root = plant(fixture);
    read(root.path(), source, seam.clone())
}

fn read(root: &Path, source: &mut dyn Source, seam: Seam) -> Recording {
    read_after(root, source, seam, &BTreeMap::new())
}

fn read_after(
    root: &Path,
    source: &mut dyn Source,
    seam: Seam,
    held: &BTreeMap<PartName, Receipt>,
) -> Recording {
    let machine = Machine::open(root, redactor()).unwrap().with_seam(seam);
    let mut recording = Recording::after(held);
    source.read(&machine, &mut recording).expect("a source says something of its fixture");
    recording
}

fn redactor() -> Redactor {
    Redactor::new([7; 32])
}

fn plant(fixture: &Fixture) -> tempfile::TempDir {
    tree(&fixture.tree)
}

/// A folder with these files: path, mode and content of each; a content `-> target` is a link.
fn tree(files: &[(&str, u32, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, mode, content) in files {
        write(root.path(), path, content);
        if !content.starts_with("-> ") {
            allow(&below(root.path(), path), *mode);
        }
    }
    root
}

/// A machine that consists of these files, for tests of a single table.
pub(crate) struct Planted {
    /// What they are read by.
    pub(crate) machine: Machine,
    _root: tempfile::TempDir,
}

impl Planted {
    /// Path, mode and content of each file.
    pub(crate) fn new(files: &[(&str, u32, &str)]) -> Self {
        Self::of(tree(files))
    }

    /// The files of a folder.
    pub(crate) fn of(root: tempfile::TempDir) -> Self {
        Self { machine: Machine::open(root.path(), redactor()).unwrap(), _root: root }
    }

    /// What `read` says of them, a line an item.
    pub(crate) fn said(&self, read: impl FnOnce(&mut Look<'_>) -> Answer) -> Vec<String> {
        let items = read(&mut Look::new(&self.machine)).unwrap().unwrap();
        items.iter().map(|(key, item)| format!("{key} = {:?}", item.value)).collect()
    }

    /// What `source` says of them, part by part.
    pub(crate) fn parts(&self, source: &mut dyn Source) -> BTreeMap<PartName, Part> {
        parts(&self.machine, source)
    }

    /// The places of which `source` says that nothing is known.
    #[cfg(unix)]
    pub(crate) fn blind(&self, source: &mut dyn Source) -> Vec<(String, Reason)> {
        let mut recording = Recording::default();
        source.read(&self.machine, &mut recording).unwrap();
        let said = recording.blind.into_iter();
        said.map(|(place, reason)| (place.as_str().to_owned(), reason)).collect()
    }
}

/// The machine that stands below `root`, whoever made it.
#[cfg(unix)]
pub(crate) fn machine_at(root: &Path) -> Machine {
    Machine::open(root, redactor()).unwrap()
}

/// Several passes of one source, whose sink holds what each said.
#[cfg(unix)]
#[derive(Default)]
pub(crate) struct Passes(BTreeMap<PartName, Receipt>);

#[cfg(unix)]
impl Passes {
    /// What the next pass says but for what is the same.
    pub(crate) fn next(
        &mut self,
        machine: &Machine,
        source: &mut dyn Source,
    ) -> BTreeMap<PartName, Part> {
        let mut recording = Recording::after(&self.0);
        source.read(machine, &mut recording).unwrap();
        self.0 = recording.receipts;
        recording.seen
    }
}

/// What `source` says of a machine, part by part.
pub(crate) fn parts(machine: &Machine, source: &mut dyn Source) -> BTreeMap<PartName, Part> {
    let mut recording = Recording::default();
    source.read(machine, &mut recording).unwrap();
    recording.seen
}

/// What the reader of a table answers.
type Answer = Result<Option<RawItems>, Trouble>;

fn write(root: &Path, path: &str, content: &str) {
    let path = below(root, path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    match content.strip_prefix("-> ") {
        Some(target) => link(target, &path),
        None => std::fs::write(path, content).unwrap(),
    }
}

#[cfg(unix)]
fn allow(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(windows)]
fn allow(_path: &Path, _mode: u32) {}

#[cfg(unix)]
fn link(target: &str, path: &Path) {
    std::os::unix::fs::symlink(target, path).unwrap();
}

/// Who may make a link on Windows is a matter of policy, so its trees have none.
#[cfg(windows)]
fn link(target: &str, path: &Path) {
    panic!("{} would lead to {target}", path.display());
}

fn below(root: &Path, path: &str) -> std::path::PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[test]
fn a_running_machine_is_read_without_a_part_that_keeps_changing() {
    let machine = Machine::open(Path::new("/"), redactor()).unwrap();
    let read = || {
        let mut recording = Recording::default();
        os::Os::new().read(&machine, &mut recording).unwrap();
        recording.seen
    };
    let (first, second) = (read(), read());
    assert_eq!(first, second);
    let changing = first.values().filter(|p| p.unobserved_reason() == Some(Reason::Changing));
    assert_eq!(changing.count(), 0);
}
