//! What the columns of a file or the members of an object are called.
//!
//! Capitals and white space around a name mean nothing. A source may give a field a name of its
//! own; where that is not there the field is looked for under ours, so that what writes our names
//! (the command line does) is understood by every source. A name that another field has taken is
//! not looked at for a second one. It does not know what a field means.

use std::collections::BTreeSet;

use driftline_protocol::printable::is_invisible;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::COLUMNS;
use super::refusal::Why;
use crate::words::either;

/// The most columns that nobody reads and that are named.
pub const UNREAD_NAMED: usize = 20;

/// So much of a column's name is shown, in characters.
const SHOWN_CHARACTERS: usize = 40;

/// So much of a member's name tells it from others, in bytes: the most that is kept of it.
const TOLD_APART: usize = 160;

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

    /// Whether its source has a name of its own for it.
    pub(super) fn is_mapped(&self) -> bool {
        !is_same(&self.column, self.name)
    }

    /// The name to look for where [`Wanted::column`] is not there, unless another of `all` has it.
    pub(super) fn instead(&self, all: &[Self]) -> Option<&'static str> {
        let taken = || all.iter().any(|other| is_same(&other.column, self.name));
        (self.is_mapped() && !taken()).then_some(self.name)
    }
}

/// Whether two names are one.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.trim(), other.trim());
    let small = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
    one.eq_ignore_ascii_case(other)
        || (!(one.is_ascii() && other.is_ascii()) && small(one) == small(other))
}

/// A name of a file as a message shows it: bounded, on one line, and as it looks.
pub(super) fn shown(name: &str) -> String {
    let seen = name.trim().chars().filter(|c| !is_invisible(*c));
    let mut seen = seen.map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = seen.by_ref().take(SHOWN_CHARACTERS).collect();
    if seen.next().is_some() {
        short.push('…');
    }
    short
}

/// Columns that nobody reads: most often none of our business, and sometimes one of ours, misspelt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// How many there are; of objects, at most as many as a row has columns.
    pub total: u64,
    /// What the first of them are called, at most [`UNREAD_NAMED`].
    pub first: Vec<String>,
}

impl Unread {
    /// Counts the column `name`.
    pub(super) fn push(&mut self, name: &str) {
        self.total += 1;
        if self.first.len() < UNREAD_NAMED {
            self.first.push(shown(name));
        }
    }

    /// The names, in a sentence; empty where all are read.
    pub fn words(&self) -> String {
        let more = self.total.saturating_sub(self.first.len() as u64);
        match (self.total, more) {
            (0, _) => String::new(),
            (_, 0) => self.first.join(", "),
            (_, more) => format!("{} and {more} more", self.first.join(", ")),
        }
    }
}

/// A field that the configuration names and that records had under neither name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// What we call it.
    pub field: String,
    /// What the configuration calls it, as much of it as is shown.
    pub column: String,
    /// How many records lacked it.
    pub records: u64,
}

/// What was odd about the names in one reading of a source. None of it is a refusal: most columns
/// are none of our business, and an object may leave out what it says nothing of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnNotes {
    /// What nobody reads.
    #[serde(default, rename = "unread_columns")]
    pub unread: Unread,
    /// What objects lacked though the configuration names it; a header that does is refused.
    #[serde(default, rename = "absent_columns")]
    pub absent: Vec<Absent>,
}

impl ColumnNotes {
    /// A sentence for each of the fields that records lacked.
    pub fn lacking(&self) -> Vec<String> {
        let sentence = |one: &Absent| {
            let Absent { field, column, records } = one;
            let had = either(*records, "record has", "records have");
            format!(
                "{records} {had} neither {column}, which the configuration names for {field}, nor \
                 {field}."
            )
        };
        self.absent.iter().map(sentence).collect()
    }

    /// Whether nothing was odd.
    pub fn is_empty(&self) -> bool {
        self.unread.total == 0 && self.absent.is_empty()
    }
}

/// Finds the members of objects that are wanted.
pub(super) struct Members<'a> {
    wanted: &'a [Wanted],
    instead: Vec<Option<&'static str>>,
    /// How many objects lacked each.
    lacked: Vec<u64>,
    /// The names that were met, as far as they tell them apart.
    met: BTreeSet<String>,
    pub(super) unread: Unread,
}

/// A member: what it is called at the top of its object, and its value.
type Member<'v> = (&'v str, &'v Value);

impl<'a> Members<'a> {
    /// Of those that `wanted` names.
    pub(super) fn of(wanted: &'a [Wanted]) -> Self {
        let instead = wanted.iter().map(|one| one.instead(wanted)).collect();
        let lacked = vec![0; wanted.len()];
        Self { wanted, instead, lacked, met: BTreeSet::new(), unread: Unread::default() }
    }

    /// What is wanted at `place`.
    pub(super) fn wanted(&self, place: usize) -> Option<&'a Wanted> {
        self.wanted.get(place)
    }

    /// The member that is wanted at `place`, or the one a path of names with dots leads to.
    ///
    /// # Errors
    /// [`Why::Twice`] when two members have that name.
    pub(super) fn find<'v>(
        &self,
        object: &'v Map<String, Value>,
        place: usize,
    ) -> Result<Option<Member<'v>>, Why> {
        let Some(wanted) = self.wanted.get(place) else { return Ok(None) };
        let name = wanted.column.as_str();
        if let Some(found) = named(object, name)? {
            return Ok(Some(found));
        }
        if let Some(found) = name.contains('.').then(|| path(object, name)).transpose()?.flatten() {
            return Ok(Some(found));
        }
        let instead = self.instead.get(place).copied().flatten();
        instead.map_or(Ok(None), |name| named(object, name))
    }

    /// Whether `object` lacks what the configuration names for the field at `place`, under either
    /// name. Null and an empty text are something said; only what is not there at all is not.
    ///
    /// # Errors
    /// As [`Members::find`].
    pub(super) fn lacks(&self, object: &Map<String, Value>, place: usize) -> Result<bool, Why> {
        let is_mapped = self.wanted.get(place).is_some_and(Wanted::is_mapped);
        Ok(is_mapped && self.find(object, place)?.is_none())
    }

    /// Notes which fields `object` lacks though the configuration names them.
    pub(super) fn note_lacking(&mut self, object: &Map<String, Value>) {
        for place in 0..self.wanted.len() {
            // What is there twice is refused by that name.
            let lacks = self.lacks(object, place) == Ok(true);
            if let Some(count) = self.lacked.get_mut(place) {
                *count += u64::from(lacks);
            }
        }
    }

    /// What was odd about the names of all objects and columns.
    pub(super) fn notes(self) -> ColumnNotes {
        let lacked = self.wanted.iter().zip(&self.lacked).filter(|(_, records)| **records > 0);
        let absent = lacked.map(|(wanted, records)| Absent {
            field: wanted.name.to_owned(),
            column: shown(&wanted.column),
            records: *records,
        });
        ColumnNotes { absent: absent.collect(), unread: self.unread }
    }

    /// Notes which members of `object` nobody reads.
    pub(super) fn note_unread(&mut self, object: &Map<String, Value>) {
        for key in object.keys() {
            let short = key.get(..key.floor_char_boundary(TOLD_APART)).unwrap_or(key);
            if self.met.len() >= COLUMNS || self.met.contains(short) {
                continue;
            }
            self.met.insert(short.to_owned());
            let is_read = |place| match self.find(object, place) {
                Ok(found) => found.is_some_and(|(name, _)| name == key),
                Err(_) => false, // its record is refused by that name
            };
            if !(0..self.wanted.len()).any(is_read) {
                self.unread.push(key);
            }
        }
    }
}

/// The member called `name`.
fn named<'v>(object: &'v Map<String, Value>, name: &str) -> Result<Option<Member<'v>>, Why> {
    let mut found = object.iter().filter(|(key, _)| is_same(key, name));
    let first = found.next();
    if found.next().is_some() {
        return Err(Why::Twice);
    }
    Ok(first.map(|(key, value)| (key.as_str(), value)))
}

/// What a path leads to. Where it ends early at null or an empty text, as systems write a reference
/// to nothing, that is it.
fn path<'v>(object: &'v Map<String, Value>, name: &str) -> Result<Option<Member<'v>>, Why> {
    let mut steps = name.split('.');
    let Some(top) = steps.next() else { return Ok(None) };
    let Some((key, mut at)) = named(object, top)? else { return Ok(None) };
    for step in steps {
        if at.is_null() || at.as_str() == Some("") {
            break;
        }
        let Some(below) = at.as_object() else { return Ok(None) };
        let Some((_, value)) = named(below, step)? else { return Ok(None) };
        at = value;
    }
    Ok(Some((key, at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::read_records;

    fn wanted() -> [Wanted; 3] {
        [("id", "number", true), ("site", "Location.Name", false), ("team", "team", false)].map(
            |(name, column, required)| Wanted {
                name,
                column: column.into(),
                required,
                list: false,
            },
        )
    }

    /// Of each record the three fields, or what was refused, and then what nobody reads.
    fn read(text: &str) -> Result<(Vec<String>, Unread), String> {
        let mut told = Vec::new();
        let came = read_records(text.as_bytes(), &wanted(), &mut |record| {
            let field = |place| record.text(place).map_err(|why| (place, why));
            let fields = [field(0)?, field(1)?, field(2)?];
            if fields[0].is_empty() {
                return Err((0, Why::Empty));
            }
            told.push(fields.join("/"));
            Ok(true)
        });
        let came = came.map_err(|error| error.to_string())?;
        told.extend(came.refused.first.iter().map(ToString::to_string));
        Ok((told, came.columns.unread))
    }

    #[test]
    fn capitals_and_blanks_mean_nothing_and_our_name_is_understood_everywhere() {
        for (text, expect) in [
            ("number,location.name,team\n1,graz,noc\n", "1/graz/noc"),
            (" Number ,\"LOCATION.NAME \",Team\n1,graz,noc\n", "1/graz/noc"),
            ("ID,Site,TEAM\n1,graz,noc\n", "1/graz/noc"),
            ("[{\"NUMBER\":1,\"location\":{\"Name\":\"graz\"},\" Team \":\"noc\"}]", "1/graz/noc"),
            ("{\"Id\":1,\"SITE\":\"graz\",\"team\":\"noc\"}", "1/graz/noc"),
            ("{\"number\":1,\"location.name\":\"graz\"}", "1/graz/"),
            // What its source calls it is believed before what we do.
            ("{\"number\":1,\"location\":{\"name\":null},\"site\":\"graz\"}", "1//"),
            ("{\"number\":1,\"location\":null,\"site\":\"graz\"}", "1//"),
            ("{\"team\":\"noc\"}", "line 1, column number, that is id: is empty"),
        ] {
            assert_eq!(read(text).unwrap().0, [expect], "{text}");
        }
    }

    #[test]
    fn a_column_that_is_not_there_under_either_name_is_told_by_both() {
        let check = |text: &str, expect: &str| {
            let error = read(text).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check("number,team\n", "neither the column Location.Name, which the configuration names");
        check("number,team\n", "for site, nor site");
        check("key,site,team\n", "neither the column number, which the configuration names for id");
        check("Number,number,site\n", "names the column Number, that is id twice");
        let twice = read("{\"number\":1,\"Number\":2}").unwrap().0;
        assert!(twice[0].contains("that is id: is there twice"), "{twice:?}");
    }

    /// `{ hosts = "cmdb_ci", services = "hosts" }`: what a source calls hosts are no hosts.
    #[test]
    fn a_name_that_another_field_has_taken_is_no_second_one() {
        let [id, site, team] = wanted();
        let wanted = [Wanted { column: "id".into(), ..team }, Wanted { ..site }, id];
        assert_eq!(wanted[2].instead(&wanted), None);
        assert_eq!(wanted[1].instead(&wanted), Some("site"));
    }

    #[test]
    fn a_member_that_the_configuration_names_and_that_is_not_there_is_told() {
        let lacking = |text: &str| {
            let came = read_records(text.as_bytes(), &wanted(), &mut |_| Ok(true));
            came.unwrap().columns.lacking()
        };
        let none: [&str; 0] = [];
        assert_eq!(lacking("{\"number\":1,\"location\":{\"name\":\"\"}}"), none);
        assert_eq!(lacking("{\"id\":1,\"site\":null}"), none, "ours will do, and team is ours");
        let objects = "{\"number\":1}\n{\"number\":2,\"site\":\"graz\"}\n{\"number\":3}\n";
        let told = "2 records have neither Location.Name, which the configuration names for site, \
             nor site.";
        assert_eq!(lacking(objects), [told]);
    }

    #[test]
    fn columns_that_nobody_reads_are_named() {
        let unread = |text: &str| read(text).unwrap().1;
        let long = "x".repeat(300);
        let found = unread(&format!("number,site,Teem,{long},a\u{202e}b\n1,2,3,4,5\n"));
        assert_eq!((found.total, found.first[0].as_str()), (3, "Teem"));
        assert!(found.first[1].chars().count() == 41 && found.first[2] == "ab", "{found:?}");
        let objects = "{\"number\":1,\"location\":{\"x\":1},\"Teem\":1}\n\
            {\"id\":1,\"site\":2,\"Teem\":1}\n";
        let found = unread(objects);
        assert_eq!((found.total, found.words()), (2, "Teem, location".into()), "{found:?}");
        let many: String = (0..50).map(|at| format!(",c{at}")).collect();
        let found = unread(&format!("number,site{many}\n"));
        assert_eq!((found.total, found.first.len()), (50, UNREAD_NAMED));
        assert!(found.words().ends_with("c19 and 30 more"), "{}", found.words());
    }
}
