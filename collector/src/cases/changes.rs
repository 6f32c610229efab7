//! Changes from a file, as candidates to go together with a rise.
//!
//! The order of a change's sites and waves means nothing, so they come out sorted. An empty list of
//! sites is not an empty exposure: nobody said where the change was made, and the analysis must
//! know that.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use jiff::tz::TimeZone;

use super::columns::Wanted;
use super::refusal::{ReadError, Refusal, Refusals, Why};
use super::start::begin;
use super::table::{self, Values};
use super::take::{is_plain, name};
use super::{CHANGES, parse_moment};
use crate::analysis::cases::{Candidate, Exposure};

/// Every column that is looked at.
const NAMES: [&str; 7] = ["id", "at", "service", "exposed_sites", "kind", "window_hours", "waves"];

/// Those that must be there.
const REQUIRED: [&str; 4] = ["id", "at", "service", "exposed_sites"];

/// The longest window, in hours: a year.
const WINDOW_HOURS: u32 = 8_760;

/// What stands for all sites.
const EVERYWHERE: &str = "*";

/// What separates sites where one of them has a space.
pub const SEPARATOR: char = ';';

/// What a file of changes came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The changes, in the order of their rows.
    pub candidates: Vec<Candidate>,
    /// How many rows there were, without the header.
    pub rows: u64,
    /// What was not taken.
    pub refused: Refusals,
    /// What columns are called that nobody looks at: most often one of ours, misspelt.
    pub passed_over: Vec<String>,
}

/// Reads changes in rows, separated by commas, semicolons or tabs, under a header that names `id`,
/// `at`, `service` and `exposed_sites`, and may name `kind`, `window_hours` and `waves`, in any
/// order.
///
/// Times without an offset are local to `zone`. `exposed_sites` are separated by spaces, or by
/// semicolons where there is one, so that names may have spaces; `*` is everywhere, nothing is
/// unknown; an empty `service` is all of them; `waves` are `site@time`, separated in the same way,
/// and their sites are exposed as well.
///
/// # Errors
/// As of [`super::read_cases`].
pub fn read_changes(reader: impl Read, zone: &TimeZone) -> Result<Changes, ReadError> {
    let wanted = NAMES.map(|name| Wanted::plain(name, REQUIRED.contains(&name)));
    let mut table = table::open(begin(reader)?, &wanted)?;
    let mut changes = Changes::default();
    changes.passed_over.append(&mut table.others);
    let mut ids = BTreeSet::new();
    while let Some(row) = table.next()? {
        changes.rows += 1;
        let line = row.line;
        let taken = match row.values {
            Err(why) => Err(Refusal::of_row(line, why)),
            Ok(values) => candidate(values, zone)
                .and_then(|candidate| unused(&ids, candidate))
                .map_err(|(name, why)| {
                    let column = values.column(place(name));
                    Refusal { line, column, name: Some(name), called: None, why }
                }),
        };
        match taken {
            Ok(candidate) => {
                ids.insert(candidate.id.clone());
                changes.candidates.push(candidate);
            }
            Err(refusal) => changes.refused.push(refusal),
        }
        if changes.candidates.len() > CHANGES {
            return Err(ReadError::Changes { line });
        }
    }
    Ok(changes)
}

/// Where a column stands among [`NAMES`].
fn place(name: &str) -> usize {
    NAMES.iter().position(|known| *known == name).unwrap_or(NAMES.len())
}

/// Which column is wrong, and why.
type Wrong = (&'static str, Why);

fn unused(ids: &BTreeSet<String>, candidate: Candidate) -> Result<Candidate, Wrong> {
    if ids.contains(&candidate.id) { Err(("id", Why::Repeated)) } else { Ok(candidate) }
}

fn candidate(values: Values<'_>, zone: &TimeZone) -> Result<Candidate, Wrong> {
    let text = |column: &'static str| {
        name_or_list(column, values.at(place(column))).map_err(|why| (column, why))
    };
    let (id, service, kind) = (text("id")?, text("service")?, text("kind")?);
    if id.is_empty() {
        return Err(("id", Why::Empty));
    }
    let at = values.at(place("at"));
    if at.is_empty() {
        return Err(("at", Why::Empty));
    }
    let at = parse_moment(at, zone).map_err(|why| ("at", why))?;
    let waves = waves(text("waves")?, zone).map_err(|why| ("waves", why))?;
    let exposure = exposure(text("exposed_sites")?, &waves);
    Ok(Candidate {
        id: id.to_owned(),
        at,
        service: (!service.is_empty()).then(|| service.to_owned()),
        exposure: exposure.map_err(|why| ("exposed_sites", why))?,
        kind: (!kind.is_empty()).then(|| kind.to_owned()),
        window_hours: hours(text("window_hours")?).map_err(|why| ("window_hours", why))?,
        waves: waves.into_iter().collect(),
    })
}

/// Lists may be longer than one name; the length of the row bounds them.
fn name_or_list<'a>(column: &str, value: &'a [u8]) -> Result<&'a str, Why> {
    match column {
        "exposed_sites" | "waves" => std::str::from_utf8(value).map_err(|_| Why::NotUtf8),
        _ => name(value),
    }
}

fn exposure(text: &str, waves: &BTreeMap<String, i64>) -> Result<Exposure, Why> {
    if text == EVERYWHERE {
        return Ok(Exposure::Everywhere);
    }
    let mut sites: BTreeSet<&str> = waves.keys().map(String::as_str).collect();
    for site in listed(text) {
        if site == EVERYWHERE {
            return Err(Why::EverywhereAndSome);
        }
        sites.insert(checked_site(site)?);
    }
    if sites.is_empty() {
        return Ok(Exposure::Unknown);
    }
    Ok(Exposure::Sites(sites.into_iter().map(str::to_owned).collect()))
}

fn waves(text: &str, zone: &TimeZone) -> Result<BTreeMap<String, i64>, Why> {
    let mut waves = BTreeMap::new();
    for wave in listed(text) {
        let (site, at) = wave.rsplit_once('@').ok_or(Why::Wave)?;
        let at = parse_moment(at.trim().as_bytes(), zone)?;
        if waves.insert(checked_site(site.trim())?.to_owned(), at).is_some() {
            return Err(Why::WaveTwice);
        }
    }
    Ok(waves)
}

/// What a list holds: semicolons separate where there is one, and then a name may have spaces, as
/// `Klagenfurt am Wörthersee;` does; spaces separate elsewhere.
fn listed(text: &str) -> impl Iterator<Item = &str> {
    let by_signs = text.contains(SEPARATOR);
    let separates = move |c: char| if by_signs { c == SEPARATOR } else { c.is_ascii_whitespace() };
    text.split(separates).map(str::trim).filter(|one| !one.is_empty())
}

fn checked_site(site: &str) -> Result<&str, Why> {
    if site.is_empty() {
        return Err(Why::Wave);
    }
    if !is_plain(site) {
        return Err(Why::SiteName);
    }
    name(site.as_bytes())
}

fn hours(text: &str) -> Result<Option<u32>, Why> {
    if text.is_empty() {
        return Ok(None);
    }
    // A table that was a column of numbers with gaps writes 24 as 24.0.
    let text = text.strip_suffix(".0").unwrap_or(text);
    let hours = text.parse().map_err(|_| Why::Hours)?;
    if (1..=WINDOW_HOURS).contains(&hours) { Ok(Some(hours)) } else { Err(Why::Hours) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::{Blanks, Column, Form, read_cases};

    const REAL: &str = "Klagenfurt am Wörthersee";

    #[test]
    fn real_names_of_sites_are_written_between_semicolons() {
        let at = "1970-01-01T00:00:05Z";
        for (exposed, waves, expect) in [
            ("Klagenfurt am Wörthersee;", "", vec![REAL]),
            ("graz; Klagenfurt am Wörthersee", "", vec![REAL, "graz"]),
            ("graz linz", "", vec!["graz", "linz"]),
            ("a@b linz", "", vec!["a@b", "linz"]),
            ("", "graz@1970-01-01T00:00:05Z a@b@1970-01-01T00:00:05Z", vec!["a@b", "graz"]),
            ("", "Klagenfurt am Wörthersee@1970-01-01 00:00:05;", vec![REAL]),
        ] {
            let text = format!(
                "id\tat\tservice\texposed_sites\twaves\nc\t{at}\tvoice\t{exposed}\t{waves}\n"
            );
            let changes = read_changes(text.as_bytes(), &TimeZone::UTC).unwrap();
            assert_eq!(changes.refused.first, [], "{exposed} {waves}");
            let expect = expect.into_iter().map(str::to_owned).collect();
            assert_eq!(changes.candidates[0].exposure, Exposure::Sites(expect));
        }
        let text = format!("opened_at,service,site\n{at},voice,{REAL}\n{at},voice,a@b\n");
        let required = vec![Column::OpenedAt, Column::Service, Column::Site];
        let form = Form { zone: TimeZone::UTC, required, blanks: Blanks::Refused };
        let cases = read_cases(text.as_bytes(), &form, &[]).unwrap();
        assert_eq!((cases.refused.total, cases.stream.cases.len()), (0, 2));
        assert_eq!(cases.stream.sites, [REAL, "a@b"]);
    }
}
