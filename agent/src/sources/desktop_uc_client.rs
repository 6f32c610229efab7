//! Clients of unified communications on a desktop: how they reach their service.
//!
//! Parts: `installed`, the revision of each client that came as a snap or a flatpak (others are
//! told by `packages`); `teams_for_linux`, its settings for the whole host; and `zoom/USER`,
//! `linphone/USER`, `teams_for_linux/USER`, from the homes of people with an account of this host,
//! with `/flatpak` or `/snap` behind them where the client came as one and keeps its own settings.
//! Of a person's settings only those are told that decide whether and how a call gets through:
//! servers, proxies, transports, ports, codecs, encryption. Accounts, devices, windows and
//! histories stay where they are. Each file is read as its client reads it. Webex keeps nothing in
//! text on Linux (what stands below `~/.local/share/Webex` is its own) and is told as installed
//! only; Jabber and Teams have no client of their own here. Nothing is ordered but lists.

pub mod linphone;
pub mod qsettings;
mod teams_for_linux;
mod zoom;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItems, RawPart};
use driftline_protocol::snapshot::{Domain, Reason};

use crate::content::reading;
use crate::formats::{FormatError, json};
use crate::machine::Machine;
use crate::sources::local_accounts::{Home, Homes, LOGIN_DEFS, PASSWD};
use crate::sources::look::{Look, Memory};
use crate::sources::table::{Bytes, Table, Trouble, read_all, say};
use crate::sources::{Carry, HOME_FILE_BYTES, Manual, Sink, Source, part_name, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 2;

const TABLES: &[Table] = &[
    Table { name: "installed", bytes: Bytes::Kept, read: installed },
    Table { name: "teams_for_linux", bytes: Bytes::Kept, read: host_wide },
];

/// A client as it may have come, and what is told of a person's settings.
struct Client {
    name: &'static str,
    snap: Option<&'static str>,
    flatpak: &'static str,
    settings: Option<Settings>,
}

struct Settings {
    /// Below the folder where programs keep what a person has set.
    file: &'static str,
    read: fn(&[u8]) -> Result<RawItems, FormatError>,
}

static CLIENTS: [Client; 6] = [
    Client {
        name: "zoom",
        snap: Some("zoom-client"),
        flatpak: "us.zoom.Zoom",
        settings: Some(Settings { file: "zoomus.conf", read: zoom::read }),
    },
    Client {
        name: "linphone",
        snap: Some("linphone"),
        flatpak: "com.belledonnecommunications.linphone",
        settings: Some(Settings {
            file: "linphone/linphonerc",
            read: |bytes| linphone::read(bytes, linphone::tells),
        }),
    },
    Client {
        name: "teams_for_linux",
        snap: Some("teams-for-linux"),
        flatpak: "com.github.IsmaelMartinez.teams_for_linux",
        settings: Some(Settings {
            file: "teams-for-linux/config.json",
            read: teams_for_linux::read,
        }),
    },
    Client { name: "webex", snap: Some("webex"), flatpak: "com.webex.Webex", settings: None },
    Client { name: "jitsi", snap: None, flatpak: "org.jitsi.jitsi-meet", settings: None },
    Client { name: "element", snap: None, flatpak: "im.riot.Riot", settings: None },
];

impl Client {
    /// Links that lead to the revision in use, with how it came.
    fn revisions(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        let snap = self.snap.map(|snap| ("snap", format!("/snap/{snap}/current")));
        let flatpak = format!("/var/lib/flatpak/app/{}/current/active", self.flatpak);
        let both = snap.into_iter().chain([("flatpak", flatpak)]);
        both.map(|(how, path)| (how, PathBuf::from(path)))
    }

    /// Where in a home settings may stand, with what the part's name ends in.
    fn places(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        let snap = self.snap.map(|snap| ("/snap", format!("snap/{snap}/current/.config")));
        let flatpak = format!(".var/app/{}/config", self.flatpak);
        let all = [("", ".config".to_owned()), ("/flatpak", flatpak)].into_iter().chain(snap);
        all.map(|(how, path)| (how, PathBuf::from(path)))
    }
}

const TEAMS_HOST: &str = "/etc/teams-for-linux/config.json";

/// The part that says why not all people are known.
const ACCOUNTS: &str = "accounts";

/// The most people whose homes are looked into.
const PEOPLE: usize = 256;

/// The source; see the page's head.
pub struct DesktopUcClient {
    version: u32,
    memory: Memory,
    /// Who may have settings, as of the last pass.
    homes: Homes,
    /// Where their settings may stand.
    personal: Vec<PathBuf>,
}

impl DesktopUcClient {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        let (memory, homes) = (Memory::default(), Homes::default());
        Self { version: VERSION, memory, homes, personal: Vec::new() }
    }
}

impl Default for DesktopUcClient {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for DesktopUcClient {
    fn name(&self) -> SourceName {
        source_name("desktop_uc_client")
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "`installed` (snaps and flatpaks of Zoom, Webex, Linphone, Teams for Linux and \
                their like), `teams_for_linux`, and `zoom/USER`, `linphone/USER`, \
                `teams_for_linux/USER`, with `/flatpak` or `/snap` behind them where it came as \
                one: of a person's settings those that decide how a call gets through. People are \
                accounts with a number from `UID_MIN` to `UID_MAX` of login.defs. `accounts` is \
                unobserved where those files cannot be read, or `/etc/passwd` has a malformed line \
                or more than 256 people: what was known of those that this may hide is unobserved, \
                too",
            ordered: "arrays",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        [TEAMS_HOST, PASSWD].into_iter().chain(LOGIN_DEFS).map(PathBuf::from).collect()
    }

    fn covers(&self, part: &PartName) -> bool {
        part.as_str().split('/').nth(1).is_none_or(|user| self.homes.covers(user))
    }

    fn watched_alone(&self) -> Vec<PathBuf> {
        let installed = CLIENTS.iter().flat_map(Client::revisions).map(|(_, path)| path);
        installed.chain(self.personal.iter().cloned()).collect()
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        let parser = ("desktop_uc_client", self.version);
        read_all(TABLES, parser, &mut self.memory, (machine, sink));
        let homes = Homes::of_people(machine, PEOPLE);
        let mut said: BTreeSet<_> = TABLES.iter().map(|table| part_name(table.name)).collect();
        self.personal.clear();
        for home in &homes.known {
            self.personal.extend(personal(machine, &home.path));
            self.home(home, (machine, sink), &mut said);
        }
        self.memory.retain(|name| said.contains(name));
        if let Some(reason) = homes.unknown() {
            sink.seen(part_name(ACCOUNTS), RawPart::Unobserved(reason));
        }
        self.homes = homes;
        Ok(())
    }
}

impl DesktopUcClient {
    /// Says the settings in one home.
    fn home(
        &mut self,
        home: &Home,
        (machine, sink): (&Machine, &mut dyn Sink),
        said: &mut BTreeSet<PartName>,
    ) {
        let machine = home.fence(machine);
        for (client, settings) in with_settings() {
            let part = format!("{}/{}", client.name, home.name);
            let named = |how: &str| PartName::from_bytes(format!("{part}{how}").as_bytes());
            match &machine {
                Ok(None) => {}
                Ok(Some(machine)) => {
                    for (how, folder) in client.places() {
                        let path = home.path.join(folder).join(settings.file);
                        if !machine.stat_followed(&path).is_ok_and(|stat| stat.is_none()) {
                            said.insert(named(how));
                            self.person((named(how), &path), settings, (machine, sink));
                        }
                    }
                }
                Err(reason) => sink.blind(&named(""), *reason),
            }
        }
    }

    fn person(
        &mut self,
        (name, path): (PartName, &Path),
        settings: &Settings,
        (machine, sink): (&Machine, &mut dyn Sink),
    ) {
        if self.memory.carry(&name, machine, sink) == Carry::Carried {
            return;
        }
        let mut look = Look::of_people(machine);
        let read = look.read(path, HOME_FILE_BYTES).transpose();
        // It was there a moment ago.
        let Some(read) = read else { return };
        let reading = reading("desktop_uc_client", self.version);
        let items = read.map(|content| (settings.read)(&content.bytes));
        let part = match items {
            Err(reason) => RawPart::Unobserved(reason),
            Ok(Err(FormatError::TooLarge)) => RawPart::Unobserved(Reason::TooLarge),
            Ok(Err(FormatError::Malformed(malformed))) => look.part(reading, Err(malformed)),
            Ok(Ok(items)) => {
                // The bytes hold what is not told, and change with every window that is moved.
                look.without_bytes();
                look.part(reading, Ok(items))
            }
        };
        self.memory.say((name, part), look, sink);
    }
}

/// Where settings may stand in `home`. What a snap's own link leads to is named, too: links of
/// people are not followed by who watches.
fn personal(machine: &Machine, home: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for (client, settings) in with_settings() {
        all.extend(client.places().map(|(_, folder)| home.join(folder).join(settings.file)));
        let Some(snap) = client.snap.map(|snap| home.join("snap").join(snap)) else { continue };
        let current = snap.join("current");
        if let Ok(Some(revision)) = machine.link_target(&current)
            && let Ok(revision) = String::from_utf8(revision)
            && !revision.contains('/')
        {
            all.push(snap.join(revision).join(".config").join(settings.file));
        }
        all.push(current);
    }
    all
}

fn with_settings() -> impl Iterator<Item = (&'static Client, &'static Settings)> {
    CLIENTS.iter().filter_map(|client| Some((client, client.settings.as_ref()?)))
}

fn installed(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    for client in &CLIENTS {
        for (how, path) in client.revisions() {
            let Some(target) = look.link_target(&path)? else { continue };
            look.rely(&path)?;
            let revision = String::from_utf8_lossy(&target).into_owned();
            let revision = revision.rsplit('/').next().unwrap_or_default();
            say(&mut items, [client.name, how], ItemValue::text(revision));
        }
    }
    Ok((!items.is_empty()).then_some(items))
}

fn host_wide(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let content = look.read(Path::new(TEAMS_HOST), limits::FILE_BYTES)?;
    let Some(content) = content else { return Ok(None) };
    Ok(Some((json::FORMAT.read)(&content.bytes)?))
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
