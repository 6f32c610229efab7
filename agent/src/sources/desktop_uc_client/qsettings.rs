//! Settings of a program made with Qt, as its `QSettings` reads an INI file (`qsettings.cpp` of
//! Qt 5.15; <https://doc.qt.io/qt-5/qsettings.html#Format-enum>).
//!
//! `General` is the section of what has none. A line goes on within quotes and behind a backslash,
//! and ends at a `;`, which begins a comment. `%20` in a name is a sign by its number and `\` leads
//! a section deeper; in a value a backslash escapes as in C, and a comma makes a list. Of a setting
//! that comes again the last counts. Text is UTF-8, as Qt 6 has it. Values of Qt's own types
//! (`@Variant(...)`) stay as they are written.

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::RawItems;

use crate::formats::FormatError;
use crate::formats::build::Builder;
use crate::formats::lines::scalar;

/// Where settings without a section belong, and how a section that is called so itself is written.
const GENERAL: &str = "General";
const SECTION_GENERAL: &str = "%General";

/// The longest name of a section, in bytes as it is written: it is read anew with each of its
/// settings.
const SECTION_BYTES: usize = 1_024;

/// The settings that `tells` wants, by section and name.
///
/// # Errors
/// [`FormatError::TooLarge`] for the name of a section that no program has, and for more than a
/// part may hold.
pub fn read(bytes: &[u8], tells: fn(&str, &str) -> bool) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut section = String::new();
    while let Some(line) = Line::first(&mut rest) {
        if let Some(name) = line.text.strip_prefix(b"[") {
            let end = name.iter().position(|byte| *byte == b']').unwrap_or(name.len());
            let name = name.get(..end).unwrap_or_default().trim_ascii();
            if name.len() > SECTION_BYTES && !mutant::active(Mutant::NamesWithoutEnd) {
                return Err(FormatError::TooLarge);
            }
            section = self::section(name);
        } else if let Some((name, written)) = line.setting() {
            let path = format!("{section}{}", unescaped(name.trim_ascii_end()));
            let key = key(&path);
            let (Some(section), Some(name)) = (key.first(), key.last()) else { continue };
            // Qt takes `a//b` for `a/b` when it is asked, so nobody can ask for these.
            if key.iter().all(|word| !word.is_empty()) && tells(section, name) {
                items.set(ItemKey::of(key), value(written)?)?;
            }
        }
    }
    Ok(items.finish())
}

/// What stands before the names of a section's settings.
fn section(name: &[u8]) -> String {
    if name.eq_ignore_ascii_case(GENERAL.as_bytes()) {
        return String::new();
    }
    let general = name.eq_ignore_ascii_case(SECTION_GENERAL.as_bytes());
    format!("{}/", unescaped(name.get(usize::from(general)..).unwrap_or_default()))
}

fn key(path: &str) -> Vec<&str> {
    match path.split_once('/') {
        None => vec![GENERAL, path],
        Some((GENERAL, rest)) => [SECTION_GENERAL].into_iter().chain(rest.split('/')).collect(),
        Some(_) => path.split('/').collect(),
    }
}

struct Line<'a> {
    text: &'a [u8],
    /// Where its first `=` outside quotes stands.
    equals: Option<usize>,
}

impl<'a> Line<'a> {
    /// Takes the first line off `rest`; none at its end.
    fn first(rest: &mut &'a [u8]) -> Option<Self> {
        loop {
            let begins = rest.iter().position(|byte| !b" \t\n\r".contains(byte))?;
            let text = rest.get(begins..)?;
            let end_of_line = || text.iter().position(|byte| b"\n\r".contains(byte));
            if text.starts_with(b";") {
                *rest = text.get(end_of_line()?..)?;
                continue;
            }
            let (length, equals) = extent(text);
            let (text, behind) = text.split_at_checked(length)?;
            *rest = behind;
            return Some(Self { text, equals });
        }
    }

    fn setting(&self) -> Option<(&'a [u8], &'a [u8])> {
        let (name, value) = self.text.split_at_checked(self.equals?)?;
        Some((name, value.get(1..)?))
    }
}

/// How long the line is that `text` begins with, and where its `=` stands.
fn extent(text: &[u8]) -> (usize, Option<usize>) {
    let (mut quoted, mut equals, mut at) = (false, None, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'=' if !quoted && equals.is_none() => equals = Some(at),
            b'\n' | b'\r' | b';' if !quoted => break,
            b'"' => quoted = !quoted,
            b'\\' => at += escaped_end(text.get(at + 1..).unwrap_or_default()),
            _ => {}
        }
        at += 1;
    }
    (at.min(text.len()), equals)
}

/// How many bytes of `text`, behind a backslash, are what it escapes: one, or the end of a line.
fn escaped_end(text: &[u8]) -> usize {
    match text {
        [b'\n', b'\r', ..] | [b'\r', b'\n', ..] => 2,
        [] => 0,
        _ => 1,
    }
}

/// A name, with its `%20` and `%U263A` as what they stand for.
fn unescaped(name: &[u8]) -> String {
    let mut plain = Vec::new();
    let mut rest = name;
    while let Some((byte, behind)) = rest.split_first() {
        let (digits, count) =
            if behind.starts_with(b"U") { (behind.get(1..), 4) } else { (Some(behind), 2) };
        let digits = digits.and_then(|digits| digits.split_at_checked(count));
        let number = digits.and_then(|(digits, behind)| Some((hexadecimal(digits)?, behind)));
        rest = behind;
        match (byte, number) {
            (b'%', Some((number, behind))) => {
                plain.push(number);
                rest = behind;
            }
            (b'\\', _) => plain.push(u16::from(b'/')),
            (byte, _) => plain.push(u16::from(*byte)),
        }
    }
    String::from_utf16_lossy(&plain)
}

fn hexadecimal(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0, |number: u16, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        u16::try_from(u32::from(number) * 16 + digit).ok()
    })
}

/// A value, or the list that its commas make.
///
/// # Errors
/// [`FormatError::TooLarge`] for more values than an item may have.
fn value(written: &[u8]) -> Result<ItemValue, FormatError> {
    let mut reader = Values { rest: written, values: Vec::new(), text: Vec::new(), kept: 0 };
    reader.read();
    let mut values = reader.values;
    if values.len() > limits::VALUES_PER_ITEM {
        return Err(FormatError::TooLarge);
    }
    Ok(match values.pop() {
        Some(only) if values.is_empty() => only,
        Some(last) => {
            values.push(last);
            ItemValue::List(values)
        }
        None => ItemValue::Nothing,
    })
}

struct Values<'a> {
    rest: &'a [u8],
    values: Vec<ItemValue>,
    /// The value being read, as UTF-16: an escape names half a sign.
    text: Vec<u16>,
    /// How much of it stays whatever blanks it ends in.
    kept: usize,
}

impl<'a> Values<'a> {
    fn read(&mut self) {
        let (mut quoted, mut within) = (false, false);
        self.skip_blanks();
        while let Some((byte, behind)) = self.rest.split_first()
            && self.values.len() <= limits::VALUES_PER_ITEM
        {
            match byte {
                b'\\' if !mutant::active(Mutant::EscapesAreKept) => {
                    self.rest = behind;
                    self.escape();
                }
                b'"' => {
                    self.rest = behind;
                    quoted = true;
                    within = !within;
                    if !within {
                        self.skip_blanks();
                    }
                }
                b',' if !within => {
                    self.rest = behind;
                    self.end(quoted);
                    quoted = false;
                    self.skip_blanks();
                }
                _ => self.plain(),
            }
        }
        self.end(quoted);
    }

    fn plain(&mut self) {
        let special = |byte: &u8| matches!(byte, b'\\' | b'"' | b',');
        let others = self.rest.iter().skip(1).position(special);
        let (text, behind) = self.rest.split_at(others.map_or(self.rest.len(), |at| at + 1));
        self.text.extend(String::from_utf8_lossy(text).encode_utf16());
        self.rest = behind;
    }

    fn escape(&mut self) {
        let Some((byte, behind)) = self.rest.split_first() else { return };
        let plain = match byte {
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => 10,
            b'r' => 13,
            b't' => 9,
            b'v' => 11,
            b'"' | b'?' | b'\'' | b'\\' => *byte,
            b'x' => return self.number(behind, 16),
            b'0'..=b'7' => return self.number(self.rest, 8),
            // The end of a line is none here, and what means nothing is left out.
            _ => {
                let length = escaped_end(self.rest);
                self.rest = self.rest.get(length..).unwrap_or_default();
                return;
            }
        };
        self.rest = behind;
        self.text.push(u16::from(plain));
        self.kept = self.text.len();
    }

    /// As many digits as there are; of a number that is too large the last 16 bits count.
    fn number(&mut self, digits: &'a [u8], radix: u16) {
        let mut number: u16 = 0;
        let mut rest = digits;
        while let Some((digit, behind)) = rest.split_first()
            && let Some(digit) = char::from(*digit).to_digit(u32::from(radix))
        {
            number = number.wrapping_mul(radix).wrapping_add(u16::try_from(digit).unwrap_or(0));
            rest = behind;
        }
        self.rest = rest;
        if rest.len() < digits.len() {
            self.text.push(number);
            self.kept = self.text.len();
        }
    }

    fn skip_blanks(&mut self) {
        while let Some(behind) = self.rest.strip_prefix(b" ").or(self.rest.strip_prefix(b"\t")) {
            self.rest = behind;
        }
        self.kept = self.text.len();
    }

    fn end(&mut self, quoted: bool) {
        let blank = |unit: &u16| [u16::from(b' '), u16::from(b'\t')].contains(unit);
        while !quoted && self.text.len() > self.kept && self.text.last().is_some_and(blank) {
            self.text.pop();
        }
        let text = String::from_utf16_lossy(&std::mem::take(&mut self.text));
        self.kept = 0;
        self.values.push(match text.as_str() {
            "@Invalid()" => ItemValue::Nothing,
            // An `@` of the text's own is written twice.
            text => {
                let own = text.strip_prefix('@').filter(|rest| rest.starts_with('@'));
                scalar(own.unwrap_or(text))
            }
        });
    }
}
