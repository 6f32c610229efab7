//! Asterisk's configuration: sections of variables, templates, and what some files mean by them.
//!
//! Read as Asterisk reads it (`main/config.c`, `pbx/pbx_config.c`): see `lines` for comments and
//! `document` for sections. A file stays unexpanded: what a template says is said once, at the
//! template, and each section names the templates it takes from, so a change in a template is one
//! change and the sections it reaches can be counted. An `#include` is an item and not followed;
//! an `#exec` is one too and never run.
//!
//! The syntax is one, its meaning is not: where a dial plan repeats a name it goes on, where
//! `chan_dahdi.conf` does, the lines so far take effect. Each meaning is a format of its own.

use super::lines::{decode, original};
use super::{Format, FormatError};

mod channels;
mod dialplan;
mod document;
mod items;
mod lines;
mod settings;
mod trunks;
mod voicemail;

use document::Document;
pub(super) use lines::begins_like_a_document;
pub(super) use trunks::addressed;

/// Endpoints, queues, managers, modules: every file without a meaning of its own.
pub static FORMAT: Format = Format {
    name: "asterisk",
    version: 1,
    ordered: "codecs, access rules, includes, the members of a queue with the strategy `linear` or \
              `rrordered` and the values of a repeated variable are ordered; sections, variables, \
              networks and modules are not",
    claims: |path, head| meaning(path, head) == Some(Meaning::Settings),
    read: |bytes| settings::read(&document(bytes)?),
};

/// The dial plan: `extensions.conf` and what it includes.
pub static DIALPLAN: Format = Format {
    name: "asterisk_dialplan",
    version: 1,
    ordered: "the steps of an extension by their priority, the includes and switches of a context \
              are ordered; contexts, extensions and global variables are not",
    claims: |path, head| meaning(path, head) == Some(Meaning::Dialplan),
    read: |bytes| dialplan::read(&document(bytes)?),
};

/// Mailboxes: `voicemail.conf` and what it includes.
pub static VOICEMAIL: Format = Format {
    name: "asterisk_voicemail",
    version: 1,
    ordered: "nothing but includes",
    claims: |path, head| meaning(path, head) == Some(Meaning::Voicemail),
    read: |bytes| voicemail::read(&document(bytes)?),
};

/// Hardware channels: `chan_dahdi.conf` and others in which `channel` takes the settings above it.
pub static CHANNELS: Format = Format {
    name: "asterisk_channels",
    version: 1,
    ordered: "lines that take the settings above them (`channel`, `line`, `trunk`) are ordered; \
              settings between two of them are not",
    claims: |path, head| meaning(path, head) == Some(Meaning::Channels),
    read: |bytes| channels::read(&document(bytes)?),
};

fn document(bytes: &[u8]) -> Result<Document, FormatError> {
    Document::read(&decode(bytes))
}

/// What a file of this syntax means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Settings,
    Dialplan,
    Voicemail,
    Channels,
}

/// Names of files whose `channel`, `line` or `trunk` takes the settings above it.
const SEQUENTIAL: &[&str] =
    &["chan_dahdi", "dahdi-channels", "mgcp", "phone", "smdi", "unistim", "vpb", "zapata"];

/// Names that are Asterisk's wherever they stand: no other program has such a file.
const NAMES: &[&str] = &[
    "asterisk",
    "confbridge",
    "chan_dahdi",
    "extensions",
    "iax",
    "musiconhold",
    "queuerules",
    "queues",
    "sip",
    "sip_notify",
    "sorcery",
    "voicemail",
];

/// How the names of the files of its modules begin.
const PREFIXES: &[&str] =
    &["cdr_", "cel_", "chan_", "extensions_", "func_", "pbx_", "phoneprov_", "pjsip", "res_"];

/// Names that other programs have too: only the content tells.
const SHARED_NAMES: &[&str] = &[
    "acl",
    "agents",
    "amd",
    "ari",
    "cdr",
    "cel",
    "cli",
    "codecs",
    "dsp",
    "enum",
    "features",
    "followme",
    "http",
    "indications",
    "logger",
    "manager",
    "meetme",
    "modules",
    "phoneprov",
    "rtp",
    "users",
];

fn meaning(path: &str, head: &[u8]) -> Option<Meaning> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let (sample, name) = (name != original(name), original(name));
    if name == "ss7.timers" {
        return Some(Meaning::Channels);
    }
    let stem = name.strip_suffix(".conf")?;
    let text = decode(head);
    let home = path.contains("/asterisk/");
    let named = NAMES.contains(&stem) || PREFIXES.iter().any(|prefix| stem.starts_with(prefix));
    let marked = SHARED_NAMES.contains(&stem) && lines::bears_marks(&text);
    let syntax = lines::begins_like_a_document(&text, home);
    let ours = syntax && (home || sample || named || marked);
    ours.then(|| {
        if SEQUENTIAL.contains(&stem) {
            Meaning::Channels
        } else if stem.contains("voicemail") {
            Meaning::Voicemail
        } else if stem.starts_with("extensions") || lines::has_extensions(&text) {
            Meaning::Dialplan
        } else {
            Meaning::Settings
        }
    })
}
