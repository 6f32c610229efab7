//! Cases one by one, as the collector keeps them: with their ids and without any free text.
//!
//! Only the fields of [`Field::ALL`] are looked at, under the names a source gives them. A word
//! that looks like a person's mail address is left out and counted. Knows no store and no rule of
//! what a word means.

use std::collections::BTreeMap;
use std::io::Read;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::parse_moment;
use super::records::{Record, Wanted, read_records};
use super::refusal::{ReadError, Refusals, Why};
use super::take::name;

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
    let wanted = Field::ALL.map(|field| Wanted {
        name: field.as_str(),
        column: form.column(field).to_owned(),
        required: Field::REQUIRED.contains(&field),
        list: false,
    });
    let mut personal = 0;
    let came = read_records(reader, &wanted, &mut |record| {
        let row = case(record, form, &mut personal)?;
        Ok(take(row))
    })?;
    Ok(Intake { rows: came.rows, personal, refused: came.refused })
}

fn case(record: &Record<'_>, form: &CaseForm, personal: &mut u64) -> Result<CaseRow, (usize, Why)> {
    let text = |field| record.text(field as usize).map_err(|why| (field as usize, why));
    let moment = |field| {
        let text = text(field)?;
        let moment = |text: &str| parse_moment(text.as_bytes(), &form.zone);
        let moment = (!text.is_empty()).then(|| moment(&text)).transpose();
        moment.map_err(|why| (field as usize, why))
    };
    let past = |field| match moment(field)? {
        Some(at) if at > form.latest => Err((field as usize, Why::Future)),
        at => Ok(at),
    };
    let mut found = 0;
    let mut word = |field| {
        let text = text(field)?;
        let word = name(text.as_bytes()).map_err(|why| (field as usize, why))?;
        if names_a_person(word) {
            found += 1;
            return Ok(String::new());
        }
        Ok(word.to_owned())
    };
    let row = CaseRow {
        id: word(Field::Id)?,
        opened_at: past(Field::OpenedAt)?.ok_or((Field::OpenedAt as usize, Why::Empty))?,
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
    *personal += found;
    if row.id.is_empty() { Err((Field::Id as usize, Why::Empty)) } else { Ok(row) }
}

/// Whether a word holds a mail address, which no service, site, category or team is.
fn names_a_person(word: &str) -> bool {
    word.split_whitespace().any(|piece| {
        let piece = piece.trim_matches(|c: char| !c.is_alphanumeric());
        piece.split_once('@').is_some_and(|(who, host)| !who.is_empty() && host.contains('.'))
    })
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
