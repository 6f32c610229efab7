//! What the engines themselves say of containers that they made, as root and in folders of their
//! own. Where one is not installed, or cannot run here, nothing is tried and the reason is printed.

#![allow(clippy::disallowed_types, reason = "a test may ask the engines themselves")]
#![allow(clippy::print_stderr, reason = "why nothing was tried is for the terminal")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::Redactor;
use serde_json::Value;

use super::tests::said;
use super::*;
use crate::sources::{Carry, Receipt};

/// Each item of a part by its key.
type Items = BTreeMap<String, ItemValue>;

/// What a pass says, before anything of it is redacted.
#[derive(Default)]
struct Raw {
    parts: BTreeMap<String, Items>,
    blind: Vec<(String, Reason)>,
}

impl Sink for Raw {
    fn seen(&mut self, part: PartName, raw: RawPart) -> Receipt {
        match &raw {
            RawPart::Observed(observed) => {
                let plain = observed.items.iter().filter(|(key, _)| !key.is_attribute());
                let items = plain.map(|(key, item)| (key.to_string(), item.value.clone()));
                self.parts.insert(part.as_str().to_owned(), items.collect());
            }
            RawPart::Unobserved(reason) => self.blind(&part, *reason),
        }
        let redactor = Redactor::new([7; 32]);
        let (digest, _) = redactor.seal(&redactor.redact(raw));
        Receipt::of(digest, None)
    }

    fn same(&mut self, _: &PartName, _: &Receipt) -> Carry {
        Carry::ReadAgain
    }

    fn blind(&mut self, place: &PartName, reason: Reason) {
        self.blind.push((place.as_str().to_owned(), reason));
    }
}

/// Every part that the source tells of the tree at `root`, where an engine may still be writing.
fn ours(root: &Path) -> BTreeMap<String, Items> {
    let machine = Machine::open(root, Redactor::new([7; 32])).unwrap();
    for _ in 0..1_000 {
        let mut raw = Raw::default();
        Containers::new().read(&machine, &mut raw).unwrap();
        if raw.blind.iter().all(|(_, reason)| *reason != Reason::Changing) {
            assert_eq!(raw.blind, []);
            return raw.parts;
        }
    }
    panic!("an engine never stops writing");
}

/// An engine that runs until this is dropped.
struct Engine(Child);

impl Engine {
    /// Starts `command` and waits for a line with `ready`; the last lines where it ends before.
    fn start(mut command: Command, ready: &str) -> Result<Self, String> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        while let Some(Ok(line)) = lines.next() {
            if line.contains(ready) {
                // It blocks once nobody reads what it says.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(Self(child));
            }
            said.push(line);
        }
        child.wait().unwrap();
        Err(format!(
            "{command:?} ended: {}",
            said.split_off(said.len().saturating_sub(3)).join("\n")
        ))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It ends what it started itself, which a harder word would leave behind.
        let asked = Command::new("kill").arg(self.0.id().to_string()).status();
        if asked.is_ok_and(|status| status.success()) {
            drop(self.0.wait());
        }
    }
}

/// What a command prints; it must succeed.
fn asked(mut command: Command, words: &[&str]) -> Vec<u8> {
    let output = command.args(words).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {error}");
    output.stdout
}

/// That both say the same of the same containers.
fn check(root: &Path, theirs: &BTreeMap<String, Items>) {
    let ours = ours(root);
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, theirs) in theirs {
        assert_eq!(ours.get(name), Some(theirs), "{name}");
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// The texts of a list; none of `null`.
fn texts(value: &Value) -> Vec<ItemValue> {
    let all = value.as_array().into_iter().flatten();
    all.map(|text| ItemValue::text(text.as_str().unwrap())).collect()
}

/// Puts in what is not empty.
fn put(items: &mut Items, key: &str, value: ItemValue) {
    let is_empty = match &value {
        ItemValue::Text(text) => text.is_empty(),
        ItemValue::Set(set) => set.is_empty(),
        ItemValue::Integer(number) => *number == 0,
        ItemValue::Nothing | ItemValue::Flag(_) | ItemValue::List(_) => false,
        ItemValue::Lines(_) | ItemValue::Fingerprint(_) => false,
    };
    if !is_empty {
        items.insert(key.to_owned(), value);
    }
}

fn put_texts(items: &mut Items, value: &Value, texts: &[(&str, &str)]) {
    for (key, pointer) in texts {
        put(items, key, ItemValue::text(at(value, pointer).as_str().unwrap_or_default()));
    }
}

fn put_environment(items: &mut Items, pairs: &Value) {
    for pair in pairs.as_array().into_iter().flatten() {
        let (name, value) = pair.as_str().unwrap().split_once('=').unwrap();
        items.insert(ItemKey::of(["environment", name]).to_string(), ItemValue::text(value));
    }
}

/// What the image of each container is called.
const IMAGE: &str = "example.org/coturn:4.6";

/// An archive of nothing: two blocks of zeros (tar(5)).
const NOTHING: [u8; 1_024] = [0; 1_024];

/// A folder for an engine, where nobody else looks.
fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("driftline-engine").tempdir().unwrap()
}

/// What Docker's own program says of a container, as the source tells it.
fn of_docker(shown: &Value) -> Items {
    let mut items = Items::new();
    let texts_of = [
        ("image", "/Config/Image"),
        ("image_id", "/Image"),
        ("user", "/Config/User"),
        ("restart", "/HostConfig/RestartPolicy/Name"),
        ("network", "/HostConfig/NetworkMode"),
        ("pid", "/HostConfig/PidMode"),
    ];
    put_texts(&mut items, shown, &texts_of);
    for (key, pointer) in
        [("privileged", "/HostConfig/Privileged"), ("read_only", "/HostConfig/ReadonlyRootfs")]
    {
        put(&mut items, key, ItemValue::Flag(at(shown, pointer).as_bool().unwrap()));
    }
    let memory = at(shown, "/HostConfig/Memory").as_i64().unwrap();
    put(&mut items, "memory_bytes", ItemValue::Integer(memory));
    let mut binds: BTreeSet<_> = texts(at(shown, "/HostConfig/Binds")).into_iter().collect();
    for mount in at(shown, "/HostConfig/Mounts").as_array().into_iter().flatten() {
        let [source, to] = ["Source", "Target"].map(|key| mount[key].as_str().unwrap_or_default());
        let access = if mount["ReadOnly"].as_bool() == Some(true) { ":ro" } else { "" };
        if !source.is_empty() {
            binds.insert(ItemValue::Text(format!("{source}:{to}{access}")));
        }
    }
    put(&mut items, "binds", ItemValue::Set(binds));
    for (key, pointer) in [
        ("cap_add", "/HostConfig/CapAdd"),
        ("cap_drop", "/HostConfig/CapDrop"),
        ("security_opt", "/HostConfig/SecurityOpt"),
    ] {
        let set = texts(at(shown, pointer)).into_iter().collect();
        put(&mut items, key, ItemValue::Set(set));
    }
    for (key, pointer) in [("command", "/Config/Cmd"), ("entrypoint", "/Config/Entrypoint")] {
        if !at(shown, pointer).is_null() {
            put(&mut items, key, ItemValue::List(texts(at(shown, pointer))));
        }
    }
    for (port, bindings) in at(shown, "/HostConfig/PortBindings").as_object().into_iter().flatten()
    {
        let bound = |to: &Value| {
            let [ip, port] = ["HostIp", "HostPort"].map(|key| to[key].as_str().unwrap());
            ItemValue::Text(format!("{ip}:{port}"))
        };
        let set = bindings.as_array().into_iter().flatten().map(bound).collect();
        items.insert(ItemKey::of(["ports", port]).to_string(), ItemValue::Set(set));
    }
    put_environment(&mut items, at(shown, "/Config/Env"));
    items
}

/// What Docker is asked to make.
const DOCKERS: [(&str, &str); 5] = [
    ("job", "--network host"),
    ("plain", "--restart always"),
    ("retried", "--restart on-failure:5 -p 5349:5349 -p 127.0.0.1::53/udp"),
    (
        "turn",
        "--restart unless-stopped --network host --pid host --env MODE=canary-6b7a --read-only \
            -v /srv:/etc/turn:ro -v /var/turn --memory 64m --cap-add NET_ADMIN --cap-drop CHOWN \
            --security-opt no-new-privileges --security-opt seccomp=unconfined \
            --user 990:991 --entrypoint /bin/turn",
    ),
    (
        "ports",
        "--restart always --privileged --mount type=bind,src=/srv,dst=/mnt,readonly \
            --mount type=volume,src=kept,dst=/kept --mount type=volume,dst=/made-up \
            --mount type=tmpfs,dst=/tmp -p 127.0.0.1:3478:3478/udp -p [::1]:3478:3478/udp \
            -p 3478:3478",
    ),
];

#[test]
fn docker_shows_every_container_that_it_made_as_we_do() {
    let root = folder();
    let at_root = |path: &str| root.path().join(path);
    let socket = format!("unix://{}", at_root("socket").display());
    let mut daemon = Command::new("dockerd");
    daemon.args(["--iptables=false", "--bridge=none", "-H", &socket]);
    daemon.args(["--storage-driver=vfs", "--config-file"]).arg(at_root("daemon.json"));
    daemon.arg("--data-root").arg(at_root("var/lib/docker"));
    daemon.arg("--exec-root").arg(at_root("run")).arg("--pidfile").arg(at_root("pid"));
    std::fs::write(at_root("daemon.json"), "{}").unwrap();
    let engine = match Engine::start(daemon, "API listen on") {
        Ok(engine) => engine,
        Err(reason) => return eprintln!("not held against Docker: {reason}"),
    };
    let docker = |words: &[&str]| {
        let mut command = Command::new("docker");
        command.args(["-H", &socket]);
        asked(command, words)
    };
    std::fs::write(at_root("nothing.tar"), NOTHING).unwrap();
    docker(&["import", at_root("nothing.tar").to_str().unwrap(), IMAGE]);
    for (name, options) in DOCKERS {
        let options: Vec<_> = options.split_whitespace().collect();
        docker(&[&["create", "--name", name], &options[..], &[IMAGE, "/bin/turn", "-n"]].concat());
    }
    let names = ["plain", "ports", "retried", "turn"];
    let shown = json(&docker(&[&["inspect"], names.as_slice()].concat()));
    let theirs: BTreeMap<_, _> = shown
        .as_array()
        .unwrap()
        .iter()
        .map(|shown| {
            (shown["Name"].as_str().unwrap().replacen('/', "docker/", 1), of_docker(shown))
        })
        .collect();
    check(root.path(), &theirs);
    drop(engine);
}

/// What containerd's own program says of a container, as the source tells it.
fn of_containerd(shown: &Value, digest: &str) -> Items {
    let mut items = Items::new();
    let spec = &shown["Spec"];
    let texts_of = [
        ("image", "/Image"),
        ("runtime", "/Runtime/Name"),
        ("snapshotter", "/Snapshotter"),
        ("restart", "/Labels/containerd.io~1restart.policy"),
    ];
    put_texts(&mut items, shown, &texts_of);
    put(&mut items, "image_digest", ItemValue::text(digest));
    let [uid, gid] = ["uid", "gid"].map(|key| spec["process"]["user"][key].as_u64().unwrap());
    put(&mut items, "user", ItemValue::Text(format!("{uid}:{gid}")));
    let namespaces = spec["linux"]["namespaces"].as_array().unwrap();
    let path_of = |kind: &str| {
        let found = namespaces.iter().find(|one| one["type"] == kind)?;
        Some(found["path"].as_str().unwrap_or("private"))
    };
    put(&mut items, "network", ItemValue::text(path_of("network").unwrap_or("host")));
    put(&mut items, "pid", ItemValue::text(path_of("pid").map_or("host", |_| "")));
    let capabilities = texts(at(spec, "/process/capabilities/bounding"));
    let masked = texts(at(spec, "/linux/maskedPaths"));
    let is_privileged =
        masked.is_empty() && capabilities.contains(&ItemValue::text("CAP_SYS_ADMIN"));
    put(&mut items, "privileged", ItemValue::Flag(is_privileged));
    let is_read_only = at(spec, "/root/readonly").as_bool().unwrap_or_default();
    put(&mut items, "read_only", ItemValue::Flag(is_read_only));
    let memory = at(spec, "/linux/resources/memory/limit").as_i64().unwrap_or_default();
    put(&mut items, "memory_bytes", ItemValue::Integer(memory));
    let mut binds = BTreeSet::new();
    for mount in spec["mounts"].as_array().unwrap().iter().filter(|mount| mount["type"] == "bind") {
        let [source, to] = ["source", "destination"].map(|key| mount[key].as_str().unwrap());
        let access =
            if texts(&mount["options"]).contains(&ItemValue::text("ro")) { ":ro" } else { "" };
        binds.insert(ItemValue::Text(format!("{source}:{to}{access}")));
    }
    put(&mut items, "binds", ItemValue::Set(binds));
    put(&mut items, "capabilities", ItemValue::Set(capabilities.into_iter().collect()));
    let seccomp = spec["linux"]["seccomp"].is_null().then(|| "seccomp=unconfined".to_owned());
    let profile = spec["process"]["apparmorProfile"].as_str();
    let profile = profile.filter(|name| !name.is_empty()).map(|name| format!("apparmor={name}"));
    let kept = spec["process"]["noNewPrivileges"].as_bool().unwrap_or_default();
    let kept = kept.then(|| "no-new-privileges".to_owned());
    let security = seccomp.into_iter().chain(profile).chain(kept).map(ItemValue::Text);
    put(&mut items, "security_opt", ItemValue::Set(security.collect()));
    put(&mut items, "command", ItemValue::List(texts(&spec["process"]["args"])));
    put_environment(&mut items, &spec["process"]["env"]);
    items
}

/// An image of nothing, as `docker save` writes one.
fn image(root: &Path, name: &str) -> std::path::PathBuf {
    // The digest of an archive of nothing.
    let layer = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
    let folder = root.join("image");
    std::fs::create_dir(&folder).unwrap();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/turn"], "User": "990:991"},
        "rootfs": {"type": "layers", "diff_ids": [layer]},
    });
    let manifest =
        serde_json::json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    std::fs::write(folder.join("layer.tar"), NOTHING).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(&folder).arg("-cf").arg(root.join("image.tar"));
    asked(tar, &["manifest.json", "config.json", "layer.tar"]);
    root.join("image.tar")
}

#[test]
fn containerd_shows_every_container_that_it_made_as_we_do() {
    let root = folder();
    let at_root = |path: &str| root.path().join(path);
    let config = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", \
        \"io.containerd.nri.v1.nri\", \"io.containerd.internal.v1.opt\", \
        \"io.containerd.internal.v1.restart\"]\n";
    std::fs::write(at_root("config.toml"), config).unwrap();
    let socket = at_root("socket");
    let mut daemon = Command::new("containerd");
    daemon.arg("--config").arg(at_root("config.toml")).arg("--address").arg(&socket);
    daemon.arg("--root").arg(at_root("var/lib/containerd")).arg("--state").arg(at_root("run"));
    let engine = match Engine::start(daemon, "containerd successfully booted") {
        Ok(engine) => engine,
        Err(reason) => return eprintln!("not held against containerd: {reason}"),
    };
    let ctr = |namespace: &str, words: &[&str]| {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(&socket).args(["--namespace", namespace]);
        asked(command, words)
    };
    let archive = image(root.path(), IMAGE);
    let archive = archive.to_str().unwrap();
    let kept = ["--label", "containerd.io/restart.policy=always"];
    let pod = [kept.as_slice(), &["--label", "io.cri-containerd.kind=container"]].concat();
    let retried = ["--label", "containerd.io/restart.policy=on-failure:5", "--net-host"];
    let privileged = [kept.as_slice(), &["--privileged"]].concat();
    let turn = [
        kept.as_slice(),
        &["--label", "containerd.io/restart.status=running", "--env", "MODE=canary-6b7a"],
        &["--mount", "type=bind,src=/srv,dst=/etc/turn,options=rbind:ro", "--read-only"],
        &["--mount", "type=bind,src=/var/turn,dst=/var/turn,options=rbind:rw"],
        &["--memory-limit", "67108864", "--cap-add", "CAP_NET_ADMIN"],
        &["--seccomp", "--with-ns", "network:/var/run/netns/voice"],
    ]
    .concat();
    let made: [(&str, &str, &[&str]); 7] = [
        ("voice", "job", &[]),
        ("voice", "open", &privileged),
        ("voice", "plain", &kept),
        ("voice", "retried", &retried),
        ("voice", "turn", &turn),
        ("k8s.io", "pod", &pod),
        ("k8s.io", "plain", &kept),
    ];
    for namespace in ["voice", "k8s.io"] {
        ctr(namespace, &["images", "import", "--snapshotter", "native", archive]);
    }
    let mut theirs = BTreeMap::new();
    for (namespace, id, options) in made {
        let create = ["containers", "create", "--snapshotter", "native"];
        let image = [IMAGE, id, "/bin/turn", "-n"];
        ctr(namespace, &[&create, options, &image].concat());
        let listed = String::from_utf8(ctr(namespace, &["images", "ls"])).unwrap();
        let listed = listed.lines().find(|line| line.starts_with(IMAGE)).unwrap();
        let digest = listed.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap();
        let shown = json(&ctr(namespace, &["containers", "info", id]));
        if !["job", "pod"].contains(&id) {
            let items = of_containerd(&shown, digest);
            theirs.insert(format!("containerd/{namespace}/{id}"), items);
        }
    }
    check(root.path(), &theirs);
    let is_privileged = |id: &str| {
        theirs.get(&format!("containerd/voice/{id}")).and_then(|items| items.get("privileged"))
    };
    assert_eq!(is_privileged("open"), Some(&ItemValue::Flag(true)));
    assert_eq!(is_privileged("turn"), Some(&ItemValue::Flag(false)));
    drop(engine);
    // And as it lies there when nobody has it open.
    check(root.path(), &theirs);
}

#[test]
fn podman_makes_the_containers_that_we_tell() {
    let root = folder();
    let storage = root.path().join("var/lib/containers/storage");
    let command = || {
        let mut command = Command::new("podman");
        command.args(["--storage-driver", "vfs", "--root"]).arg(&storage);
        command.arg("--runroot").arg(root.path().join("run"));
        command
    };
    let archive = root.path().join("nothing.tar");
    std::fs::write(&archive, NOTHING).unwrap();
    // Without root there are no namespaces to make one in.
    match command().args(["import", archive.to_str().unwrap(), IMAGE]).output() {
        Ok(output) if output.status.success() => {}
        refused => return eprintln!("not held against Podman: {refused:?}"),
    }
    let image = [IMAGE, "/bin/turn", "-n"];
    let kept = ["create", "--network", "host", "--restart", "always", "--env", "MODE=canary-6b7a"];
    for name in ["turn", "relay"] {
        let options = ["--name", name, "-v", "/srv:/etc/turn:ro"];
        asked(command(), &[&kept[..], &options, &image].concat());
    }
    asked(command(), &[&["create", "--network", "host", "--name", "job"][..], &image].concat());
    let format = "podman/{{.Name}} {{.HostConfig.RestartPolicy.Name}} {{.ImageName}}";
    let ask = ["container", "inspect", "--format", format, "relay", "turn"];
    let shown = String::from_utf8(asked(command(), &ask)).unwrap();
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
