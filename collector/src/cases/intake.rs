//! Cases one by one, as the collector keeps them: with their ids and without any free text.
//!
//! Only the fields of [`Field::ALL`] are looked at, under the names a source gives them. A word
//! that looks like a person's mail address is left out and counted. A row that cannot be taken is
//! refused by line, and the others are taken; whether that makes the reading a partial one is for
//! the caller to say. Knows no store and no rule of what a word means.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use jiff::tz::TimeZone;
use serde::Deserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ndjson::Lines;
use super::refusal::{ReadError, Refusal, Refusals, Why};
use super::rows::{Fields, Rows};
use super::take::name;
use super::{CHUNK_BYTES, parse_moment};

/// What is kept of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Its name in its system.
    Id,
    /// When it was opened.
    OpenedAt,
    /// When its system first held it.
    RecordedAt,
    /// When it was resolved.
    ResolvedAt,
    /// When it must be resolved.
    DueAt,
    /// The service it is about.
    Service,
    /// Where it is.
    Site,
    /// What sort of case it is.
    Category,
    /// Who works on it: a group, never a person.
    Team,
    /// How urgent it is.
    Priority,
    /// Where it stands.
    Status,
    /// The case it is part of or was merged into.
    Parent,
}

impl Field {
    /// Every field there is.
    pub const ALL: [Self; 12] = [
        Self::Id,
        Self::OpenedAt,
        Self::RecordedAt,
        Self::ResolvedAt,
        Self::DueAt,
        Self::Service,
        Self::Site,
        Self::Category,
        Self::Team,
        Self::Priority,
        Self::Status,
        Self::Parent,
    ];

    /// Its name in a column map, and what its column is called unless one says otherwise.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::OpenedAt => "opened_at",
            Self::RecordedAt => "recorded_at",
            Self::ResolvedAt => "resolved_at",
            Self::DueAt => "due_at",
            Self::Service => "service",
            Self::Site => "site",
            Self::Category => "category",
            Self::Team => "team",
            Self::Priority => "priority",
            Self::Status => "status",
            Self::Parent => "parent",
        }
    }

    /// Without these a case cannot be kept.
    const REQUIRED: [Self; 2] = [Self::Id, Self::OpenedAt];
}

/// How the cases of one source are written.
#[derive(Clone, Debug)]
pub struct CaseForm {
    /// Where times without an offset are local.
    pub zone: TimeZone,
    /// What columns or members are called; others are called as [`Field::as_str`].
    pub columns: BTreeMap<Field, String>,
    /// The last second in which a case can have been opened, since 1970, UTC: a typing mistake that
    /// lies years ahead would hold up everything that waits until cases are known.
    pub latest: i64,
}

impl CaseForm {
    fn column(&self, field: Field) -> &str {
        self.columns.get(&field).map_or(field.as_str(), String::as_str)
    }
}

/// One case as its source writes it. Texts are empty where nothing is said; times are seconds since
/// 1970, UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseRow {
    /// See [`Field::Id`].
    pub id: String,
    /// See [`Field::OpenedAt`].
    pub opened_at: i64,
    /// See [`Field::RecordedAt`].
    pub recorded_at: Option<i64>,
    /// See [`Field::ResolvedAt`].
    pub resolved_at: Option<i64>,
    /// See [`Field::DueAt`].
    pub due_at: Option<i64>,
    /// See [`Field::Service`].
    pub service: String,
    /// See [`Field::Site`].
    pub site: String,
    /// See [`Field::Category`].
    pub category: String,
    /// See [`Field::Team`].
    pub team: String,
    /// See [`Field::Priority`].
    pub priority: String,
    /// See [`Field::Status`].
    pub status: String,
    /// See [`Field::Parent`].
    pub parent: String,
}

/// What a reading came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intake {
    /// How many cases there were, those refused among them.
    pub rows: u64,
    /// How many words were left out because they look like a person's address.
    pub personal: u64,
    /// What was not taken.
    pub refused: Refusals,
}

/// Gives every case of `reader` to `take`, which ends the reading with `false`.
///
/// The first character tells the form: rows under a header, one JSON object a line, or one JSON
/// array.
///
/// # Errors
/// [`ReadError`] when nothing more can be said of what is left; cases before it were taken.
pub fn read_rows(
    reader: impl Read,
    form: &CaseForm,
    take: &mut dyn FnMut(CaseRow) -> bool,
) -> Result<Intake, ReadError> {
    let mut reader = BufReader::with_capacity(CHUNK_BYTES, reader);
    let start = reader.fill_buf().map_err(|source| ReadError::Input { line: 0, source })?;
    let first = start.trim_ascii_start().first().copied();
    let mut intake = Intake::default();
    let mut desk = Desk { form, take, intake: &mut intake };
    match first {
        Some(b'[') => array(reader, &mut desk)?,
        Some(b'{') => lines(reader, &mut desk)?,
        Some(_) => table(reader, &mut desk)?,
        None => {}
    }
    Ok(intake)
}

/// The largest JSON array, in bytes: it is read whole. Larger exports come a line an object.
const ARRAY_BYTES: u64 = 64 * 1024 * 1024;

struct Desk<'a> {
    form: &'a CaseForm,
    take: &'a mut dyn FnMut(CaseRow) -> bool,
    intake: &'a mut Intake,
}

impl Desk<'_> {
    /// Takes the case whose fields `value` gives. Says whether to go on.
    fn row<'v>(
        &mut self,
        (line, columns): (u64, Option<&[Option<usize>]>),
        value: impl Fn(Field) -> Result<std::borrow::Cow<'v, str>, Why>,
    ) -> bool {
        self.intake.rows += 1;
        match self.case(value) {
            Ok(row) => (self.take)(row),
            Err((field, why)) => {
                let place = Field::ALL.iter().position(|known| *known == field);
                let column = columns.zip(place).and_then(|(all, place)| *all.get(place)?);
                let column = column.map(|column| column + 1);
                let name = Some(field.as_str());
                self.intake.refused.push(Refusal { line, column, name, why });
                true
            }
        }
    }

    fn refuse(&mut self, line: u64, why: Why) {
        self.intake.rows += 1;
        self.intake.refused.push(Refusal { line, column: None, name: None, why });
    }

    fn case<'v>(
        &mut self,
        value: impl Fn(Field) -> Result<std::borrow::Cow<'v, str>, Why>,
    ) -> Result<CaseRow, (Field, Why)> {
        let text = |field| value(field).map_err(|why| (field, why));
        let moment = |field| {
            let text = text(field)?;
            let zone = &self.form.zone;
            let moment = |text: &str| parse_moment(text.as_bytes(), zone);
            let moment = (!text.is_empty()).then(|| moment(&text)).transpose();
            moment.map_err(|why| (field, why))
        };
        let past = |field| match moment(field)? {
            Some(at) if at > self.form.latest => Err((field, Why::Future)),
            at => Ok(at),
        };
        let mut personal = 0;
        let mut word = |field| {
            let text = text(field)?;
            let word = name(text.as_bytes()).map_err(|why| (field, why))?;
            if names_a_person(word) {
                personal += 1;
                return Ok(String::new());
            }
            Ok(word.to_owned())
        };
        let row = CaseRow {
            id: word(Field::Id)?,
            opened_at: past(Field::OpenedAt)?.ok_or((Field::OpenedAt, Why::Empty))?,
            recorded_at: past(Field::RecordedAt)?,
            resolved_at: past(Field::ResolvedAt)?,
            due_at: moment(Field::DueAt)?,
            service: word(Field::Service)?,
            site: word(Field::Site)?,
            category: word(Field::Category)?,
            team: word(Field::Team)?,
            priority: word(Field::Priority)?,
            status: word(Field::Status)?,
            parent: word(Field::Parent)?,
        };
        self.intake.personal += personal;
        if row.id.is_empty() { Err((Field::Id, Why::Empty)) } else { Ok(row) }
    }
}

/// Whether a word holds a mail address, which no service, site, category or team is.
fn names_a_person(word: &str) -> bool {
    word.split_whitespace().any(|piece| {
        let piece = piece.trim_matches(|c: char| !c.is_alphanumeric());
        piece.split_once('@').is_some_and(|(who, host)| !who.is_empty() && host.contains('.'))
    })
}

fn table(reader: impl Read, desk: &mut Desk<'_>) -> Result<(), ReadError> {
    let mut rows = Rows::new(reader);
    let header = rows.next()?.and_then(|row| row.fields).ok_or(ReadError::NoHeader)?;
    let width = header.len();
    let columns = columns(header, desk.form)?;
    while let Some(row) = rows.next()? {
        let line = row.line;
        let fields = match row.fields {
            None => {
                desk.refuse(line, Why::LongRow);
                continue;
            }
            Some(fields) if fields.len() != width => {
                desk.refuse(line, Why::Width { found: fields.len(), expected: width });
                continue;
            }
            Some(fields) => fields,
        };
        let value = |field: Field| {
            let place = Field::ALL.iter().position(|known| *known == field);
            let place = place.and_then(|place| columns.get(place).copied().flatten());
            let bytes = place.map_or(&[][..], |place| fields.at(place));
            std::str::from_utf8(bytes).map(Into::into).map_err(|_| Why::NotUtf8)
        };
        if !desk.row((line, Some(&columns)), value) {
            break;
        }
    }
    Ok(())
}

/// Where each field of [`Field::ALL`] stands.
fn columns(header: Fields<'_>, form: &CaseForm) -> Result<Vec<Option<usize>>, ReadError> {
    let mut columns = Vec::with_capacity(Field::ALL.len());
    for field in Field::ALL {
        let name = form.column(field).as_bytes();
        let mut places = (0..header.len()).filter(|at| header.at(*at).eq_ignore_ascii_case(name));
        let place = places.next();
        if places.next().is_some() {
            return Err(ReadError::Twice { column: field.as_str() });
        }
        if place.is_none() && Field::REQUIRED.contains(&field) {
            let required = Field::REQUIRED.map(|field| form.column(field)).join(", ");
            return Err(ReadError::Lacks { column: field.as_str(), required });
        }
        columns.push(place);
    }
    Ok(columns)
}

fn lines(reader: impl BufRead, desk: &mut Desk<'_>) -> Result<(), ReadError> {
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
                let form = desk.form;
                if !desk.row((line.number, None), |field| member(&object, form.column(field))) {
                    break;
                }
            }
            Ok(_) | Err(_) => desk.refuse(line.number, Why::NotJson),
        }
    }
    Ok(())
}

fn array(mut reader: impl BufRead, desk: &mut Desk<'_>) -> Result<(), ReadError> {
    let input = |source| ReadError::Input { line: 0, source };
    let bytes = driftline_protocol::limits::read_bounded(&mut reader, ARRAY_BYTES);
    let bytes = bytes.map_err(input)?;
    let mut json = serde_json::Deserializer::from_slice(&bytes);
    let read = json.deserialize_seq(Objects(desk)).and_then(|()| json.end());
    read.map_err(|error| input(std::io::Error::other(error)))
}

/// The objects of an array, one at a time: as values they take a hundred times their bytes.
struct Objects<'a, 'd>(&'a mut Desk<'d>);

impl<'de> Visitor<'de> for Objects<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of cases")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut objects: A) -> Result<(), A::Error> {
        let desk = self.0;
        let (mut place, mut goes_on) = (0, true);
        // An array has no lines of its own: its places, from 1, are told instead.
        while let Some(object) = objects.next_element::<Value>()? {
            place += 1;
            let form = desk.form;
            if !goes_on {
                continue; // to the end, so that what is left is known to be JSON
            } else if !object.is_object() {
                desk.refuse(place, Why::NotJson);
            } else {
                goes_on = desk.row((place, None), |field| member(&object, form.column(field)));
            }
        }
        Ok(())
    }
}

/// The member `name` of an object, or the one a path of names with dots leads to, as text.
fn member<'v>(object: &'v Value, name: &str) -> Result<std::borrow::Cow<'v, str>, Why> {
    let found = object.get(name).or_else(|| {
        name.contains('.').then(|| name.split('.').try_fold(object, |at, step| at.get(step)))?
    });
    text(found.unwrap_or(&Value::Null))
}

fn text(value: &Value) -> Result<std::borrow::Cow<'_, str>, Why> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> CaseForm {
        let columns = [(Field::Id, "number"), (Field::Site, "location.name")];
        let columns = columns.map(|(field, name)| (field, name.to_owned())).into();
        CaseForm { zone: TimeZone::UTC, columns, latest: 1_900_000_000 }
    }

    fn read(text: &str) -> (Vec<CaseRow>, Result<Intake, ReadError>) {
        let mut rows = Vec::new();
        let intake = read_rows(text.as_bytes(), &form(), &mut |row| {
            rows.push(row);
            true
        });
        (rows, intake)
    }

    fn row(id: &str, site: &str) -> CaseRow {
        CaseRow {
            id: id.into(),
            opened_at: 1_795_352_400,
            service: "voice".into(),
            site: site.into(),
            ..CaseRow::default()
        }
    }

    #[test]
    fn all_three_forms_say_the_same() {
        let opened = "2026-11-22T13:00:00Z";
        let object = |id: &str| {
            format!(
                "{{\"number\":\"{id}\",\"opened_at\":\"{opened}\",\"service\":\"voice\",\
                 \"location\":{{\"name\":\"graz\"}},\"body\":\"free text\",\"team\":null}}"
            )
        };
        let table = format!(
            "Number,opened_at,body,service,location.name\n1,{opened},\"free\ntext\",voice,graz\n\
             2,{opened},x,voice,graz\n"
        );
        let lines = format!("{}\n\n{}\n", object("1"), object("2"));
        let array = format!(" [{},\n{}]", object("1"), object("2"));
        for text in [table, lines, array] {
            let (rows, intake) = read(&text);
            assert_eq!(rows, [row("1", "graz"), row("2", "graz")], "{text}");
            assert_eq!(intake.unwrap(), Intake { rows: 2, ..Intake::default() });
        }
    }

    #[test]
    fn a_bad_row_is_named_and_the_others_are_taken() {
        let (rows, intake) = read(
            "number,opened_at,service,location.name\n,2026-11-22T13:00:00Z,voice,graz\n\
             2,yesterday,voice,graz\n3,2026-11-22T13:00:00Z,voice,graz\n4\n\
             5,2036-11-22T13:00:00Z,voice,graz\n",
        );
        assert_eq!(rows, [row("3", "graz")]);
        let intake = intake.unwrap();
        let told: Vec<String> = intake.refused.first.iter().map(ToString::to_string).collect();
        assert_eq!((intake.rows, intake.refused.total), (5, 4));
        assert_eq!(told[0], "line 2, column 1 (id): is empty");
        assert!(told[1].starts_with("line 3, column 2 (opened_at): is not a time"), "{told:?}");
        assert_eq!(told[2], "line 5: the row has 1 columns and the header 4");
        let future = "line 6, column 2 (opened_at): lies more than a day in the future";
        assert!(told[3].starts_with(future), "{told:?}");
    }

    #[test]
    fn a_file_that_breaks_off_says_so() {
        for (text, expect) in [
            ("number,service\n1,voice\n", "lacks the column opened_at"),
            ("[{\"number\":1}", "reading on after line 0"),
            ("number,number,opened_at\n", "names the column id twice"),
        ] {
            let error = read(text).1.unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
        assert_eq!(read("").1.unwrap(), Intake::default(), "nothing is no case and no mistake");
    }

    #[test]
    fn a_persons_address_is_left_out() {
        for (word, is) in [
            ("ada@example.org", true),
            ("Ada Lovelace <ada@example.org>", true),
            ("desk@vienna", false),
            ("second level", false),
            ("@example.org", false),
        ] {
            assert_eq!(names_a_person(word), is, "{word}");
        }
        let (rows, intake) = read(
            "number,opened_at,service,location.name\n1,2026-11-22 13:00:00,voice,a@b.example\n",
        );
        assert_eq!(rows, [row("1", "")]);
        assert_eq!(intake.unwrap().personal, 1);
    }
}
