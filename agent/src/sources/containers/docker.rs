//! Containers of Docker, from what it keeps of each: `config.v2.json`, all that it was told of the
//! container, and `hostconfig.json`, how that meets the host (daemon/container of moby).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use driftline_protocol::ids::PartName;
use driftline_protocol::item::ItemValue;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItems, RawPart};
use driftline_protocol::snapshot::Reason;
use serde::Deserialize;

use super::{Bounds, Containers, Owner, blind, told};
use crate::formats::Malformed;
use crate::machine::Machine;
use crate::sources::look::Look;
use crate::sources::table::say;
use crate::sources::{Carry, Sink};

/// The folder of the containers below that of their owner.
pub(super) const FOLDER: &str = "docker/containers";

pub(super) const FILES: [&str; 2] = ["config.v2.json", "hostconfig.json"];

/// What the part of each folder is called; nothing for a job.
pub(super) type Named = BTreeMap<PathBuf, Option<PartName>>;

/// What one pass has said of Docker's folders, and what the one before knew.
pub(super) struct Pass {
    before: Named,
    pub(super) named: Named,
    pub(super) said: BTreeSet<PartName>,
}

impl Pass {
    /// A pass that begins, after one that knew these.
    pub(super) fn after(before: Named) -> Self {
        Self { before, named: Named::new(), said: BTreeSet::new() }
    }
}

/// `config.v2.json`, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct State {
    name: String,
    #[serde(default)]
    image: String,
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    image: String,
    #[serde(default)]
    user: String,
    cmd: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    env: Option<Vec<String>>,
}

/// `hostconfig.json`, likewise.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Host {
    restart_policy: Option<Restart>,
    #[serde(default)]
    privileged: bool,
    #[serde(default)]
    readonly_rootfs: bool,
    #[serde(default)]
    network_mode: String,
    #[serde(default)]
    pid_mode: String,
    #[serde(default)]
    memory: i64,
    binds: Option<Vec<String>>,
    mounts: Option<Vec<Mount>>,
    cap_add: Option<Vec<String>>,
    cap_drop: Option<Vec<String>>,
    security_opt: Option<Vec<String>>,
    port_bindings: Option<BTreeMap<String, Option<Vec<Binding>>>>,
}

/// What `--mount` and the long form of Compose say, where `--volume` says a bind.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mount {
    #[serde(default, rename = "Type")]
    kind: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    target: String,
    #[serde(default)]
    read_only: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Restart {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Binding {
    #[serde(default, rename = "HostIp")]
    ip: String,
    #[serde(default, rename = "HostPort")]
    port: String,
}

/// The folders of the containers of Docker below `path`.
///
/// # Errors
/// Why nobody knows them; [`Reason::TooLarge`] beyond `bounds`, before anything of them is read.
fn folders(machine: &Machine, path: &Path, bounds: Bounds) -> Result<Vec<PathBuf>, Reason> {
    let entries = machine.entries(path)?.unwrap_or_default();
    if entries.len() > bounds.containers {
        return Err(Reason::TooLarge);
    }
    let folders: Vec<_> = entries.into_iter().map(|entry| path.join(entry.name)).collect();
    let files = folders.iter().flat_map(|folder| FILES.map(|file| folder.join(file)));
    // Why one cannot be looked at is told where it is read.
    let stats = files.filter_map(|file| machine.stat_followed(&file).ok().flatten());
    let bytes = stats.fold(0, |sum: u64, stat| sum.saturating_add(stat.st_size.unsigned_abs()));
    if bytes > bounds.all_bytes { Err(Reason::TooLarge) } else { Ok(folders) }
}

impl Containers {
    /// Says the containers of Docker that `owner` has.
    pub(super) fn docker(&mut self, owner: &Owner<'_>, pass: &mut Pass, sink: &mut dyn Sink) {
        let place = owner.place("docker");
        let folders = match folders(owner.machine, &owner.data.join(FOLDER), owner.bounds) {
            Ok(folders) => folders,
            Err(reason) => return blind(&place, reason, sink),
        };
        for folder in folders {
            let known = pass.before.get(&folder).cloned().flatten();
            if let Some(name) = &known
                && self.memory.carry(name, owner.machine, sink) == Carry::Carried
            {
                pass.said.insert(name.clone());
                pass.named.insert(folder, known);
                continue;
            }
            let mut look = Look::of_people(owner.machine);
            let of = (folder.as_path(), place.as_str(), owner.bounds);
            let told = match self.container(&mut look, of, known.as_ref()) {
                Ok(told) => told,
                // Nobody knows its name, so it may be any.
                Err(reason) => {
                    blind(&place, reason, sink);
                    continue;
                }
            };
            let name = told.as_ref().map(|(name, _)| name.clone());
            pass.named.insert(folder, name);
            let Some((name, part)) = told else { continue };
            // Two folders of one name are one container that is being replaced.
            if pass.said.insert(name.clone()) {
                self.memory.say((name, part), look, sink);
            }
        }
    }

    /// The part of the container in `folder`; nothing for a job. One that does not parse keeps the
    /// name under which it was `known`.
    fn container(
        &self,
        look: &mut Look<'_>,
        (folder, place, bounds): (&Path, &str, Bounds),
        known: Option<&PartName>,
    ) -> Result<Option<(PartName, RawPart)>, Reason> {
        let [state, host] = FILES.map(|file| folder.join(file));
        let state = look.read(&state, bounds.file_bytes)?;
        let host = look.read(&host, bounds.file_bytes)?;
        let (Some(state), Some(host)) = (state, host) else { return Ok(None) };
        let reading = self.reading("docker");
        let malformed = |error: serde_json::Error| {
            let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
            Err(Malformed { line, what: "no state of a container" })
        };
        let state = match (serde_json::from_slice::<State>(&state.bytes), known) {
            (Ok(state), _) => state,
            (Err(error), Some(name)) => {
                return Ok(Some((name.clone(), look.part(reading, malformed(error)))));
            }
            (Err(_), None) => return Err(Reason::Malformed),
        };
        let name = format!("{place}/{}", state.name.trim_start_matches('/'));
        let name = PartName::from_bytes(name.as_bytes());
        let host = match serde_json::from_slice::<Host>(&host.bytes) {
            Ok(host) => host,
            Err(error) => return Ok(Some((name, look.part(reading, malformed(error))))),
        };
        // The bytes hold ids, addresses and times.
        look.without_bytes();
        let restart = host.restart_policy.as_ref().map_or("", |policy| policy.name.as_str());
        let is_job = matches!(restart, "" | "no");
        if is_job && !mutant::active(Mutant::JobsAreContainers) {
            return Ok(None);
        }
        let items = items(&state, &host, restart);
        Ok(Some((name, look.part(reading, Ok(items)))))
    }
}

impl Mount {
    /// As a bind of `--volume`; nothing for a file system in memory, and for a volume whose name is
    /// made up.
    fn bind(&self) -> Option<String> {
        let is_told = matches!(self.kind.as_str(), "bind" | "volume") && !self.source.is_empty();
        let access = if self.read_only { ":ro" } else { "" };
        is_told.then(|| format!("{}:{}{access}", self.source, self.target))
    }
}

pub(super) fn items(state: &State, host: &Host, restart: &str) -> RawItems {
    let mut items = RawItems::new();
    let texts = [
        ("image", state.config.image.as_str()),
        ("image_id", &state.image),
        ("user", &state.config.user),
        ("restart", restart),
        ("network", &host.network_mode),
        ("pid", &host.pid_mode),
    ];
    told::texts(&mut items, texts);
    say(&mut items, ["privileged"], ItemValue::Flag(host.privileged));
    say(&mut items, ["read_only"], ItemValue::Flag(host.readonly_rootfs));
    if host.memory > 0 {
        say(&mut items, ["memory_bytes"], ItemValue::Integer(host.memory));
    }
    let texts = |all: &Option<Vec<String>>| -> BTreeSet<_> {
        all.iter().flatten().map(ItemValue::text).collect()
    };
    let mut binds = texts(&host.binds);
    binds.extend(host.mounts.iter().flatten().filter_map(Mount::bind).map(ItemValue::Text));
    let sets = [
        ("binds", binds),
        ("cap_add", texts(&host.cap_add)),
        ("cap_drop", texts(&host.cap_drop)),
        ("security_opt", texts(&host.security_opt)),
    ];
    told::sets(&mut items, sets);
    for (key, all) in [("command", &state.config.cmd), ("entrypoint", &state.config.entrypoint)] {
        if let Some(words) = all {
            told::words(&mut items, key, words);
        }
    }
    for (port, bindings) in host.port_bindings.iter().flatten() {
        let address = |to: &Binding| {
            let ip =
                if mutant::active(Mutant::PortsAreBoundEverywhere) { "" } else { to.ip.as_str() };
            format!("{ip}:{}", to.port)
        };
        let bound = bindings.iter().flatten().map(address);
        let bound = bound.map(ItemValue::Text).collect();
        say(&mut items, ["ports", port], ItemValue::Set(bound));
    }
    // Docker writes no name there that nobody gave.
    told::environment(&mut items, state.config.env.as_deref().unwrap_or_default(), b"");
    items
}
