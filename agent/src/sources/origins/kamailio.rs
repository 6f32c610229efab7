//! Kamailio and OpenSIPS: the script, what it includes, and the modules that ask a database.
//!
//! `include_file` must be there and `import_file` need not; both are relative to the file that
//! names them. `database/MODULE/PARAMETER` holds each address of a database and each name of a
//! table a module is given, with the conditions it stands under; a define is put in for its name,
//! since that is where the address of most scripts stands. A module with such an address holds its
//! rows (subscribers, destinations, permissions, routes) there and not in a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems};
use driftline_protocol::snapshot::Reason;

use super::{DEPTH, Found, Product, Trouble, Walk, from_name, texts};
use crate::formats::Format;
use crate::formats::kamailio::{FORMAT, OPENSIPS as SYNTAX};
use crate::machine::Machine;

/// Kamailio.
pub static KAMAILIO: Product = Product {
    name: "kamailio",
    directories: &["/etc/kamailio", "/usr/local/etc/kamailio"],
    parts: "`origins of FOLDER`: the files a Kamailio script reads (`reads`), and the modules that \
        take their rows from a database (`database`)",
    follow: |walk, directory| follow(walk, &directory.join("kamailio.cfg"), &FORMAT),
};

/// OpenSIPS.
pub static OPENSIPS: Product = Product {
    name: "opensips",
    directories: &["/etc/opensips", "/usr/local/etc/opensips"],
    parts: "as of `kamailio`, for OpenSIPS",
    follow: |walk, directory| follow(walk, &directory.join("opensips.cfg"), &SYNTAX),
};

/// What a define is given, by its name.
type Defines = BTreeMap<String, String>;

fn follow(walk: &mut Walk<'_>, main: &Path, format: &Format) -> Result<Found, Trouble> {
    let Some(script) = Script::of(walk, main, format)? else { return Ok(Found::Nothing) };
    for (key, item) in script.parameters {
        let value = resolved(&script.defines, item.value);
        walk.say(key.segments(), RawItem { value, ..RawItem::plain(ItemValue::Nothing) });
    }
    Ok(Found::File)
}

/// Each file of the Kamailio script that begins at `main`, with what it says, and where it has the
/// destinations of its dispatcher; `None` where no file is there.
pub(in crate::sources) fn script(
    machine: &Machine,
    main: &Path,
) -> Result<Option<(Files, Option<PathBuf>)>, Reason> {
    let mut walk = Walk::new(machine);
    let script = Script::of(&mut walk, main, &FORMAT).map_err(|trouble| match trouble {
        Trouble::Malformed(_) => Reason::Malformed,
        Trouble::Unread(reason) => reason,
    })?;
    Ok(script.map(|script| {
        let list = script.list_file();
        (script.files, list)
    }))
}

/// The files of one script with what they say.
pub(in crate::sources) type Files = Vec<(PathBuf, RawItems)>;

struct Script<'a> {
    format: &'a Format,
    defines: Defines,
    /// Parameters that name a database or a table.
    parameters: RawItems,
    files: Files,
}

impl<'a> Script<'a> {
    fn of(walk: &mut Walk<'_>, main: &Path, format: &'a Format) -> Result<Option<Self>, Trouble> {
        let Some(items) = walk.file(main, format)? else { return Ok(None) };
        let (defines, parameters) = (Defines::new(), RawItems::new());
        let mut script = Self { format, defines, parameters, files: Files::new() };
        script.take(walk, (main, items), 0)?;
        Ok(Some(script))
    }

    /// The file of the dispatcher's destinations; `None` where they are in a database, or where
    /// more than one place is named.
    fn list_file(&self) -> Option<PathBuf> {
        let mut named = Vec::new();
        for (key, item) in self.files.iter().flat_map(|(_, items)| items) {
            let names = from_name(key, "modparam").unwrap_or_default();
            match names.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["modparam", "dispatcher", "db_url"] => return None,
                ["modparam", "dispatcher", "list_file"] => {
                    named.extend(texts(&resolved(&self.defines, item.value.clone())));
                }
                _ => {}
            }
        }
        match named.as_slice() {
            [] => Some(PathBuf::from("/etc/kamailio/dispatcher.list")),
            [one] => Some(PathBuf::from(one)),
            _ => None,
        }
    }

    fn take(
        &mut self,
        walk: &mut Walk<'_>,
        (path, items): (&Path, RawItems),
        depth: usize,
    ) -> Result<(), Trouble> {
        if depth > DEPTH {
            return Err(Trouble::Unread(Reason::TooLarge));
        }
        let directory = path.parent().unwrap_or(path);
        for (key, item) in &items {
            self.define(key, &item.value);
            if is_of_a_database(key) {
                let name = key.as_str().replacen("modparam", "database", 1);
                if let Ok(key) = ItemKey::try_from(name) {
                    self.parameters.insert(key, item.clone());
                }
            }
            for directive in ["include_file", "import_file"] {
                let Some(names) = from_name(key, directive) else { continue };
                let Some(name) = names.get(1) else { continue };
                for path in walk.named(directory, name)? {
                    if let Some(items) = walk.file(&path, self.format)? {
                        self.take(walk, (&path, items), depth + 1)?;
                    }
                }
            }
        }
        self.files.push((path.to_path_buf(), items));
        Ok(())
    }

    fn define(&mut self, key: &ItemKey, value: &ItemValue) {
        let kinds = ["define", "redefine", "trydef"];
        let names = kinds.iter().find_map(|kind| from_name(key, kind));
        if let (Some([_, name]), ItemValue::Text(text)) = (names.as_deref(), value) {
            self.defines.insert(name.clone(), text.trim_matches('"').to_owned());
        }
    }
}

/// Whether a parameter says where rows are: `db_url`, `db_table`, `table_name` and their kin, of
/// whatever module.
fn is_of_a_database(key: &ItemKey) -> bool {
    let names = from_name(key, "modparam").unwrap_or_default();
    let [_, _, parameter, ..] = names.as_slice() else { return false };
    parameter.ends_with("db_url") || parameter.starts_with("db_") || parameter.contains("table")
}

/// The value with a define put in for its name, which the format writes `{NAME}`.
fn resolved(defines: &Defines, value: ItemValue) -> ItemValue {
    match value {
        ItemValue::Text(text) => {
            let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let defined = name.and_then(|name| defines.get(name)).cloned();
            ItemValue::Text(defined.unwrap_or(text))
        }
        ItemValue::List(values) => {
            ItemValue::List(values.into_iter().map(|value| resolved(defines, value)).collect())
        }
        ItemValue::Nothing
        | ItemValue::Flag(_)
        | ItemValue::Integer(_)
        | ItemValue::Fingerprint(_)
        | ItemValue::Set(_)
        | ItemValue::Lines(_) => value,
    }
}
