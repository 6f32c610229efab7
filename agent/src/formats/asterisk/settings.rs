//! Variables whose names say how they repeat: codecs, access rules, members, registrations.
//!
//! Any other variable is a setting; where it repeats, its values are a list. A value stays as it
//! is written, since which words mean yes differs from module to module.

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::{RawItem, RawItems};

use super::super::FormatError;
use super::super::lines::scalar;
use super::document::{Document, Section, Variable};
use super::items::{IntoText, Items, Naming, Path, below, is_identity};
use super::lines::trim;
use super::voicemail;

/// The items of a file of settings.
pub(super) fn read(document: &Document) -> Result<RawItems, FormatError> {
    let mut items = Items::default();
    let paths = items.frame(document, Naming::Apart)?;
    for (path, section) in paths.iter().zip(&document.sections) {
        let place = Place::new(path, section);
        for variable in &section.variables {
            let identity = section.kind.as_deref().is_some_and(is_identity);
            if identity && variable.name.eq_ignore_ascii_case("type") {
                continue; // it stands in the key
            }
            add(&mut items, &place, variable)?;
        }
    }
    items.finish()
}

/// Where a variable stands.
pub(super) struct Place<'a> {
    /// The path of its section.
    pub(super) path: &'a Path,
    /// Whether members are rung in the order in which they stand.
    in_order: bool,
}

impl<'a> Place<'a> {
    /// The place of the variables of `section`.
    pub(super) fn new(path: &'a Path, section: &Section) -> Self {
        let mut variables = section.variables.iter().rev();
        let strategy = variables.find(|variable| variable.name.eq_ignore_ascii_case("strategy"));
        let is = |word: &str| strategy.is_some_and(|v| v.value.eq_ignore_ascii_case(word));
        Self { path, in_order: IN_ORDER.iter().any(|word| is(word)) }
    }
}

/// How a variable repeats.
enum Kind {
    /// `allow` and `disallow`: one sequence, in which later ones win.
    Codecs,
    /// `permit` and `deny` behind the same prefix: one sequence, in which the last match wins.
    Access,
    /// Values without order.
    Set,
    /// One item for each value.
    Each,
    /// `NAME=VALUE` inside the value.
    Assigned,
    /// A member of a queue.
    Member,
    /// Fields by position, one of them a password.
    Positional(&'static [Field]),
    /// `user:password@host`.
    Login,
    /// All else.
    Plain,
}

/// What a field by position is.
enum Field {
    /// Names the item.
    Key,
    /// Is a secret of this name.
    Secret(&'static str),
    /// Is a setting of this name, up to the end of the line.
    Rest(&'static str),
}

/// `agent => 1001,4321,Mark` of `agents.conf`.
const AGENT: &[Field] = &[Field::Key, Field::Secret("password"), Field::Rest("name")];

/// `conf => 1234,pin,adminpin` of `meetme.conf`.
const ROOM: &[Field] = &[Field::Key, Field::Secret("pin"), Field::Secret("adminpin")];

fn kind_of(variable: &Variable) -> Kind {
    let name = variable.name.to_ascii_lowercase();
    let value = &variable.value;
    match name.as_str() {
        "allow" | "disallow" => Kind::Codecs,
        "match" | "localnet" | "local_net" | "ignorepat" => Kind::Set,
        "load" | "noload" | "preload" | "preload-require" | "require" => Kind::Each,
        "setvar" | "set_var" | "variable" if value.contains('=') => Kind::Assigned,
        "member" => Kind::Member,
        "agent" if value.contains(',') => Kind::Positional(AGENT),
        "conf" => Kind::Positional(ROOM),
        "register" | "auth" if value.contains('@') => Kind::Login,
        name if name.ends_with("permit") || name.ends_with("deny") => Kind::Access,
        _ => Kind::Plain,
    }
}

/// Adds what one variable says.
pub(super) fn add(
    items: &mut Items,
    place: &Place<'_>,
    variable: &Variable,
) -> Result<(), FormatError> {
    let Variable { name, value } = variable;
    let path = place.path;
    match kind_of(variable) {
        Kind::Codecs => codecs(items, path, variable),
        Kind::Access => {
            let verb = if name.to_ascii_lowercase().ends_with("deny") { "deny" } else { "permit" };
            let prefix = name.get(..name.len() - verb.len()).unwrap_or_default();
            let key = below(path, &[&format!("{prefix}deny,{prefix}permit")]);
            items.extend(&key, [format!("{verb} {value}").into_text()])
        }
        Kind::Set => {
            let mut values = value.split(',').map(trim);
            let key = below(path, &[name]);
            values.try_for_each(|value| items.include(&key, value.into_text()))
        }
        Kind::Each => items.set(&below(path, &[name, value]), ItemValue::Nothing),
        Kind::Assigned => {
            let (inner, value) = value.split_once('=').unwrap_or((value, ""));
            items.add(&below(path, &[name, trim(inner)]), trim(value).into_text())
        }
        Kind::Member => member(items, place, value),
        Kind::Positional(fields) => positional(items, &below(path, &[name]), (fields, value)),
        Kind::Login => login(items, &below(path, &[name]), value),
        Kind::Plain if voicemail::is_mailbox(variable) => voicemail::mailbox(items, path, variable),
        // Its name is one of a secret for Asterisk's directories alone.
        Kind::Plain if name.eq_ignore_ascii_case("pincode") => {
            items.secret(&below(path, &[name]), value)
        }
        Kind::Plain => items.add(&below(path, &[name]), scalar(value)),
    }
}

/// `disallow=all` is `!all` for Asterisk itself, so both names give one sequence.
fn codecs(items: &mut Items, path: &Path, variable: &Variable) -> Result<(), FormatError> {
    let refused = variable.name.eq_ignore_ascii_case("disallow");
    let named = variable.value.split(',').map(trim).filter(|name| !name.is_empty());
    let values = named.map(|name| if refused { format!("!{name}") } else { name.to_owned() });
    items.extend(&below(path, &["allow"]), values.map(IntoText::into_text).collect::<Vec<_>>())
}

/// The fields behind a member's interface.
const MEMBER_FIELDS: &[&str] =
    &["penalty", "name", "state_interface", "ringinuse", "wrapuptime", "paused"];

/// Strategies that ring members in the order of the file.
const IN_ORDER: &[&str] = &["linear", "rrordered"];

fn member(items: &mut Items, place: &Place<'_>, value: &str) -> Result<(), FormatError> {
    let mut fields = value.split(',').map(trim);
    let path = below(place.path, &["member", fields.next().unwrap_or_default()]);
    for (name, field) in MEMBER_FIELDS.iter().zip(fields).filter(|(_, field)| !field.is_empty()) {
        items.set(&below(&path, &[name]), scalar(field))?;
    }
    if place.in_order {
        items.rank(place.path, path, RawItem::plain(ItemValue::Nothing));
        return Ok(());
    }
    items.set(&path, ItemValue::Nothing)
}

fn positional(
    items: &mut Items,
    path: &Path,
    (fields, value): (&[Field], &str),
) -> Result<(), FormatError> {
    let mut path = path.clone();
    let mut values = value.splitn(fields.len(), ',').map(trim);
    for field in fields {
        let Some(value) = values.next() else { break };
        match field {
            Field::Key => {
                path.push(value.to_owned());
                items.set(&path, ItemValue::Nothing)?;
            }
            Field::Secret(name) => items.secret(&below(&path, &[name]), value)?,
            Field::Rest(name) => items.set(&below(&path, &[name]), value.into_text())?,
        }
    }
    Ok(())
}

/// `register => user:password:authuser@host:port/extension`, `auth = user#digest@realm`: keyed by
/// the user and the host. Whatever stands between them is secret, since a password may hold any
/// sign.
fn login(items: &mut Items, path: &Path, value: &str) -> Result<(), FormatError> {
    let (left, host) = value.rsplit_once('@').unwrap_or((value, ""));
    let scheme = left.find("://").map_or(0, |at| at + "://".len());
    let (_, account) = left.split_at_checked(scheme).unwrap_or(("", left));
    let cut = account.find([':', '#']).map_or(left.len(), |at| at + scheme);
    let (user, secret) = left.split_at_checked(cut).unwrap_or((left, ""));
    let path = below(path, &[&format!("{user}@{host}")]);
    items.set(&path, ItemValue::Nothing)?;
    match secret.get(1..) {
        Some(secret) => items.secret(&below(&path, &["password"]), secret),
        None => Ok(()),
    }
}
