//! Cases as one JSON object a line.
//!
//! The same names as the columns of a header, in whatever capitals; other members are passed over,
//! null is the same as absent, and a whole number stands for its digits, since some systems number
//! their sites.

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, Read};

use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::ROW_BYTES;
use super::columns::is_same;
use super::refusal::{ReadError, Refusal, Why};
use super::take::{Column, Raw, Taker};

/// One line, before anything is known of its values: each by its place in [`Column::ALL`].
#[derive(Default)]
struct Line<'a>([Option<Value<'a>>; Column::ALL.len()]);

/// The name of a member.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Line<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Line<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Line<'de>, A::Error> {
                let mut line = Line::default();
                let mut there = [false; Column::ALL.len()];
                while let Some(Name(name)) = members.next_key()? {
                    let is_named = |column: &Column| is_same(&name, column.as_str());
                    let place = Column::ALL.iter().position(is_named);
                    let slots = place.and_then(|at| line.0.get_mut(at).zip(there.get_mut(at)));
                    let Some((slot, there)) = slots else {
                        members.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    if std::mem::replace(there, true) {
                        return Err(de::Error::custom("a member is there twice"));
                    }
                    *slot = members.next_value()?;
                }
                Ok(line)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Number(i64),
    Other(IgnoredAny),
}

/// Takes every line of `reader`.
pub(super) fn take_all(reader: impl BufRead, taker: &mut Taker<'_>) -> Result<(), ReadError> {
    let mut lines = Lines { reader, text: Vec::new(), line: 0 };
    while let Some(line) = lines.next()? {
        let number = line.number;
        if line.text.trim_ascii().is_empty() {
            continue;
        }
        taker.cases.rows += 1;
        match take(&line, taker) {
            Ok(()) => taker.within_bounds(number)?,
            Err(refusal) => taker.cases.refused.push(refusal),
        }
    }
    Ok(())
}

fn take(line: &NumberedLine<'_>, taker: &mut Taker<'_>) -> Result<(), Refusal> {
    let whole = |why, column| Refusal { column, ..Refusal::of_row(line.number, why) };
    if !line.whole {
        return Err(whole(Why::LongRow, None));
    }
    let object: Line<'_> = serde_json::from_slice(line.text)
        .map_err(|error| whole(Why::NotJson, Some(error.column())))?;
    let refusal = |(column, why): (Column, Why)| Refusal {
        line: line.number,
        column: None,
        name: Some(column.as_str()),
        called: None,
        why,
    };
    let mut buffers: [Cow<'_, str>; 6] = Default::default();
    for ((buffer, value), column) in buffers.iter_mut().zip(object.0).zip(Column::ALL) {
        *buffer = match value {
            None => Cow::Borrowed(""),
            Some(Value::Text(text)) => text,
            Some(Value::Number(number)) => Cow::Owned(number.to_string()),
            Some(Value::Other(_)) => return Err(refusal((column, Why::NotText))),
        };
    }
    let [opened_at, service, site, category, id, recorded_at] =
        buffers.each_ref().map(|text| text.as_bytes().trim_ascii());
    let raw = Raw { opened_at, service, site, category, id, recorded_at };
    taker.take(&raw).map_err(refusal)
}

/// Lines of a reader, in bounded memory.
pub(super) struct Lines<R> {
    pub(super) reader: R,
    pub(super) text: Vec<u8>,
    pub(super) line: u64,
}

/// One line.
pub(super) struct NumberedLine<'a> {
    pub(super) number: u64,
    pub(super) text: &'a [u8],
    /// Whether it ended within the bound.
    pub(super) whole: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn next(&mut self) -> Result<Option<NumberedLine<'_>>, ReadError> {
        let line = self.line;
        let failed = |source| ReadError::Input { line, source };
        self.text.clear();
        let bound = ROW_BYTES as u64;
        let mut bounded = Read::by_ref(&mut self.reader).take(bound);
        let read = bounded.read_until(b'\n', &mut self.text).map_err(failed)?;
        if read == 0 {
            return Ok(None);
        }
        let whole = self.text.ends_with(b"\n") || (read as u64) < bound;
        if !whole {
            self.reader.skip_until(b'\n').map_err(failed)?;
        }
        self.line += 1;
        Ok(Some(NumberedLine { number: self.line, text: &self.text, whole }))
    }
}
