//! Cases one by one, as the collector keeps them: with their ids and without any free text.
//!
//! Only the fields of [`Field::ALL`] are looked at, under the names a source gives them. A word
//! that is of a person or a secret is left out and counted, and a fingerprint stands for such an
//! id. Two words that look the same become one. Knows no store and no rule of what a word means.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use driftline_protocol::printable::is_invisible;
use icu_normalizer::ComposingNormalizerBorrowed;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::columns::{ColumnNotes, Wanted};
use super::people::Hider;
use super::records::{Came, Record, read_records};
use super::refusal::{ReadError, Refusals, Why};
use super::take::name;
use super::{parse_end, parse_moment};

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
    /// What keeps people and secrets out.
    pub hider: Hider,
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
    /// How many words were left out because they are of a person or a secret.
    pub personal: u64,
    /// How many names of cases were, for which a fingerprint stands.
    pub hidden_ids: u64,
    /// What was not taken.
    pub refused: Refusals,
    /// What was odd about the names of its columns.
    pub columns: ColumnNotes,
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
    let mut hidden = Hidden::default();
    let came = read_records(reader, &wanted, &mut |record| {
        let row = case(record, form, &mut hidden)?;
        Ok(take(row))
    })?;
    let Hidden { words, ids } = hidden;
    let Came { rows, refused, columns } = came;
    Ok(Intake { rows, personal: words, hidden_ids: ids, refused, columns })
}

/// What was not kept as it came.
#[derive(Default)]
struct Hidden {
    words: u64,
    ids: u64,
}

fn case(
    record: &Record<'_>,
    form: &CaseForm,
    hidden: &mut Hidden,
) -> Result<CaseRow, (usize, Why)> {
    let text = |field| record.text(field as usize).map_err(|why| (field as usize, why));
    let moment = |field| {
        let text = text(field)?;
        let ends = matches!(field, Field::ResolvedAt | Field::DueAt);
        let parse = if ends { parse_end } else { parse_moment };
        let moment = |text: &str| parse(text.as_bytes(), &form.zone);
        let moment = (!text.is_empty()).then(|| moment(&text)).transpose();
        moment.map_err(|why| (field as usize, why))
    };
    let past = |field| match moment(field)? {
        Some(at) if at > form.latest => Err((field as usize, Why::Future)),
        at => Ok(at),
    };
    let seen = |field| -> Result<_, (usize, Why)> {
        let seen = visible(text(field)?);
        name(seen.as_bytes()).map_err(|why| (field as usize, why))?;
        Ok(seen)
    };
    let mut found = Hidden::default();
    let mut word = |field| -> Result<_, (usize, Why)> {
        let word = seen(field)?;
        let hides = form.hider.hides(&word);
        found.words += u64::from(hides);
        Ok(if hides { String::new() } else { word.into_owned() })
    };
    let row = CaseRow {
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
        ..CaseRow::default()
    };
    let (id, parent) = (seen(Field::Id)?, seen(Field::Parent)?);
    if id.is_empty() {
        return Err((Field::Id as usize, Why::Empty));
    }
    let [id, parent] = [id, parent].map(|id| {
        let shown = form.hider.id(&id);
        found.ids += u64::from(*shown != *id);
        shown.into_owned()
    });
    hidden.words += found.words;
    hidden.ids += found.ids;
    Ok(CaseRow { id, parent, ..row })
}

/// `text` as it looks: without what nobody sees, with plain blanks, and with each letter and its
/// marks in one (`ü`, not `u` and two dots).
pub fn visible(text: Cow<'_, str>) -> Cow<'_, str> {
    let other = |c: char| c.is_control() || !c.is_ascii();
    if !text.contains(other) {
        return text;
    }
    let unseen = |c: char| {
        // The last two say how the character before is drawn.
        is_invisible(c) || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
    };
    let blank = |c: char| if c.is_control() || c.is_whitespace() { ' ' } else { c };
    let seen: String = text.chars().filter(|c| !unseen(*c)).map(blank).collect();
    let seen = ComposingNormalizerBorrowed::new_nfc().normalize(seen.trim()).into_owned();
    seen.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Unread;

    fn form() -> CaseForm {
        let columns = [(Field::Id, "number"), (Field::Site, "location.name")];
        let columns = columns.map(|(field, name)| (field, name.to_owned())).into();
        let named = ["sip-trunk@vienna".to_owned()].into();
        let hider = Hider::new([7; 32], named);
        CaseForm { zone: TimeZone::UTC, columns, latest: 1_900_000_000, hider }
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
            let unread = Unread { total: 1, first: vec!["body".into()] };
            let columns = ColumnNotes { unread, absent: Vec::new() };
            assert_eq!(intake.unwrap(), Intake { rows: 2, columns, ..Intake::default() });
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
        assert_eq!(told[0], "line 2, column 1 (number, that is id): is empty");
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
            ("number,number,opened_at\n", "names the column number, that is id twice"),
        ] {
            let error = read(text).1.unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
        assert_eq!(read("").1.unwrap(), Intake::default(), "nothing is no case and no mistake");
    }

    fn opened(id: &str, site: &str) -> String {
        format!("number,opened_at,service,location.name\n{id},2026-11-22 13:00:00,voice,{site}\n")
    }

    #[test]
    fn people_and_secrets_are_left_out_and_counted() {
        for site in [
            "a@b.example",
            "ada@pbx1",
            "CORP\\ada",
            "sip:1001",
            "+43 1 58801 1234",
            "password=hunter22",
            "password: hunter22",
            "reset (pwd=hunter22)",
            "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        ] {
            let (rows, intake) = read(&opened("1", site));
            assert_eq!(rows, [row("1", "")], "{site}");
            assert_eq!(intake.unwrap().personal, 1, "{site}");
        }
    }

    #[test]
    fn ordinary_words_stay_what_they_are() {
        let ordinary = [
            "graz",
            "Wien 3. Bezirk",
            "sip-trunk@vienna", // the configuration names it
            "Password reset",
            "Reset password",
            "Passwort vergessen",
            "Access / Password",
            "Identity>Password>Reset",
            "Account: locked",
            "Account: password reset",
            "Zugang: Passwort",
            "Security: token enrolment",
            "Network: SIP authentication failure",
            "Token enrolment",
            "API key request",
            "PIN",
            "Voicemail PIN reset",
            "Secrets management",
            "Authentication/Authorization",
            "Certificate and key renewal",
            "SIP Trunk A1 (Wien)",
            "Telephony\\Headset",
            "1 - Critical",
            "P1",
            "24x7",
            "Hauptstandort_Wien_Donaustadt_Gebaeude_7",
        ];
        let hider = form().hider;
        let hidden: Vec<&str> = ordinary.into_iter().filter(|word| hider.hides(word)).collect();
        assert_eq!(hidden, Vec::<&str>::new());
        for word in ordinary {
            assert_eq!(read(&opened("1", word)).0, [row("1", word)]);
        }
    }

    #[test]
    fn an_id_that_tells_who_somebody_is_has_a_fingerprint_and_others_are_kept() {
        let hidden = |id: &str| {
            let (rows, intake) = read(&opened(id, "graz"));
            let [only] = rows.as_slice() else { panic!("{id}: {intake:?}") };
            (only.id.clone(), intake.unwrap().hidden_ids)
        };
        for id in ["ada@example.org", "ada@pbx1-7", "CORP\\ada", "sip:1001@pbx"] {
            let (shown, count) = hidden(id);
            assert!(shown.starts_with("{secret:") && !shown.contains("ada"), "{shown}");
            assert_eq!((shown, count), (form().hider.id(id).into_owned(), 1));
        }
        for id in [
            "INC0012345",
            "CS-2024-1",
            "4711",
            "8f14e45f-ceea-467f-a0e6-3b1d3f0c9a77",
            "5003000000D8cuIAAR",
            "9d385017c611228701d22104cc95c371",
            "SD#2026/00017",
            "JIRA-PWD-12",
        ] {
            assert_eq!(hidden(id), (id.to_owned(), 0));
        }
        let child = "[{\"number\":\"7\",\"opened_at\":\"2026-11-22T13:00:00Z\",\
                     \"parent\":\"ada@example.org\"}]";
        assert_eq!(read(child).0[0].parent, hidden("ada@example.org").0, "it is its parent's name");
    }

    #[test]
    fn names_that_look_the_same_are_the_same() {
        for site in ["graz\u{200b}", "\u{202e}graz\u{202c}", "\u{feff}graz", "gr\u{ad}az"] {
            assert_eq!(read(&opened("1", site)).0, [row("1", "graz")], "{site:?}");
        }
        assert_eq!(read(&opened("1", "\"graz\u{7}west\"")).0, [row("1", "graz west")]);
        for site in [
            "Z\u{fc}rich \u{2713}",
            "Zu\u{308}rich\u{a0}\u{2713}\u{fe0f}",
            "Zürich\u{202f}✓\u{3000}",
        ] {
            assert_eq!(read(&opened("1", site)).0, [row("1", "Zürich ✓")], "{site:?}");
        }
    }
}
