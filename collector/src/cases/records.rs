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
use serde_json::Value;

use super::ndjson::Lines;
use super::refusal::{ReadError, Refusal, Refusals, Why};
use super::start::begin;
use super::table::{self, Table, Values};

/// The largest JSON array, in bytes: it is read whole. Larger exports come a line an object.
const ARRAY_BYTES: u64 = 64 * 1024 * 1024;

/// A field that is looked at.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What we call it.
    pub name: &'static str,
    /// What its column or member is called; dots lead into members of members.
    pub column: String,
    /// Whether a table without its column is of no use.
    pub required: bool,
    /// Whether it may be an array of texts, which comes out with a line for each.
    pub list: bool,
}

impl Wanted {
    /// One whose column is called as we call it.
    pub(super) fn plain(name: &'static str, required: bool) -> Self {
        Self { name, column: name.to_owned(), required, list: false }
    }
}

/// One record; fields go by their place among those wanted.
pub struct Record<'a>(Form<'a>);

enum Form<'a> {
    Row(Values<'a>),
    Object { object: &'a Value, wanted: &'a [Wanted] },
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
            Form::Object { object, wanted } => {
                wanted.get(place).map_or(Ok("".into()), |wanted| member(object, wanted))
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
    let mut desk = Desk { wanted, take, came: Came::default() };
    match start.sign() {
        Some(b'[') => array(start.whole(), &mut desk)?,
        Some(b'{') => lines(start.whole(), &mut desk)?,
        Some(_) => rows(table::open(start, wanted)?, &mut desk)?,
        None => {}
    }
    Ok(desk.came)
}

struct Desk<'a, 't> {
    wanted: &'a [Wanted],
    take: &'a mut Take<'t>,
    came: Came,
}

impl Desk<'_, '_> {
    /// Takes one record. Says whether to go on.
    fn take(&mut self, line: u64, record: &Record<'_>) -> bool {
        self.came.rows += 1;
        match (self.take)(record) {
            Ok(goes_on) => goes_on,
            Err((place, why)) => {
                let column = match &record.0 {
                    Form::Row(values) => values.column(place),
                    Form::Object { .. } => None,
                };
                let name = self.wanted.get(place).map(|wanted| wanted.name);
                self.came.refused.push(Refusal { line, column, name, why });
                true
            }
        }
    }

    fn refuse(&mut self, line: u64, why: Why) {
        self.came.rows += 1;
        self.came.refused.push(Refusal { line, column: None, name: None, why });
    }
}

fn rows(mut table: Table<impl BufRead>, desk: &mut Desk<'_, '_>) -> Result<(), ReadError> {
    while let Some(row) = table.next()? {
        match row.values {
            Err(why) => desk.refuse(row.line, why),
            Ok(values) => {
                if !desk.take(row.line, &Record(Form::Row(values))) {
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
            Ok(object @ Value::Object(_)) => {
                let wanted = desk.wanted;
                let record = Record(Form::Object { object: &object, wanted });
                if !desk.take(line.number, &record) {
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
            let wanted = desk.wanted;
            if !goes_on {
                continue; // to the end, so that what is left is known to be JSON
            } else if !object.is_object() {
                desk.refuse(place, Why::NotJson);
            } else {
                goes_on = desk.take(place, &Record(Form::Object { object: &object, wanted }));
            }
        }
        Ok(())
    }
}

/// The member of an object that is wanted, or the one a path of names with dots leads to, as text.
fn member<'v>(object: &'v Value, wanted: &Wanted) -> Result<Cow<'v, str>, Why> {
    let name = wanted.column.as_str();
    let found = object.get(name).or_else(|| {
        name.contains('.').then(|| name.split('.').try_fold(object, |at, step| at.get(step)))?
    });
    let value = found.unwrap_or(&Value::Null);
    match value.as_array().filter(|_| wanted.list) {
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
