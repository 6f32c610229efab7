//! Containers that are meant to stay: their image and how they are run.
//!
//! A part for each container of Docker that has a restart policy, under its name, from the state
//! below `/var/lib/docker/containers`. Containers without one are jobs: they come and go all day
//! and are left out, and so is what differs each time one is made from the same words: ids,
//! addresses, times, whether it runs now. One that is made anew under its name from the same
//! image is the same. Values of the environment are secrets, whatever they are called. The
//! containers of Podman are told alike, from its database (`podman`). Those that accounts run
//! without root stand below each home that is listed in `/etc/passwd`, and are told as
//! `docker/~ACCOUNT/NAME` and `podman/~ACCOUNT/NAME`.
//!
//! Whatever stands below a home is written by whoever it belongs to, and may be meant to harm. So
//! `ACCOUNT` bounds what is read of one account, and beyond it only that account's place is
//! unobserved; its databases of SQLite are not opened at all.
//!
//! What `config.v2.json` says is all that Docker was told of a container, so Docker's other
//! databases (networks in `local-kv.db`) and containerd's `meta.db`, in which Docker's containers
//! stand once more, are not read. Containers that somebody runs by containerd alone, and pods of
//! Kubernetes, are not told: a cluster decides over them. Quadlets and units of Podman have no
//! restart policy of their own and are told by `files` and `services`. The command and its
//! arguments keep their order.

pub mod bolt;
mod people;
mod podman;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use driftline_protocol::canonical::scope_digest;
use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawItems, RawPart};
use driftline_protocol::snapshot::{Domain, Reading, Reason};
use serde::Deserialize;

use crate::formats::Malformed;
use crate::machine::Machine;
use crate::sources::look::{Look, Memory};
use crate::sources::table::say;
use crate::sources::{Carry, Manual, Sink, Source, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 3;

const DOCKER: &str = "/var/lib/docker/containers";

const FILES: [&str; 2] = ["config.v2.json", "hostconfig.json"];

/// How much is read at one place; beyond, it is unobserved as a whole.
#[derive(Clone, Copy)]
struct Bounds {
    /// The most containers.
    containers: usize,
    /// The largest file of a container, in bytes.
    file_bytes: u64,
    /// How many bytes all of them may have together.
    all_bytes: u64,
    /// Whether databases of SQLite are opened.
    opens_sqlite: bool,
}

/// What root runs.
const HOST: Bounds = Bounds {
    containers: 4_096,
    file_bytes: limits::FILE_BYTES,
    all_bytes: 1024 * 1024 * 1024,
    opens_sqlite: true,
};

/// What one account runs; its files are some 10 kB for each container.
const ACCOUNT: Bounds = Bounds {
    containers: 64,
    file_bytes: 256 * 1024,
    all_bytes: 8 * 1024 * 1024,
    opens_sqlite: false,
};

/// The source; see the page's head.
pub struct Containers {
    version: u32,
    memory: Memory,
    /// What the part of each folder is called; nothing for a job.
    named: BTreeMap<PathBuf, Option<PartName>>,
}

impl Containers {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default(), named: BTreeMap::new() }
    }
}

impl Default for Containers {
    fn default() -> Self {
        Self::new()
    }
}

/// `config.v2.json`, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
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
struct Host {
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
    cap_add: Option<Vec<String>>,
    cap_drop: Option<Vec<String>>,
    security_opt: Option<Vec<String>>,
    port_bindings: Option<BTreeMap<String, Option<Vec<Binding>>>>,
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

impl Source for Containers {
    fn name(&self) -> SourceName {
        source_name("containers")
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "`docker/NAME` and `podman/NAME` for each container of the host with a restart \
                policy, `docker/~ACCOUNT/NAME` and `podman/~ACCOUNT/NAME` for those that accounts \
                run without root. Jobs without a restart policy are left out, and so is what each \
                start makes anew. A place beyond its bounds is unobserved (an account: 64 \
                containers, 256 kB a file, 8 MB together), and so is Podman's of an account that \
                keeps it in SQLite (Podman 5 does), which is not opened",
            ordered: "the command and its arguments",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let database = |name| Path::new(podman::STORAGE).join(name);
        vec![DOCKER.into(), database(podman::SQLITE), database(podman::BOLT)]
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        let people = people::all(machine)?;
        let own = [(("docker".to_owned(), PathBuf::from(DOCKER)), HOST)];
        let theirs = people.known.iter().map(|person| (person.docker(), ACCOUNT));
        let mut all = BTreeMap::new();
        for ((place, path), bounds) in own.into_iter().chain(theirs) {
            match folders(machine, &path, bounds) {
                Err(reason) => sink.blind(&PartName::from_bytes(place.as_bytes()), reason),
                Ok(found) => {
                    all.extend(found.into_iter().map(|path| (path, (place.clone(), bounds))));
                }
            }
        }
        self.docker(all, (machine, sink));
        let own = [(("podman".to_owned(), PathBuf::from(podman::STORAGE)), HOST)];
        let theirs = people.known.iter().map(|person| (person.podman(), ACCOUNT));
        for ((place, storage), bounds) in own.into_iter().chain(theirs) {
            self.podman((&storage, &place), bounds, (machine, sink));
        }
        // Last, when what is known was said: of the rest nobody knows whose it is.
        if people.more {
            for place in ["docker", "podman"] {
                sink.blind(&PartName::from_bytes(place.as_bytes()), Reason::TooLarge);
            }
        }
        Ok(())
    }
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
    fn reading(&self, parser: &str) -> Reading {
        Reading { parser: parser.into(), version: self.version, scope: scope_digest([""; 0]) }
    }

    fn podman(
        &self,
        store: (&Path, &str),
        bounds: Bounds,
        (machine, sink): (&Machine, &mut dyn Sink),
    ) {
        match podman::parts(machine, store, bounds, &self.reading("podman")) {
            Err(reason) => {
                let place = PartName::from_bytes(store.1.as_bytes());
                sink.seen(place.clone(), RawPart::Unobserved(reason));
                sink.blind(&place, reason);
            }
            Ok(parts) => {
                for (name, part) in parts.unwrap_or_default() {
                    sink.seen(name, part);
                }
            }
        }
    }

    /// `folders` of containers, each with the place its part belongs to and the bounds there.
    fn docker(
        &mut self,
        folders: BTreeMap<PathBuf, (String, Bounds)>,
        (machine, sink): (&Machine, &mut dyn Sink),
    ) {
        let before = std::mem::take(&mut self.named);
        let mut said = BTreeSet::new();
        for (folder, (place, bounds)) in folders {
            let known = before.get(&folder).cloned().flatten();
            if let Some(name) = &known
                && self.memory.carry(name, machine, sink) == Carry::Carried
            {
                said.insert(name.clone());
                self.named.insert(folder, known);
                continue;
            }
            let mut look = Look::new(machine);
            let told = match self.container(&mut look, (&folder, &place, bounds), known.as_ref()) {
                Ok(told) => told,
                // Nobody knows its name, so it may be any.
                Err(reason) => {
                    sink.blind(&PartName::from_bytes(place.as_bytes()), reason);
                    continue;
                }
            };
            let name = told.as_ref().map(|(name, _)| name.clone());
            self.named.insert(folder, name);
            let Some((name, part)) = told else { continue };
            // Two folders of one name are one container that is being replaced.
            if said.insert(name.clone()) {
                self.memory.say((name, part), look, sink);
            }
        }
        self.memory.retain(|name| said.contains(name));
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

fn items(state: &State, host: &Host, restart: &str) -> RawItems {
    let mut items = RawItems::new();
    let texts = [
        ("image", state.config.image.as_str()),
        ("image_id", &state.image),
        ("user", &state.config.user),
        ("restart", restart),
        ("network", &host.network_mode),
        ("pid", &host.pid_mode),
    ];
    for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        say(&mut items, [key], ItemValue::text(text));
    }
    say(&mut items, ["privileged"], ItemValue::Flag(host.privileged));
    say(&mut items, ["read_only"], ItemValue::Flag(host.readonly_rootfs));
    if host.memory > 0 {
        say(&mut items, ["memory_bytes"], ItemValue::Integer(host.memory));
    }
    let sets = [
        ("binds", &host.binds),
        ("cap_add", &host.cap_add),
        ("cap_drop", &host.cap_drop),
        ("security_opt", &host.security_opt),
    ];
    for (key, all) in sets {
        let set: BTreeSet<_> = all.iter().flatten().map(ItemValue::text).collect();
        if !set.is_empty() {
            say(&mut items, [key], ItemValue::Set(set));
        }
    }
    for (key, all) in [("command", &state.config.cmd), ("entrypoint", &state.config.entrypoint)] {
        if let Some(words) = all {
            say(&mut items, [key], ItemValue::List(words.iter().map(ItemValue::text).collect()));
        }
    }
    for (port, bindings) in host.port_bindings.iter().flatten() {
        let bound = bindings.iter().flatten().map(|to| format!("{}:{}", to.ip, to.port));
        let bound = bound.map(ItemValue::Text).collect();
        say(&mut items, ["ports", port], ItemValue::Set(bound));
    }
    for pair in state.config.env.iter().flatten() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = ItemKey::of(["environment", name]);
        items.insert(key, RawItem::secret(ItemValue::text(value)));
    }
    items
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
