//! The contract of a format, the list of all formats, and which one claims a file.
//!
//! A format turns the bytes of one file into items keyed by the field's natural key. It is pure,
//! never panics, stops at the bounds of [`driftline_protocol::limits`], and knows nothing of files
//! or hosts. It marks a value [`RawItem::secret`](driftline_protocol::redact::RawItem::secret)
//! where only the format can know that it is one (a position in a line); secrets that a key names
//! are the redactor's business.
//!
//! Comments, white space and order without meaning must not reach the items: two files that mean
//! the same give the same items. Each format says in `ordered` which of its collections keep their
//! order.
//!
//! Where files share a syntax but not its meaning (the second column of `fstab` is its key, the
//! first of `hosts` is), each meaning is a format of its own, so that a reading names exactly how
//! it was made.

#![deny(clippy::disallowed_methods, reason = "formats are pure: no clock, no I/O, no randomness")]

use driftline_protocol::item::{ItemKey, ItemValue, MALFORMED};
use driftline_protocol::redact::{RawItem, RawItems};
use driftline_protocol::snapshot::Reason;

pub mod lines;

pub mod build;

pub mod key_value;

pub mod hocon;

pub mod ini;

pub mod json;

pub mod freeswitch;

pub mod lists;

pub mod asterisk;

pub mod kamailio;

pub mod clients;

pub mod commented;

pub mod credentials;

pub mod crontab;

pub mod cups;

pub mod nftables;

pub mod pam;

pub mod plist;

pub mod properties;

pub mod prosody;

pub mod registry;

pub mod relays;

pub mod script;

pub mod shell;

pub mod sshd;

pub mod sudoers;

pub mod systemd;

pub mod text;

pub mod toml;

mod tree;

pub mod written;

pub mod xml;

pub mod yaml;

#[cfg(test)]
mod tests;

/// Every format, in the order in which they are asked; the first that claims a file reads it.
///
/// Formats that know one path stand before those that judge by the content, and `text`, which
/// claims everything, stands last.
pub static ALL: &[&Format] = &[
    &written::FORMAT,
    &cups::FORMAT,
    &lists::HOSTS,
    &lists::FSTAB,
    &lists::CRYPTTAB,
    &lists::EXPORTS,
    &lists::SERVICES,
    &lists::LIMITS,
    &lists::RULES,
    &lists::WORDS,
    &clients::NETRC,
    &clients::CURL,
    &credentials::ACCOUNTS,
    &credentials::BLANK_LOGINS,
    &credentials::LOGINS,
    &key_value::RESOLV,
    &key_value::NSSWITCH,
    &key_value::LD_SO_CONF,
    &key_value::SYSCTL,
    &key_value::LOGIN_DEFS,
    &key_value::ASSIGNMENTS,
    &crontab::SYSTEM,
    &crontab::USER,
    &crontab::ANACRON,
    &pam::FORMAT,
    &sshd::FORMAT,
    &sudoers::FORMAT,
    &systemd::FORMAT,
    &nftables::NFT,
    &nftables::IPTABLES,
    &ini::COUCHDB,
    &hocon::FORMAT,
    &hocon::PIPEWIRE,
    &properties::FORMAT,
    &registry::FORMAT,
    &plist::FORMAT,
    &script::TOOLS,
    &asterisk::DIALPLAN,
    &asterisk::VOICEMAIL,
    &asterisk::CHANNELS,
    &asterisk::FORMAT,
    &kamailio::DISPATCHER,
    &kamailio::PERMISSIONS,
    &kamailio::TLS,
    &kamailio::FORMAT,
    &kamailio::OPENSIPS,
    &relays::RTPENGINE,
    &relays::COTURN,
    &prosody::FORMAT,
    &script::AEL,
    &script::LUA,
    &script::ADSI,
    &credentials::WORDS,
    &shell::FORMAT,
    &json::FORMAT,
    &yaml::EJABBERD,
    &yaml::FORMAT,
    &toml::FORMAT,
    &freeswitch::FORMAT,
    &xml::FORMAT,
    &ini::FORMAT,
    &commented::TACACS,
    &commented::SLASHED,
    &commented::FORMAT,
    &text::FORMAT,
];

/// How many bytes of a file the formats are asked with, where it has as many.
pub const HEAD_BYTES: usize = 4 * 1024;

/// One syntax.
pub struct Format {
    /// Names it in every reading, for ever.
    pub name: &'static str,
    /// Raised whenever the same bytes give other items.
    pub version: u32,
    /// Which collections are ordered and which are not, for the manual.
    pub ordered: &'static str,
    /// Whether this format reads the file, by its path (`/etc/hosts`) and its first bytes.
    pub claims: fn(path: &str, head: &[u8]) -> bool,
    /// The items of a file.
    pub read: fn(bytes: &[u8]) -> Result<RawItems, FormatError>,
}

/// Why a format gives no items. The file's own attributes stay observed either way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The content does not follow its format.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The content passes a bound of number or depth; it may well follow its format.
    #[error("content passes a bound of number or depth")]
    TooLarge,
}

/// The content does not follow its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Malformed {
    /// The line, counted from 1; 0 where lines mean nothing.
    pub line: u32,
    /// What is wrong, never quoting a value.
    pub what: &'static str,
}

impl Malformed {
    /// The item that says what is wrong and in which line, beside attributes of a file whose items
    /// are unknown. It is so at the moment: why something cannot be read is no change and no drift.
    pub(crate) fn item(&self) -> (ItemKey, RawItem) {
        let told = match self.line {
            0 => self.what.to_owned(),
            _ => self.to_string(),
        };
        (ItemKey::momentary([MALFORMED]), RawItem::plain(ItemValue::Text(told)))
    }
}

impl FormatError {
    /// The error of one line.
    pub fn malformed(line: u32, what: &'static str) -> Self {
        Malformed { line, what }.into()
    }

    /// Why the items are unread, as the snapshot says it.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::Malformed,
            Self::TooLarge => Reason::TooLarge,
        }
    }
}

/// The format that reads the file at `path` beginning with `head`; `None` for a binary file.
///
/// `head` should hold at least the first 1,024 bytes, or the whole of a smaller file.
pub fn claiming(path: &str, head: &[u8]) -> Option<&'static Format> {
    if lines::is_binary(head) && !registry::is_wide(head) {
        return None;
    }
    ALL.iter().find(|format| (format.claims)(path, head)).copied()
}

/// The format of this name.
pub fn named(name: &str) -> Option<&'static Format> {
    ALL.iter().find(|format| format.name == name).copied()
}
