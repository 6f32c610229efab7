//! Containers that are run by containerd itself, from its database in BoltDB.
//!
//! `meta.db` holds all that containerd knows, namespace by namespace (`core/metadata/buckets.go`
//! of containerd): of each container its image by name, its runtime, labels, and the whole document
//! that the runtime is told; of each image the digest that its name stands for. Whether a container
//! is meant to stay is said by a label of containerd's restart monitor (`runtime/restart`), which
//! nerdctl sets too. Without one it is a job, or somebody else's: Docker's containers stand here
//! once more (namespace `moby`, told by `docker`), and so do pods of Kubernetes.
//!
//! A containerd that runs holds a lock on its database and goes on writing. No lock is taken here:
//! a file that was written while it was read is `changing`, and is read again in the next pass.
//! What nerdctl makes up for each container is left out: its files below a folder named by the id,
//! and volumes without a name.
//!
//! Labels of an image are copied into those of its containers, so whoever makes an image writes
//! them too. None may keep a container or what it sees from being told: pods are looked for in the
//! cluster's own namespace alone, numbers of nerdctl's are believed where they have its form, and
//! of two containers with one name the older keeps it, and the other is told as `NAME/ID`.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::ids::PartName;
use driftline_protocol::item::ItemValue;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItems, RawPart};
use driftline_protocol::snapshot::{Reading, Reason};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::bolt::{Bucket, Value};
use super::oci::Spec;
use super::{BOLT_BYTES, Owner, Room, any, bolt, told};
use crate::sources::table::{momentary, say};

/// The database below the folder of its owner.
pub(super) const DATABASE: &str = "containerd/io.containerd.metadata.v1.bolt/meta.db";

/// The layout that is read; another would be another bucket.
const LAYOUT: &[u8] = b"v1";

/// The longest name of a namespace, in bytes (`maxLength` of containerd's `identifiers`).
const IDENTIFIER_BYTES: usize = 76;

/// The longest digest, in bytes; one of SHA-512 has 135.
const DIGEST_BYTES: usize = 256;

/// What the document of a container is, after the host that stands before it.
const SPEC: &[u8] = b"/opencontainers/runtime-spec/1/Spec";

/// What the restart monitor is to do with it, and whether it looks at it at all.
const POLICY: &str = "containerd.io/restart.policy";
const STATUS: &str = "containerd.io/restart.status";

/// Whether it is a pod's, which a cluster decides over, and where those are
/// (`K8sContainerdNamespace` of containerd's `cri`).
const POD: &str = "io.cri-containerd.kind";
const CLUSTER: &[u8] = b"k8s.io";

/// What nerdctl calls it, and what it says of it as JSON.
const NAME: &str = "nerdctl/name";
const NETWORKS: &str = "nerdctl/networks";
const PORTS: &str = "nerdctl/ports";
const VOLUMES: &str = "nerdctl/anonymous-volumes";

/// How many digits the numbers have that nerdctl makes up (`GenerateID` of its `idgen`): 32 bytes.
const MADE_UP_DIGITS: usize = 64;

/// The most volumes without a name of one container; beyond, all are told.
const MADE_UP_VOLUMES: usize = 1_024;

/// What may do anything to the host.
const ADMIN: &str = "CAP_SYS_ADMIN";

/// A port as nerdctl writes it (`PortMapping` of go-cni).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Port {
    host_port: u32,
    container_port: u32,
    protocol: String,
    #[serde(rename = "HostIP")]
    host_ip: String,
}

/// What is kept of a container while it is read: its own fields, and its labels.
const FIELDS: [&str; 4] = ["image", "spec", "snapshotter", "createdat"];
const LABELS: [&str; 7] = [POLICY, STATUS, POD, NAME, NETWORKS, PORTS, VOLUMES];

/// A container as it stands in the database; nothing of it is copied.
struct Container<'a> {
    id: &'a [u8],
    /// Whether a cluster may have made it.
    is_in_cluster: bool,
    fields: BTreeMap<&'a [u8], &'a [u8]>,
    runtime: &'a [u8],
    labels: BTreeMap<&'a [u8], &'a [u8]>,
}

/// Says the part of each container of containerd of `owner` that is meant to stay, one after the
/// other, where it has a database.
///
/// # Errors
/// Why nothing is known of any of them; nothing was said then.
pub(super) fn parts(
    owner: &Owner<'_>,
    reading: &Reading,
    say: &mut dyn FnMut(PartName, RawPart),
) -> Result<Option<Reason>, Reason> {
    let most = BOLT_BYTES.min(owner.bounds.all_bytes);
    let content = owner.machine.read(&owner.data.join(DATABASE), most)?;
    let Some(content) = content else { return Ok(None) };
    match of_database(&content.bytes, owner, reading, say) {
        Err(_) if mutant::active(Mutant::OtherDatabasesAreEmpty) => Ok(None),
        told => told.map(|()| None),
    }
}

fn of_database(
    bytes: &[u8],
    owner: &Owner<'_>,
    reading: &Reading,
    say: &mut dyn FnMut(PartName, RawPart),
) -> Result<(), Reason> {
    let bolt = bolt::open(bytes, owner.bounds.steps)?;
    let Some(layout) = bolt.root().bucket(LAYOUT)? else {
        // A database that nobody has written to is empty, any other has a layout of its own.
        let is_empty = bolt.root().all()?.is_empty();
        return if is_empty { Ok(()) } else { Err(Reason::Unsupported) };
    };
    let (mut found, mut room) = (Vec::new(), Room::within(owner.bounds));
    for (namespace, value) in layout.all()? {
        let Value::Bucket(bucket) = value else { continue };
        let staying = staying(namespace, &bucket, &mut room)?;
        if staying.is_empty() {
            continue;
        }
        if namespace.len() > IDENTIFIER_BYTES {
            return Err(Reason::Malformed);
        }
        let place = format!("{}/{}", owner.place("containerd"), text(namespace));
        let images = bucket.bucket(b"images")?;
        let images = images.map_or(Ok(BTreeMap::new()), |images| buckets(&images))?;
        for (name, container) in staying {
            let image = images.get(container.field("image"));
            let digest = image.map(digest).transpose()?.flatten();
            let name = PartName::from_bytes(format!("{place}/{name}").as_bytes());
            found.push((name, container, digest));
        }
    }
    // One by one: what a document comes to is many times as large as it is.
    for (name, container, digest) in found {
        let part = match items(&container, digest) {
            Ok(items) => momentary(reading.clone(), items),
            Err(reason) => RawPart::Unobserved(reason),
        };
        say(name, part);
    }
    Ok(())
}

/// The containers of a namespace that are meant to stay, by the name that they are known under.
///
/// Nothing keeps two from having one name, which a label says: the older keeps it, and the other
/// is told below it by its id.
///
/// # Errors
/// As of the database, and [`Reason::TooLarge`] where there is no `room` for one.
fn staying<'a>(
    namespace: &[u8],
    bucket: &Bucket<'a>,
    room: &mut Room,
) -> Result<BTreeMap<String, Container<'a>>, Reason> {
    let (mut found, mut staying) = (Vec::new(), BTreeMap::new());
    let Some(containers) = bucket.bucket(b"containers")? else { return Ok(staying) };
    for (id, bucket) in buckets(&containers)? {
        let mut container = Container::read(id, &bucket)?;
        container.is_in_cluster =
            namespace == CLUSTER || mutant::active(Mutant::ImagesHideContainers);
        let is_job = container.restart().is_none();
        if is_job && !mutant::active(Mutant::JobsAreContainers) {
            continue;
        }
        // Before anything of it is copied.
        room.take(container.length())?;
        found.push(container);
    }
    // Go's binary time begins with its version and the seconds, the highest byte first.
    found.sort_by_key(|container| (container.field("createdat"), container.id));
    for container in found {
        let mut name = container.name();
        if staying.contains_key(&name) && !mutant::active(Mutant::ImagesHideContainers) {
            name = format!("{name}/{}", text(container.id));
        }
        staying.insert(name, container);
    }
    Ok(staying)
}

/// The buckets in a bucket.
fn buckets<'a>(bucket: &Bucket<'a>) -> Result<BTreeMap<&'a [u8], Bucket<'a>>, Reason> {
    let found = bucket.all()?.into_iter().filter_map(|(key, value)| match value {
        Value::Bucket(bucket) => Some((key, bucket)),
        Value::Bytes(_) => None,
    });
    Ok(found.collect())
}

/// What the name of an image stands for now.
fn digest<'a>(image: &Bucket<'a>) -> Result<Option<&'a [u8]>, Reason> {
    let Some(target) = image.bucket(b"target")? else { return Ok(None) };
    match target.bytes(b"digest")? {
        Some(digest) if digest.len() > DIGEST_BYTES => Err(Reason::Malformed),
        digest => Ok(digest),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl<'a> Container<'a> {
    fn read(id: &'a [u8], bucket: &Bucket<'a>) -> Result<Self, Reason> {
        let (fields, labels) = (BTreeMap::new(), BTreeMap::new());
        let mut container = Self { id, is_in_cluster: false, fields, runtime: b"", labels };
        let mut inner = BTreeMap::new();
        for (key, value) in bucket.all()? {
            match value {
                Value::Bytes(bytes) => keep(&mut container.fields, &FIELDS, (key, bytes)),
                Value::Bucket(bucket) => {
                    inner.insert(key, bucket);
                }
            }
        }
        if let Some(labels) = inner.get(b"labels".as_slice()) {
            for (key, value) in labels.all()? {
                if let Value::Bytes(bytes) = value {
                    keep(&mut container.labels, &LABELS, (key, bytes));
                }
            }
        }
        if let Some(runtime) = inner.get(b"runtime".as_slice()) {
            container.runtime = runtime.bytes(b"name")?.unwrap_or_default();
        }
        Ok(container)
    }

    /// How many bytes are kept of it.
    fn length(&self) -> usize {
        let all = self.fields.values().chain(self.labels.values()).chain([&self.id, &self.runtime]);
        all.fold(0, |sum: usize, bytes| sum.saturating_add(bytes.len()))
    }

    fn field(&self, key: &str) -> &'a [u8] {
        self.fields.get(key.as_bytes()).copied().unwrap_or_default()
    }

    fn label(&self, key: &str) -> Option<&'a [u8]> {
        self.labels.get(key.as_bytes()).copied().filter(|label| !label.is_empty())
    }

    /// What a label says as JSON; the default where there is none.
    fn json<T: DeserializeOwned + Default>(&self, key: &str) -> Result<T, Reason> {
        let Some(label) = self.label(key) else { return Ok(T::default()) };
        serde_json::from_slice(label).map_err(|_| Reason::Malformed)
    }

    /// What the restart monitor does with it; nothing for a job, and for what a cluster decides
    /// over. Before there were policies, one that was looked at was always restarted.
    fn restart(&self) -> Option<&'a [u8]> {
        if self.is_in_cluster && self.label(POD).is_some() {
            return None;
        }
        let monitored = self.label(STATUS).map(|_| b"always".as_slice());
        self.label(POLICY).or(monitored).filter(|policy| *policy != b"no")
    }

    /// What nerdctl calls it, where that may be a name of its; else the id.
    fn name(&self) -> String {
        let is_name = |label: &&[u8]| label.len() <= IDENTIFIER_BYTES && !label.contains(&b'/');
        text(self.label(NAME).filter(is_name).unwrap_or(self.id))
    }

    /// The id where it is one of nerdctl's numbers; with `ctr` somebody chose it, and may have a
    /// folder of that name.
    fn made_up_id(&self) -> String {
        let id = text(self.id);
        if self.label(NAME).is_some() && is_made_up(&id) { id } else { String::new() }
    }

    /// The names of its volumes without one; what nerdctl did not make up is no such name.
    fn made_up_volumes(&self) -> Result<BTreeSet<String>, Reason> {
        let volumes: Vec<String> = self.json(VOLUMES)?;
        let volumes = if volumes.len() > MADE_UP_VOLUMES { Vec::new() } else { volumes };
        Ok(volumes.into_iter().filter(|name| is_made_up(name)).collect())
    }

    /// Its networks as nerdctl calls them; else where its network is.
    fn network(&self, spec: &Spec) -> Result<String, Reason> {
        let names: Vec<String> = self.json(NETWORKS)?;
        if !names.is_empty() {
            return Ok(names.join(","));
        }
        let namespace = spec.linux.namespaces.iter().find(|one| one.kind == "network");
        Ok(match namespace.map(|namespace| namespace.path.as_str()) {
            None => "host",
            Some("") => "private",
            // The number of a process is another each time.
            Some(path) if path.starts_with("/proc/") => "process",
            Some(path) => path,
        }
        .to_owned())
    }
}

/// Whether nerdctl may have made up this name: a number in small hexadecimal digits.
fn is_made_up(name: &str) -> bool {
    let is_digit = |digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    name.len() == MADE_UP_DIGITS && name.bytes().all(is_digit)
}

/// Keeps a value whose key is one of `keys`.
fn keep<'a>(
    kept: &mut BTreeMap<&'a [u8], &'a [u8]>,
    keys: &[&str],
    (key, value): (&'a [u8], &'a [u8]),
) {
    if keys.iter().any(|one| one.as_bytes() == key) {
        kept.insert(key, value);
    }
}

/// What is told of a container, whose image's name stands for `digest`.
///
/// # Errors
/// [`Reason::Malformed`], and [`Reason::Unsupported`] where what the runtime is told is no document
/// of the specification.
fn items(container: &Container<'_>, digest: Option<&[u8]>) -> Result<RawItems, Reason> {
    let any = any::read(container.field("spec")).ok_or(Reason::Malformed)?;
    if !any.type_url.ends_with(SPEC) {
        return Err(Reason::Unsupported);
    }
    let spec: Spec = serde_json::from_slice(any.value).map_err(|_| Reason::Malformed)?;
    let mut items = RawItems::new();
    let process = &spec.process;
    let has_pids = spec.linux.namespaces.iter().any(|one| one.kind == "pid");
    let texts = [
        ("image", text(container.field("image"))),
        ("image_digest", text(digest.unwrap_or_default())),
        ("runtime", text(container.runtime)),
        ("snapshotter", text(container.field("snapshotter"))),
        ("restart", text(container.restart().unwrap_or_default())),
        ("user", format!("{}:{}", process.user.uid, process.user.gid)),
        ("network", container.network(&spec)?),
        ("pid", if has_pids { "" } else { "host" }.to_owned()),
    ];
    told::texts(&mut items, texts);
    say(&mut items, ["privileged"], ItemValue::Flag(is_privileged(&spec)));
    say(&mut items, ["read_only"], ItemValue::Flag(spec.root.readonly));
    if spec.linux.resources.memory.limit > 0 {
        let limit = ItemValue::Integer(spec.linux.resources.memory.limit);
        say(&mut items, ["memory_bytes"], limit);
    }
    let capabilities = process.capabilities.bounding.iter().map(ItemValue::text).collect();
    let volumes = container.made_up_volumes()?;
    let sets = [
        ("binds", spec.binds(&container.made_up_id(), &volumes)),
        ("capabilities", capabilities),
        ("security_opt", security(&spec)),
    ];
    told::sets(&mut items, sets);
    told::words(&mut items, "command", &process.args);
    for (port, bound) in ports(container)? {
        say(&mut items, ["ports", &port], ItemValue::Set(bound));
    }
    told::environment(&mut items, &process.env, container.id);
    Ok(items)
}

/// There is no word for it in the document: it may administer the kernel, and nothing of the
/// kernel's files is kept from it (`WithPrivileged` of containerd's `oci`).
fn is_privileged(spec: &Spec) -> bool {
    let linux = &spec.linux;
    let is_open = linux.masked_paths.is_empty() && linux.readonly_paths.is_empty();
    is_open && spec.process.capabilities.bounding.iter().any(|one| one == ADMIN)
}

/// What else it is kept from, in Docker's words.
fn security(spec: &Spec) -> BTreeSet<ItemValue> {
    let mut all = BTreeSet::new();
    if spec.linux.seccomp.is_none() {
        all.insert(ItemValue::text("seccomp=unconfined"));
    }
    if !spec.process.apparmor_profile.is_empty() {
        all.insert(ItemValue::Text(format!("apparmor={}", spec.process.apparmor_profile)));
    }
    if spec.process.no_new_privileges {
        all.insert(ItemValue::text("no-new-privileges"));
    }
    all
}

/// Where each port of it is bound, as nerdctl says.
fn ports(container: &Container<'_>) -> Result<BTreeMap<String, BTreeSet<ItemValue>>, Reason> {
    let all: Vec<Port> = container.json(PORTS)?;
    let mut ports: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for port in all {
        let bound = ItemValue::Text(format!("{}:{}", port.host_ip, port.host_port));
        let key = format!("{}/{}", port.container_port, port.protocol);
        ports.entry(key).or_default().insert(bound);
    }
    Ok(ports)
}
