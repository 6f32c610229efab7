//! What the folders of systemd list: unit files, drop-in folders and links, before any file is
//! read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Reason;

use crate::machine::Machine;

/// Where the system manager looks for units, first wins (systemd.unit(5), table 1), without what
/// generators and the manager write (`generator*`, `transient`). `/lib` is a link to `/usr/lib` on
/// a merged host.
pub(super) const SEARCH_PATH: &[&str] = &[
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    PERSISTENT,
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Where `systemctl enable` makes its links.
pub(super) const PERSISTENT: &str = "/etc/systemd/system";

const TYPES: &[&str] = &[
    "automount",
    "device",
    "mount",
    "path",
    "scope",
    "service",
    "slice",
    "socket",
    "swap",
    "target",
    "timer",
];

/// Everything the folders list.
pub(super) struct Index {
    /// The units by name, each by the fragment that wins.
    pub(super) units: BTreeMap<String, Unit>,
    /// Every link or file in a folder such as `multi-user.target.wants`.
    pub(super) links: Vec<Link>,
    /// Every link that stands directly in a folder of the search path.
    pub(super) top_links: Vec<TopLink>,
    /// Drop-in files by the name before `.d`, in the order of the search path.
    drop_ins: BTreeMap<String, Vec<DropIns>>,
    /// Places in `links` by the unit they enable: hundreds of units would search thousands of
    /// links each.
    links_of: BTreeMap<String, Vec<usize>>,
    /// Places in `top_links` by the unit they lead to.
    top_links_to: BTreeMap<String, Vec<usize>>,
    /// Places in `top_links` by their own name.
    top_links_named: BTreeMap<String, Vec<usize>>,
}

/// One unit.
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Which folder of the search path it stands in.
    pub(super) folder: &'static str,
    pub(super) target: Option<String>,
}

/// A name in a folder of dependencies.
#[derive(Hash)]
pub(super) struct Link {
    pub(super) folder: &'static str,
    /// Such as `multi-user.target.wants`.
    pub(super) from: String,
    pub(super) name: String,
}

/// A link directly in the search path: an alias, or a unit linked from elsewhere.
#[derive(Hash)]
pub(super) struct TopLink {
    pub(super) folder: &'static str,
    pub(super) name: String,
    pub(super) target: String,
}

#[derive(Clone, Hash)]
struct DropIns {
    folder: &'static str,
    /// The paths of the files in it, or why they could not be listed.
    files: Result<Vec<PathBuf>, &'static str>,
    denied: bool,
}

impl Index {
    /// Lists every folder; a folder that cannot be listed may hold anything, so nothing can be said
    /// then.
    pub(super) fn read(machine: &Machine) -> Result<Self, Reason> {
        let mut index = Self {
            units: BTreeMap::new(),
            links: Vec::new(),
            top_links: Vec::new(),
            drop_ins: BTreeMap::new(),
            links_of: BTreeMap::new(),
            top_links_to: BTreeMap::new(),
            top_links_named: BTreeMap::new(),
        };
        let mut known = BTreeSet::new();
        for folder in SEARCH_PATH {
            let Some(stat) = machine.stat_followed(Path::new(folder))? else { continue };
            if known.insert((stat.st_dev, stat.st_ino)) {
                index.folder(machine, folder)?;
            }
        }
        index.find_once();
        Ok(index)
    }

    fn find_once(&mut self) {
        for (place, link) in self.links.iter().enumerate() {
            for name in [Some(link.name.clone()), template(&link.name)].into_iter().flatten() {
                self.links_of.entry(name).or_default().push(place);
            }
        }
        for (place, link) in self.top_links.iter().enumerate() {
            let target = base_name(&link.target).to_owned();
            self.top_links_to.entry(target).or_default().push(place);
            self.top_links_named.entry(link.name.clone()).or_default().push(place);
        }
    }

    /// The links that enable the unit or an instance of it, in the order they were listed.
    pub(super) fn links_of(&self, unit: &Unit) -> impl Iterator<Item = &Link> {
        let places = self.links_of.get(&unit.name).into_iter().flatten();
        places.filter_map(|place| self.links.get(*place))
    }

    /// The links of the search path that lead to the unit, in the order they were listed.
    pub(super) fn top_links_to(&self, unit: &Unit) -> impl Iterator<Item = &TopLink> {
        let places = self.top_links_to.get(&unit.name).into_iter().flatten();
        places.filter_map(|place| self.top_links.get(*place))
    }

    /// All that the listings say about one unit; where it is equal, only file contents can differ.
    pub(super) fn concerning<'a>(&'a self, unit: &'a Unit) -> impl std::hash::Hash + use<'a> {
        let links: Vec<&Link> = self.links_of(unit).collect();
        let named = self.top_links_named.get(&unit.name).into_iter().flatten();
        let named = named.filter_map(|place| self.top_links.get(*place));
        let top: Vec<&TopLink> = self.top_links_to(unit).chain(named).collect();
        let drop_ins: Vec<_> =
            self.names(unit).iter().map(|name| self.drop_ins.get(name)).collect::<Vec<_>>();
        (&unit.path, &unit.target, links, top, drop_ins)
    }

    /// The drop-ins of a unit in the order they are read: by file name, the first folder of a name
    /// winning.
    pub(super) fn drop_ins(&self, unit: &Unit) -> Result<Vec<PathBuf>, Reason> {
        let mut by_name: BTreeMap<&std::ffi::OsStr, &PathBuf> = BTreeMap::new();
        let names = self.names(unit);
        let (own, kind) = names.split_at(names.len().saturating_sub(1));
        // Folder first, then how specific the name is; the unit's type comes after everything else.
        let own = SEARCH_PATH.iter().flat_map(|folder| own.iter().map(move |name| (folder, name)));
        let kind =
            SEARCH_PATH.iter().flat_map(|folder| kind.iter().map(move |name| (folder, name)));
        for (folder, name) in own.chain(kind) {
            let found = self.drop_ins.get(name).into_iter().flatten();
            for drop_ins in found.filter(|drop_ins| drop_ins.folder == *folder) {
                let Ok(files) = &drop_ins.files else {
                    return Err(if drop_ins.denied { Reason::Denied } else { Reason::Failed });
                };
                for file in files {
                    if let Some(name) = file.file_name() {
                        by_name.entry(name).or_insert(file);
                    }
                }
            }
        }
        let mut files: Vec<PathBuf> = by_name.into_values().cloned().collect();
        if mutant::active(Mutant::DropInsCountBackwards) {
            files.reverse();
        }
        Ok(files)
    }

    /// The names whose `.d` folders apply to a unit, most specific first, its type last.
    fn names(&self, unit: &Unit) -> Vec<String> {
        let mut names = with_prefixes(&unit.name);
        names.extend(
            self.top_links_to(unit)
                .filter(|link| link.name != unit.name)
                .flat_map(|link| with_prefixes(&link.name)),
        );
        names.push(kind(&unit.name).to_owned());
        names
    }

    fn folder(&mut self, machine: &Machine, folder: &'static str) -> Result<(), Reason> {
        for entry in machine.entries(Path::new(folder))?.unwrap_or_default() {
            let Some(name) = entry.name.to_str() else { continue };
            let path = Path::new(folder).join(name);
            if let Some(unit) = name.strip_suffix(".d") {
                let drop_ins = drop_ins(machine, folder, &path);
                self.drop_ins.entry(unit.to_owned()).or_default().push(drop_ins);
            } else if name.ends_with(".wants")
                || name.ends_with(".requires")
                || name.ends_with(".upholds")
            {
                for link in machine.entries(&path)?.unwrap_or_default() {
                    let Some(link) = link.name.to_str() else { continue };
                    self.links.push(Link { folder, from: name.to_owned(), name: link.to_owned() });
                }
            } else if TYPES.contains(&kind(name)) {
                self.unit(machine, folder, name)?;
            }
        }
        Ok(())
    }

    fn unit(&mut self, machine: &Machine, folder: &'static str, name: &str) -> Result<(), Reason> {
        let path = Path::new(folder).join(name);
        let target = machine.link_target(&path)?;
        let target = target.map(|target| String::from_utf8_lossy(&target).into_owned());
        if let Some(target) = &target {
            let link = TopLink { folder, name: name.to_owned(), target: target.clone() };
            self.top_links.push(link);
        }
        let unit = Unit { name: name.to_owned(), path, folder, target };
        self.units.entry(name.to_owned()).or_insert(unit);
        Ok(())
    }
}

impl Unit {
    /// Whether it is a link to `/dev/null`.
    pub(super) fn is_null(&self) -> bool {
        self.target.as_deref() == Some("/dev/null")
    }

    /// The unit it is another name of, if it is a link to a file of another name.
    pub(super) fn alias(&self) -> Option<&str> {
        let target = base_name(self.target.as_deref().filter(|_| !self.is_null())?);
        (target != self.name).then_some(target)
    }
}

fn drop_ins(machine: &Machine, folder: &'static str, path: &Path) -> DropIns {
    let listed = machine.entries(path);
    let denied = listed == Err(Reason::Denied);
    let files = listed.map_err(Reason::as_str).map(|entries| {
        let names = entries.into_iter().flatten().map(|entry| entry.name);
        let shown = names.filter(|name| {
            name.to_str().is_some_and(|name| name.ends_with(".conf") && !name.starts_with('.'))
        });
        shown.map(|name| path.join(name)).collect()
    });
    DropIns { folder, files, denied }
}

/// A name and the names with its dashed prefixes: `a-b.service`, `a-.service`; an instance's
/// template as well.
fn with_prefixes(name: &str) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    if let Some(template) = template(name) {
        names.push(template);
    }
    let end = name.find('@').or_else(|| name.rfind('.')).unwrap_or(name.len());
    let (prefix, rest) = name.split_at(end);
    let mut prefix = prefix;
    while let Some((shorter, _)) = prefix.trim_end_matches('-').rsplit_once('-') {
        names.push(format!("{shorter}-{rest}"));
        prefix = shorter;
    }
    names
}

/// The template of an instance: `a@.service` of `a@b.service`.
pub(super) fn template(name: &str) -> Option<String> {
    let (prefix, rest) = name.split_once('@')?;
    let (instance, kind) = rest.rsplit_once('.')?;
    (!instance.is_empty()).then(|| format!("{prefix}@.{kind}"))
}

pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn kind(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
