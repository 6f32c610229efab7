//! Which unit a control group belongs to.
//!
//! The id of a control group is the inode of its directory in the unified hierarchy (cgroups(7)),
//! so one walk over that tree names all of them. The walk happens when the first id is asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use driftline_protocol::snapshot::Reason;

use crate::machine::Machine;
use crate::platform::FileType;

/// Where the unified hierarchy is: alone, or beside those of version 1. The file tells.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
const MARK: &str = "cgroup.controllers";

/// The most control groups that are looked at; a busy container host has a few thousand.
const GROUPS: usize = 20_000;

/// The shortest run of hexadecimal digits that is taken for the id of a container or a run.
const ID_DIGITS: usize = 12;

/// The units of this machine's control groups.
pub(super) struct Units<'a> {
    machine: &'a Machine,
    names: Option<Result<BTreeMap<u64, String>, Reason>>,
}

impl<'a> Units<'a> {
    pub(super) fn new(machine: &'a Machine) -> Self {
        Self { machine, names: None }
    }

    /// The unit of the control group `id`.
    pub(super) fn unit(&mut self, id: u64) -> Result<String, Reason> {
        let names = self.names.get_or_insert_with(|| walk(self.machine));
        match names {
            // A group that is gone, or hidden from us in a container.
            Ok(names) => Ok(names.get(&id).cloned().unwrap_or_else(|| "unknown".to_owned())),
            Err(reason) => Err(*reason),
        }
    }
}

/// Whether a unit is one that a person's session brings and takes away.
pub(super) fn is_of_a_person(unit: &str) -> bool {
    unit.starts_with("user.slice/")
}

fn walk(machine: &Machine) -> Result<BTreeMap<u64, String>, Reason> {
    let mut root = None;
    for place in ROOTS.map(Path::new) {
        if root.is_none() && machine.stat_followed(&place.join(MARK))?.is_some() {
            root = Some(place);
        }
    }
    let root = root.ok_or(Reason::Unsupported)?;
    let mut names = BTreeMap::new();
    let mut waiting: Vec<PathBuf> = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let Some(directory) = machine.directory(&path)? else { continue };
        let inside = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        names.insert(directory.own_stat()?.st_ino, unit(&inside));
        if names.len() > GROUPS {
            return Err(Reason::TooLarge);
        }
        let entries = directory.entries()?.into_iter();
        let below = entries.filter(|entry| entry.kind == FileType::Directory);
        waiting.extend(below.map(|entry| path.join(&entry.name)));
    }
    Ok(names)
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
