//! Who may run containers without root, and where those are kept (podman(1), "Rootless mode";
//! dockerd-rootless.sh(1)): below the home of an account, unless its owner chose another place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::PartName;
use driftline_protocol::limits;
use driftline_protocol::snapshot::Reason;

use crate::formats::lines::decode;
use crate::machine::Machine;

const PASSWD: &str = "/etc/passwd";

/// The most accounts whose homes are looked into; each costs some ten looks that find nothing.
pub(super) const PEOPLE: usize = 1_024;

/// An account with a home of its own.
pub(super) struct Person {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) home: PathBuf,
    /// Whether a link on the way to it is root's word: not where it lies in the home of another
    /// account, who may put there what it likes.
    pub(super) may_be_linked: bool,
}

/// The accounts with a home.
#[derive(Default)]
pub(super) struct People {
    /// The first of them, in their order.
    pub(super) known: Vec<Person>,
    /// What the parts of all others are called: `~ACCOUNT`. They are not looked into.
    pub(super) unread: BTreeSet<String>,
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
        let (Some(name), Some(uid)) = (fields.next(), fields.nth(1)) else { continue };
        // What has no number is no account to anybody.
        let (Ok(uid), Some(home)) = (uid.parse(), fields.nth(2)) else { continue };
        let has_home = home.starts_with('/') && !home.trim_end_matches('/').is_empty();
        if !has_home || !homes.insert(PathBuf::from(home)) {
            continue;
        }
        if people.known.len() < PEOPLE {
            let (name, home) = (name.to_owned(), PathBuf::from(home));
            people.known.push(Person { name, uid, home, may_be_linked: true });
        } else {
            let named = PartName::from_bytes(format!("~{name}").as_bytes());
            people.unread.insert(named.as_str().to_owned());
        }
    }
    for person in &mut people.known {
        person.may_be_linked = !person.home.ancestors().skip(1).any(|home| homes.contains(home));
    }
    Ok(people)
}
