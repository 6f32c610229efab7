//! Containers that are meant to stay: their image and how they are run.
//!
//! A part for each container of Docker that has a restart policy, under its name, from the state
//! below `/var/lib/docker/containers`. Containers without one are jobs: they come and go all day
//! and are left out, and so is what differs each time one is made from the same words: ids,
//! addresses, times, whether it runs now. One that is made anew under its name from the same
//! image is the same. Values of the environment are secrets, whatever they are called. The
//! containers of Podman are told alike, from its database (`podman`), and those that somebody runs
//! by containerd alone, from its own (`containerd`). Those that accounts run without root stand
//! below each home that is listed in `/etc/passwd`, and are told as `ENGINE/~ACCOUNT/NAME`.
//!
//! Whatever stands below a home is written by whoever it belongs to, and may be meant to harm. So
//! nothing there is read through a link out of it, and the home itself must belong to its account
//! or to root (see `local_accounts`). `ACCOUNT` bounds what is read of one account, and beyond it
//! only that account's place is unobserved; its databases of SQLite are not opened at all.
//!
//! What `config.v2.json` says is all that Docker was told of a container, so Docker's other
//! databases (networks in `local-kv.db`) are not read. Pods of Kubernetes are not told: a cluster
//! decides over them. Quadlets and units of Podman, and units that call containerd, have no
//! restart policy of their own and are told by `files` and `services`. The command and its
//! arguments keep their order.

pub mod any;
pub mod bolt;
mod containerd;
mod docker;
mod oci;
mod podman;
mod told;

use std::path::{Path, PathBuf};

use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::RawPart;
use driftline_protocol::snapshot::{Domain, Reading, Reason};

use crate::content::reading;
use crate::machine::Machine;
use crate::sources::local_accounts::{Homes, PASSWD, Who};
use crate::sources::look::Memory;
use crate::sources::{HOME_FILE_BYTES, Manual, Sink, Source, part_name, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 5;

/// What keeps containers; each names its places.
const ENGINES: [&str; 3] = ["docker", "podman", "containerd"];

/// Below what the engines of the host keep their folders, and below a home those of an account.
const HOST_DATA: &str = "/var/lib";
const HOME_DATA: &str = ".local/share";

/// The most homes that are looked into; each costs some ten looks that find nothing.
const HOMES: usize = 1_024;

/// The part that says why not all accounts are known.
const ACCOUNTS: &str = "accounts";

/// The longest document of a container that is read out of a database, in bytes.
const DOCUMENT_BYTES: u64 = 256 * 1024;

/// How much the documents of one database may have together, in bytes.
const DOCUMENTS_BYTES: u64 = 16 * 1024 * 1024;

/// The largest database of BoltDB that is read, in bytes: it is held in memory meanwhile.
const BOLT_BYTES: u64 = 16 * 1024 * 1024;

/// How much is read at one place; beyond, it is unobserved as a whole.
#[derive(Clone, Copy)]
struct Bounds {
    /// The most containers.
    containers: usize,
    /// The largest file of a container, in bytes.
    file_bytes: u64,
    /// How many bytes all of them may have together.
    all_bytes: u64,
    /// How many pages and keys of one database of BoltDB are looked at. A container takes some
    /// thirty, and a million some 0.1 s in a build for tests.
    steps: usize,
    /// Whether databases of SQLite are opened.
    opens_sqlite: bool,
}

/// What root runs.
const HOST: Bounds = Bounds {
    containers: 4_096,
    file_bytes: limits::FILE_BYTES,
    all_bytes: 1024 * 1024 * 1024,
    steps: 1 << 20,
    opens_sqlite: true,
};

/// What one account runs; its files are some 10 kB for each container.
const ACCOUNT: Bounds = Bounds {
    containers: 64,
    file_bytes: HOME_FILE_BYTES,
    all_bytes: 8 * 1024 * 1024,
    steps: 1 << 16,
    opens_sqlite: false,
};

/// How much of the documents of one database may still come.
#[derive(Debug)]
struct Room {
    containers: usize,
    bytes: u64,
}

impl Room {
    fn within(bounds: Bounds) -> Self {
        let bytes = bounds.all_bytes.min(DOCUMENTS_BYTES);
        Self { containers: bounds.containers, bytes }
    }

    /// Takes the room of one container whose document has so many bytes.
    fn take(&mut self, length: usize) -> Result<(), Reason> {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        let containers = self.containers.checked_sub(1);
        let bytes = self.bytes.checked_sub(length).filter(|_| length <= DOCUMENT_BYTES);
        (self.containers, self.bytes) = containers.zip(bytes).ok_or(Reason::TooLarge)?;
        Ok(())
    }
}

/// Whose containers are read.
struct Owner<'a> {
    /// What is looked at: of an account, nothing but its home.
    machine: &'a Machine,
    /// The account; nothing for the host itself.
    account: Option<&'a str>,
    /// Below what the engines keep their folders.
    data: PathBuf,
    bounds: Bounds,
}

impl Owner<'_> {
    /// Where its parts of `engine` stand.
    fn place(&self, engine: &str) -> String {
        place(engine, self.account)
    }
}

fn place(engine: &str, account: Option<&str>) -> String {
    account.map_or_else(|| engine.to_owned(), |account| format!("{engine}/~{account}"))
}

/// The source; see the page's head.
pub struct Containers {
    version: u32,
    memory: Memory,
    named: docker::Named,
    /// Who may have containers, as of the last pass.
    homes: Homes,
}

impl Containers {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        let memory = Memory::default();
        Self { version: VERSION, memory, named: docker::Named::new(), homes: Homes::default() }
    }
}

impl Default for Containers {
    fn default() -> Self {
        Self::new()
    }
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
            parts: "`docker/NAME`, `podman/NAME` and `containerd/NAMESPACE/NAME` for each \
                container of the host with a restart policy, `docker/~ACCOUNT/NAME` and its like \
                for those that accounts run without root. Jobs without a restart policy are left \
                out, and so are pods of Kubernetes and what each start makes anew. A place beyond \
                its bounds is unobserved (an account: 64 containers, 256 kB a file, 8 MB \
                together), so is a folder that a link leads out of its home, so is a home that \
                belongs neither to its account nor to root (nor is root's taken behind a link \
                that somebody else could have put there), and so is Podman's \
                of an account that keeps it in SQLite (Podman 5 does), which is not opened. Of two \
                containers with one name in a namespace of containerd the older has it, the other \
                is `NAME/ID`. \
                `accounts` is unobserved where `/etc/passwd` cannot be read, has a malformed line \
                or more than 1,024 homes: what was known of accounts that this may hide is \
                unobserved, too",
            ordered: "the command and its arguments",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let (host, passwd) = (Path::new(HOST_DATA), PathBuf::from(PASSWD));
        // A database of accounts is not opened, so that nothing beside it matters.
        let journals = podman::JOURNALS.map(|name| host.join(podman::FOLDER).join(name));
        places(host).into_iter().chain(journals).chain([passwd]).collect()
    }

    fn watched_alone(&self) -> Vec<PathBuf> {
        let places = self.homes.known.iter().flat_map(|home| places(&home.path.join(HOME_DATA)));
        let host = Path::new(HOST_DATA).join(docker::FOLDER);
        let folders = self.named.keys().filter(|folder| !folder.starts_with(&host));
        places.chain(folders.cloned()).collect()
    }

    fn covers(&self, part: &PartName) -> bool {
        let account = part.as_str().split('/').nth(1).and_then(|place| place.strip_prefix('~'));
        account.is_none_or(|account| self.homes.covers(account))
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        let mut pass = docker::Pass::after(std::mem::take(&mut self.named));
        let data = PathBuf::from(HOST_DATA);
        self.all_of(&Owner { machine, account: None, data, bounds: HOST }, &mut pass, sink);
        let homes = Homes::read(machine, &Who::OncePerHome, HOMES);
        for home in &homes.known {
            let account = Some(home.name.as_str());
            match home.fence(machine) {
                Ok(None) => {}
                Ok(Some(machine)) => {
                    let data = home.path.join(HOME_DATA);
                    let owner = Owner { machine: &machine, account, data, bounds: ACCOUNT };
                    self.all_of(&owner, &mut pass, sink);
                }
                Err(reason) => {
                    let places = ENGINES.map(|engine| place(engine, account));
                    places.iter().for_each(|place| blind(place, reason, sink));
                }
            }
        }
        self.named = pass.named;
        self.memory.retain(|name| pass.said.contains(name));
        if let Some(reason) = homes.unknown() {
            sink.seen(part_name(ACCOUNTS), RawPart::Unobserved(reason));
        }
        self.homes = homes;
        Ok(())
    }
}

/// What the engines write below `data`.
fn places(data: &Path) -> [PathBuf; 4] {
    let storage = data.join(podman::FOLDER);
    [
        data.join(docker::FOLDER),
        storage.join(podman::SQLITE),
        storage.join(podman::BOLT),
        data.join(containerd::DATABASE),
    ]
}

fn blind(place: &str, reason: Reason, sink: &mut dyn Sink) {
    sink.blind(&PartName::from_bytes(place.as_bytes()), reason);
}

impl Containers {
    fn reading(&self, parser: &str) -> Reading {
        reading(parser, self.version)
    }

    /// Says the containers of `owner`, engine by engine.
    fn all_of(&mut self, owner: &Owner<'_>, pass: &mut docker::Pass, sink: &mut dyn Sink) {
        self.docker(owner, pass, sink);
        let mut say = |name, part| {
            sink.seen(name, part);
        };
        let podman = podman::parts(owner, &self.reading("podman"), &mut say);
        let containerd = containerd::parts(owner, &self.reading("containerd"), &mut say);
        say_rest(&owner.place("podman"), podman, sink);
        say_rest(&owner.place("containerd"), containerd, sink);
    }
}

/// Says what is not known of a database, whose parts stand at `place`: nothing of it, or a
/// container whose name nobody knows, so that it may be any.
fn say_rest(place: &str, told: Result<Option<Reason>, Reason>, sink: &mut dyn Sink) {
    match told {
        Err(reason) => {
            sink.seen(PartName::from_bytes(place.as_bytes()), RawPart::Unobserved(reason));
            blind(place, reason, sink);
        }
        Ok(Some(reason)) if !mutant::active(Mutant::NamelessContainersAreGone) => {
            blind(place, reason, sink);
        }
        Ok(_) => {}
    }
}

#[cfg(test)]
#[cfg(unix)]
mod oracle;

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
