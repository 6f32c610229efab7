//! What systemd is told to run: every unit with its drop-ins and its enablement resolved.
//!
//! One part a unit, from the search path of the system manager (systemd.unit(5), "Unit File Load
//! Path"): the first fragment, then the drop-ins in the order systemd reads them. Items are
//! `Section/Key`, and `enablement`, `fragment`, `drop_ins`, `alias`, `wanted_by`, `instances`
//! beside them. It does not know what *runs*, and it leaves out what generators and the manager
//! itself write below `/run`, since that follows from other files.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawItems, RawPart};
use driftline_protocol::snapshot::{Domain, Reason};

use crate::content::reading;
use crate::formats::Malformed;
use crate::formats::systemd::{self, Settings};
use crate::machine::Machine;
use crate::sources::look::{Look, Memory};
use crate::sources::{Carry, Manual, Sink, Source, source_name};

mod enablement;
mod index;

use index::{Index, Unit};

/// Raised whenever the same files give other items.
const VERSION: u32 = 3;

/// The source; see the page's head.
pub struct Services {
    version: u32,
    memory: Memory,
    /// What the folders said of each unit in the last pass: which files, which links.
    listed: BTreeMap<PartName, u64>,
}

impl Services {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default(), listed: BTreeMap::new() }
    }
}

impl Default for Services {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for Services {
    fn name(&self) -> SourceName {
        source_name("services")
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "each unit on the search path of systemd, such as `ssh.service`, with its \
                drop-ins",
            ordered: "`drop_ins`, as they are applied; commands, conditions, filters and \
                listeners",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        index::SEARCH_PATH.iter().map(PathBuf::from).collect()
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        let index = Index::read(machine)?;
        let mut listed = BTreeMap::new();
        for unit in index.units.values() {
            let name = PartName::from_bytes(unit.name.as_bytes());
            let listing = hash(&index.concerning(unit));
            let is_listed_alike = self.listed.get(&name) == Some(&listing);
            listed.insert(name.clone(), listing);
            if is_listed_alike && self.memory.carry(&name, machine, sink) == Carry::Carried {
                continue;
            }
            let mut look = Look::new(machine);
            let part = match self.unit(&mut look, &index, unit) {
                Ok(part) => part,
                Err(reason) => RawPart::Unobserved(reason),
            };
            self.memory.say((name, part), look, sink);
        }
        self.memory.retain(|name| listed.contains_key(name));
        self.listed = listed;
        Ok(())
    }
}

impl Services {
    fn unit(&self, look: &mut Look<'_>, index: &Index, unit: &Unit) -> Result<RawPart, Reason> {
        let reading = reading("systemd_unit", self.version);
        let text = |text: &str| ItemValue::text(text);
        let mut items = RawItems::new();
        let mut say = |key: &str, value: ItemValue| {
            items.insert(ItemKey::of([key]), RawItem::plain(value));
        };
        say("fragment", text(&unit.path.to_string_lossy()));
        if let Some(alias) = unit.alias() {
            // As systemctl says it: another name of nothing is bad.
            look.rely(&unit.path)?;
            let leads = look.machine().stat_followed(&unit.path)?.is_some();
            say("enablement", text(if leads { "alias" } else { "bad" }));
            say("alias", text(alias));
            return Ok(look.part(reading, Ok(items)));
        }
        let Loaded { settings, drop_ins, is_empty } = load(look, index, unit)?;
        let settings = match settings {
            Ok(settings) => settings,
            Err(malformed) => return Ok(look.part(reading, Err(malformed))),
        };
        let masked = is_empty.then(|| enablement::masked(unit));
        let state = masked.unwrap_or_else(|| enablement::state(index, unit, &settings));
        say("enablement", text(state));
        let names = |names: Vec<String>| names.into_iter().map(ItemValue::Text);
        for (key, found) in [
            ("wanted_by", enablement::wanted_by(index, unit)),
            ("instances", enablement::instances(index, unit)),
        ] {
            if !found.is_empty() {
                say(key, ItemValue::Set(names(found).collect()));
            }
        }
        if !drop_ins.is_empty() {
            say("drop_ins", ItemValue::List(names(drop_ins).collect()));
        }
        items.extend(settings.items());
        Ok(look.part(reading, Ok(items)))
    }
}

/// What the files of one unit say together.
struct Loaded {
    settings: Result<Settings, Malformed>,
    drop_ins: Vec<String>,
    /// Whether the fragment is empty or a link to `/dev/null`, which masks the unit.
    is_empty: bool,
}

fn load(look: &mut Look<'_>, index: &Index, unit: &Unit) -> Result<Loaded, Reason> {
    let mut settings = Ok(Settings::default());
    if unit.is_null() {
        return Ok(Loaded { settings, drop_ins: Vec::new(), is_empty: true });
    }
    let Some(fragment) = look.read(&unit.path, limits::FILE_BYTES)? else {
        // A link to nothing, or a file that went between listing and reading: not a unit systemd
        // could load.
        return Err(Reason::Failed);
    };
    if fragment.bytes.is_empty() {
        return Ok(Loaded { settings, drop_ins: Vec::new(), is_empty: true });
    }
    add(&mut settings, &fragment.bytes);
    let mut drop_ins = Vec::new();
    for path in index.drop_ins(unit)? {
        if is_null(look, &path)? {
            continue;
        }
        if let Some(content) = look.read(&path, limits::FILE_BYTES)? {
            add(&mut settings, &content.bytes);
            drop_ins.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(Loaded { settings, drop_ins, is_empty: false })
}

fn add(settings: &mut Result<Settings, Malformed>, bytes: &[u8]) {
    let Ok(sum) = settings else { return };
    match systemd::assignments(bytes) {
        Ok(assignments) => sum.add(assignments),
        Err(malformed) => *settings = Err(malformed),
    }
}

/// Whether a drop-in is masked by a link to `/dev/null`.
fn is_null(look: &Look<'_>, path: &Path) -> Result<bool, Reason> {
    Ok(look.link_target(path)?.is_some_and(|target| target == b"/dev/null"))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
