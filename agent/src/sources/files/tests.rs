//! The files source against real trees, through the whole pass.

mod canaries;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use driftline_protocol::ids::PartName;
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawPart, Redactor};
use driftline_protocol::snapshot::{Content, Observed, Part, Reason};

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};
use crate::sources::{Carry, Receipt};

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Files::new(&Config::default()).unwrap()),
        recast: || {
            let files = Files::new(&Config::default()).unwrap();
            Box::new(Files { version: VERSION + 1, ..files })
        },
        tree: vec![
            ("/etc/hosts", 0o644, "127.0.0.1 localhost\n"),
            ("/etc/app/app.json", 0o640, "{\"password\": \"canary-51c0\", \"port\": 5060}\n"),
            ("/etc/app/notes", 0o600, "a line of text\n"),
            ("/etc/localtime", 0o777, "-> /usr/share/zoneinfo/UTC"),
        ],
        malformed: Some(Broken {
            path: "/etc/app/app.json",
            content: "{",
            part: "/etc/app/app.json",
        }),
        denied: Denied { path: "/etc/app/notes", part: "/etc/app/notes" },
        edit: ("/etc/hosts", "127.0.0.1 localhost\n10.0.0.1 pbx\n"),
        canary: Some("canary-51c0"),
    }
}

/// A tree with an `etc`, and a source that reads it.
struct Tree {
    folder: tempfile::TempDir,
    machine: Machine,
    files: Files,
    seen: Recorder,
}

/// What the source said in its last pass, redacted, and what it said before.
#[derive(Default)]
struct Recorder {
    parts: BTreeMap<String, Part>,
    receipts: BTreeMap<String, Receipt>,
    read: Vec<String>,
    same: Vec<String>,
    blind: Vec<(String, Reason)>,
}

struct Into<'a>(&'a mut Recorder, &'a Redactor);

impl Sink for Into<'_> {
    fn seen(&mut self, part: PartName, raw: RawPart) -> Receipt {
        let redacted = self.1.redact(raw);
        let (digest, _) = self.1.seal(&redacted);
        let receipt = Receipt::of(digest, redacted.get().unobserved_reason());
        let name = part.to_string();
        self.0.parts.insert(name.clone(), redacted.into_inner());
        self.0.receipts.insert(name.clone(), receipt);
        self.0.read.push(name);
        receipt
    }

    fn same(&mut self, part: &PartName, receipt: &Receipt) -> Carry {
        if self.0.receipts.get(part.as_str()) != Some(receipt) {
            return Carry::ReadAgain;
        }
        self.0.same.push(part.to_string());
        Carry::Carried
    }

    fn blind(&mut self, place: &PartName, reason: Reason) {
        self.0.blind.push((place.to_string(), reason));
    }
}

impl Tree {
    fn new() -> Self {
        Self::with(&Config::default())
    }

    fn with(config: &Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        let machine = Machine::open(folder.path(), Redactor::new([7; 32])).unwrap();
        let files = Files::new(config).unwrap();
        Self { folder, machine, files, seen: Recorder::default() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), bytes).unwrap();
    }

    /// Denies these paths from now on, and no others.
    fn deny(&mut self, paths: &[&str]) {
        let denied = paths.iter().map(PathBuf::from).collect();
        let machine = Machine::open(self.folder.path(), self.machine.redactor().clone()).unwrap();
        self.machine = machine.with_seam(crate::machine::Seam { denied, ..Default::default() });
    }

    /// Sets all times back, so that they prove something.
    fn age(&mut self) {
        for known in self.files.cache.values_mut() {
            known.settled = true;
        }
    }

    fn pass(&mut self) {
        let Recorder { read, same, blind, .. } = &mut self.seen;
        read.clear();
        same.clear();
        blind.clear();
        let mut sink = Into(&mut self.seen, self.machine.redactor());
        self.files.read(&self.machine, &mut sink).unwrap();
        let said: Vec<_> = self.seen.read.iter().chain(&self.seen.same).cloned().collect();
        self.seen.parts.retain(|name, _| said.contains(name));
    }

    fn part(&self, path: &str) -> &Observed {
        let part = self.seen.parts.get(path);
        let part = part.unwrap_or_else(|| panic!("{path} is not among {:?}", self.seen.read));
        part.observed().unwrap_or_else(|| panic!("{path} is {part:?}"))
    }

    fn attribute(&self, path: &str, name: &'static str) -> Option<&ItemValue> {
        self.part(path).items.get(&ItemKey::attribute(name)).map(|item| &item.value)
    }
}

#[test]
fn every_kind_of_path_is_a_part_and_only_files_are_opened() {
    let mut tree = Tree::new();
    tree.write("/etc/hosts", "127.0.0.1 localhost\n");
    symlink("../hosts", tree.path("/etc/link")).unwrap();
    symlink("loop", tree.path("/etc/loop")).unwrap();
    symlink(".", tree.path("/etc/around")).unwrap();
    let fifo = tree.path("/etc/fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.path("/etc/socket")).unwrap();
    tree.pass();
    for (path, kind) in [
        ("/etc", "directory"),
        ("/etc/hosts", "file"),
        ("/etc/link", "link"),
        ("/etc/loop", "link"),
        ("/etc/around", "link"),
        ("/etc/fifo", "fifo"),
        ("/etc/socket", "socket"),
    ] {
        assert_eq!(tree.attribute(path, "type"), Some(&ItemValue::text(kind)), "{path}");
    }
    assert_eq!(tree.attribute("/etc/link", "target"), Some(&ItemValue::text("../hosts")));
    assert_eq!(tree.seen.parts.len(), 7);
    assert_eq!(tree.machine.take_bytes_read(), 20);
}

#[test]
fn mode_and_owner_are_what_stat_says() {
    let mut tree = Tree::new();
    tree.write("/etc/tool", "x\n");
    fs::set_permissions(tree.path("/etc/tool"), fs::Permissions::from_mode(0o4751)).unwrap();
    tree.pass();
    assert_eq!(tree.attribute("/etc/tool", "mode"), Some(&ItemValue::text("4751")));
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(tree.path("/etc")).unwrap());
    assert_eq!(tree.attribute("/etc/tool", "owner"), Some(&ItemValue::Integer(owner.into())));
}

#[test]
fn an_unchanged_file_is_not_opened_again() {
    let mut tree = Tree::new();
    tree.write("/etc/a", "one\n");
    tree.write("/etc/d/b", "two\n");
    tree.pass();
    tree.age();
    tree.machine.take_bytes_read();
    tree.pass();
    assert_eq!(tree.seen.read, [""; 0]);
    assert_eq!(tree.seen.same.len(), 4);
    assert_eq!(tree.machine.take_bytes_read(), 0);
}

#[test]
fn a_change_of_the_same_size_within_the_same_tick_is_seen() {
    let mut tree = Tree::new();
    for round in 0..50u8 {
        tree.write("/etc/a", [b'a' + round % 26, b'\n']);
        tree.pass();
        assert!(tree.seen.read.contains(&"/etc/a".to_string()), "round {round} was not seen");
    }
}

#[test]
fn times_that_lie_are_found_out_by_the_full_read() {
    let mut tree = Tree::new();
    tree.write("/etc/a", "one\n");
    tree.pass();
    tree.age();
    let lying = crate::sources::stamp::Print::of_stat(tree.machine.redactor(), &{
        tree.write("/etc/a", "two\n");
        tree.machine.stat(Path::new("/etc/a")).unwrap().unwrap()
    });
    for known in tree.files.cache.values_mut().filter(|known| known.said.is_some()) {
        known.stat = lying.mark();
    }
    tree.pass();
    assert!(!tree.seen.read.contains(&"/etc/a".to_string()), "the lie was not one");
    tree.files.full_read_every = Duration::ZERO;
    tree.pass();
    assert!(tree.seen.read.contains(&"/etc/a".to_string()));
}

#[test]
fn a_full_read_of_unchanged_files_parses_nothing() {
    let mut tree = Tree::new();
    tree.write("/etc/a", "one\n");
    tree.pass();
    tree.files.full_read_every = Duration::ZERO;
    tree.machine.take_bytes_read();
    tree.pass();
    assert!(tree.seen.same.contains(&"/etc/a".to_string()));
    assert_eq!(tree.machine.take_bytes_read(), 4);
}

#[test]
fn a_sink_that_lost_a_part_gets_it_again() {
    let mut tree = Tree::new();
    tree.write("/etc/a", "one\n");
    tree.pass();
    tree.age();
    tree.seen.receipts.clear();
    tree.pass();
    assert_eq!(tree.seen.same, [""; 0]);
    assert!(tree.seen.read.contains(&"/etc/a".to_string()));
}

#[test]
fn touching_a_file_changes_nothing_that_is_said() {
    let mut tree = Tree::new();
    tree.write("/etc/a", "one\n");
    tree.pass();
    let before = tree.seen.receipts["/etc/a"];
    tree.write("/etc/a", "one\n");
    tree.pass();
    assert_eq!(tree.seen.receipts["/etc/a"], before);
}

#[test]
fn a_deleted_file_is_said_no_more_and_forgotten() {
    let mut tree = Tree::new();
    tree.write("/etc/a", "one\n");
    tree.pass();
    assert_eq!(tree.files.cache.values_mut().count(), 2);
    fs::remove_file(tree.path("/etc/a")).unwrap();
    tree.pass();
    assert!(!tree.seen.parts.contains_key("/etc/a"));
    assert_eq!(tree.files.cache.values_mut().count(), 1);
    assert_eq!(tree.seen.blind, []);
}

#[test]
fn what_is_no_text_is_one_fingerprint() {
    let mut tree = Tree::new();
    tree.write("/etc/blob", [0u8, 159, 146, 150, 0, 1]);
    tree.pass();
    let part = tree.part("/etc/blob");
    let Some(raw) = part.raw else { panic!("no raw digest") };
    assert_eq!(part.content, Content::Read);
    assert_eq!(tree.attribute("/etc/blob", "content"), Some(&ItemValue::Fingerprint(raw)));
}

#[test]
fn a_whole_secret_leaves_its_attributes_and_nothing_else() {
    let mut tree = Tree::new();
    let key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n";
    tree.write("/etc/shadow", "root:$6$canary:19000::::::\n");
    tree.write("/etc/haproxy/site.pem", format!("-----BEGIN CERTIFICATE-----\nAA\n{key}"));
    tree.write("/etc/large.pem", format!("{key}{}", "A\n".repeat(3 << 20)));
    tree.pass();
    for path in ["/etc/shadow", "/etc/haproxy/site.pem", "/etc/large.pem"] {
        let part = tree.part(path);
        assert_eq!(part.content, Content::Unread(Reason::Withheld), "{path}");
        assert_eq!((part.raw, part.size), (None, None), "{path}");
        assert!(part.items.keys().all(ItemKey::is_attribute), "{path}");
        assert_eq!(tree.attribute(path, "content"), None, "{path}");
    }
}

/// The section after each pass, as the whole agent would keep it.
fn kept(tree: &mut Tree, memory: &mut crate::assemble::Memory) -> BTreeMap<PartName, Part> {
    let moment = jiff::Timestamp::UNIX_EPOCH;
    let now = crate::assemble::Now { wall: moment, monotonic_ms: 0 };
    crate::assemble::pass(&mut tree.files, &tree.machine, memory, now).unwrap();
    memory.parts(tree.machine.redactor())
}

#[test]
fn a_denied_read_makes_nothing_absent_or_empty() {
    let mut tree = Tree::new();
    tree.write("/etc/open", "one\n");
    tree.write("/etc/shut", "two\n");
    tree.write("/etc/dir/a", "three\n");
    tree.write("/etc/dir/sub/b", "four\n");
    let mut memory = crate::assemble::Memory::default();
    let whole = kept(&mut tree, &mut memory);
    tree.deny(&["/etc/shut", "/etc/dir"]);
    tree.write("/etc/shut", "TWO\n");
    let denied = kept(&mut tree, &mut memory);
    assert!(whole.keys().eq(denied.keys()), "a denied read removed a part");
    for (part, reason) in [
        ("/etc/open", None),
        ("/etc/shut", Some(Reason::Denied)),
        ("/etc/dir", Some(Reason::Denied)),
        ("/etc/dir/a", Some(Reason::Denied)),
        ("/etc/dir/sub", Some(Reason::Denied)),
        ("/etc/dir/sub/b", Some(Reason::Denied)),
    ] {
        assert_eq!(denied[&part.parse().unwrap()].unobserved_reason(), reason, "{part}");
    }
    let shut = denied[&"/etc/shut".parse().unwrap()].observed().unwrap();
    assert!(shut.items.contains_key(&ItemKey::attribute("mode")), "attributes were visible");
    tree.deny(&[]);
    tree.write("/etc/shut", "two\n");
    assert_eq!(kept(&mut tree, &mut memory), whole);
}

#[test]
fn another_file_system_is_entered_only_where_it_is_named() {
    let machine = Machine::open(Path::new("/"), Redactor::new([7; 32])).unwrap();
    let read = |include: &str| {
        let config = Config { include: vec![include.into()], ..Config::default() };
        let mut seen = Recorder::default();
        let mut sink = Into(&mut seen, machine.redactor());
        Files::new(&config).unwrap().read(&machine, &mut sink).unwrap();
        seen
    };
    let passing = read("/pro?/**");
    assert_eq!(passing.read, ["/proc"]);
    assert_eq!(passing.blind, [("/proc".to_string(), Reason::Unsupported)]);
    let mount = passing.parts["/proc"].observed().unwrap();
    assert!(mount.items.contains_key(&ItemKey::attribute("mount")));
    assert!(!read("/proc/sys/kernel/ostype").read.is_empty());
}

#[test]
fn a_large_file_is_hashed_and_a_huge_one_only_looked_at() {
    let mut tree = Tree::new();
    tree.write("/etc/large", vec![b'a'; 5 << 20]);
    let huge = fs::File::create(tree.path("/etc/huge")).unwrap();
    huge.set_len(1 << 30).unwrap();
    tree.pass();
    let large = tree.part("/etc/large");
    assert_eq!(large.content, Content::Unread(Reason::TooLarge));
    assert_eq!(large.raw, Some(tree.machine.redactor().raw_digest(&vec![b'a'; 5 << 20])));
    assert!(tree.attribute("/etc/large", "content").is_some());
    let huge = tree.part("/etc/huge");
    assert_eq!((huge.content, huge.raw), (Content::Unread(Reason::TooLarge), None));
    assert_eq!(huge.size, Some(1 << 30));
    assert!(tree.machine.take_bytes_read() < 6 << 20, "the huge file was read");
}

#[test]
fn names_that_are_no_text_stay_apart() {
    let mut tree = Tree::new();
    for name in [&b"/etc/\xff"[..], b"/etc/\xfe", b"/etc/\\xff", b"/etc/new\nline"] {
        let inside = std::ffi::OsStr::from_bytes(&name[1..]);
        fs::write(tree.folder.path().join(inside), "x\n").unwrap();
    }
    tree.pass();
    for part in ["/etc/\\xff", "/etc/\\xfe", "/etc/\\x5cxff", "/etc/new\\x0aline"] {
        assert_eq!(tree.part(part).size, Some(2), "{part}");
    }
}

#[test]
fn excluded_paths_and_what_is_below_them_are_not_looked_at() {
    let mut tree = Tree::with(&Config {
        exclude: vec!["/etc/noise".into(), "*.swp".into()],
        ..Config::default()
    });
    tree.write("/etc/noise/a", "1\n");
    tree.write("/etc/.a.swp", "1\n");
    tree.write("/etc/a", "1\n");
    tree.pass();
    assert_eq!(tree.seen.parts.keys().collect::<Vec<_>>(), ["/etc", "/etc/a"]);
    for (path, covered) in [("/etc/noise/a", false), ("/etc/noise", false), ("/etc/gone", true)] {
        assert_eq!(tree.files.covers(&path.parse().unwrap()), covered, "{path}");
    }
}

#[test]
fn a_narrow_include_walks_without_naming_the_way() {
    let include = vec!["/etc/asterisk/*.conf".into(), "/opt/app/**".into()];
    let mut tree = Tree::with(&Config { include, ..Config::default() });
    tree.write("/etc/asterisk/sip.conf", "a=1\n");
    tree.write("/etc/asterisk/keys/x.conf", "a=1\n");
    tree.write("/etc/hosts", "\n");
    tree.write("/opt/app-2/etc/x", "a=1\n");
    symlink("app-2", tree.path("/opt/app")).unwrap();
    tree.pass();
    let names: Vec<_> = tree.seen.parts.keys().map(String::as_str).collect();
    let expect = ["/etc/asterisk/sip.conf", "/opt/app", "/opt/app/etc", "/opt/app/etc/x"];
    assert_eq!(names, expect);
    assert_eq!(tree.attribute("/opt/app", "target"), Some(&ItemValue::text("app-2")));
}

#[test]
fn no_glob_changes_how_a_file_is_read() {
    let read = |config: Config| {
        let mut tree = Tree::with(&config);
        tree.write("/etc/a", "one\n");
        tree.pass();
        tree.seen.receipts["/etc/a"]
    };
    let wide = Config { include: vec!["/**".into()], ..Config::default() };
    let strict = Config { withhold: vec!["/etc/b".into()], ..Config::default() };
    assert_eq!(read(Config::default()), read(wide));
    assert_eq!(read(Config::default()), read(strict));
}

#[test]
fn more_files_than_a_section_holds_blind_the_rest() {
    let mut tree = Tree::new();
    let mut made = 0;
    for folder in 0..4 {
        fs::create_dir(tree.path(&format!("/etc/d{folder}"))).unwrap();
        for name in 0..limits::PARTS_PER_SECTION / 3 {
            let path = tree.path(&format!("/etc/d{folder}/{name}"));
            symlink("x", path).unwrap();
            made += 1;
        }
    }
    assert!(made > limits::PARTS_PER_SECTION);
    tree.pass_unrecorded();
    assert_eq!(tree.seen.blind, [(".".to_string(), Reason::TooLarge)]);
}

#[test]
fn a_deep_tree_overflows_nothing() {
    let mut tree = Tree::new();
    let mut path = tree.path("/etc");
    for _ in 0..1_500 {
        path.push("d");
        if fs::create_dir(&path).is_err() {
            break; // The path is as long as this system takes.
        }
    }
    tree.pass();
    assert!(tree.seen.parts.len() > 500);
}

#[test]
fn a_file_is_racy_until_two_seconds_after_it_changed() {
    let tree = Tree::new();
    tree.write("/etc/a", "x\n");
    let stat = tree.machine.stat(Path::new("/etc/a")).unwrap().unwrap();
    let changed = SystemTime::UNIX_EPOCH
        + Duration::new(stat.st_ctime.unsigned_abs(), u32::try_from(stat.st_ctime_nsec).unwrap());
    for (after_ms, racy) in [(0, true), (1_999, true), (2_001, false), (60_000, false)] {
        let now = changed + Duration::from_millis(after_ms);
        assert_eq!(crate::sources::stamp::is_racy(&stat, now), racy, "{after_ms} ms after");
    }
    assert!(
        crate::sources::stamp::is_racy(&stat, changed - Duration::from_secs(60)),
        "the clock went back"
    );
}

impl Tree {
    /// A pass of which only the blind places matter.
    fn pass_unrecorded(&mut self) {
        struct Counting<'a>(&'a mut Recorder, Receipt);
        impl Sink for Counting<'_> {
            fn seen(&mut self, _part: PartName, _raw: RawPart) -> Receipt {
                self.1
            }
            fn same(&mut self, _part: &PartName, _receipt: &Receipt) -> Carry {
                Carry::Carried
            }
            fn blind(&mut self, place: &PartName, reason: Reason) {
                self.0.blind.push((place.to_string(), reason));
            }
        }
        let digest = driftline_protocol::ids::Digest([0; 32]);
        let receipt = Receipt::of(digest, None);
        let mut sink = Counting(&mut self.seen, receipt);
        self.files.read(&self.machine, &mut sink).unwrap();
    }
}
