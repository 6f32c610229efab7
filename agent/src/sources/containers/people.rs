//! Who may run containers without root, and where those are kept (podman(1), "Rootless mode";
//! dockerd-rootless.sh(1)): below the home of an account, unless its owner chose another place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use driftline_protocol::limits;
use driftline_protocol::snapshot::Reason;

use crate::formats::lines::decode;
use crate::machine::Machine;

const PASSWD: &str = "/etc/passwd";

/// The most accounts whose homes are looked into.
pub(super) const PEOPLE: usize = 256;

/// An account with a home of its own.
pub(super) struct Person {
    name: String,
    home: PathBuf,
}

impl Person {
    /// The place of its parts, and the folder of its containers of Docker.
    pub(super) fn docker(&self) -> (String, PathBuf) {
        (format!("docker/~{}", self.name), self.home.join(".local/share/docker/containers"))
    }

    /// The place of its parts, and its storage of Podman.
    pub(super) fn podman(&self) -> (String, PathBuf) {
        (format!("podman/~{}", self.name), self.home.join(".local/share/containers/storage"))
    }
}

/// The accounts with a home.
#[derive(Default)]
pub(super) struct People {
    /// The first of them, in their order.
    pub(super) known: Vec<Person>,
    /// Whether there are more than are looked into.
    pub(super) more: bool,
}

/// Every account of this host with a home, services too: the first of each home, in their order.
///
/// # Errors
/// Why nobody knows who they are.
pub(super) fn all(machine: &Machine) -> Result<People, Reason> {
    let read = machine.read(Path::new(PASSWD), limits::FILE_BYTES)?;
    let Some(content) = read else { return Ok(People::default()) };
    let (mut people, mut homes) = (People::default(), BTreeSet::new());
    for line in decode(&content.bytes).lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(home)) = (fields.next(), fields.nth(4)) else { continue };
        let has_home = home.starts_with('/') && !home.trim_end_matches('/').is_empty();
        if has_home && homes.insert(home.to_owned()) {
            if people.known.len() == PEOPLE {
                people.more = true;
                break;
            }
            people.known.push(Person { name: name.to_owned(), home: PathBuf::from(home) });
        }
    }
    Ok(people)
}
