//! Which containers are told, and the row of the shared check.

mod containerd;
mod homes;

use super::docker::{FILES, items};
use super::*;
use crate::sources::check::{Broken, Denied, Fixture, Planted};

const STATE: &str = "\
{\"ID\": \"abc\", \"Created\": \"2026-11-01T00:00:00Z\",
 \"State\": {\"Running\": true, \"Pid\": 812},
 \"Image\": \"sha256:11\", \"Name\": \"/turn\",
 \"Config\": {\"Hostname\": \"abc\", \"Image\": \"coturn:4.6\", \"Cmd\": [\"-n\", \"-v\"],
 \"Env\": [\"SECRET_WORD=canary-6b7a\", \"MODE=canary-6b7a\"]}}";

const HOST: &str = "\
{\"RestartPolicy\": {\"Name\": \"always\"}, \"NetworkMode\": \"host\", \"Binds\": [\"/a:/b:ro\"],
 \"PortBindings\": {\"3478/udp\": [{\"HostIp\": \"\", \"HostPort\": \"3478\"}]}, \"CapAdd\": null}";

const HOST_PLACE: &str = "/var/lib/docker/containers/abc/hostconfig.json";
const PLACE: &str = "/var/lib/docker/containers/abc/config.v2.json";

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Containers::new()),
        recast: || Box::new(Containers { version: VERSION + 1, ..Containers::new() }),
        tree: vec![(PLACE, 0o600, STATE), (HOST_PLACE, 0o600, HOST)],
        malformed: Some(Broken { path: HOST_PLACE, content: "{", part: "docker/turn" }),
        denied: Denied { path: "/var/lib/docker/containers", part: "docker/turn" },
        edit: (PLACE, "{\"Name\": \"/turn\", \"Config\": {\"Image\": \"coturn:4.7\"}}"),
        canary: Some("canary-6b7a"),
    }
}

/// A container of Podman as `podman run --restart always` makes it; the rest is what it lacks.
const PODMAN: &str = r#"{"id": "9f86d081884c", "name": "turn", "lockID": 3,
 "createdTime": "2026-11-01T00:00:00Z",
 "rootfsImageID": "11", "rootfsImageName": "example.org/coturn:4.6",
 "restart_policy": "always", "networkMode": "bridge", "command": ["-n", "-v"],
 "namedVolumes": [{"volumeName": "state", "dest": "/var/lib/coturn"}],
 "newPortMappings": [{"host_ip": "", "container_port": 3478, "host_port": 3478, "range": 1,
 "protocol": "udp"}, {"host_ip": "::1", "container_port": 3478, "host_port": 13478, "range": 1,
 "protocol": "udp"}],
 "spec": {"process": {"args": ["coturn"], "env": ["HOSTNAME=9f86d081884c",
 "MODE=canary-6b7a"]}, "root": {"path": "", "readonly": true}, "mounts": [
 {"destination": "/proc", "type": "proc", "source": "proc"},
 {"destination": "/etc/hosts", "type": "bind", "source": "/run/9f86d081884c/hosts"},
 {"destination": "/etc/coturn", "type": "bind", "source": "/srv/coturn", "options": ["ro"]}]}}"#;

/// A host of Podman with these containers, by name.
fn podman(containers: &[(&str, &str)]) -> (tempfile::TempDir, std::path::PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("var/lib").join(podman::FOLDER).join(podman::SQLITE);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let database = rusqlite::Connection::open(&path).unwrap();
    let table = "CREATE TABLE ContainerConfig (ID TEXT PRIMARY KEY NOT NULL, \
        Name TEXT UNIQUE NOT NULL, PodID TEXT, JSON TEXT NOT NULL)";
    database.execute(table, []).unwrap();
    for (name, document) in containers {
        let row = (name, name, document.as_bytes());
        database.execute("INSERT INTO ContainerConfig VALUES (?1, ?2, NULL, ?3)", row).unwrap();
    }
    (root, path)
}

/// Says the parts of an engine.
type Parts =
    fn(&Owner<'_>, &Reading, &mut dyn FnMut(PartName, RawPart)) -> Result<Option<Reason>, Reason>;

/// What is said of the containers that an engine keeps in a database, part by part.
pub(super) fn said_of(root: &Path, engine: Parts) -> Result<Vec<String>, Reason> {
    let redactor = driftline_protocol::redact::Redactor::new([7; 32]);
    let machine = Machine::open(root, redactor.clone()).unwrap();
    let data = HOST_DATA.into();
    let owner = Owner { machine: &machine, account: None, data, bounds: super::HOST };
    let mut parts = Vec::new();
    let nameless = engine(&owner, &Containers::new().reading("any"), &mut |name, part| {
        let part = redactor.redact(part).into_inner();
        parts.push(format!("{name} {}", serde_json::to_string(&part).unwrap()));
    })?;
    parts.extend(nameless.map(|reason| format!("? {reason:?}")));
    Ok(parts)
}

pub(super) fn said(root: &Path) -> Result<Vec<String>, Reason> {
    said_of(root, podman::parts)
}

#[test]
fn containers_of_podman_are_told_and_jobs_are_not() {
    let job = PODMAN.replace("always", "no");
    let infra = PODMAN.replace("\"lockID\"", "\"pause\": true, \"lockID\"");
    let (root, path) =
        podman(&[("broken", "{"), ("infra", &infra), ("job", &job), ("turn", PODMAN)]);
    let told = said(root.path()).unwrap();
    let [broken, turn] = told.as_slice() else { panic!("{told:?}") };
    assert!(broken.starts_with("podman/broken") && broken.contains("malformed"), "{broken}");
    assert!(turn.starts_with("podman/turn"), "{turn}");
    for text in [
        "example.org/coturn:4.6",
        "/srv/coturn:/etc/coturn:ro",
        "state:/var/lib/coturn",
        "ports/3478~1udp\":{\"value\":{\"set\":[{\"text\":\":3478\"},{\"text\":\"::1:13478\"}]",
        "environment/MODE\":{\"value\":{\"fingerprint\"",
    ] {
        assert!(turn.contains(text), "no {text} in {turn}");
    }
    for text in ["canary-6b7a", "HOSTNAME", "hosts", "9f86d081884c", "createdTime"] {
        assert!(!turn.contains(text), "{text} in {turn}");
    }
    let anew = PODMAN.replace("9f86d081884c", "2c26b46b68ff").replace("11-01", "11-02");
    let (again, _) = podman(&[("turn", &anew)]);
    assert_eq!(said(again.path()).unwrap().first(), Some(turn), "made anew");
    std::fs::write(path.with_file_name("db.sql-wal"), "x").unwrap();
    assert_eq!(said(root.path()), Err(Reason::Changing));
    let (garbage, path) = podman(&[]);
    std::fs::write(path, "no database, but long enough for SQLite to look at its head").unwrap();
    assert_eq!(said(garbage.path()), Err(Reason::Malformed));
}

/// Where the host's own storage of Podman has its BoltDB.
const BOLT: &str = "/var/lib/containers/storage/libpod/bolt_state.db";

#[test]
fn a_database_that_is_none_is_unobserved_and_not_empty() {
    let parts = Planted::new(&[(BOLT, 0o600, "bolt")]).parts(&mut Containers::new());
    let reasons: Vec<_> =
        parts.iter().map(|(name, part)| (name.as_str(), part.unobserved_reason())).collect();
    assert_eq!(reasons, [("podman", Some(Reason::Malformed))]);
}

#[test]
fn containers_of_accounts_are_told_under_their_names() {
    let home = "/srv/turn/.local/share/docker/containers/abc";
    let files = ["config.v2.json", "hostconfig.json"].map(|name| format!("{home}/{name}"));
    let [state, host] = &files;
    let parts = Planted::new(&[
        (
            "/etc/passwd",
            0o644,
            &format!("root:x:{0}:0::/root:/bin/sh\nturn:x:{0}:990::/srv/turn:\nx:x:1:1::/:", own()),
        ),
        (state, 0o600, STATE),
        (host, 0o600, HOST),
        ("/root/.local/share/containers/storage/libpod/bolt_state.db", 0o600, "bolt"),
    ])
    .parts(&mut Containers::new());
    let told: Vec<_> =
        parts.iter().map(|(name, part)| (name.as_str(), part.unobserved_reason())).collect();
    assert_eq!(told, [("docker/~turn/turn", None), ("podman/~root", Some(Reason::Malformed))]);
}

/// Who owns what tests plant.
fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A tree with an account and these files of it, below its home.
fn of_an_account(files: &[(String, &str)]) -> Planted {
    let passwd = format!("turn:x:{}:990::/srv/turn:/bin/sh", own());
    let mut all = vec![("/etc/passwd", 0o644, passwd.as_str()), (PLACE, 0o600, STATE)];
    all.push((HOST_PLACE, 0o600, HOST));
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| (format!("/srv/turn/.local/share/{path}"), *text))
        .collect();
    all.extend(files.iter().map(|(path, text)| (path.as_str(), 0o600, *text)));
    Planted::new(&all)
}

fn blind(place: &str, reason: Reason) -> Vec<(String, Reason)> {
    vec![(place.to_owned(), reason)]
}

#[test]
fn what_an_account_may_not_have_blinds_its_own_place_alone() {
    let place = |number: usize, file: &str| format!("docker/containers/{number}/{file}");
    let (kb256, large) = (" ".repeat(256 * 1024), " ".repeat(256 * 1024 + 1));
    let hosts = |count: usize, text| (0..count).map(move |n| (place(n, FILES[1]), text));
    let states = |count: usize| (0..count).map(move |n| (place(n, FILES[0]), STATE));
    for (files, expect) in [
        (states(64).chain(hosts(64, HOST)).collect::<Vec<_>>(), vec![]),
        (states(65).chain(hosts(65, HOST)).collect(), blind("docker/~turn", Reason::TooLarge)),
        (states(1).chain(hosts(1, &large)).collect(), blind("docker/~turn", Reason::TooLarge)),
        // Together they are above 8 MB, with what the states have.
        (states(32).chain(hosts(32, &kb256)).collect(), blind("docker/~turn", Reason::TooLarge)),
        (
            vec![("containers/storage/db.sql".into(), "")],
            blind("podman/~turn", Reason::Unsupported),
        ),
    ] {
        let planted = of_an_account(&files);
        assert_eq!(planted.blind(&mut Containers::new()), expect, "{} files", files.len());
        let parts = planted.parts(&mut Containers::new());
        assert!(parts.keys().any(|name| name.as_str() == "docker/turn"), "{parts:?}");
    }
}

#[test]
fn what_an_account_links_to_is_not_told_as_its_own() {
    let home = |path: &str| format!("/srv/turn/.local/share/{path}");
    let [docker, deep, podman, inside] =
        ["docker", "docker/containers/x", "containers/storage", "docker/containers"].map(home);
    let root = "-> /var/lib/docker";
    for (links, expect) in [
        (vec![(docker.as_str(), root)], vec!["docker/~turn"]),
        (vec![(docker.as_str(), "-> ../../../../var/lib/docker")], vec!["docker/~turn"]),
        (vec![(deep.as_str(), "-> /var/lib/docker/containers/abc")], vec!["docker/~turn"]),
        (vec![(podman.as_str(), "-> /var/lib/containers/storage")], vec!["podman/~turn"]),
        (vec![("/srv/turn/.local", "-> /root/.local")], ENGINES.map(|_| "").to_vec()),
        // Within the home somebody may put things where they like.
        (vec![(inside.as_str(), "-> ../../../data")], vec![]),
    ] {
        let passwd = format!("turn:x:{}:990::/srv/turn:/bin/sh", own());
        let mut files = vec![("/etc/passwd", 0o644, passwd.as_str()), (PLACE, 0o600, STATE)];
        files.push((HOST_PLACE, 0o600, self::HOST));
        files.push(("/var/lib/containers/storage/libpod/bolt_state.db", 0o600, ""));
        files.push(("/srv/turn/data/abc/config.v2.json", 0o600, STATE));
        files.push(("/srv/turn/data/abc/hostconfig.json", 0o600, self::HOST));
        files.extend(links.iter().map(|(path, target)| (*path, 0o777, *target)));
        let planted = Planted::new(&files);
        let blind = planted.blind(&mut Containers::new());
        let blind: Vec<_> = blind.iter().filter(|(place, _)| place != "podman").collect();
        let all = ["docker/~turn", "podman/~turn", "containerd/~turn"].to_vec();
        let expect = if expect.contains(&"") { all } else { expect };
        let unsupported = |place: &&str| ((*place).to_owned(), Reason::Unsupported);
        let expected: Vec<_> = expect.iter().map(unsupported).collect();
        assert_eq!(blind, expected.iter().collect::<Vec<_>>(), "{links:?}");
        let parts = planted.parts(&mut Containers::new());
        let told: Vec<_> =
            parts.keys().filter(|name| name.as_str() == "docker/~turn/turn").collect();
        assert_eq!(told.is_empty(), !expect.is_empty(), "{links:?}: {parts:?}");
    }
}

#[test]
fn accounts_and_containers_beyond_the_bounds_are_unobserved_and_not_gone() {
    let accounts = |count: usize| {
        let line = |number| format!("a{number}:x:{}:1::/home/{number}:\n", own());
        (0..count).map(line).collect::<String>()
    };
    let (all, more) = (accounts(HOMES), accounts(HOMES + 1));
    let (first, last) = ("docker/~a0/turn", format!("docker/~a{}/turn", HOMES));
    let covered = ["docker/turn", first, "podman/~gone/turn"];
    for (passwd, has_more) in [(&all, false), (&more, true)] {
        let home = format!("/home/{}/.local/share/docker/containers/abc", HOMES - 1);
        let [state, host] = FILES.map(|name| format!("{home}/{name}"));
        let planted = Planted::new(&[
            ("/etc/passwd", 0o644, passwd.as_str()),
            (&state, 0o600, STATE),
            (&host, 0o600, self::HOST),
        ]);
        let mut source = Containers::new();
        assert_eq!(planted.blind(&mut source), []);
        for part in covered.iter().map(|name| name.parse().unwrap()) {
            assert!(source.covers(&part), "{part}");
        }
        // What was known of an account that is not looked into stays as it was.
        for engine in ENGINES {
            let part = last.replace("docker", engine).parse().unwrap();
            assert_eq!(source.covers(&part), !has_more, "{part}");
        }
        let parts = planted.parts(&mut source);
        let names: Vec<_> =
            parts.iter().map(|(name, part)| (name.as_str(), part.unobserved_reason())).collect();
        let read = format!("docker/~a{}/turn", HOMES - 1);
        let unread = ("accounts", Some(Reason::TooLarge));
        let expect = if has_more { vec![unread] } else { vec![] };
        let expect: Vec<_> = expect.into_iter().chain([(read.as_str(), None)]).collect();
        assert_eq!(names, expect);
    }
    let folders: Vec<_> =
        (0..4_097).map(|number| format!("/var/lib/docker/containers/{number}")).collect();
    let files: Vec<_> = folders.iter().map(|folder| (folder.as_str(), 0o600, "")).collect();
    let of = |count| Planted::new(files.get(..count).unwrap()).blind(&mut Containers::new());
    assert_eq!(of(4_096), []);
    assert_eq!(of(4_097), blind("docker", Reason::TooLarge));
}

/// A database of Podman with these documents of containers by their ids, and these names.
fn registered(documents: &[(&str, &str)], names: &[(&str, &str)]) -> Vec<u8> {
    use bolt::tests::{bucket_at, file, inline, leaf, meta_page, page};
    let config = |text: &str| inline(&[(b"config", text.into(), false)]);
    let containers: Vec<_> =
        documents.iter().map(|(id, text)| (id.as_bytes(), config(text), true)).collect();
    let names: Vec<_> =
        names.iter().map(|(id, name)| (id.as_bytes(), name.as_bytes().to_vec(), false)).collect();
    let registry = (b"id-registry".as_slice(), inline(&names), true);
    file(&[
        meta_page(0, 3),
        meta_page(1, 3),
        page(2, 0x10, &[]),
        leaf(3, &[(b"ctr", bucket_at(4), true), registry]),
        leaf(4, &containers),
    ])
}

#[test]
fn a_document_that_is_none_is_unobserved_under_its_name_and_not_under_its_id() {
    let document = PODMAN.replace('\n', " ");
    for (names, expect) in [
        (vec![("9f86", "turn"), ("cafe", "relay")], vec!["podman/relay", "podman/turn"]),
        // Nobody knows which one it is, so it may be any.
        (vec![], vec!["podman/turn", "?"]),
    ] {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(BOLT.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, registered(&[("9f86", &document), ("cafe", "{")], &names)).unwrap();
        let mut told = said(root.path()).unwrap();
        if expect.len() == 2 && names.len() == 2 {
            told.sort();
        }
        let named: Vec<_> = told.iter().filter_map(|told| told.split(' ').next()).collect();
        assert_eq!(named, expect, "{told:?}");
        let malformed = told.iter().find(|told| !told.starts_with("podman/turn")).unwrap();
        assert!(malformed.to_lowercase().contains("malformed"), "{malformed}");
        let blind = Planted::of(root).blind(&mut Containers::new());
        assert_eq!(blind.len(), usize::from(names.is_empty()), "{blind:?}");
    }
}

#[test]
fn pages_that_many_containers_name_are_bounded_together() {
    use bolt::tests::{bucket_at, file, leaf, meta_page, page};
    let told = |count: usize, length: usize| {
        let ids: Vec<_> = (100..100 + count).map(|id| id.to_string()).collect();
        let ids: Vec<_> = ids.iter().map(|id| (id.as_bytes(), bucket_at(10), true)).collect();
        let mut containers = leaf(4, &ids);
        containers.resize(6 * 1_024, 0);
        let bytes = file(&[
            meta_page(0, 3),
            meta_page(1, 3),
            page(2, 0x10, &[]),
            leaf(3, &[(b"ctr", bucket_at(4), true)]),
            containers,
            leaf(10, &[(b"config", vec![b' '; length], false)]),
        ]);
        [super::HOST, ACCOUNT].map(|bounds| podman::documents(&bytes, bounds).map(drop))
    };
    let large = Err(Reason::TooLarge);
    // Each bucket of 1,000 keys is walked once for each container, which holds no document.
    let walked = |count: usize| {
        let keys: Vec<_> = (0..1_000).map(|_| (&b"key"[..], Vec::new(), false)).collect();
        let ids: Vec<_> = (0..count).map(|_| (&b"id"[..], bucket_at(4), true)).collect();
        let root = [(&b"ctr"[..], bucket_at(40), true)];
        let mut pages = vec![meta_page(0, 3), meta_page(1, 3), page(2, 0x10, &[]), leaf(3, &root)];
        let mut keys = leaf(4, &keys);
        keys.resize(36 * 1_024, 0);
        pages.extend([keys, leaf(40, &ids)]);
        let bytes = file(&pages);
        [super::HOST, ACCOUNT].map(|bounds| podman::documents(&bytes, bounds).map(drop))
    };
    // Keys may be one piece of the file, which whoever sorts them compares as often as they are.
    let keyed = |length: usize| {
        let key = vec![b'k'; length];
        let ids: Vec<_> = (0..100).map(|_| (key.as_slice(), bucket_at(4), true)).collect();
        let root = [(&b"ctr"[..], bucket_at(5), true)];
        let mut pages = vec![meta_page(0, 3), meta_page(1, 3), page(2, 0x10, &[]), leaf(3, &root)];
        pages.extend([leaf(4, &[]), leaf(5, &ids)]);
        podman::documents(&file(&pages), ACCOUNT).map(drop)
    };
    assert_eq!(keyed(1_000), Ok(()));
    assert_eq!(keyed(20_000), Err(Reason::TooLarge));
    for (count, expect) in
        [(60, [Ok(()), Ok(())]), (1_000, [Ok(()), large]), (1_100, [large, large])]
    {
        assert_eq!(walked(count), expect, "{count}");
    }
    for (count, length, expect) in [
        (64, 10_000, [Ok(()), Ok(())]),
        (65, 10_000, [Ok(()), large]),
        (64, 200_000, [Ok(()), large]),
        (100, 200_000, [large, large]),
        (1, 256 * 1024 + 1, [large, large]),
    ] {
        assert_eq!(told(count, length), expect, "{count} of {length}");
    }
}

#[test]
fn of_roots_database_a_table_is_read_within_its_bounds() {
    let (root, path) = podman(&[("turn", PODMAN)]);
    let database = rusqlite::Connection::open(&path).unwrap();
    let documents = |length: u32, count: u32| {
        let (root, path) = podman(&[]);
        let database = rusqlite::Connection::open(&path).unwrap();
        for number in 0..count {
            let insert = "INSERT INTO ContainerConfig VALUES (?1, ?1, NULL, zeroblob(?2))";
            database.execute(insert, (number, length)).unwrap();
        }
        said(root.path()).map(|told| told.len())
    };
    assert_eq!(documents(200_000, 2), Ok(2));
    assert_eq!(documents(256 * 1024 + 1, 1), Err(Reason::TooLarge));
    assert_eq!(documents(200_000, 100), Err(Reason::TooLarge));
    let view = "ALTER TABLE ContainerConfig RENAME TO t;
        CREATE VIEW ContainerConfig AS SELECT Name, JSON FROM t;";
    database.execute_batch(view).unwrap();
    assert_eq!(said(root.path()), Err(Reason::Malformed), "a view of it may never end");
}

fn told(state: &str, host: &str) -> Vec<String> {
    let state = serde_json::from_str(state).unwrap();
    let host = serde_json::from_str(host).unwrap();
    let items = items(&state, &host, "always");
    items.iter().map(|(key, item)| format!("{key} {:?}", item.value)).collect()
}

#[test]
fn a_container_made_anew_from_the_same_words_is_the_same() {
    let shown = told(STATE, HOST);
    let expect = "image Text(\"coturn:4.6\")".to_owned();
    assert!(shown.contains(&expect), "{shown:?}");
    assert!(shown.iter().any(|line| line.starts_with("ports/3478")), "{shown:?}");
    let anew =
        STATE.replace("abc", "def").replace("812", "900").replace("2026-11-01", "2026-11-02");
    assert_eq!(told(&anew, HOST), shown);
    assert_ne!(told(&STATE.replace("sha256:11", "sha256:12"), HOST), shown);
}
