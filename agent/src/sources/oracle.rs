//! How tests ask other programs what they make of the same files.
//!
//! An oracle is left out only where its program is not installed, and then the test says so.
//! `tests/run` installs all of them and sets `DRIFTLINE_ORACLES`: one that is missing there fails
//! its test. What is compared with what stands in `docs/oracles.md`.

#![allow(clippy::disallowed_types, reason = "a test may ask another program")]

pub(crate) mod rpms;
pub(crate) mod settings;

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use driftline_protocol::item::ItemValue;

/// What the program and arguments `words` print; nothing where it is not installed.
pub(crate) fn asked(words: &[&str]) -> Option<String> {
    let (said, succeeded) = said(words)?;
    assert!(succeeded, "{words:?} failed: {said}");
    Some(said)
}

/// As [`asked`], of a program that may fail: all it said, and whether it succeeded.
pub(crate) fn said(words: &[&str]) -> Option<(String, bool)> {
    let [program, arguments @ ..] = words else { panic!("a program to ask") };
    let output = match Command::new(program).args(arguments).stdin(Stdio::null()).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            left_out(program);
            return None;
        }
        output => output.unwrap(),
    };
    let succeeded = output.status.success();
    let mut said = output.stdout;
    if !succeeded {
        said.extend(output.stderr);
    }
    Some((String::from_utf8(said).unwrap(), succeeded))
}

/// Says that nothing is held against `oracle`, since it is not installed.
pub(crate) fn left_out(oracle: &str) {
    eprintln!("{oracle} is not installed: nothing is held against it here");
    let required = std::env::var_os("DRIFTLINE_ORACLES").is_some_and(|how| how == "required");
    assert!(!required, "{oracle} is not installed, and DRIFTLINE_ORACLES requires it");
}

/// A value as most programs print it, the values of a list or set each on a line.
pub(crate) fn shown(value: &ItemValue) -> String {
    let all = |values: Vec<String>| values.join("\n");
    match value {
        ItemValue::Nothing => String::new(),
        ItemValue::Flag(flag) => flag.to_string(),
        ItemValue::Integer(number) => number.to_string(),
        ItemValue::Text(text) => text.clone(),
        ItemValue::List(values) => all(values.iter().map(shown).collect()),
        ItemValue::Set(values) => all(values.iter().map(shown).collect()),
        ItemValue::Fingerprint(_) | ItemValue::Lines(_) => panic!("{value:?} is not printed"),
    }
}
