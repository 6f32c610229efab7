//! A real stream: the incidents of UCI data set 498 (`10.24432/C57S4H`, CC BY 4.0), as one CSV.
//!
//! The dense twelve weeks only: afterwards the log thins out, and a rise over a vanishing stream
//! means nothing. Service is the category an incident had when it
//! was opened, the nearest this log comes to what a caller uses; the last category is known only
//! after the fact. Site is the location. Sites have no region in the log; blocks of 30 location
//! numbers stand for regions, so that a region-like cohort is the same block in every trial.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::stream::{Case, Stream, WEEK};

/// Monday 2016-02-29, 00:00 UTC.
const FROM: i64 = 1_456_704_000;
/// Location numbers that count as one region.
const REGION: u16 = 30;

/// Reads the log.
///
/// # Errors
/// When a column is missing or a time cannot be read.
pub fn read(text: &str) -> anyhow::Result<Stream> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().context("the file is empty")?.split(',').collect();
    let column = |name: &str| {
        header.iter().position(|column| *column == name).with_context(|| format!("no {name}"))
    };
    let (opened, site, service) =
        (column("opened_at")?, column("location")?, column("first_category")?);
    let mut rows = Vec::new();
    for line in lines {
        ensure!(!line.contains('"'), "this log has no quoted fields: {line}");
        let fields: Vec<&str> = line.split(',').collect();
        let field = |place: usize| fields.get(place).copied().unwrap_or_default();
        let at = utc(field(opened)).with_context(|| line.to_string())?;
        let dense = (FROM..FROM + 12 * WEEK).contains(&at);
        if dense && !field(site).is_empty() && !field(service).is_empty() {
            rows.push((at, field(service), field(site)));
        }
    }
    Ok(stream(&rows))
}

fn utc(text: &str) -> anyhow::Result<i64> {
    let civil: DateTime = text.parse().with_context(|| format!("no time: {text}"))?;
    Ok(civil.to_zoned(TimeZone::UTC)?.timestamp().as_second())
}

fn stream(rows: &[(i64, &str, &str)]) -> Stream {
    let (services, service) = names(rows.iter().map(|row| row.1), "category-");
    let (sites, site) = names(rows.iter().map(|row| row.2), "site-");
    let number = |name: &str| name.rsplit('-').next().and_then(|n| n.parse::<u16>().ok());
    let regions = sites.iter().map(|name| number(name).unwrap_or(0) / REGION).collect();
    let case =
        |row: &(i64, &str, &str)| Case { at: row.0, service: service[row.1], site: site[row.2] };
    let cases = rows.iter().map(case).collect();
    let name = "UCI 498".to_string();
    let mut stream =
        Stream { name, services, sites, regions, cases, from: FROM, to: FROM + 12 * WEEK };
    stream.sort();
    stream
}

fn names<'a>(
    values: impl Iterator<Item = &'a str>,
    prefix: &str,
) -> (Vec<String>, BTreeMap<&'a str, u16>) {
    let mut places: BTreeMap<&str, u16> = values.map(|value| (value, 0)).collect();
    for (place, value) in (0..).zip(places.values_mut()) {
        *value = place;
    }
    (places.keys().map(|name| format!("{prefix}{name}")).collect(), places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dense_rows_with_place_and_category_are_taken() {
        let text = "number,opened_at,location,first_category\n\
                    a,2016-02-29 01:16:00,143,55\n\
                    b,2016-02-28 23:59:59,143,55\n\
                    c,2016-05-22 23:59:59,31,7\n\
                    d,2016-05-23 00:00:00,31,7\n\
                    e,2016-03-01 10:00:00,,7\n";
        let stream = read(text).unwrap();
        assert_eq!(stream.sites, ["site-143", "site-31"]);
        assert_eq!(stream.regions, [4, 1]);
        assert_eq!(stream.services, ["category-55", "category-7"]);
        assert_eq!(stream.cases.len(), 2);
        assert_eq!(stream.cases[0].at, FROM + 76 * 60);
        assert!(read("number,location\n").is_err());
    }
}
