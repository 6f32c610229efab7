//! Clients of unified communications on a desktop: how they reach their service.
//!
//! Parts: `installed`, the revision of each client that came as a snap or a flatpak (others are
//! told by `packages`); `teams_for_linux`, its settings for the whole host; and `zoom/USER`,
//! `linphone/USER`, `teams_for_linux/USER`, from the homes of people with an account of this host.
//! Of a person's settings only those are told that decide whether and how a call gets through:
//! servers, proxies, transports, ports, codecs, encryption. Accounts, devices, windows and
//! histories stay where they are. Webex keeps nothing in text on Linux (what stands below
//! `~/.local/share/Webex` is its own) and is told as installed only; Jabber and Teams have no
//! client of their own here. Nothing is ordered but arrays.

use std::path::{Path, PathBuf};

use driftline_protocol::canonical::scope_digest;
use driftline_protocol::ids::{PartName, SourceName};
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItems, RawPart};
use driftline_protocol::snapshot::{Domain, Reading, Reason};

use crate::formats::lines::decode;
use crate::formats::{Format, FormatError, ini, json};
use crate::machine::Machine;
use crate::sources::look::{Look, Memory};
use crate::sources::table::{Bytes, Table, Trouble, read_all, say};
use crate::sources::{Carry, Manual, Sink, Source, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 1;

const TABLES: &[Table] = &[
    Table { name: "installed", bytes: Bytes::Kept, read: installed },
    Table { name: "teams_for_linux", bytes: Bytes::Kept, read: host_wide },
];

/// Links whose target is the revision in use, with the client they belong to.
const INSTALLED: [(&str, &str); 10] = [
    ("zoom", "/snap/zoom-client/current"),
    ("teams_for_linux", "/snap/teams-for-linux/current"),
    ("linphone", "/snap/linphone/current"),
    ("webex", "/snap/webex/current"),
    ("zoom", "/var/lib/flatpak/app/us.zoom.Zoom/current/active"),
    ("teams_for_linux", TEAMS_FLATPAK),
    ("linphone", "/var/lib/flatpak/app/com.belledonnecommunications.linphone/current/active"),
    ("webex", "/var/lib/flatpak/app/com.webex.Webex/current/active"),
    ("jitsi", "/var/lib/flatpak/app/org.jitsi.jitsi-meet/current/active"),
    ("element", "/var/lib/flatpak/app/im.riot.Riot/current/active"),
];
const TEAMS_FLATPAK: &str =
    "/var/lib/flatpak/app/com.github.IsmaelMartinez.teams_for_linux/current/active";

const TEAMS_HOST: &str = "/etc/teams-for-linux/config.json";

/// Where people are listed, and where their homes may stand.
const PASSWD: &str = "/etc/passwd";
const HOMES: &str = "/home/";

/// The most people whose homes are looked into.
const PEOPLE: usize = 256;

/// One file of a person's settings.
struct Settings {
    client: &'static str,
    /// Below the home.
    path: &'static str,
    format: &'static Format,
    /// Whether a setting is told, by its section and name.
    tells: fn(section: &str, name: &str) -> bool,
}

const SETTINGS: [Settings; 3] = [
    Settings {
        client: "zoom",
        path: ".config/zoomus.conf",
        format: &ini::FORMAT,
        tells: |_, name| ZOOM.contains(&name),
    },
    Settings {
        client: "linphone",
        path: ".config/linphone/linphonerc",
        format: &ini::FORMAT,
        tells: linphone,
    },
    Settings {
        client: "teams_for_linux",
        path: ".config/teams-for-linux/config.json",
        format: &json::FORMAT,
        tells: |section, _| TEAMS.contains(&section),
    },
];

const ZOOM: [&str; 8] = [
    "conf.webserver",
    "forceSSOURL",
    "sso_domain",
    "enableCloudSwitch",
    "enableWaylandShare",
    "xwayland",
    "noSandbox",
    "isTransCoding",
];

const TEAMS: [&str; 7] = [
    "url",
    "proxyServer",
    "authServerWhitelist",
    "customCACertsFingerprints",
    "chromeUserAgent",
    "disableGpu",
    "partition",
];

/// Sections of linphone's settings, with or without a number behind them.
const LINPHONE: [&str; 6] = ["sip", "net", "rtp", "proxy", "nat_policy", "audio_codec"];

/// What linphone notes of a person or a device in those sections.
const LINPHONE_OWN: [&str; 5] =
    ["reg_identity", "contact", "default_proxy", "refkey", "contact_parameters"];

fn linphone(section: &str, name: &str) -> bool {
    let plain = section.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
    LINPHONE.contains(&plain) && !LINPHONE_OWN.contains(&name)
}

/// The source; see the page's head.
pub struct DesktopUcClient {
    version: u32,
    memory: Memory,
}

impl DesktopUcClient {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default() }
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
                `teams_for_linux/USER`: of a person's settings those that decide how a call gets \
                through",
            ordered: "arrays",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        [TEAMS_HOST, PASSWD].map(PathBuf::from).into()
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        let parser = ("desktop_uc_client", self.version);
        read_all(TABLES, parser, &mut self.memory, (machine, sink));
        for (user, id, home) in people(machine)? {
            // Whose home it is may put a link into it, to what only we may read; and who has a home
            // around it, in its place.
            let may_be_linked = home.parent() == Some(Path::new(HOMES));
            let machine = machine.fenced_home(&home, id, may_be_linked);
            for settings in &SETTINGS {
                let name = PartName::from_bytes(format!("{}/{user}", settings.client).as_bytes());
                match &machine {
                    Ok(None) => {}
                    Ok(Some(machine)) => {
                        let path = home.join(settings.path);
                        self.person((name, &path), settings, (machine, sink));
                    }
                    Err(reason) => sink.blind(&name, *reason),
                }
            }
        }
        Ok(())
    }
}

impl DesktopUcClient {
    fn person(
        &mut self,
        (name, path): (PartName, &Path),
        settings: &Settings,
        (machine, sink): (&Machine, &mut dyn Sink),
    ) {
        if machine.stat_followed(path).is_ok_and(|stat| stat.is_none()) {
            return;
        }
        if self.memory.carry(&name, machine, sink) == Carry::Carried {
            return;
        }
        let mut look = Look::new(machine);
        let read = look.read(path, limits::FILE_BYTES);
        let scope = scope_digest([""; 0]);
        let parser = "desktop_uc_client".into();
        let reading = Reading { parser, version: self.version, scope };
        let items = read.map(|content| {
            let bytes = content.map(|content| content.bytes).unwrap_or_default();
            (settings.format.read)(&bytes).map(|items| told(items, settings))
        });
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

fn told(items: RawItems, settings: &Settings) -> RawItems {
    let tells = |key: &ItemKey| {
        let segments: Vec<String> = key.segments().collect();
        let section = segments.first().map_or("", String::as_str);
        (settings.tells)(section, segments.last().map_or("", String::as_str))
    };
    items.into_iter().filter(|(key, _)| tells(key)).collect()
}

fn installed(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    for (client, path) in INSTALLED {
        let Some(target) = look.link_target(Path::new(path))? else { continue };
        look.rely(Path::new(path))?;
        let how = if path.starts_with("/snap") { "snap" } else { "flatpak" };
        let revision = String::from_utf8_lossy(&target).into_owned();
        let revision = revision.rsplit('/').next().unwrap_or_default();
        say(&mut items, [client, how], ItemValue::text(revision));
    }
    Ok((!items.is_empty()).then_some(items))
}

fn host_wide(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let content = look.read(Path::new(TEAMS_HOST), limits::FILE_BYTES)?;
    let Some(content) = content else { return Ok(None) };
    Ok(Some((json::FORMAT.read)(&content.bytes)?))
}

/// People of this host with a home: accounts from 1000 on (login.defs(5)), by name and number.
fn people(machine: &Machine) -> Result<Vec<(String, u32, PathBuf)>, Reason> {
    let read = machine.read(Path::new(PASSWD), limits::FILE_BYTES)?;
    let Some(content) = read else { return Ok(Vec::new()) };
    let mut people = Vec::new();
    for line in decode(&content.bytes).lines() {
        let mut fields = line.split(':');
        let (name, id, home) = (fields.next(), fields.nth(1), fields.nth(2));
        let (Some(name), Some(id), Some(home)) = (name, id, home) else { continue };
        let Ok(id) = id.parse::<u32>() else { continue };
        let is_person = (1_000..60_000).contains(&id);
        if is_person && home.starts_with(HOMES) && people.len() < PEOPLE {
            people.push((name.to_owned(), id, PathBuf::from(home)));
        }
    }
    Ok(people)
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
