//! The registry of the host that runs us, read and never written.

use std::io;

use driftline_protocol::snapshot::Reason;
use winreg::enums::{HKEY_LOCAL_MACHINE, KEY_READ, KEY_WOW64_64KEY, REG_OPTION_OPEN_LINK, RegType};
use winreg::{RegKey, RegValue};

use super::{Refusal, reason};
use crate::registry::{Budget, HIVE, Key, LINK, Reach, Value};

/// What stands at a key of `HKEY_LOCAL_MACHINE`, and below it as far as `reach` says; `None` where
/// there is none.
///
/// A link to another key is told and never followed, wherever it stands below the first steps of
/// `path`, which are Windows' own.
///
/// # Errors
/// [`Reason::Denied`] where the key itself may not be read, [`Reason::TooLarge`] beyond the bounds
/// of [`Budget`], [`Reason::Unsupported`] for another hive and for a link.
pub fn read_key(path: &str, reach: Reach) -> Result<Option<Key>, Reason> {
    let inside = path.strip_prefix(HIVE).and_then(|rest| rest.strip_prefix('\\'));
    let inside = inside.ok_or(Reason::Unsupported)?;
    let mut around = Key::default();
    let hive = RegKey::predef(HKEY_LOCAL_MACHINE);
    read_below(&mut around, &hive, inside, (&mut Budget::default(), reach, reach.steps()))?;
    match around.unread.remove(inside) {
        Some(reason) => Err(reason),
        None => Ok(around.keys.remove(inside)),
    }
}

/// Why something was not read to its end.
enum Failure {
    /// Nothing is known of this key.
    Key(Reason),
    /// The bounds of the budget are passed: nothing is known of the whole.
    Whole(Reason),
}

/// Reads the key `name` into `above`; why it is not known stands there where it is not.
///
/// # Errors
/// Where the bounds of the budget are passed.
fn read_below(
    above: &mut Key,
    opened: &RegKey,
    name: &str,
    (budget, reach, steps): (&mut Budget, Reach, usize),
) -> Result<(), Reason> {
    // A program of 32 bits would be shown another half of the registry.
    let flags = KEY_READ | KEY_WOW64_64KEY;
    let read = match opened.open_subkey_with_options_flags(name, REG_OPTION_OPEN_LINK, flags) {
        Ok(below) => contents(&below, (budget, reach, steps)),
        // It went while its kin were read; the next pass says so.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(Failure::Key(failed(error))),
    };
    match read {
        Ok((key, link)) => {
            if link {
                above.unread.insert(name.to_owned(), Reason::Unsupported);
            }
            above.keys.insert(name.to_owned(), key);
        }
        Err(Failure::Key(reason)) => {
            above.unread.insert(name.to_owned(), reason);
        }
        Err(Failure::Whole(reason)) => return Err(reason),
    }
    Ok(())
}

/// What stands in a key that is open, and whether it is a link to another.
fn contents(
    opened: &RegKey,
    (budget, reach, steps): (&mut Budget, Reach, usize),
) -> Result<(Key, bool), Failure> {
    budget.key().map_err(Failure::Whole)?;
    let (mut key, mut link) = (Key::default(), false);
    for value in opened.enum_values() {
        let (name, value) = value.map_err(|error| Failure::Key(failed(error)))?;
        budget.value(name.len() + value.bytes.len()).map_err(Failure::Whole)?;
        link |= value.vtype == RegType::REG_LINK && name == LINK;
        key.values.insert(name, said(&value));
    }
    let next = steps.checked_sub(1);
    if link || (next.is_none() && reach.beyond().is_none()) {
        return Ok((key, link));
    }
    for name in opened.enum_keys() {
        let name = name.map_err(|error| Failure::Key(failed(error)))?;
        match next {
            Some(next) => read_below(&mut key, opened, &name, (&mut *budget, reach, next))
                .map_err(Failure::Whole)?,
            None => {
                budget.value(name.len()).map_err(Failure::Whole)?;
                key.unread.extend(reach.beyond().map(|reason| (name, reason)));
            }
        }
    }
    Ok((key, link))
}

fn said(value: &RegValue<'_>) -> Value {
    let kind = match value.vtype {
        RegType::REG_SZ => 1,
        RegType::REG_EXPAND_SZ => 2,
        RegType::REG_DWORD => 4,
        RegType::REG_DWORD_BIG_ENDIAN => 5,
        RegType::REG_LINK => 6,
        RegType::REG_MULTI_SZ => 7,
        RegType::REG_QWORD => 11,
        RegType::REG_NONE
        | RegType::REG_BINARY
        | RegType::REG_RESOURCE_LIST
        | RegType::REG_FULL_RESOURCE_DESCRIPTOR
        | RegType::REG_RESOURCE_REQUIREMENTS_LIST => 3,
    };
    Value::of(kind, &value.bytes)
}

fn failed(error: io::Error) -> Reason {
    reason(Refusal::from(error))
}

#[cfg(test)]
mod tests {
    use winreg::enums::{KEY_ALL_ACCESS, REG_OPTION_CREATE_LINK, REG_OPTION_NON_VOLATILE};

    use super::*;

    /// A key of a test, with everything below it; it goes with the value.
    struct Scratch(String);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = format!("SOFTWARE\\Driftline test {name} {}", std::process::id());
            RegKey::predef(HKEY_LOCAL_MACHINE).create_subkey(&path).unwrap();
            Self(path)
        }

        fn put(&self, below: &str, name: &str, text: &str) {
            let path = format!("{}\\{below}", self.0);
            let (key, _) = RegKey::predef(HKEY_LOCAL_MACHINE).create_subkey(path).unwrap();
            key.set_value(name, &text.to_owned()).unwrap();
        }

        fn read(&self, reach: Reach) -> Key {
            read_key(&format!("{HIVE}\\{}", self.0), reach).unwrap().unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            RegKey::predef(HKEY_LOCAL_MACHINE).delete_subkey_all(&self.0).ok();
        }
    }

    #[test]
    fn a_link_to_another_key_is_told_and_not_followed() {
        let scratch = Scratch::new("link");
        scratch.put("target", "secret", "elsewhere");
        scratch.put("plain", LINK, "a text of this name makes no link");
        let hive = RegKey::predef(HKEY_LOCAL_MACHINE);
        let path = format!("{}\\link", scratch.0);
        let options = REG_OPTION_CREATE_LINK | REG_OPTION_NON_VOLATILE;
        let (link, _) =
            hive.create_subkey_with_options_flags(&path, options, KEY_ALL_ACCESS).unwrap();
        let target = format!("\\Registry\\Machine\\{}\\target", scratch.0);
        let bytes: Vec<u8> = target.encode_utf16().flat_map(u16::to_le_bytes).collect();
        link.set_raw_value(LINK, &RegValue { bytes: bytes.into(), vtype: RegType::REG_LINK })
            .unwrap();
        let key = scratch.read(Reach::Whole);
        assert_eq!(key.blanks(), [("link".to_owned(), Reason::Unsupported)]);
        assert_eq!(
            key.below(&["link"]).unwrap().values,
            [(LINK.into(), Value::Text(target))].into()
        );
        assert!(key.below(&["target"]).unwrap().text("secret").is_some());
        link.delete_subkey("").ok();
    }

    #[test]
    fn what_lies_deeper_than_is_read_is_unread_and_not_gone() {
        let scratch = Scratch::new("depth");
        let deep: Vec<String> = (0..=Reach::Whole.steps()).map(|step| step.to_string()).collect();
        scratch.put(&deep.join("\\"), "value", "deep");
        assert_eq!(scratch.read(Reach::Whole).blanks(), [(deep.join("\\"), Reason::TooLarge)]);
        assert_eq!(scratch.read(Reach::Steps(1)).blanks(), []);
    }
}
