//! Records of named fields from a file, in whichever of three forms it has.
//!
//! The first character tells the form: rows under a header, one JSON object a line, or one JSON
//! array. Only the fields that are wanted are looked at, under the names a source gives them. A
//! record that cannot be taken is refused by line, and the others are taken; whether that makes the
//! reading a partial one is for the caller to say. Knows no case and no change request.

use std::borrow::Cow;
use std::io::{BufRead, Read};

use serde::Deserializer;
use serde::de::{SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::columns::{ColumnNotes, Members, Wanted, shown};
use super::ndjson::Lines;
use super::refusal::{ReadError, Refusal, Refusals, Why};
use super::start::begin;
use super::table::{self, Table, Values};

/// The largest JSON array, in bytes: it is read whole. Larger exports come a line an object.
const ARRAY_BYTES: u64 = 64 * 1024 * 1024;

/// One record; fields go by their place among those wanted.
pub struct Record<'a>(Form<'a>);

enum Form<'a> {
    Row(Values<'a>),
    Object { object: &'a Map<String, Value>, members: &'a Members<'a> },
}

impl Record<'_> {
    /// The field at `place`, without white space around it; empty where nothing is said.
    ///
    /// # Errors
    /// [`Why`] when it is no text.
    pub fn text(&self, place: usize) -> Result<Cow<'_, str>, Why> {
        match &self.0 {
            Form::Row(values) => {
                let text = std::str::from_utf8(values.at(place));
                text.map(Cow::Borrowed).map_err(|_| Why::NotUtf8)
            }
            Form::Object { object, members } => {
                let found = members.find(object, place)?;
                let is_list = members.wanted(place).is_some_and(|wanted| wanted.list);
                found.map_or(Ok("".into()), |(_, value)| member(value, is_list))
            }
        }
    }

    /// Whether the field at `place` is not there at all, though the configuration names it. A row
    /// has what its header has, and a header that lacks it is refused.
    ///
    /// # Errors
    /// [`Why`] when it is there twice.
    pub fn lacks(&self, place: usize) -> Result<bool, Why> {
        match &self.0 {
            Form::Row(_) => Ok(false),
            Form::Object { object, members } => members.lacks(object, place),
        }
    }

    /// What the field at `place` is called here.
    fn called(&self, place: usize) -> Option<String> {
        match &self.0 {
            Form::Row(values) => values.called(place).map(str::to_owned),
            Form::Object { object, members } => {
                let wanted = members.wanted(place)?;
                let found = members.find(object, place).ok().flatten();
                // One that a path leads to is called by all of it.
                let found = found.filter(|_| !wanted.column.contains('.'));
                Some(shown(found.map_or(wanted.column.as_str(), |(name, _)| name)))
            }
        }
    }
}

/// What a reading came to.
#[derive(Clone, Debug, Default)]
pub struct Came {
    /// How many records there were, those refused among them.
    pub rows: u64,
    /// What was not taken.
    pub refused: Refusals,
    /// What was odd about the names of its columns.
    pub columns: ColumnNotes,
}

/// Takes one record and says whether to go on, or which field is wrong and why.
type Take<'a> = dyn FnMut(&Record<'_>) -> Result<bool, (usize, Why)> + 'a;

/// Gives every record of `reader` to `take`.
///
/// # Errors
/// [`ReadError`] when nothing more can be said of what is left; records before it were taken.
pub fn read_records(
    reader: impl Read,
    wanted: &[Wanted],
    take: &mut Take<'_>,
) -> Result<Came, ReadError> {
    let start = begin(reader)?;
    let mut desk = Desk { members: Members::of(wanted), take, came: Came::default() };
    match start.sign() {
        Some(b'[') => array(start.whole(), &mut desk)?,
        Some(b'{') => lines(start.whole(), &mut desk)?,
        Some(_) => rows(table::open(start, wanted)?, &mut desk)?,
        None => {}
    }
    let Desk { members, came, .. } = desk;
    Ok(Came { columns: members.notes(), ..came })
}

struct Desk<'a, 't> {
    members: Members<'a>,
    take: &'a mut Take<'t>,
    came: Came,
}

impl Desk<'_, '_> {
    /// Takes an object. Says whether to go on.
    fn take_object(&mut self, line: u64, object: &Map<String, Value>) -> bool {
        self.members.note_unread(object);
        self.members.note_lacking(object);
        let taken = (self.take)(&Record(Form::Object { object, members: &self.members }));
        self.came.rows += 1;
        let refused = taken.map_err(|wrong| {
            let record = Record(Form::Object { object, members: &self.members });
            self.refusal((line, None), &record, wrong)
        });
        self.went_on(refused)
    }

    /// Takes a row. Says whether to go on.
    fn take_row(&mut self, line: u64, values: Values<'_>) -> bool {
        let record = Record(Form::Row(values));
        self.came.rows += 1;
        let taken = (self.take)(&record);
        let refused =
            taken.map_err(|wrong| self.refusal((line, values.column(wrong.0)), &record, wrong));
        self.went_on(refused)
    }

    fn went_on(&mut self, taken: Result<bool, Refusal>) -> bool {
        taken.unwrap_or_else(|refusal| {
            self.came.refused.push(refusal);
            true
        })
    }

    fn refusal(
        &self,
        (line, column): (u64, Option<usize>),
        record: &Record<'_>,
        (place, why): (usize, Why),
    ) -> Refusal {
        let name = self.members.wanted(place).map(|wanted| wanted.name);
        Refusal { line, column, name, called: record.called(place), why }
    }

    fn refuse(&mut self, line: u64, why: Why) {
        self.came.rows += 1;
        self.came.refused.push(Refusal::of_row(line, why));
    }
}

fn rows(mut table: Table<impl BufRead>, desk: &mut Desk<'_, '_>) -> Result<(), ReadError> {
    table.others.iter().for_each(|name| desk.members.unread.push(name));
    while let Some(row) = table.next()? {
        match row.values {
            Err(why) => desk.refuse(row.line, why),
            Ok(values) => {
                if !desk.take_row(row.line, values) {
                    break;
                }
            }
        }
    }
    Ok(())
}

fn lines(reader: impl BufRead, desk: &mut Desk<'_, '_>) -> Result<(), ReadError> {
    let mut lines = Lines { reader, text: Vec::new(), line: 0 };
    while let Some(line) = lines.next()? {
        if line.text.trim_ascii().is_empty() {
            continue;
        }
        if !line.whole {
            desk.refuse(line.number, Why::LongRow);
            continue;
        }
        match serde_json::from_slice(line.text) {
            Ok(Value::Object(object)) => {
                if !desk.take_object(line.number, &object) {
                    break;
                }
            }
            Ok(_) | Err(_) => desk.refuse(line.number, Why::NotJson),
        }
    }
    Ok(())
}

fn array(mut reader: impl BufRead, desk: &mut Desk<'_, '_>) -> Result<(), ReadError> {
    let input = |source| ReadError::Input { line: 0, source };
    let bytes = driftline_protocol::limits::read_bounded(&mut reader, ARRAY_BYTES);
    let bytes = bytes.map_err(input)?;
    let mut json = serde_json::Deserializer::from_slice(&bytes);
    let read = json.deserialize_seq(Objects(desk)).and_then(|()| json.end());
    read.map_err(|error| input(std::io::Error::other(error)))
}

/// The objects of an array, one at a time: as values they take a hundred times their bytes.
struct Objects<'a, 'd, 't>(&'a mut Desk<'d, 't>);

impl<'de> Visitor<'de> for Objects<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut objects: A) -> Result<(), A::Error> {
        let desk = self.0;
        let (mut place, mut goes_on) = (0, true);
        // An array has no lines of its own: its places, from 1, are told instead.
        while let Some(object) = objects.next_element::<Value>()? {
            place += 1;
            match object.as_object() {
                _ if !goes_on => {} // to the end, so that what is left is known to be JSON
                Some(object) => goes_on = desk.take_object(place, object),
                None => desk.refuse(place, Why::NotJson),
            }
        }
        Ok(())
    }
}

/// A value as text; one that is a list of texts has a line for each.
fn member(value: &Value, is_list: bool) -> Result<Cow<'_, str>, Why> {
    match value.as_array().filter(|_| is_list) {
        Some(all) => {
            let texts = all.iter().map(text).collect::<Result<Vec<_>, _>>()?;
            Ok(texts.join("\n").into())
        }
        None => text(value),
    }
}

fn text(value: &Value) -> Result<Cow<'_, str>, Why> {
    match value {
        Value::Null => Ok("".into()),
        Value::String(text) => Ok(text.trim().into()),
        Value::Number(number) => Ok(number.to_string().into()),
        Value::Bool(flag) => Ok(flag.to_string().into()),
        // A reference with its name beside it, as some systems write them.
        Value::Object(reference) => {
            let shown = ["display_value", "name", "value"];
            let shown = shown.iter().find_map(|name| reference.get(*name)?.as_str());
            shown.map(Into::into).ok_or(Why::NotText)
        }
        Value::Array(_) => Err(Why::NotText),
    }
}
