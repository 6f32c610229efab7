//! Mailboxes: `1234 => password,name,email,pager,options` in sections that are contexts.
//!
//! The password has no name, only a place, so it is marked here. Contexts that repeat go on.

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItems;

use super::super::FormatError;
use super::super::lines::scalar;
use super::document::{Document, Variable};
use super::items::{IntoText, Items, Naming, Path, below};
use super::lines::trim;
use super::settings::{self, Place};

/// Sections that hold settings rather than mailboxes.
const SETTINGS: &[&str] = &["general", "zonemessages"];

/// How many fields a mailbox has.
const FIELDS: usize = 5;

/// The items of a file of mailboxes.
pub(super) fn read(document: &Document) -> Result<RawItems, FormatError> {
    let mut items = Items::default();
    let paths = items.frame(document, Naming::Joined)?;
    for (path, section) in paths.iter().zip(&document.sections) {
        let settings = SETTINGS.iter().any(|name| section.name.eq_ignore_ascii_case(name));
        let place = Place::new(path, section);
        for variable in &section.variables {
            if settings {
                settings::add(&mut items, &place, variable)?;
            } else {
                mailbox(&mut items, path, variable)?;
            }
        }
    }
    items.finish()
}

/// Whether a variable is a mailbox by its form alone, as in a file that `voicemail.conf` includes:
/// a number, and a number for its password.
pub(super) fn is_mailbox(variable: &Variable) -> bool {
    let number = |text: &str| text.len() >= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let (password, _) = variable.value.split_once(',').unwrap_or((&variable.value, ""));
    let password = trim(password);
    number(&variable.name) && number(password.strip_prefix('-').unwrap_or(password))
}

/// Adds one mailbox.
pub(super) fn mailbox(
    items: &mut Items,
    path: &Path,
    variable: &Variable,
) -> Result<(), FormatError> {
    let path = below(path, &[&variable.name]);
    items.set(&path, ItemValue::Nothing)?;
    let mut fields = variable.value.splitn(FIELDS, ',').map(trim);
    items.secret(&below(&path, &["password"]), fields.next().unwrap_or_default())?;
    for (name, field) in ["name", "email", "pager"].iter().zip(fields.by_ref()) {
        if !field.is_empty() {
            items.set(&below(&path, &[name]), field.into_text())?;
        }
    }
    let options = fields.next().unwrap_or_default().split('|').map(trim);
    for option in options.filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        items.add(&below(&path, &["options", trim(name)]), scalar(trim(value)))?;
    }
    Ok(())
}
