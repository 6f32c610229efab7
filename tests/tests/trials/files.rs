//! What files may look like, and what happens to a row that cannot be read.

use std::collections::BTreeMap;

use driftline_collector::analysis::cases::{Candidate, Exposure, Gather, Named};
use driftline_collector::analysis::correlate::{Settings, correlate};
use driftline_tests::trials::answer::{Program, Ran};
use driftline_tests::trials::plan::{Design, Trial};
use driftline_tests::trials::stream::{Change, Stream, changes_csv, time};
use driftline_tests::trials::truth::Truth;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::{assert_same, changes, said_of, trial};

fn small() -> (Trial, String, String) {
    let trial = trial("office", 2, Design::Each(Truth::Effect));
    let (cases, changes) = (trial.stream.csv(), changes_csv(&trial.stream, &changes(&trial)));
    (trial, cases, changes)
}

fn ran(cases: &str, changes: &str) -> Ran {
    Program::built().unwrap().correlate(cases, changes, &[]).unwrap()
}

#[test]
fn a_byte_order_mark_and_other_line_ends_change_nothing() {
    let (_, cases, changes) = small();
    let windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let plain = ran(&cases, &changes);
    assert!(!plain.stdout.is_empty(), "{}", plain.stderr);
    assert_eq!(plain.stdout, ran(&windows(&cases), &windows(&changes)).stdout);
    let unended = cases.trim_end();
    assert_eq!(plain.stdout, ran(unended, changes.trim_end()).stdout);
}

#[test]
fn semicolons_and_tabs_between_columns_change_nothing() {
    let (_, cases, changes) = small();
    let plain = ran(&cases, &changes);
    assert!(!plain.stdout.is_empty(), "{}", plain.stderr);
    for separator in [";", "\t"] {
        let other = |text: &str| text.replace(',', separator);
        assert_eq!(plain.stdout, ran(&other(&cases), &other(&changes)).stdout, "{separator:?}");
    }
}

#[test]
fn a_column_of_changes_that_nobody_looks_at_is_told_once() {
    let (_, cases, changes) = small();
    let known = ran(&cases, &changes);
    assert!(!known.stderr.contains("not looked at"), "{}", known.stderr);
    let misspelt = ran(&cases, &changes.replacen("window_hours", "window_hour", 1));
    assert_eq!(misspelt.code, Some(0), "{}", misspelt.stderr);
    assert_eq!(misspelt.stderr.matches("\"window_hour\"").count(), 1, "{}", misspelt.stderr);
}

#[test]
fn columns_may_stand_in_any_order() {
    let (trial, cases, changes) = small();
    let mut turned = String::from("site,opened_at,service\n");
    for line in cases.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        turned += &format!("{},{},{}\n", fields[2], fields[0], fields[1]);
    }
    assert!(!trial.stream.cases.is_empty());
    assert_eq!(ran(&cases, &changes).stdout, ran(&turned, &changes).stdout);
}

/// Each field that is a time, as a clock in Paris shows it, which is how many systems export it.
/// Waves stay as they are: a space would end one.
fn on_the_wall(text: &str) -> String {
    let paris = TimeZone::get("Europe/Paris").unwrap();
    let field = |field: &str| match field.parse::<Timestamp>() {
        Ok(at) => at.to_zoned(paris.clone()).datetime().strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => field.to_string(),
    };
    let row = |row: &str| row.split(',').map(field).collect::<Vec<_>>().join(",");
    text.lines().map(|line| row(line) + "\n").collect()
}

#[test]
fn a_wall_clock_is_read_in_the_zone_that_is_given() {
    let (_, cases, changes) = small();
    let zone = ["--timezone", "Europe/Paris"];
    let walls = (on_the_wall(&cases), on_the_wall(&changes));
    assert!(walls.0 != cases && walls.1 != changes);
    assert_same(&said_of(&cases, &changes, &zone), &said_of(&walls.0, &walls.1, &zone));
}

#[test]
fn a_time_without_a_zone_is_utc() {
    let (_, cases, changes) = small();
    let plain: String = cases
        .lines()
        .map(|line| match line.split_once(',') {
            Some((at, rest)) if at.ends_with('Z') => {
                format!("{},{rest}\n", at.replace('T', " ").trim_end_matches('Z'))
            }
            _ => format!("{line}\n"),
        })
        .collect();
    assert_ne!(plain, cases);
    assert_eq!(ran(&cases, &changes).stdout, ran(&plain, &changes).stdout);
}

/// The messages name the file, the line and each of `words`.
#[track_caller]
fn check_named(ran: &Ran, file: &str, line: usize, words: &[&str]) {
    let number = line.to_string();
    let names = |text: &&str| {
        let numbers = text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits == number);
        text.contains(file) && numbers && words.iter().all(|word| text.contains(word))
    };
    let named = ran.stderr.lines().any(|text| names(&text)) || names(&ran.stderr.as_str());
    assert!(named, "{file}, line {line}, {words:?} expected in: {}", ran.stderr);
}

#[test]
fn a_bad_case_is_named_and_the_others_count() {
    let (_, cases, changes) = small();
    let good = ran(&cases, &changes);
    let (header, rows) = cases.split_once('\n').unwrap();
    for (row, column) in [
        ("yesterday,service-000,site-001", "opened_at"),
        ("2024-13-01T00:00:00Z,service-000,site-001", "opened_at"),
        ("2024-01-02T00:00:00Z,service-000,site\u{7}1", "site"),
    ] {
        let bad = ran(&format!("{header}\n{row}\n{rows}"), &changes);
        check_named(&bad, "cases.csv", 2, &[column]);
        assert_eq!(bad.stdout, good.stdout, "{row}");
    }
}

/// Sites are called what they are called: spaces and signs in their names change nothing.
#[test]
fn a_site_may_have_its_real_name() {
    let (_, cases, changes) = small();
    let good = ran(&cases, &changes);
    let real = "site-001 am Wörthersee @ 2";
    let rows = changes.lines().map(|line| {
        let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
        for field in fields.iter_mut().skip(3).filter(|field| field.contains("site-")) {
            *field = field.replace(' ', ";").replace("site-001", real) + ";";
        }
        fields.join(",") + "\n"
    });
    let named = ran(&cases.replace("site-001", real), &rows.collect::<String>());
    assert_eq!(named.stderr, good.stderr);
    assert_eq!(named.stdout, good.stdout);
}

#[test]
fn a_bad_change_is_named() {
    let (_, cases, changes) = small();
    let header = "id,at,service,exposed_sites,window_hours,waves";
    let (at, site) = (time(1_708_000_000), "site-001");
    assert_eq!(changes.lines().next(), Some(header));
    for (row, column) in [
        (format!("x,soon,service-000,{site},24,"), "at"),
        (format!("x,{at},service-000,{site},a day,"), "window_hours"),
        (format!("x,{at},service-000,{site},24,{site}@soon"), "waves"),
        (format!("x,{at},service-000,{site},24,{site}"), "waves"),
    ] {
        let bad = ran(&cases, &format!("{changes}{row}\n"));
        check_named(&bad, "changes.csv", changes.lines().count() + 1, &[column]);
        assert!(!bad.stdout.contains("\"x\""), "{row}: {}", bad.stdout);
    }
}

#[test]
fn a_file_without_its_columns_is_refused() {
    let (_, cases, changes) = small();
    for (cases, changes, file) in [
        ("", changes.as_str(), "cases.csv"),
        ("when,what\n", changes.as_str(), "cases.csv"),
        (cases.as_str(), "", "changes.csv"),
        (cases.as_str(), "id,at\n", "changes.csv"),
    ] {
        let ran = ran(cases, changes);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(file), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}

/// Years before and after, in one file with a row that makes it look as if nothing came for years.
#[test]
fn a_case_years_away_changes_nothing_and_is_told() {
    let trial = trial("office", 4, Design::Each(Truth::Effect));
    let (cases, rows) = (trial.stream.csv(), changes_csv(&trial.stream, &changes(&trial)));
    let plain = ran(&cases, &rows);
    assert_eq!(plain.stderr, "");
    for (at, words) in [
        ("2009-02-03T04:05:06Z", ["1 case", "far before"]),
        ("2109-02-03T04:05:06Z", ["1 case", "far after"]),
    ] {
        let (service, site) = (&trial.stream.services[0], &trial.stream.sites[0]);
        let lone = ran(&format!("{cases}{at},{service},{site}\n"), &rows);
        assert_eq!(lone.stdout, plain.stdout, "{at}");
        let told = words.iter().chain([&at, &"cases.csv"]).all(|word| lone.stderr.contains(word));
        assert!(told, "{}", lone.stderr);
    }
}

/// What the engine says of a trial when no file lies between, by id.
fn engine(trial: &Trial) -> BTreeMap<String, Value> {
    let Stream { cases, services, sites, .. } = &trial.stream;
    let mut gather = Gather::default();
    for case in cases {
        let (service, site) =
            (&services[usize::from(case.service)], &sites[usize::from(case.site)]);
        let (recorded_at, category) = (None, "");
        gather.add(&Named { opened_at: case.at, recorded_at, service, site, category });
    }
    let name = |site: &u16| sites[usize::from(*site)].clone();
    let candidate = |change: Change| Candidate {
        exposure: Exposure::Sites(change.exposed.iter().map(name).collect()),
        waves: change.waves.iter().map(|(site, at)| (name(site), *at)).collect(),
        at: change.at,
        service: Some(services[usize::from(change.service)].clone()),
        kind: None,
        window_hours: Some(change.window_hours),
        id: change.id,
    };
    let candidates: Vec<Candidate> = changes(trial).into_iter().map(candidate).collect();
    let said = correlate(&gather.finish(), &candidates, &Settings::default());
    said.into_iter().map(|v| (v.id.clone(), serde_json::to_value(v).unwrap())).collect()
}

/// Every kind of truth, in streams of unlike shapes: reading and printing change nothing.
#[test]
fn the_command_says_what_the_engine_says() {
    for (name, services, design) in [
        ("office", 8, Design::Mix),
        ("shocks", 8, Design::Each(Truth::Effect)),
        ("storms", 4, Design::Each(Truth::RiseForAll)),
        ("few sites", 4, Design::Each(Truth::Effect)),
        ("night shift", 2, Design::Ten),
    ] {
        let trial = trial(name, services, design);
        let (cases, rows) = (trial.stream.csv(), changes_csv(&trial.stream, &changes(&trial)));
        assert_same(&engine(&trial), &said_of(&cases, &rows, &[]));
    }
}
