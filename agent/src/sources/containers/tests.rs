//! Which containers are told, and the row of the shared check.

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};

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
    let path = root.path().join(podman::STORAGE.trim_start_matches('/')).join(podman::SQLITE);
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

/// What is said of the containers of Podman, part by part.
fn said(root: &Path) -> Result<Vec<String>, Reason> {
    let redactor = driftline_protocol::redact::Redactor::new([7; 32]);
    let machine = Machine::open(root, redactor.clone()).unwrap();
    let reading = Containers::new().reading("podman");
    let parts =
        podman::parts(&machine, (Path::new(podman::STORAGE), "podman"), super::HOST, &reading)?;
    let parts = parts.unwrap_or_default().into_iter().map(|(name, part)| {
        let part = redactor.redact(part).into_inner();
        format!("{name} {}", serde_json::to_string(&part).unwrap())
    });
    Ok(parts.collect())
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
    use crate::sources::check::Planted;
    let parts = Planted::new(&[(BOLT, 0o600, "bolt")]).parts(&mut Containers::new());
    let reasons: Vec<_> =
        parts.iter().map(|(name, part)| (name.as_str(), part.unobserved_reason())).collect();
    assert_eq!(reasons, [("podman", Some(Reason::Malformed))]);
}

#[test]
fn containers_of_accounts_are_told_under_their_names() {
    use crate::sources::check::Planted;
    let home = "/srv/turn/.local/share/docker/containers/abc";
    let files = ["config.v2.json", "hostconfig.json"].map(|name| format!("{home}/{name}"));
    let [state, host] = &files;
    let parts = Planted::new(&[
        (
            "/etc/passwd",
            0o644,
            "root:x:0:0::/root:/bin/sh\nturn:x:990:990::/srv/turn:\nx:x:1:1::/:",
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

/// A tree with an account and these files of it, below its home.
fn of_an_account(files: &[(String, &str)]) -> crate::sources::check::Planted {
    let passwd = "turn:x:990:990::/srv/turn:/bin/sh";
    let mut all = vec![("/etc/passwd", 0o644, passwd), (PLACE, 0o600, STATE)];
    all.push((HOST_PLACE, 0o600, HOST));
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| (format!("/srv/turn/.local/share/{path}"), *text))
        .collect();
    all.extend(files.iter().map(|(path, text)| (path.as_str(), 0o600, *text)));
    crate::sources::check::Planted::new(&all)
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
fn accounts_and_containers_beyond_the_bounds_are_unobserved_and_not_gone() {
    use crate::sources::check::Planted;
    let accounts = |count: usize| {
        let line = |number| format!("a{number}:x:1:1::/home/{number}:\n");
        (0..count).map(line).collect::<String>()
    };
    let (all, more) = (accounts(people::PEOPLE), accounts(people::PEOPLE + 1));
    let both = [blind("docker", Reason::TooLarge), blind("podman", Reason::TooLarge)].concat();
    for (passwd, expect) in [(&all, vec![]), (&more, both)] {
        let planted = Planted::new(&[("/etc/passwd", 0o644, passwd)]);
        assert_eq!(planted.blind(&mut Containers::new()), expect);
    }
    let folders: Vec<_> = (0..4_097).map(|number| format!("{DOCKER}/{number}")).collect();
    let files: Vec<_> = folders.iter().map(|folder| (folder.as_str(), 0o600, "")).collect();
    let of = |count| Planted::new(files.get(..count).unwrap()).blind(&mut Containers::new());
    assert_eq!(of(4_096), []);
    assert_eq!(of(4_097), blind("docker", Reason::TooLarge));
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
    for (count, length, expect) in [
        (64, 10_000, [Ok(()), Ok(())]),
        (65, 10_000, [Ok(()), large]),
        (64, 200_000, [Ok(()), large]),
        (100, 200_000, [large, large]),
        (1, 256 * 1024, [large, large]),
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

/// Podman itself makes containers, as root and in a storage of its own; where none is installed,
/// nothing is tried.
#[test]
#[allow(clippy::disallowed_types, reason = "a test may ask podman itself")]
fn podman_makes_the_containers_that_we_tell() {
    let root = tempfile::tempdir().unwrap();
    let storage = root.path().join("var/lib/containers/storage");
    let podman = |words: &[&str]| {
        let mut command = std::process::Command::new("podman");
        command.args(["--storage-driver", "vfs", "--root"]).arg(&storage);
        command.arg("--runroot").arg(root.path().join("run")).args(words).output().ok()
    };
    // An archive of nothing: two blocks of zeros (tar(5)).
    let archive = root.path().join("nothing.tar");
    std::fs::write(&archive, [0; 1_024]).unwrap();
    let archive = archive.to_str().unwrap();
    let Some(output) = podman(&["import", archive, "example.org/coturn:4.6"]) else { return };
    // Without root there are no namespaces to make one in.
    if !output.status.success() {
        return;
    }
    let image = ["example.org/coturn:4.6", "/bin/turn", "-n"];
    let kept = ["create", "--network", "host", "--restart", "always", "--env", "MODE=canary-6b7a"];
    for name in ["turn", "relay"] {
        let created =
            podman(&[&kept[..], &["--name", name, "-v", "/srv:/etc/turn:ro"], &image].concat());
        assert!(created.is_some_and(|output| output.status.success()), "{name}");
    }
    let job = podman(&[&["create", "--network", "host", "--name", "job"][..], &image].concat());
    assert!(job.is_some_and(|output| output.status.success()));
    let format = "podman/{{.Name}} {{.HostConfig.RestartPolicy.Name}} {{.ImageName}}";
    let shown = podman(&["container", "inspect", "--format", format, "relay", "turn"]).unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let told = said(root.path()).unwrap();
    let (told, theirs): (Vec<_>, Vec<_>) = (told.iter().collect(), shown.lines().collect());
    assert_eq!(told.len(), theirs.len(), "{told:?} and {theirs:?}");
    for theirs in theirs {
        let (name, facts) = theirs.split_once(' ').unwrap();
        let ours = told.iter().find(|told| told.starts_with(&format!("{name} "))).unwrap();
        for fact in facts.split(' ').chain(["/srv:/etc/turn:ro", "/bin/turn", "environment/MODE"]) {
            assert!(ours.contains(fact), "no {fact} in {ours}");
        }
        assert!(!ours.contains("canary-6b7a"), "{ours}");
    }
}

fn told(state: &str, host: &str) -> Vec<String> {
    let state: State = serde_json::from_str(state).unwrap();
    let host: Host = serde_json::from_str(host).unwrap();
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
