//! How sound is routed: policy of PipeWire, WirePlumber, PulseAudio and ALSA, and the cards.
//!
//! Parts: each file below their folders of configuration for the whole host under its path, and
//! `cards`, the sound cards built into a running host. What comes with the packages below
//! `/usr/share` is told by `packages`; what a person sets for themself stands in their home and is
//! not read; headsets that are plugged in (USB, Bluetooth) come and go and are left out. Steps of a
//! start script of PulseAudio keep their order.

use std::path::PathBuf;

use driftline_protocol::ids::SourceName;
use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::{Domain, Reason};

use crate::formats::lists::RULES;
use crate::formats::{hocon, ini, text};
use crate::machine::Machine;
use crate::sources::each::Places;
use crate::sources::look::{Look, Memory};
use crate::sources::table::{Bytes, Table, Trouble, read_all, say, text as text_of};
use crate::sources::{Manual, Sink, Source, source_name};

/// Raised whenever the same files give other items.
const VERSION: u32 = 1;

const CARDS: &str = "/proc/asound/cards";

/// The largest list of cards, in bytes; there are 32 at most.
const CARDS_BYTES: u64 = 64 * 1024;

const TABLES: &[Table] = &[Table { name: "cards", bytes: Bytes::Momentary, read: cards }];

const PLACES: Places = Places {
    files: &[
        ("/etc/asound.conf", &text::FORMAT),
        ("/etc/pulse/client.conf", &ini::FORMAT),
        ("/etc/pulse/daemon.conf", &ini::FORMAT),
        ("/etc/pulse/default.pa", &RULES),
        ("/etc/pulse/system.pa", &RULES),
        ("/etc/modprobe.d/alsa-base.conf", &RULES),
    ],
    folders: &[
        ("/etc/pipewire", ".conf", &hocon::PIPEWIRE),
        ("/etc/pipewire/pipewire.conf.d", ".conf", &hocon::PIPEWIRE),
        ("/etc/pipewire/client.conf.d", ".conf", &hocon::PIPEWIRE),
        ("/etc/pipewire/client-rt.conf.d", ".conf", &hocon::PIPEWIRE),
        ("/etc/pipewire/pipewire-pulse.conf.d", ".conf", &hocon::PIPEWIRE),
        ("/etc/pipewire/jack.conf.d", ".conf", &hocon::PIPEWIRE),
        ("/etc/wireplumber", ".conf", &hocon::PIPEWIRE),
        ("/etc/wireplumber/wireplumber.conf.d", ".conf", &hocon::PIPEWIRE),
        ("/etc/wireplumber/main.lua.d", ".lua", &text::FORMAT),
        ("/etc/wireplumber/bluetooth.lua.d", ".lua", &text::FORMAT),
        ("/etc/pulse/client.conf.d", ".conf", &ini::FORMAT),
        ("/etc/pulse/daemon.conf.d", ".conf", &ini::FORMAT),
        ("/etc/pulse/default.pa.d", ".pa", &RULES),
        ("/etc/alsa/conf.d", ".conf", &text::FORMAT),
    ],
};

/// The source; see the page's head.
pub struct Audio {
    version: u32,
    memory: Memory,
}

impl Audio {
    /// A source that remembers nothing yet.
    pub fn new() -> Self {
        Self { version: VERSION, memory: Memory::default() }
    }
}

impl Default for Audio {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for Audio {
    fn name(&self) -> SourceName {
        source_name("audio")
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn manual(&self) -> Manual {
        Manual {
            parts: "each file of PipeWire, WirePlumber, PulseAudio and ALSA below `/etc` under its \
                path, and `cards`, the sound cards that are built in",
            ordered: "as the format says",
            version: self.version,
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        PLACES.watched()
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        read_all(TABLES, ("audio", self.version), &mut self.memory, (machine, sink));
        let named = PLACES.read(self.version, &mut self.memory, (machine, sink));
        self.memory.retain(|part| !part.as_str().starts_with('/') || named.contains(part));
        Ok(())
    }
}

/// `NAME` with its driver, from lines such as ` 0 [PCH            ]: HDA-Intel - HDA Intel PCH`.
fn cards(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let Some(text) = text_of(look, CARDS, CARDS_BYTES)? else { return Ok(None) };
    let mut items = RawItems::new();
    for line in text.lines() {
        let Some((_, rest)) = line.split_once('[') else { continue };
        let Some((name, rest)) = rest.split_once("]:") else { continue };
        let driver = rest.split(" - ").next().unwrap_or_default().trim();
        if !driver.starts_with("USB") && !driver.starts_with("Bluetooth") {
            say(&mut items, [name.trim()], ItemValue::text(driver));
        }
    }
    Ok(Some(items))
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
