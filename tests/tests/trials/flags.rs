//! What may be said beside the two files: up to when, which sites there are, which days are off.

use std::path::PathBuf;

use driftline_tests::trials::answer::{Program, Ran};
use driftline_tests::trials::plan::Design;
use driftline_tests::trials::stream::{Case, DAY, Stream, WEEK, changes_csv, time};
use driftline_tests::trials::truth::Truth;

use super::{assert_same, changes, said_of, trial};

/// A file beside the two, gone with its folder.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("more");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn ran(cases: &str, changes: &str, more: &[&str]) -> Ran {
    Program::built().unwrap().correlate(cases, changes, more).unwrap()
}

#[test]
fn what_came_after_until_is_not_known_yet() {
    let trial = trial("office", 8, Design::Each(Truth::Effect));
    let mut stream = trial.stream.clone();
    let first = changes(&trial).into_iter().min_by_key(|change| change.end()).unwrap();
    let (until, these) = (first.end() + DAY, [first]);
    assert!(until < stream.to, "nothing is after it");
    let at = time(until);
    let file = changes_csv(&stream, &these);
    let whole = said_of(&stream.csv(), &file, &["--until", &at]);
    stream.cases.retain(|case| case.at <= until);
    assert_same(&whole, &said_of(&stream.csv(), &file, &["--until", &at]));
    let early = time(these[0].at + 60);
    for value in said_of(&stream.csv(), &file, &["--until", &early]).values() {
        assert_eq!(value["reason"], "window_open", "{value}");
        assert!(value["observed"].is_null() && value["p_value"].is_null(), "{value}");
    }
    assert_eq!(ran(&stream.csv(), &file, &["--until", "soon"]).code, Some(2));
}

/// The same moment in every form, and a case on its very second is the first that is not known.
#[test]
fn until_means_what_it_means_elsewhere() {
    let trial = trial("office", 4, Design::Each(Truth::Effect));
    let file = changes_csv(&trial.stream, &changes(&trial));
    let until = changes(&trial).iter().map(|change| change.end()).min().unwrap() + DAY;
    let midnight = until - until.rem_euclid(DAY);
    let with = |stream: &Stream, until: &str| ran(&stream.csv(), &file, &["--until", until]).stdout;
    let at = time(midnight);
    let said = with(&trial.stream, &at);
    assert!(said.contains("\"tier\""), "{said}");
    let day = at.split('T').next().unwrap();
    assert_eq!(said, with(&trial.stream, day), "a day is its beginning");
    assert_eq!(said, with(&trial.stream, &format!("{day} 00:00")));
    let earlier = ["--until", day, "--timezone", "Pacific/Kiritimati"];
    let east = time(midnight - 14 * 3_600);
    let east = ["--until", &east, "--timezone", "Pacific/Kiritimati"];
    let in_zone = |more: &[&str]| ran(&trial.stream.csv(), &file, more).stdout;
    assert_eq!(in_zone(&earlier), in_zone(&east), "and that of the zone");
    // However many are opened on that very second, which is the last of a window.
    let end = until - DAY;
    let mut more = trial.stream.clone();
    for service in 0..more.services.len() as u16 {
        let at_once = (0..more.sites.len() as u16).map(|site| Case { at: end, service, site });
        let at_once: Vec<Case> = at_once.flat_map(|case| [case; 40]).collect();
        more.cases.extend(at_once);
    }
    more.sort();
    let said = with(&trial.stream, &time(end));
    assert!(said.contains("\"observed\":") && said.contains("\"p_value\":0"), "{said}");
    assert_eq!(said, with(&more, &time(end)));
    assert_eq!(ran(&trial.stream.csv(), &file, &["--until", "-2h"]).code, Some(0));
}

#[test]
fn a_site_without_a_case_is_known_when_it_is_listed() {
    let trial = trial("office", 2, Design::Each(Truth::Nothing));
    let cases = trial.stream.csv();
    let file_of_changes = changes_csv(&trial.stream, &changes(&trial));
    let (header, _) = file_of_changes.split_once('\n').unwrap();
    let at = time(trial.stream.from + 7 * WEEK);
    let quiet = format!("{header}\nq,{at},service-000,quiet,24,\n");
    assert!(ran(&cases, &quiet, &[]).stderr.contains("quiet"));
    let names = trial.stream.sites.join("\n") + "\nquiet\n";
    let (_folder, path) = file(&names);
    let listed = ["--sites", path.to_str().unwrap()];
    let known = ran(&cases, &quiet, &listed);
    assert!(!known.stderr.contains("quiet"), "{}", known.stderr);
    assert_eq!(known.objects().unwrap()[0]["reason"], "no_eligible_site");
    assert_same(
        &said_of(&cases, &file_of_changes, &[]),
        &said_of(&cases, &file_of_changes, &listed),
    );
}

#[test]
fn a_week_with_a_day_off_is_not_compared_with() {
    let trial = trial("office", 4, Design::Each(Truth::Effect));
    let (cases, file_of_changes) =
        (trial.stream.csv(), changes_csv(&trial.stream, &changes(&trial)));
    let plain = said_of(&cases, &file_of_changes, &[]);
    let with = |day: &str| {
        let (_folder, path) = file(&format!("timezone = \"UTC\"\n[[holiday]]\ndate = {day}\n"));
        said_of(&cases, &file_of_changes, &["--calendar", path.to_str().unwrap()])
    };
    // Long before the first case nothing depends on it.
    assert_same(&plain, &with("2020-01-01"));
    let week_before = |change: &driftline_tests::trials::stream::Change| {
        time(change.at - WEEK + change.window() / 2).chars().take(10).collect::<String>()
    };
    for change in changes(&trial) {
        let (before, after) = (&plain[&change.id], &with(&week_before(&change))[&change.id]);
        assert_ne!(before["expected"], after["expected"], "{change:?}");
    }
    let (_folder, path) = file("timezone = \"Nowhere/Atall\"\n");
    let wrong = ran(&cases, &file_of_changes, &["--calendar", path.to_str().unwrap()]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""), "{}", wrong.stderr);
    assert!(wrong.stderr.contains(path.to_str().unwrap()), "{}", wrong.stderr);
}

/// Nine weeks in whose midst Vienna sets its clocks forward: what they show is all that counts.
#[test]
fn the_same_clocks_say_the_same_in_any_zone() {
    let trial = trial("office", 8, Design::Each(Truth::Effect));
    let (mut stream, mut changes) = (trial.stream.clone(), changes(&trial));
    let shift = 8 * WEEK;
    // On 31 March no clock of Vienna shows the hour from two to three.
    let skipped = |at: i64| (1_711_850_400..1_711_854_000).contains(&at);
    stream.cases.iter_mut().for_each(|case| case.at += shift);
    stream.cases.retain(|case| !skipped(case.at));
    for change in &mut changes {
        change.at += shift;
        change.waves.iter_mut().for_each(|wave| wave.1 += shift);
        assert!(!skipped(change.at), "{change:?}");
    }
    let shown = |text: String| text.replace("Z,", ",").replace("Z ", " ").replace("Z\n", "\n");
    let files = (shown(stream.csv()), shown(changes_csv(&stream, &changes)));
    assert!(!files.0.contains('Z') && !files.1.contains('Z'), "a time has its zone");
    let plain = said_of(&files.0, &files.1, &[]);
    assert_same(&plain, &said_of(&files.0, &files.1, &["--timezone", "Europe/Vienna"]));
    let (_folder, path) = file("timezone = \"Europe/Vienna\"\n");
    let path = path.to_str().unwrap();
    // Times are in UTC then, and clocks show one hour more, or two.
    let moved = said_of(&files.0, &files.1, &["--calendar", path]);
    assert!(plain.iter().any(|(id, said)| said["expected"] != moved[id]["expected"]));
}

#[test]
fn a_calendar_with_clocks_and_hours_is_taken_and_a_slip_in_it_told() {
    let trial = trial("office", 2, Design::Each(Truth::Nothing));
    let files = (trial.stream.csv(), changes_csv(&trial.stream, &changes(&trial)));
    let with = |text: &str| {
        let (_folder, path) = file(text);
        ran(&files.0, &files.1, &["--calendar", path.to_str().unwrap()])
    };
    let sites = "[[site]]\nnames = ['site-001']\ntimezone = 'Asia/Tokyo'\n";
    let good = with(&format!("business_hours = ['mon-fri 06:00-20:00']\n{sites}"));
    assert_eq!(good.objects().unwrap().len(), changes(&trial).len(), "{}", good.stderr);
    let slip = with("business_hours = ['mon-fri 6-20']\n");
    assert_eq!((slip.code, slip.stdout.as_str()), (Some(2), ""), "{}", slip.stderr);
    assert!(slip.stderr.contains("mon-fri 08:00-18:00"), "{}", slip.stderr);
}
