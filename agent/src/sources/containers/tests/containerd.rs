//! Which containers of containerd are told, from databases of our making.

use super::super::any::tests::written;
use super::super::bolt::tests::{bucket_at, file, inline, leaf, meta_page, page};
use super::super::containerd::{DATABASE, parts};
use super::*;

const OCI: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";

/// A document as `nerdctl run` has it made; the rest is what it lacks.
const SPEC: &str = r#"{"ociVersion": "1.1.0", "process": {"user": {"uid": 990, "gid": 991},
 "args": ["coturn", "-n"], "env": ["HOSTNAME=9f86d0", "MODE=canary-6b7a"],
 "capabilities": {"bounding": ["CAP_CHOWN", "CAP_NET_RAW"]}, "noNewPrivileges": true,
 "apparmorProfile": "nerdctl-default"}, "root": {"path": "rootfs", "readonly": true},
 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
 {"destination": "/etc/hosts", "type": "bind", "source":
 "/nerdctl/etchosts/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08/hosts"},
 {"destination": "/cache", "type": "bind", "source":
 "/nerdctl/volumes/voice/0badcafe0badcafe0badcafe0badcafe0badcafe0badcafe0badcafe0badcafe/_data"},
 {"destination": "/etc/coturn", "source": "/srv/coturn", "options": ["rbind", "ro"]}],
 "linux": {"resources": {"memory": {"limit": 67108864}}, "seccomp": {"defaultAction": "x"},
 "maskedPaths": ["/proc/kcore"], "namespaces": [{"type": "pid"},
 {"type": "network", "path": "/proc/812/ns/net"}]}}"#;

/// What nerdctl made up in it, and as it says of its volumes.
const ID: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const VOLUMES: &str = r#"["0badcafe0badcafe0badcafe0badcafe0badcafe0badcafe0badcafe0badcafe"]"#;

/// Fields and labels of a container.
type Row<'a> = (&'a str, Vec<u8>, &'a [(&'a str, &'a str)]);

fn text<'a>(key: &'a str, value: &[u8]) -> (&'a [u8], Vec<u8>, bool) {
    (key.as_bytes(), value.to_vec(), false)
}

fn container((created, spec, labels): (&str, &[u8], &[(&str, &str)])) -> Vec<u8> {
    let labels: Vec<_> = labels.iter().map(|(key, value)| text(key, value.as_bytes())).collect();
    inline(&[
        text("createdat", created.as_bytes()),
        text("image", b"example.org/coturn:4.6"),
        (b"labels", inline(&labels), true),
        (b"runtime", inline(&[text("name", b"io.containerd.runc.v2")]), true),
        text("snapshotter", b"overlayfs"),
        text("spec", spec),
    ])
}

/// A database with these containers in one namespace; each is made a moment after the last.
fn database(rows: &[Row<'_>]) -> Vec<u8> {
    database_of("voice", rows)
}

fn database_of(namespace: &str, rows: &[Row<'_>]) -> Vec<u8> {
    let image = inline(&[(b"target", inline(&[text("digest", b"sha256:11")]), true)]);
    let made: Vec<String> = (0..rows.len()).map(|number| format!("{number:03}")).collect();
    let containers: Vec<_> = rows
        .iter()
        .zip(&made)
        .map(|((id, spec, labels), made)| (id.as_bytes(), container((made, spec, labels)), true))
        .collect();
    let images = inline(&[(b"example.org/coturn:4.6", image, true)]);
    file(&[
        meta_page(0, 3),
        meta_page(1, 3),
        page(2, 0x10, &[]),
        leaf(3, &[(b"v1", bucket_at(4), true)]),
        leaf(4, &[(namespace.as_bytes(), bucket_at(5), true), text("version", b"\x08")]),
        leaf(5, &[(b"containers", bucket_at(6), true), (b"images", images, true)]),
        leaf(6, &containers),
    ])
}

fn tree(bytes: &[u8]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("var/lib").join(DATABASE);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    root
}

const ALWAYS: (&str, &str) = ("containerd.io/restart.policy", "always");
const STATUS: (&str, &str) = ("containerd.io/restart.status", "running");

const KEPT: &[(&str, &str)] = &[ALWAYS];

#[test]
fn containers_of_containerd_are_told_and_jobs_and_pods_are_not() {
    let spec = || written(OCI, SPEC.as_bytes());
    let told = said_of(
        tree(&database(&[
            ("broken", written(OCI, b"{"), &[ALWAYS]),
            ("job", spec(), &[]),
            ("monitored", spec(), &[STATUS]),
            ("none", b"\xff".to_vec(), &[ALWAYS]),
            ("other", written("types.containerd.io/other/1/Spec", b"{}"), &[ALWAYS]),
            ("stopped", spec(), &[("containerd.io/restart.policy", "no"), STATUS]),
            ("turn", spec(), &[ALWAYS, STATUS]),
        ]))
        .path(),
        parts,
    )
    .unwrap();
    let names: Vec<_> = told.iter().filter_map(|told| told.split(' ').next()).collect();
    let expect = ["broken", "monitored", "none", "other", "turn"];
    assert_eq!(names, expect.map(|name| format!("containerd/voice/{name}")));
    for (told, reason) in told.iter().zip(["malformed", "", "malformed", "unsupported", ""]) {
        let unobserved = told.contains("unobserved");
        assert_eq!((unobserved, told.contains(reason)), (!reason.is_empty(), true), "{told}");
    }
    let pod = [ALWAYS, ("io.cri-containerd.kind", "container")];
    for (namespace, labels, count) in [("k8s.io", &pod[..], 0), ("k8s.io", KEPT, 1)] {
        let rows = [("one", spec(), labels)];
        let told = said_of(tree(&database_of(namespace, &rows)).path(), parts).unwrap();
        assert_eq!(told.len(), count, "{told:?}");
    }
}

#[test]
fn what_nerdctl_says_of_a_container_is_told_and_what_it_makes_up_is_not() {
    let labels = [
        ALWAYS,
        ("nerdctl/anonymous-volumes", VOLUMES),
        ("nerdctl/name", "turn"),
        ("nerdctl/networks", r#"["voice","bridge"]"#),
        (
            "nerdctl/ports",
            r#"[{"HostPort":3478,"ContainerPort":3478,"Protocol":"udp","HostIP":"0.0.0.0"},
            {"HostPort":13478,"ContainerPort":3478,"Protocol":"udp","HostIP":"::1"}]"#,
        ),
    ];
    let row = |id, spec: &str| (id, written(OCI, spec.as_bytes()), labels.as_slice());
    let of = |rows: &[Row<'_>]| said_of(tree(&database(rows)).path(), parts).unwrap();
    let told = of(&[row(ID, SPEC)]);
    let [turn] = told.as_slice() else { panic!("{told:?}") };
    assert!(turn.starts_with("containerd/voice/turn "), "{turn}");
    for text in [
        "example.org/coturn:4.6",
        "sha256:11",
        "io.containerd.runc.v2",
        "overlayfs",
        "\"restart\":{\"value\":{\"text\":\"always\"}",
        "990:991",
        "voice,bridge",
        "\"privileged\":{\"value\":{\"flag\":false}",
        "\"read_only\":{\"value\":{\"flag\":true}",
        "67108864",
        "CAP_NET_RAW",
        "apparmor=nerdctl-default",
        "no-new-privileges",
        "\"binds\":{\"value\":{\"set\":[{\"text\":\"/srv/coturn:/etc/coturn:ro\"}]",
        "ports/3478~1udp\":{\"value\":{\"set\":[{\"text\":\"0.0.0.0:3478\"},\
            {\"text\":\"::1:13478\"}]",
        "environment/MODE\":{\"value\":{\"fingerprint\"",
    ] {
        assert!(turn.contains(text), "no {text} in {turn}");
    }
    for text in ["canary-6b7a", "HOSTNAME", "hosts", "9f86d0", "0badcafe", "812", "seccomp"] {
        assert!(!turn.contains(text), "{text} in {turn}");
    }
    // Made anew under its name, it is the same.
    let [anew, spec] = [ID, SPEC].map(|text| text.replace("9f86d0", "2c26b4"));
    assert_eq!(of(&[row(&anew, &spec)]), told);
    let open = SPEC.replace("CAP_CHOWN", "CAP_SYS_ADMIN").replace("/proc/kcore\"", "\"");
    for (spec, is_privileged) in
        [(open.replace("[\"\"]", "[]"), true), (open.replace("SYS_ADMIN", "CHOWN"), false)]
    {
        let told = of(&[row(ID, &spec)]).concat();
        let expect = format!("\"privileged\":{{\"value\":{{\"flag\":{is_privileged}}}");
        assert!(told.contains(&expect), "{told}");
    }
}

/// Labels of an image are copied into those of its containers; none keeps anything from being told.
#[test]
fn nothing_that_an_image_says_hides_its_container() {
    let made_up = ID.replace('9', "a");
    let volume = format!("/nerdctl/volumes/voice/{made_up}/_data");
    let all = ["/", "/srv/coturn", "srv", "coturn", ""].map(|name| format!("\"{name}\""));
    let names = format!("[{}]", all.join(","));
    let many = vec![format!("\"{made_up}\""); 1_025].join(",");
    let (many, one) = (format!("[{many}]"), format!("[\"{made_up}\"]"));
    let name = ("nerdctl/name", "turn");
    for (id, labels, source, expect) in [
        ("turn", vec![("io.cri-containerd.kind", "container")], "/srv/coturn", true),
        ("turn", vec![("nerdctl/anonymous-volumes", names.as_str())], "/srv/coturn", true),
        ("srv", vec![name], "/srv/coturn", true),
        // What is a volume of nerdctl's stands in its folder of volumes, and nowhere else.
        ("turn", vec![("nerdctl/anonymous-volumes", one.as_str())], &volume, false),
        ("turn", vec![("nerdctl/anonymous-volumes", many.as_str())], &volume, true),
        ("turn", vec![("nerdctl/anonymous-volumes", one.as_str())], &format!("/{made_up}"), true),
    ] {
        let labels: Vec<_> = [ALWAYS].into_iter().chain(labels).collect();
        let spec = SPEC.replace("/srv/coturn", source);
        let rows = [(id, written(OCI, spec.as_bytes()), labels.as_slice())];
        let told = said_of(tree(&database(&rows)).path(), parts).unwrap();
        let [turn] = told.as_slice() else { panic!("{id} {labels:?}: {told:?}") };
        assert!(turn.starts_with("containerd/voice/turn "), "{turn}");
        let bind = format!("{source}:/etc/coturn:ro");
        assert_eq!(turn.contains(&bind), expect, "{id} {labels:?}: {turn}");
    }
    // Nor does it take the place of one that was there before: each is told.
    let second = [ALWAYS, ("nerdctl/name", "turn")];
    let third = [ALWAYS, ("nerdctl/name", "turn/a")];
    let rows: [Row<'_>; 4] = [
        ("turn", written(OCI, SPEC.as_bytes()), KEPT),
        ("b", written(OCI, b"{"), &second),
        ("a", written(OCI, b"{"), &second),
        ("c", written(OCI, b"{"), &third),
    ];
    let told = said_of(tree(&database(&rows)).path(), parts).unwrap();
    let names: Vec<_> = told.iter().filter_map(|told| told.split(' ').next()).collect();
    let expect = ["c", "turn", "turn/a", "turn/b"];
    assert_eq!(names, expect.map(|name| format!("containerd/voice/{name}")));
    assert!(told[1].contains("example.org") && told[2].contains("malformed"), "{told:?}");
}

#[test]
fn a_database_of_containerd_that_is_not_understood_is_unobserved_and_not_absent() {
    let of = |pages: &[Vec<u8>]| {
        let all = [meta_page(0, 3), meta_page(1, 3), page(2, 0x10, &[])];
        file(&all.into_iter().chain(pages.iter().cloned()).collect::<Vec<_>>())
    };
    let many: Vec<_> = (0..4_097).map(|id| format!("{id:04}")).collect();
    let rows = |count: usize| -> Vec<Row<'_>> {
        let ids = many.iter().take(count);
        ids.map(|id| (id.as_str(), Vec::new(), KEPT)).collect()
    };
    let large = " ".repeat(256 * 1024);
    let unknown = leaf(3, &[(b"v2", bucket_at(4), true)]);
    for (bytes, expect) in [
        (of(&[leaf(3, &[])]), None),
        (of(&[unknown]), Some(Reason::Unsupported)),
        (of(&[leaf(3, &[(b"v1", bucket_at(9), true)])]), Some(Reason::Malformed)),
        (b"no database".to_vec(), Some(Reason::Malformed)),
        (vec![0; 16 * 1024 * 1024 + 1], Some(Reason::TooLarge)),
        (database(&rows(100)), None),
        (database(&[("turn", written(OCI, large.as_bytes()), KEPT)]), Some(Reason::TooLarge)),
    ] {
        let blind = Planted::of(tree(&bytes)).blind(&mut Containers::new());
        let expect = expect.map(|reason| ("containerd".to_owned(), reason));
        assert_eq!(blind, Vec::from_iter(expect), "{} bytes", bytes.len());
    }
    let mut room = Room::within(super::super::HOST);
    assert!((0..4_096).all(|_| room.take(1).is_ok()) && room.take(1).is_err());
}

#[test]
fn containers_that_accounts_run_by_containerd_are_told_under_their_names() {
    let root = tree(&database(&[]));
    let bytes = database(&[("turn", written(OCI, SPEC.as_bytes()), &[ALWAYS])]);
    let path = root.path().join("home/turn/.local/share").join(DATABASE);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    std::fs::create_dir_all(root.path().join("etc")).unwrap();
    let passwd = format!("turn:x:{0}:{0}::/home/turn:/bin/sh", own());
    std::fs::write(root.path().join("etc/passwd"), passwd).unwrap();
    let parts = Planted::of(root).parts(&mut Containers::new());
    let names: Vec<_> = parts.keys().map(PartName::as_str).collect();
    assert_eq!(names, ["containerd/~turn/voice/turn"]);
}
