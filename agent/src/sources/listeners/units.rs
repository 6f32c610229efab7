//! Which unit a control group belongs to.
//!
//! The id of a control group is the inode of its directory in the unified hierarchy (cgroups(7)),
//! so one walk over that tree names all of them. The walk happens when the first id is asked for.
//! Below `user.slice` it goes no further than to the sessions, for in his own manager's group
//! anybody may make as many groups as he likes. What is not found is a person's where the socket
//! has the number of one. Any other may be a socket of the kernel (NFS, `WireGuard`) whose group
//! went away with the unit that opened it: nobody can tell the unit, but the host offers the port.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Reason;

use crate::machine::Machine;
use crate::platform::FileType;
use crate::sources::local_accounts;

/// Where the unified hierarchy is: alone, or beside those of version 1. The file tells.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
const MARK: &str = "cgroup.controllers";

/// Stands in every group but the root of the hierarchy (cgroups(7)): where it is in ours, we see a
/// part of the hierarchy, as in a container.
const NO_ROOT: &str = "cgroup.events";

/// Where the groups of people's sessions are.
const PEOPLE: &str = "user.slice";

/// How deep sessions stand, as `user.slice/user-1000.slice/session-3.scope`: systemd makes all
/// groups so far, and a person those below.
const SESSION_DEPTH: usize = 3;

/// The most groups of people that are looked at; logind has at most 8,192 sessions at once
/// (`SessionsMax=` of logind.conf(5)). They do not count among [`GROUPS`].
const SESSIONS: usize = 20_000;

/// The most control groups that are looked at; a busy container host has a few thousand.
const GROUPS: usize = 20_000;

/// The shortest run of hexadecimal digits that is taken for the id of a container or a run.
const ID_DIGITS: usize = 12;

/// The units of this machine's control groups.
pub(super) struct Units<'a> {
    machine: &'a Machine,
    groups: Option<Result<Groups, Reason>>,
    /// The most groups that are looked at.
    pub(super) most: usize,
}

/// The groups that were seen.
struct Groups {
    names: BTreeMap<u64, String>,
    /// Whether they are all there are, but for those of people.
    whole: bool,
}

/// What a group that is not found is told as.
const UNKNOWN: &str = "unknown";

impl<'a> Units<'a> {
    pub(super) fn new(machine: &'a Machine) -> Self {
        Self { machine, groups: None, most: GROUPS }
    }

    /// The unit of the control group `id`, of which the account with the number `owner` opened a
    /// socket; `None` where a person's session brought it.
    ///
    /// # Errors
    /// Why nobody knows whose it is; [`Reason::Unsupported`] where this host has no such groups.
    pub(super) fn unit(&mut self, id: u64, owner: u32) -> Result<Option<String>, Reason> {
        let groups = self.groups.get_or_insert_with(|| walk(self.machine, self.most));
        match groups {
            Ok(Groups { names, whole }) => match names.get(&id) {
                Some(unit) => Ok((!is_of_a_person(unit)).then(|| unit.clone())),
                None if *whole && is_of_people(self.machine, owner)? => Ok(None),
                // Gone, or hidden from us in a container.
                None => Ok(Some(UNKNOWN.to_owned())),
            },
            Err(reason) => Err(*reason),
        }
    }
}

/// Whether a unit is one that a person's session brings and takes away.
fn is_of_a_person(unit: &str) -> bool {
    unit.strip_prefix(PEOPLE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether `owner` is the number of a person and not of root or a service.
fn is_of_people(machine: &Machine, owner: u32) -> Result<bool, Reason> {
    Ok(owner != 0 && owner >= *local_accounts::people(machine)?.start())
}

fn walk(machine: &Machine, most: usize) -> Result<Groups, Reason> {
    let mut root = None;
    for place in ROOTS.map(Path::new) {
        if root.is_none() && machine.stat_followed(&place.join(MARK))?.is_some() {
            root = Some(place);
        }
    }
    let root = root.ok_or(Reason::Unsupported)?;
    let whole = machine.stat_followed(&root.join(NO_ROOT))?.is_none();
    let (mut names, mut sessions) = (BTreeMap::new(), 0);
    let mut waiting: Vec<PathBuf> = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let Some(directory) = machine.directory(&path)? else { continue };
        let inside = path.strip_prefix(root).unwrap_or(&path);
        names.insert(directory.own_stat()?.st_ino, unit(&inside.to_string_lossy()));
        if inside.starts_with(PEOPLE) && !mutant::active(Mutant::PeoplesGroupsAreWalked) {
            sessions += 1;
            if inside.iter().count() >= SESSION_DEPTH || sessions > SESSIONS {
                continue;
            }
        } else if names.len().saturating_sub(sessions) > most {
            return Err(Reason::TooLarge);
        }
        let entries = directory.entries()?.into_iter();
        let below = entries.filter(|entry| entry.kind == FileType::Directory);
        waiting.extend(below.map(|entry| path.join(&entry.name)));
    }
    Ok(Groups { names, whole })
}

/// The unit a path below the root speaks of: `system.slice/ssh.service` is `ssh.service`; what
/// stands below `user.slice` keeps that; ids of containers and of single runs become `*`.
pub(super) fn unit(path: &str) -> String {
    const KINDS: [&str; 4] = [".service", ".scope", ".socket", ".mount"];
    if path.is_empty() {
        return "/".to_owned();
    }
    let is_unit = |name: &&str| KINDS.iter().any(|kind| name.ends_with(kind));
    let name = path.split('/').find(is_unit);
    let person = if path.starts_with("user.slice/") { "user.slice/" } else { "" };
    format!("{person}{}", without_ids(name.unwrap_or(path)))
}

fn without_ids(name: &str) -> String {
    if let Some((_, kind)) = name.strip_prefix("run-").and_then(|rest| rest.rsplit_once('.')) {
        return format!("run-*.{kind}");
    }
    let mut text = String::new();
    let mut digits = String::new();
    for c in name.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() {
            digits.push(c);
            continue;
        }
        text.push_str(if digits.len() >= ID_DIGITS { "*" } else { &digits });
        digits.clear();
        if c != '\0' {
            text.push(c);
        }
    }
    text
}
