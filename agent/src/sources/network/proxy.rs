//! Which proxies programs are told to use.
//!
//! `environment/NAME` from `/etc/environment` and the scripts of `/etc/profile.d`, `apt/…` from
//! apt.conf(5), `desktop/…` from dconf's system databases. What a person sets for themself is
//! theirs. Passwords inside an address are hidden by the redactor.

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItems;

use crate::formats::lines::{decode, meaningful};
use crate::sources::include;
use crate::sources::look::Look;
use crate::sources::table::{Trouble, say, text};

/// Scripts and files of the shell are pages, not books.
const BYTES: u64 = 1024 * 1024;

pub(super) fn configured(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    if let Some(text) = text(look, "/etc/environment", BYTES)? {
        environment(&mut items, &text);
    }
    for path in include::expand(look, "/etc/profile.d/*.sh")? {
        if let Some(content) = look.read(&path, BYTES)? {
            environment(&mut items, &decode(&content.bytes));
        }
    }
    let mut files = include::expand(look, "/etc/apt/apt.conf.d/*")?;
    files.push("/etc/apt/apt.conf".into());
    for path in files {
        if let Some(content) = look.read(&path, BYTES)? {
            apt(&mut items, &decode(&content.bytes));
        }
    }
    for path in include::expand(look, "/etc/dconf/db/*.d/*")? {
        // A folder of locks stands among the files.
        let kind = look.machine().stat_followed(&path)?.map(|stat| stat.st_mode & 0o170_000);
        if kind == Some(0o100_000)
            && let Some(content) = look.read(&path, BYTES)?
        {
            desktop(&mut items, &decode(&content.bytes));
        }
    }
    if items.is_empty() {
        return Ok(None);
    }
    // The digest of these files would tell of every other setting in them.
    look.without_bytes();
    Ok(Some(items))
}

/// `http_proxy=…` with or without `export`.
fn environment(items: &mut RawItems, text: &str) {
    for (_, line) in meaningful(text, &['#']) {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else { continue };
        let name = name.trim().to_ascii_lowercase();
        if name.ends_with("_proxy") && !name.contains([' ', '$']) {
            let value = value.trim().trim_matches(['"', '\'']);
            say(items, ["environment", &name], ItemValue::text(value));
        }
    }
}

/// `Acquire::http::Proxy "http://…";` on one line, as everybody writes it.
fn apt(items: &mut RawItems, text: &str) {
    for (_, line) in meaningful(text, &['#', '/']) {
        let mut words = line.splitn(2, char::is_whitespace);
        let (Some(name), Some(value)) = (words.next(), words.next()) else { continue };
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("acquire::") && lower.contains("::proxy") {
            let value = value.trim().trim_end_matches(';').trim_matches('"');
            say(items, ["apt", &lower], ItemValue::text(value));
        }
    }
}

/// The keys of `[system/proxy]` and the sections below it.
fn desktop(items: &mut RawItems, text: &str) {
    let mut section = None;
    for (_, line) in meaningful(text, &['#']) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.strip_prefix("system/proxy");
        } else if let (Some(section), Some((name, value))) = (section, line.split_once('=')) {
            let section = section.trim_start_matches('/');
            let key = ["desktop", section, name.trim()];
            let key = key.into_iter().filter(|segment| !segment.is_empty());
            say(items, key, ItemValue::text(value.trim()));
        }
    }
}
