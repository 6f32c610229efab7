//! The registry of the host that runs us, read and never written.

use std::io;

use driftline_protocol::snapshot::Reason;
use winreg::enums::{HKEY_LOCAL_MACHINE, KEY_READ, KEY_WOW64_64KEY, RegType};
use winreg::{RegKey, RegValue};

use super::{Refusal, reason};
use crate::registry::{Budget, HIVE, Key, Value};

/// What stands at a key of `HKEY_LOCAL_MACHINE`, and so many steps below it; `None` where there is
/// none.
///
/// # Errors
/// [`Reason::Denied`] where one key of them may not be read, [`Reason::TooLarge`] beyond the bounds
/// of [`Budget`], [`Reason::Unsupported`] for another hive.
pub fn read_key(path: &str, steps: usize) -> Result<Option<Key>, Reason> {
    let inside = path.strip_prefix(HIVE).and_then(|rest| rest.strip_prefix('\\'));
    let inside = inside.ok_or(Reason::Unsupported)?;
    // A program of 32 bits would be shown another half of the registry.
    let flags = KEY_READ | KEY_WOW64_64KEY;
    match RegKey::predef(HKEY_LOCAL_MACHINE).open_subkey_with_flags(inside, flags) {
        Ok(opened) => read(&opened, &mut Budget::default(), steps).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn read(opened: &RegKey, budget: &mut Budget, steps: usize) -> Result<Key, Reason> {
    budget.key()?;
    let mut key = Key::default();
    for value in opened.enum_values() {
        let (name, value) = value.map_err(failed)?;
        budget.value(name.len() + value.bytes.len())?;
        key.values.insert(name, said(&value));
    }
    let Some(steps) = steps.checked_sub(1) else { return Ok(key) };
    for name in opened.enum_keys() {
        let name = name.map_err(failed)?;
        let below = opened.open_subkey_with_flags(&name, KEY_READ | KEY_WOW64_64KEY);
        match below {
            Ok(below) => key.keys.insert(name, read(&below, budget, steps)?),
            // It went while its kin were read; the next pass says so.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
    }
    Ok(key)
}

fn said(value: &RegValue<'_>) -> Value {
    let kind = match value.vtype {
        RegType::REG_SZ => 1,
        RegType::REG_EXPAND_SZ => 2,
        RegType::REG_DWORD => 4,
        RegType::REG_DWORD_BIG_ENDIAN => 5,
        RegType::REG_MULTI_SZ => 7,
        RegType::REG_QWORD => 11,
        _ => 3,
    };
    Value::of(kind, &value.bytes)
}

fn failed(error: io::Error) -> Reason {
    reason(Refusal::from(error))
}
