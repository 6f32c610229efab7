//! The tables of local accounts: passwd(5), group(5), shadow(5), gshadow(5).
//!
//! A line too short or with a number that is none is malformed; a second line of the same name is
//! kept as `NAME #2`, since the library calls find the first and an attacker may add the second.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawItems};

use crate::formats::Malformed;

type What = &'static str;

/// Items `NAME/uid`, `gid`, `gecos`, `home`, `shell`, and `state` where the password is not in
/// shadow.
pub(super) fn passwd(bytes: &[u8]) -> Result<RawItems, Malformed> {
    table(bytes, |row| {
        let [password, uid, gid, gecos, home, shell] = row.fields()?;
        if mutant::active(Mutant::AccountsOfTheSystemAreNobody) && uid.len() < 4 {
            return Ok(());
        }
        row.add("uid", number(uid)?);
        row.add("gid", number(gid)?);
        row.text("gecos", gecos);
        row.text("home", home);
        row.text("shell", shell);
        row.password(password);
        Ok(())
    })
}

/// Items `NAME/gid` and `members`, and `state` where the password is not in gshadow.
pub(super) fn group(bytes: &[u8]) -> Result<RawItems, Malformed> {
    table(bytes, |row| {
        let [password, gid, members] = row.fields()?;
        row.add("gid", number(gid)?);
        row.add("members", names(members));
        row.password(password);
        Ok(())
    })
}

/// Items `NAME/state`, `algorithm`, `hash` (a secret), and what is set of `changed`, `minimum`,
/// `maximum`, `warning`, `inactive` (days) and `expires` (days since 1970).
pub(super) fn shadow(bytes: &[u8]) -> Result<RawItems, Malformed> {
    table(bytes, |row| {
        let [password, changed, minimum, maximum, warning, inactive, expires, _reserved] =
            row.fields()?;
        row.password(password);
        for (field, value) in [
            ("changed", changed),
            ("minimum", minimum),
            ("maximum", maximum),
            ("warning", warning),
            ("inactive", inactive),
            ("expires", expires),
        ] {
            if !value.is_empty() {
                row.add(field, number(value)?);
            }
        }
        Ok(())
    })
}

/// Items `NAME/state`, `administrators` and `members`.
pub(super) fn gshadow(bytes: &[u8]) -> Result<RawItems, Malformed> {
    table(bytes, |row| {
        let [password, administrators, members] = row.fields()?;
        row.password(password);
        row.add("administrators", names(administrators));
        row.add("members", names(members));
        Ok(())
    })
}

/// One line of a table, on its way into items.
struct Row<'a> {
    name: String,
    fields: &'a str,
    items: RawItems,
}

/// Runs `read` over each account of a table.
fn table(
    bytes: &[u8],
    mut read: impl FnMut(&mut Row<'_>) -> Result<(), What>,
) -> Result<RawItems, Malformed> {
    let mut items = RawItems::new();
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1u32..) {
        let malformed = |what| Malformed { line: number, what };
        let line = readable(line);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, fields) = line.split_once(':').unwrap_or((&line, ""));
        if name.is_empty() {
            return Err(malformed("an account without a name"));
        }
        // NIS entries such as `+::::::` or `-alice` switch a directory in; their other fields are
        // optional.
        if name.starts_with(['+', '-']) {
            items.insert(ItemKey::of([name, "compat"]), RawItem::plain(ItemValue::Nothing));
            continue;
        }
        let time = times.entry(name.to_owned()).and_modify(|time| *time += 1).or_insert(1);
        let name = if *time == 1 { name.to_owned() } else { format!("{name} #{time}") };
        let mut row = Row { name, fields, items };
        read(&mut row).map_err(malformed)?;
        items = row.items;
    }
    Ok(items)
}

/// A line as text. The tables are bytes, and whoever may change his own room and phone (chfn(1))
/// may put any byte there: such a line is told with `\xHH` for what is not UTF-8 and `\\` for a
/// backslash, and hides nobody beside it.
fn readable(line: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(line) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(line.len() * 2);
    for chunk in line.utf8_chunks() {
        text += &chunk.valid().replace('\\', "\\\\");
        chunk.invalid().iter().for_each(|byte| text += &format!("\\x{byte:02x}"));
    }
    Cow::Owned(text)
}

impl<'a> Row<'a> {
    fn fields<const N: usize>(&self) -> Result<[&'a str; N], What> {
        let fields: Vec<&str> = self.fields.split(':').collect();
        fields.try_into().map_err(|_| "a line with another number of fields")
    }

    fn add(&mut self, field: &str, value: ItemValue) {
        self.items.insert(ItemKey::of([&self.name, field]), RawItem::plain(value));
    }

    fn text(&mut self, field: &str, text: &str) {
        self.add(field, ItemValue::text(text));
    }

    /// The state of a password field, and its hash as a secret, so that it leaves as a fingerprint.
    ///
    /// `!` before a hash locks it and replaces nothing, so the fingerprint is of what stands
    /// behind.
    fn password(&mut self, field: &str) {
        // `x` says that the password stands in the shadow file, which tells its state.
        if field == "x" {
            return;
        }
        let hash = field.trim_start_matches('!');
        let locked = hash.len() < field.len();
        let state = match (locked, hash) {
            (false, "") => "no password",
            (true, "") | (_, "*") => "locked",
            (true, _) => "locked, has a password",
            (false, _) if algorithm(hash).is_some() => "has a password",
            // Anything else no password can match (crypt(5)), such as `*NP*`.
            (false, _) => "locked",
        };
        self.text("state", state);
        if let Some(algorithm) = algorithm(hash) {
            self.text("algorithm", algorithm);
            let hash = RawItem::secret(ItemValue::text(hash));
            self.items.insert(ItemKey::of([&self.name, "hash"]), hash);
        }
    }
}

/// Which method made a hash, by its prefix (crypt(5)); `None` for what is no hash.
fn algorithm(hash: &str) -> Option<&'static str> {
    let prefixed = [
        ("$y$", "yescrypt"),
        ("$gy$", "gost-yescrypt"),
        ("$7$", "scrypt"),
        ("$2a$", "bcrypt"),
        ("$2b$", "bcrypt"),
        ("$2x$", "bcrypt"),
        ("$2y$", "bcrypt"),
        ("$6$", "sha512crypt"),
        ("$5$", "sha256crypt"),
        ("$sha1", "sha1crypt"),
        ("$md5", "sunmd5"),
        ("$1$", "md5crypt"),
        ("$3$", "nt"),
        ("_", "bsdicrypt"),
    ];
    if let Some((_, name)) = prefixed.iter().find(|(prefix, _)| hash.starts_with(prefix)) {
        return Some(name);
    }
    let is_des = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/');
    match hash.starts_with('$') {
        true => Some("unknown"),
        false => (hash.len() == 13 && hash.chars().all(is_des)).then_some("descrypt"),
    }
}

fn number(text: &str) -> Result<ItemValue, What> {
    text.parse().map(ItemValue::Integer).map_err(|_| "a field is not a number")
}

fn names(text: &str) -> ItemValue {
    let names: BTreeSet<ItemValue> =
        text.split(',').filter(|name| !name.is_empty()).map(ItemValue::text).collect();
    ItemValue::Set(names)
}
