//! Containers of Podman, from its database: SQLite since Podman 4.5, where nothing else was there,
//! BoltDB before (podman-system-info(1) names it).
//!
//! The table `ContainerConfig` of the first and the buckets `ctr` / ID / `config` of the second
//! hold a document a container, `libpod/container_config.go` of Podman. Nothing of what runs now
//! stands in it. A database of SQLite with a journal has words that are not in the file yet, and is
//! `changing`: it is read again in the next pass.
//!
//! Only root's own databases of SQLite are opened. A file of SQLite is a program: a view of its
//! need never end, and can make texts of any length. Those of accounts are `unsupported`; what is
//! read of their BoltDB is bounded.
//!
//! In BoltDB a container stands under its id, which each start makes anew; of one whose document
//! does not parse the name is in the bucket `id-registry` (`libpod/boltdb_state_internal.go`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use driftline_protocol::ids::PartName;
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawItems, RawPart};
use driftline_protocol::snapshot::{Reading, Reason};
use rusqlite::Connection;
use serde::Deserialize;

use super::oci::Spec;
use super::{BOLT_BYTES, Bounds, DOCUMENT_BYTES, Owner, Room, bolt, told};
use crate::machine::Machine;
use crate::sources::database::{self, refused};
use crate::sources::table::{momentary, say};

/// The storage below the folder of its owner.
pub(super) const FOLDER: &str = "containers/storage";

/// The database in SQLite below a storage, and what SQLite writes beside it while it is at work.
pub(super) const SQLITE: &str = "db.sql";
pub(super) const JOURNALS: [&str; 2] = ["db.sql-wal", "db.sql-journal"];

/// The database in BoltDB below a storage.
pub(super) const BOLT: &str = "libpod/bolt_state.db";

/// The document of a container, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default, rename = "rootfsImageName")]
    image: String,
    #[serde(default, rename = "rootfsImageID")]
    image_id: String,
    #[serde(default)]
    user: String,
    #[serde(default, rename = "restart_policy")]
    restart: String,
    #[serde(default)]
    privileged: bool,
    #[serde(default, rename = "networkMode")]
    network: String,
    /// Whether it only holds the namespaces of a pod.
    #[serde(default)]
    pause: bool,
    command: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    #[serde(default)]
    named_volumes: Vec<Volume>,
    #[serde(default)]
    new_port_mappings: Vec<Port>,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Volume {
    volume_name: String,
    dest: String,
}

#[derive(Deserialize)]
struct Port {
    #[serde(default)]
    host_ip: String,
    #[serde(default)]
    host_port: u32,
    container_port: u32,
    #[serde(default)]
    protocol: String,
    /// How many follow each other.
    #[serde(default)]
    range: u32,
}

/// Says the part of each container of Podman of `owner` that is meant to stay, one after the other,
/// where it keeps a database; and gives why there is one of which not even the name is known.
///
/// # Errors
/// Why nothing is known of any of them; nothing was said then.
pub(super) fn parts(
    owner: &Owner<'_>,
    reading: &Reading,
    say: &mut dyn FnMut(PartName, RawPart),
) -> Result<Option<Reason>, Reason> {
    let (storage, machine, bounds) = (owner.data.join(FOLDER), owner.machine, owner.bounds);
    let documents = match in_sqlite(machine, &storage, bounds)? {
        Some(documents) => Some(documents),
        None => in_bolt(machine, &storage, bounds)?,
    };
    let (mut nameless, place) = (None, owner.place("podman"));
    for (name, document) in documents.map(|documents| documents.all).unwrap_or_default() {
        let (name, part) = match serde_json::from_slice::<Container>(&document) {
            Err(_) => (name, RawPart::Unobserved(Reason::Malformed)),
            Ok(container) if !stays(&container) => continue,
            Ok(container) => {
                let part = momentary(reading.clone(), items(&container));
                (Some(container.name).filter(|name| !name.is_empty()).or(name), part)
            }
        };
        match name {
            Some(name) => say(PartName::from_bytes(format!("{place}/{name}").as_bytes()), part),
            None => nameless = Some(Reason::Malformed),
        }
    }
    Ok(nameless)
}

/// Name and document of each container, within the bounds of their place.
#[derive(Debug)]
pub(super) struct Documents {
    all: Vec<(Option<String>, Vec<u8>)>,
    room: Room,
}

impl Documents {
    fn within(bounds: Bounds) -> Self {
        Self { all: Vec::new(), room: Room::within(bounds) }
    }

    fn add(&mut self, name: Option<&[u8]>, document: &[u8]) -> Result<(), Reason> {
        let length = name.map_or(0, <[u8]>::len).saturating_add(document.len());
        self.room.take(length)?;
        let name = name.map(|name| String::from_utf8_lossy(name).into_owned());
        self.all.push((name, document.to_vec()));
        Ok(())
    }
}

fn in_sqlite(
    machine: &Machine,
    storage: &Path,
    bounds: Bounds,
) -> Result<Option<Documents>, Reason> {
    if !bounds.opens_sqlite {
        let there = machine.stat_followed(&storage.join(SQLITE))?;
        return if there.is_some() { Err(Reason::Unsupported) } else { Ok(None) };
    }
    for journal in JOURNALS {
        if machine.stat_followed(&storage.join(journal))?.is_some_and(|stat| stat.st_size > 0) {
            return Err(Reason::Changing);
        }
    }
    database::asked(machine, &storage.join(SQLITE), &["ContainerConfig"], |database| {
        rows(database, bounds)
    })
}

/// What BoltDB holds.
fn in_bolt(machine: &Machine, storage: &Path, bounds: Bounds) -> Result<Option<Documents>, Reason> {
    let most = BOLT_BYTES.min(bounds.all_bytes);
    let Some(content) = machine.read(&storage.join(BOLT), most)? else { return Ok(None) };
    match documents(&content.bytes, bounds) {
        Ok(documents) => Ok(Some(documents)),
        Err(_) if mutant::active(Mutant::OtherDatabasesAreEmpty) => {
            Ok(Some(Documents::within(bounds)))
        }
        Err(reason) => Err(reason),
    }
}

/// The documents of the containers in a database of BoltDB, each under the name that is registered
/// for its id.
///
/// # Errors
/// [`Reason::Malformed`], and [`Reason::TooLarge`] beyond `bounds`: pages may be named more than
/// once, so a small file can hold many long documents.
pub(super) fn documents(bytes: &[u8], bounds: Bounds) -> Result<Documents, Reason> {
    let mut documents = Documents::within(bounds);
    let bolt = bolt::open(bytes, bounds.steps)?;
    let Some(containers) = bolt.root().bucket(b"ctr")? else { return Ok(documents) };
    let mut names = BTreeMap::new();
    if let Some(registry) = bolt.root().bucket(b"id-registry")? {
        for (id, value) in registry.all()? {
            if let bolt::Value::Bytes(name) = value {
                names.insert(id, name);
            }
        }
    }
    for (id, value) in containers.all()? {
        let bolt::Value::Bucket(container) = value else { continue };
        if let Some(document) = container.bytes(b"config")? {
            documents.add(names.get(id).copied(), document)?;
        }
    }
    Ok(documents)
}

/// Whether it is meant to stay: no job, and nothing that is made anew with its pod.
fn stays(container: &Container) -> bool {
    let is_job = matches!(container.restart.as_str(), "" | "no");
    !container.pause && (!is_job || mutant::active(Mutant::JobsAreContainers))
}

fn rows(database: &Connection, bounds: Bounds) -> Result<Documents, Reason> {
    // A longer document is not even fetched.
    let ask = "SELECT Name, iif(octet_length(JSON) <= ?1, JSON, NULL) FROM ContainerConfig";
    let mut statement = database.prepare(ask).map_err(refused)?;
    let mut rows = statement.query([DOCUMENT_BYTES.cast_signed()]).map_err(refused)?;
    let mut documents = Documents::within(bounds);
    while let Some(row) = rows.next().map_err(refused)? {
        let field = |at| row.get_ref(at).map_err(refused);
        let name = field(0)?.as_bytes().map_err(|_| Reason::Malformed)?;
        // Podman binds its documents as bytes, whatever the column says.
        let document = field(1)?.as_bytes_or_null().map_err(|_| Reason::Malformed)?;
        documents.add(Some(name), document.ok_or(Reason::TooLarge)?)?;
    }
    documents.all.sort();
    Ok(documents)
}

fn items(container: &Container) -> RawItems {
    let mut items = RawItems::new();
    let texts = [
        ("image", &container.image),
        ("image_id", &container.image_id),
        ("user", &container.user),
        ("restart", &container.restart),
        ("network", &container.network),
    ];
    told::texts(&mut items, texts);
    say(&mut items, ["privileged"], ItemValue::Flag(container.privileged));
    say(&mut items, ["read_only"], ItemValue::Flag(container.spec.root.readonly));
    told::sets(&mut items, [("binds", binds(container))]);
    for (key, all) in [("command", &container.command), ("entrypoint", &container.entrypoint)] {
        if let Some(words) = all {
            told::words(&mut items, key, words);
        }
    }
    for port in &container.new_port_mappings {
        let protocol = if port.protocol.is_empty() { "tcp" } else { &port.protocol };
        let more = if port.range > 1 { format!("+{}", port.range - 1) } else { String::new() };
        let key = ItemKey::of(["ports", &format!("{}{more}/{protocol}", port.container_port)]);
        let bound = ItemValue::Text(format!("{}:{}", port.host_ip, port.host_port));
        let known = items.remove(&key).map(|item| item.value);
        let mut all = if let Some(ItemValue::Set(all)) = known { all } else { BTreeSet::new() };
        all.insert(bound);
        items.insert(key, RawItem::plain(ItemValue::Set(all)));
    }
    told::environment(&mut items, &container.spec.process.env, container.id.as_bytes());
    items
}

/// What of the host and which volumes it sees, but for what Podman makes for each container.
fn binds(container: &Container) -> BTreeSet<ItemValue> {
    let mut binds = container.spec.binds(&container.id, &BTreeSet::new());
    for volume in &container.named_volumes {
        binds.insert(ItemValue::Text(format!("{}:{}", volume.volume_name, volume.dest)));
    }
    binds
}
