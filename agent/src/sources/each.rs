//! Files that are each a part, read by the format that knows them.
//!
//! For a source whose facts stand in whole files. It knows no format: the source says which. A file
//! whose bytes have not changed is *the same*; one that does not parse keeps its attributes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::PartName;
use driftline_protocol::limits;
use driftline_protocol::redact::RawPart;

use super::look::{Look, Memory};
use super::{Carry, Sink};
use crate::content::reading;
use crate::formats::{Format, FormatError};
use crate::machine::{Entry, Machine};
use crate::platform::FileType;
use crate::platform::path_bytes;

/// The versions a format may have until the source's own version would be mistaken for it.
const FORMAT_VERSIONS: u32 = 1_000;

/// Says `path` as `format` reads it for a source of this `version`, and gives the part's name;
/// nothing where no file is.
pub(super) fn file(
    (path, format): (&Path, &Format),
    version: u32,
    memory: &mut Memory,
    (machine, sink): (&Machine, &mut dyn Sink),
) -> Option<PartName> {
    let name = PartName::from_bytes(&path_bytes(path));
    if memory.carry(&name, machine, sink) == Carry::Carried {
        return Some(name);
    }
    let mut look = Look::of_people(machine);
    let how = reading(format.name, (version - 1) * FORMAT_VERSIONS + format.version);
    let part = match look.read(path, limits::FILE_BYTES) {
        Ok(None) => return None,
        Err(reason) => RawPart::Unobserved(reason),
        Ok(Some(content)) => match (format.read)(&content.bytes) {
            Ok(items) => look.part(how, Ok(items)),
            Err(FormatError::Malformed(malformed)) => look.part(how, Err(malformed)),
            Err(error @ FormatError::TooLarge) => RawPart::Unobserved(error.reason()),
        },
    };
    memory.say((name.clone(), part), look, sink);
    Some(name)
}

/// The files of `directory` that `is_told`; a directory that cannot be listed is blind.
pub(super) fn below(
    directory: &str,
    is_told: impl Fn(&Entry) -> bool,
    (machine, sink): (&Machine, &mut dyn Sink),
) -> BTreeSet<PathBuf> {
    match machine.entries(Path::new(directory)) {
        Ok(entries) => entries
            .unwrap_or_default()
            .into_iter()
            .filter(is_told)
            .map(|entry| Path::new(directory).join(entry.name))
            .collect(),
        Err(reason) => {
            sink.blind(&PartName::from_bytes(directory.as_bytes()), reason);
            BTreeSet::new()
        }
    }
}

/// Files of known places, each a part.
pub(super) struct Places {
    /// Single files.
    pub(super) files: &'static [(&'static str, &'static Format)],
    /// Folders with the end of the names that are told.
    pub(super) folders: &'static [(&'static str, &'static str, &'static Format)],
}

impl Places {
    /// Paths whose change means that something here is to be read.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        let files = self.files.iter().map(|(path, _)| *path);
        files.chain(self.folders.iter().map(|(path, ..)| *path)).map(PathBuf::from).collect()
    }

    /// Says every file that is there, and gives the parts.
    pub(super) fn read(
        &self,
        version: u32,
        memory: &mut Memory,
        (machine, sink): (&Machine, &mut dyn Sink),
    ) -> BTreeSet<PartName> {
        let mut named = BTreeSet::new();
        for (path, format) in self.files {
            named.extend(file((Path::new(path), format), version, memory, (machine, sink)));
        }
        for (folder, suffix, format) in self.folders {
            let is_told = |entry: &Entry| {
                let name = entry.name.as_encoded_bytes();
                entry.kind != FileType::Directory && name.ends_with(suffix.as_bytes())
            };
            for path in below(folder, is_told, (machine, sink)) {
                named.extend(file((&path, format), version, memory, (machine, sink)));
            }
        }
        named
    }
}
