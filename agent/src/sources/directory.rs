//! Where accounts come from beside this host's own tables: sssd, Kerberos, realmd, Samba's winbind.
//!
//! Parts: `sssd` (sssd.conf(5) with its `conf.d`, a later file wins), `kerberos` (krb5.conf(5) with
//! its includes), `realmd`, `samba` (the settings of `[global]`), and `membership`: which domains
//! and realms the host belongs to by these files, whether it has the key that a join leaves, and
//! which databases of nsswitch.conf(5) ask the directory. Secrets never leave. It does not know
//! whether the directory answers. Servers of a realm keep their order.

mod kerberos;
mod sssd;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::SourceName;
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::{Domain, Reason};

use crate::formats::{ini, key_value};
use crate::machine::Machine;
use crate::sources::look::{Look, Memory};
use crate::sources::table::{Bytes, Table, Trouble, read_all, say};
use crate::sources::{Manual, Sink, Source, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 2;

const REALMD: &str = "/etc/realmd.conf";
const SAMBA: &str = "/etc/samba/smb.conf";
const NSSWITCH: &str = "/etc/nsswitch.conf";

/// The key of the host's own account in a realm.
const KEYTAB: &str = "/etc/krb5.keytab";

/// Services of nsswitch that ask a directory.
const ASK: [&str; 4] = ["sss", "winbind", "ldap", "nis"];

const TABLES: &[Table] = &[
    Table { name: "sssd", bytes: Bytes::Kept, read: sssd::configured },
    Table { name: "kerberos", bytes: Bytes::Kept, read: kerberos::configured },
    Table { name: "realmd", bytes: Bytes::Kept, read: |look| one(look, REALMD) },
    Table { name: "samba", bytes: Bytes::Kept, read: samba },
    Table { name: "membership", bytes: Bytes::Kept, read: membership },
];

/// The source; see the page's head.
pub struct Directory {
    version: u32,
    memory: Memory,
}

impl Directory {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default() }
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for Directory {
    fn name(&self) -> SourceName {
        source_name("directory")
    }

    fn domain(&self) -> Domain {
        Domain::Identity
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "`sssd`, `kerberos`, `realmd`, `samba` where they are configured, and \
                `membership`: domains and realms, whether the host has its key, and which \
                databases ask the directory",
            ordered: "values of a setting of Kerberos that repeats",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let places = [sssd::FILE, sssd::MORE, REALMD, SAMBA, NSSWITCH, KEYTAB];
        places.into_iter().chain(kerberos::PLACES).map(PathBuf::from).collect()
    }

    fn watched_alone(&self) -> Vec<PathBuf> {
        self.memory.beyond(&self.watched())
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        read_all(TABLES, ("directory", self.version), &mut self.memory, (machine, sink));
        Ok(())
    }
}

fn one(look: &mut Look<'_>, path: &str) -> Result<Option<RawItems>, Trouble> {
    let Some(content) = look.read(Path::new(path), limits::FILE_BYTES)? else { return Ok(None) };
    Ok(Some((ini::FORMAT.read)(&content.bytes)?))
}

/// The settings of `[global]`; shares are no matter of identity.
fn samba(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let Some(all) = one(look, SAMBA)? else { return Ok(None) };
    let is_global = |key: &ItemKey| {
        key.segments().next().is_some_and(|section| section.eq_ignore_ascii_case("global"))
    };
    Ok(Some(all.into_iter().filter(|(key, _)| is_global(key)).collect()))
}

fn membership(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    let found = sssd::configured(look)?.unwrap_or_default();
    let domains = words(found.get(&ItemKey::of(["sssd", "domains"])).map(|item| &item.value));
    if !domains.is_empty() {
        say(&mut items, ["domains"], ItemValue::Set(domains));
    }
    let realm = kerberos::configured(look)?.unwrap_or_default();
    let realm = realm.get(&ItemKey::of(["libdefaults", "default_realm"])).map(|item| &item.value);
    // Of several the library takes the first.
    let realm = realm.and_then(|realm| {
        if let ItemValue::List(realms) = realm { realms.first() } else { Some(realm) }
    });
    if let Some(realm) = realm {
        say(&mut items, ["realm"], realm.clone());
    }
    for (key, item) in samba(look)?.unwrap_or_default() {
        let name = key.segments().last().unwrap_or_default().to_ascii_lowercase();
        if ["realm", "workgroup", "security", "server role"].contains(&name.as_str()) {
            say(&mut items, ["samba", &name], item.value);
        }
    }
    let switch = look.read(Path::new(NSSWITCH), limits::FILE_BYTES)?;
    if let Some(content) = switch {
        for (key, item) in (key_value::NSSWITCH.read)(&content.bytes)? {
            let ItemValue::List(services) = item.value else { continue };
            let asked: BTreeSet<_> = services.into_iter().filter(asks).collect();
            if !asked.is_empty() {
                say(&mut items, ["asks", key.as_str()], ItemValue::Set(asked));
            }
        }
    }
    // Only that there is one: a host renews its key every month.
    let key = look.machine().stat_followed(Path::new(KEYTAB))?;
    if items.is_empty() && key.is_none() {
        return Ok(None);
    }
    look.rely(Path::new(KEYTAB))?;
    say(&mut items, ["has_key"], ItemValue::Flag(key.is_some()));
    Ok(Some(items))
}

/// Whether a service of nsswitch is a directory.
fn asks(service: &ItemValue) -> bool {
    if let ItemValue::Text(name) = service { ASK.contains(&name.as_str()) } else { false }
}

/// The names of a list with commas.
fn words(value: Option<&ItemValue>) -> BTreeSet<ItemValue> {
    let Some(ItemValue::Text(text)) = value else { return BTreeSet::new() };
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(ItemValue::text).collect()
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
