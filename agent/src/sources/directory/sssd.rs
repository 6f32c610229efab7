//! `sssd.conf` with the files of its `conf.d`; see sssd.conf(5).
//!
//! As sssd reads them (libini, without folded lines): a comment begins its line, every other line
//! needs a `=`, of a setting that comes again the last counts, also of a later file, and an empty
//! one takes it away. Names are alike whatever their capitals. Quotes belong to a value.

use std::path::Path;

use driftline_protocol::item::ItemKey;
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawItems};

use crate::formats::Malformed;
use crate::formats::lines::{BLANKS, decode, numbered, scalar};
use crate::sources::look::Look;
use crate::sources::precedence::files;
use crate::sources::table::Trouble;

/// Where the settings stand.
pub(super) const FILE: &str = "/etc/sssd/sssd.conf";
pub(super) const MORE: &str = "/etc/sssd/conf.d";

/// Settings that are secrets whatever they are called.
const SECRETS: [&str; 2] = ["ldap_default_authtok", "krb5_keytab_password"];

/// Where settings before the first section belong.
const DEFAULT: &str = "default";

/// Each setting under its section; nothing where there is no file.
pub(super) fn configured(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut texts = Vec::new();
    texts.extend(look.read(Path::new(FILE), limits::FILE_BYTES)?.map(|content| content.bytes));
    let more = files(look, &[MORE], ".conf")?;
    if !mutant::active(Mutant::SnippetsAreNotRead) {
        texts.extend(more.into_iter().map(|file| file.bytes));
    }
    let mut items = RawItems::new();
    for text in &texts {
        add(&mut items, &decode(text))?;
    }
    Ok((!texts.is_empty()).then_some(items))
}

fn add(items: &mut RawItems, text: &str) -> Result<(), Malformed> {
    let mut section = DEFAULT.to_owned();
    for (line, written) in numbered(text) {
        let malformed = |what| Malformed { line, what };
        if written.is_empty() || written.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = written.trim_start_matches(BLANKS).strip_prefix('[') {
            let name = name.strip_suffix(']').ok_or_else(|| malformed("a section needs `]`"))?;
            section = name.trim_matches(BLANKS).to_ascii_lowercase();
            if section.is_empty() {
                return Err(malformed("a section has a name"));
            }
            continue;
        }
        let (name, value) =
            written.split_once('=').ok_or_else(|| malformed("a setting needs `=`"))?;
        let name = name.trim_matches(BLANKS).to_ascii_lowercase();
        if name.is_empty() {
            return Err(malformed("a setting has a name"));
        }
        set(items, [&section, &name], value.trim_matches(BLANKS));
    }
    Ok(())
}

fn set(items: &mut RawItems, [section, name]: [&str; 2], value: &str) {
    let key = ItemKey::of([section, name]);
    if value.is_empty() {
        items.remove(&key);
        return;
    }
    let item = RawItem::plain(scalar(value));
    let sensitive = item.sensitive || SECRETS.contains(&name);
    items.insert(key, RawItem { sensitive, ..item });
}
