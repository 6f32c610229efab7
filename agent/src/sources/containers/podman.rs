//! Containers of Podman, from its database in SQLite (since Podman 4.5; podman-system-info(1) names
//! it `sqlite`).
//!
//! The table `ContainerConfig` holds a document a container, `libpod/container_config.go` of
//! Podman. Nothing of what runs now stands in it. A database with a journal has words that are not
//! in the file yet, and is `changing`: it is read again in the next pass.

use std::collections::BTreeSet;
use std::path::Path;

use driftline_protocol::ids::PartName;
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawItems, RawPart};
use driftline_protocol::snapshot::{Reading, Reason};
use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;

use super::CONTAINERS;
use crate::machine::Machine;
use crate::platform::opened_path;
use crate::sources::table::{momentary, say};

/// The database of the host's own containers; those of people have theirs in each home.
pub(super) const DATABASE: &str = "/var/lib/containers/storage/db.sql";

/// What SQLite writes beside it while it is at work.
const JOURNALS: [&str; 2] =
    ["/var/lib/containers/storage/db.sql-wal", "/var/lib/containers/storage/db.sql-journal"];

/// The largest database that is read, in bytes; a container takes some 10 kB.
const DATABASE_BYTES: u64 = 256 * 1024 * 1024;

/// The document of a container, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    #[serde(default)]
    id: String,
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

/// What the runtime is told (config.md of the OCI runtime specification).
#[derive(Default, Deserialize)]
struct Spec {
    #[serde(default)]
    process: Process,
    #[serde(default)]
    root: Root,
    #[serde(default)]
    mounts: Vec<Mount>,
}

#[derive(Default, Deserialize)]
struct Process {
    #[serde(default)]
    env: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Root {
    #[serde(default)]
    readonly: bool,
}

#[derive(Deserialize)]
struct Mount {
    destination: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    options: Vec<String>,
}

/// The part of each container that is meant to stay; nothing where Podman keeps no such database.
///
/// # Errors
/// Why nothing is known of any of them.
pub(super) fn parts(
    machine: &Machine,
    reading: &Reading,
) -> Result<Option<Vec<(PartName, RawPart)>>, Reason> {
    let Some(file) = machine.held(Path::new(DATABASE), DATABASE_BYTES)? else { return Ok(None) };
    for journal in JOURNALS {
        if machine.stat_followed(Path::new(journal))?.is_some_and(|stat| stat.st_size > 0) {
            return Err(Reason::Changing);
        }
    }
    // By its descriptor, so that the file that is read is the one that was looked at.
    let place = format!("file:{}?immutable=1", opened_path(&file).display());
    let mut parts = Vec::new();
    for (name, document) in rows(&place).map_err(|_| Reason::Malformed)? {
        let part = match serde_json::from_slice::<Container>(&document) {
            Err(_) => RawPart::Unobserved(Reason::Malformed),
            Ok(container) if !stays(&container) => continue,
            Ok(container) => momentary(reading.clone(), items(&container)),
        };
        parts.push((PartName::from_bytes(format!("podman/{name}").as_bytes()), part));
    }
    Ok(Some(parts))
}

/// Whether it is meant to stay: no job, and nothing that is made anew with its pod.
fn stays(container: &Container) -> bool {
    let is_job = matches!(container.restart.as_str(), "" | "no");
    !container.pause && (!is_job || mutant::active(Mutant::JobsAreContainers))
}

/// Name and document of each container.
fn rows(place: &str) -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(place, flags)?;
    let ask = format!("SELECT Name, JSON FROM ContainerConfig ORDER BY Name LIMIT {CONTAINERS}");
    let mut statement = database.prepare(&ask)?;
    let rows = statement.query_map([], |row| {
        // Podman binds its documents as bytes, whatever the column says.
        let document = row.get_ref(1)?.as_bytes()?.to_vec();
        Ok((row.get(0)?, document))
    })?;
    rows.collect()
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
    for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        say(&mut items, [key], ItemValue::text(text));
    }
    say(&mut items, ["privileged"], ItemValue::Flag(container.privileged));
    say(&mut items, ["read_only"], ItemValue::Flag(container.spec.root.readonly));
    let binds = binds(container);
    if !binds.is_empty() {
        say(&mut items, ["binds"], ItemValue::Set(binds));
    }
    for (key, all) in [("command", &container.command), ("entrypoint", &container.entrypoint)] {
        if let Some(words) = all {
            say(&mut items, [key], ItemValue::List(words.iter().map(ItemValue::text).collect()));
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
    for pair in &container.spec.process.env {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // A container that is not told its name is called by its id.
        if name != "HOSTNAME" || value.is_empty() || !container.id.starts_with(value) {
            let key = ItemKey::of(["environment", name]);
            items.insert(key, RawItem::secret(ItemValue::text(value)));
        }
    }
    items
}

/// What of the host and which volumes it sees, but for what Podman makes for each container.
fn binds(container: &Container) -> BTreeSet<ItemValue> {
    let own = |mount: &&Mount| {
        mount.kind == "bind" && (container.id.is_empty() || !mount.source.contains(&container.id))
    };
    let mounts = container.spec.mounts.iter().filter(own).map(|mount| {
        let access = if mount.options.iter().any(|option| option == "ro") { ":ro" } else { "" };
        format!("{}:{}{access}", mount.source, mount.destination)
    });
    let volumes = &container.named_volumes;
    let volumes = volumes.iter().map(|volume| format!("{}:{}", volume.volume_name, volume.dest));
    mounts.chain(volumes).map(ItemValue::Text).collect()
}
