//! The fields of an answer and what they may hold, at the edges of what a file can say.

use driftline_tests::trials::answer::Program;
use driftline_tests::trials::plan::Design;
use driftline_tests::trials::random::Random;
use driftline_tests::trials::report::TIERS;
use driftline_tests::trials::stream::{Change, DAY, WEEK, changes_csv, time};
use driftline_tests::trials::truth::{Means, Rise, Truth};
use serde_json::Value;

use super::{changes, said, said_of, seed, trial};

/// Every field of an answer, in alphabetical order.
const FIELDS: [&str; 21] = [
    "ci_high",
    "ci_low",
    "controls",
    "detectable_ratio",
    "dispersion",
    "excess",
    "expected",
    "id",
    "indistinguishable",
    "lag_seconds",
    "llr",
    "observed",
    "p_value",
    "placebo",
    "q_value",
    "rate_ratio",
    "reason",
    "score",
    "service",
    "tier",
    "window_hours",
];

/// That one answer is as the contract has it.
#[track_caller]
fn check(value: &Value) {
    let mut names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, FIELDS, "{value}");
    let number = |name: &str| -> Option<f64> {
        let field = &value[name];
        assert!(field.is_null() || field.is_number(), "{name} of {value}");
        field.as_f64()
    };
    for name in ["observed", "expected", "dispersion", "detectable_ratio", "window_hours"] {
        assert!(number(name).is_none_or(|number| number >= 0.0), "{name} of {value}");
    }
    for name in ["excess", "score", "llr", "lag_seconds"] {
        number(name);
    }
    let p = number("p_value");
    assert!(p.is_none_or(|p| p > 0.0 && p <= 1.0), "{value}");
    let q = number("q_value");
    assert!(p.zip(q).is_none_or(|(p, q)| q >= p - 1e-12 && q <= 1.0), "{value}");
    if let (Some(low), Some(ratio), Some(high)) =
        (number("ci_low"), number("rate_ratio"), number("ci_high"))
    {
        assert!(low <= ratio && ratio <= high, "{value}");
    }
    assert!(TIERS.contains(&value["tier"].as_str().unwrap()), "{value}");
    check_parts(value);
}

#[track_caller]
fn check_parts(value: &Value) {
    assert!(value["indistinguishable"].is_array(), "{value}");
    let reason = &value["reason"];
    assert!(reason.is_null() || reason.is_string(), "{value}");
    for (whole, parts) in [("controls", ["sites", "share"]), ("placebo", ["draws", "exceeded"])] {
        let Some(object) = value[whole].as_object() else {
            assert!(value[whole].is_null(), "{value}");
            continue;
        };
        assert_eq!(object.len(), 2, "{value}");
        for part in parts {
            let field = object.get(part).unwrap_or_else(|| panic!("{whole}.{part} of {value}"));
            assert!(field.is_null() || field.is_number(), "{value}");
        }
    }
}

fn rank(value: &Value) -> f64 {
    value["score"].as_f64().unwrap_or(f64::NEG_INFINITY)
}

#[test]
fn every_answer_has_every_field_and_the_best_comes_first() {
    let program = Program::built().unwrap();
    for (name, design) in [("office", Design::Ten), ("few sites", Design::Mix)] {
        let trial = trial(name, 8, design);
        let files = (trial.stream.csv(), changes_csv(&trial.stream, &changes(&trial)));
        let ran = program.correlate(&files.0, &files.1, &[]).unwrap();
        let objects = ran.objects().unwrap();
        assert_eq!(objects.len(), trial.planted.len());
        objects.iter().for_each(check);
        let in_order = |pair: &[Value]| {
            let (a, b) = (rank(&pair[0]), rank(&pair[1]));
            a > b || a == b && pair[0]["id"].as_str() < pair[1]["id"].as_str()
        };
        assert!(objects.windows(2).all(in_order), "{}", ran.stdout);
    }
}

#[test]
fn the_window_is_the_one_asked_for() {
    let trial = trial("office", 8, Design::Mix);
    for (id, value) in said(&trial.stream, &changes(&trial)) {
        let planted = trial.planted.iter().find(|planted| planted.change.id == id).unwrap();
        let hours = f64::from(planted.change.window_hours);
        assert_eq!(value["window_hours"].as_f64(), Some(hours), "{value}");
    }
}

/// Twenty changes are twenty chances to be wrong.
#[test]
fn q_values_are_no_smaller_than_the_step_up_procedure_has_them() {
    let trial = trial("storms", 14, Design::Each(Truth::Nothing));
    let said = said(&trial.stream, &changes(&trial));
    let p_values: Vec<f64> = said.values().filter_map(|value| value["p_value"].as_f64()).collect();
    let adjusted = |own: f64| {
        let step = |p: &f64| {
            let at_most = p_values.iter().filter(|other| *other <= p).count();
            p * p_values.len() as f64 / at_most as f64
        };
        p_values.iter().filter(|other| **other >= own).map(step).fold(1.0, f64::min)
    };
    for value in said.values() {
        let (Some(p), Some(q)) = (value["p_value"].as_f64(), value["q_value"].as_f64()) else {
            continue;
        };
        assert!(q >= adjusted(p) - 1e-9, "{} expected at least {}", value, adjusted(p));
    }
}

#[test]
fn what_chance_explains_is_not_supported_at_any_q() {
    let trial = trial("office", 14, Design::Each(Truth::Nothing));
    let files = (trial.stream.csv(), changes_csv(&trial.stream, &changes(&trial)));
    let said = said_of(&files.0, &files.1, &["--q", "0.9"]);
    let q = |value: &&Value| value["q_value"].as_f64().is_some_and(|q| q <= 0.9);
    assert!(said.values().filter(q).count() > 0, "no q-value is small enough to try it");
    for value in said.values().filter(|value| value["tier"] == "supported") {
        assert!(value["p_value"].as_f64().is_some_and(|p| p <= 0.05), "{value}");
    }
}

#[test]
fn a_change_outside_the_data_is_undetermined() {
    let trial = trial("office", 2, Design::Each(Truth::Nothing));
    let (from, to) = (trial.stream.from, trial.stream.to);
    let first = changes(&trial).remove(0);
    for at in [from - WEEK, from - 5 * WEEK, from + 60, to + 60, to + 9 * WEEK, to + 400 * WEEK] {
        let moved = Change { at, waves: Vec::new(), ..first.clone() };
        let said = said(&trial.stream, &[moved]);
        let value = &said[&first.id];
        check(value);
        assert!(at < to || value["reason"] == "window_open", "{}: {value}", time(at));
        assert_eq!(value["tier"], "undetermined", "{}: {value}", time(at));
        assert!(value["p_value"].is_null() || value["p_value"].as_f64() > Some(0.05), "{value}");
    }
}

#[test]
fn nothing_to_compare_with_is_no_failure() {
    let change = "id,at,service,exposed_sites\nc,2024-01-10T00:00:00Z,voice,a b\n";
    for cases in [
        "opened_at,service,site\n",
        "opened_at,service,site\n2024-01-10T01:00:00Z,voice,a\n",
        "opened_at,service,site\n2024-01-10T01:00:00Z,voice,a\n2024-01-10T01:00:00Z,voice,a\n",
        "opened_at,service,site\n2024-01-10T01:00:00Z,mail,a\n",
    ] {
        let said = said_of(cases, change, &[]);
        check(&said["c"]);
        assert_eq!(said["c"]["tier"], "undetermined", "{cases}: {}", said["c"]);
    }
    let no_changes = "id,at,service,exposed_sites\n";
    let one = "opened_at,service,site\n2024-01-10T01:00:00Z,voice,a\n";
    assert!(said_of(one, no_changes, &[]).is_empty());
}

/// Without anybody to compare with, a shock for everybody looks the same.
#[test]
fn a_change_of_everything_is_never_supported() {
    let mut trial = trial("office", 2, Design::Each(Truth::Nothing));
    let all = (0..trial.stream.sites.len() as u16).collect();
    let change = Change { exposed: all, waves: Vec::new(), ..trial.planted[0].change.clone() };
    let rise = Rise::of(&change, 5.0);
    rise.put(&mut trial.stream, Means::Add, &mut Random::new(seed()));
    let cases = trial.stream.csv();
    let service = &trial.stream.services[usize::from(change.service)];
    let row = |exposed: &str, service: &str| {
        let at = time(change.at);
        let hours = change.window_hours;
        format!("id,at,service,exposed_sites,window_hours\nc,{at},{service},{exposed},{hours}\n")
    };
    let named = trial.stream.sites.join(" ");
    for changes in [row("*", service), row(&named, service), row("*", "")] {
        let said = said_of(&cases, &changes, &[]);
        check(&said["c"]);
        let tier = said["c"]["tier"].as_str().unwrap();
        assert_ne!(tier, "supported", "{}", said["c"]);
    }
}

/// One of two sites is the exposed one every second time, whatever happened there.
#[test]
fn two_sites_are_too_few_to_support_anything() {
    let mut cases = String::from("opened_at,service,site\n");
    let from = 1_704_067_200;
    for hour in 0..8 * 7 * 24 {
        for site in ["a", "b"] {
            let raised = site == "a" && (7 * 7 * 24..7 * 7 * 24 + 24).contains(&hour);
            for case in 0..if raised { 12 } else { 1 } {
                cases += &format!("{},voice,{site}\n", time(from + hour * 3_600 + case * 60));
            }
        }
    }
    let at = time(from + 7 * WEEK);
    let changes = format!("id,at,service,exposed_sites,window_hours\nc,{at},voice,a,24\n");
    let said = said_of(&cases, &changes, &[]);
    check(&said["c"]);
    assert_ne!(said["c"]["tier"], "supported", "{}", said["c"]);
    assert_eq!(said["c"]["reason"], "few_sites", "{}", said["c"]);
}

#[test]
fn each_site_counts_from_its_own_turn() {
    let mut trial = trial("office", 1, Design::Each(Truth::Nothing));
    let mut change = trial.planted[0].change.clone();
    change.window_hours = 24;
    let turn = |place: usize| change.at + DAY * (place % 3) as i64;
    change.waves =
        change.exposed.iter().enumerate().map(|(place, site)| (*site, turn(place))).collect();
    Rise::of(&change, 4.0).put(&mut trial.stream, Means::Add, &mut Random::new(seed()));
    let at_once = Change { waves: Vec::new(), ..change.clone() };
    let ratio = |change: &Change| {
        let said = said(&trial.stream, std::slice::from_ref(change));
        check(&said[&change.id]);
        said[&change.id]["rate_ratio"].as_f64().unwrap()
    };
    let (waved, at_once) = (ratio(&change), ratio(&at_once));
    assert!(waved > 1.2 * at_once && waved > 2.5, "{waved} with waves, {at_once} without");
}

/// Seven quiet weeks of sites that have one case an hour each, then two waves of one site each
/// that have twelve on their own day.
fn staged(sites: &[&str]) -> Value {
    let mut cases = String::from("opened_at,service,site\n");
    let from = 1_704_067_200;
    let turn = |site: &str| match site {
        "a" => 7 * 7 * 24,
        "b" => 7 * 7 * 24 + 24,
        _ => i64::MAX - 24,
    };
    for hour in 0..8 * 7 * 24 {
        for site in sites {
            let raised = (turn(site)..turn(site) + 24).contains(&hour);
            for case in 0..if raised { 12 } else { 1 } {
                cases += &format!("{},voice,{site}\n", time(from + hour * 3_600 + case * 60));
            }
        }
    }
    let (first, second) = (time(from + 7 * WEEK), time(from + 7 * WEEK + DAY));
    let changes = format!(
        "id,at,service,exposed_sites,window_hours,waves\nc,{first},voice,a b,24,b@{second}\n"
    );
    let said = said_of(&cases, &changes, &[]);
    check(&said["c"]);
    said["c"].clone()
}

/// In a wave each, two of three sites are one of six ways, and two of four one of twelve.
#[test]
fn waves_of_few_sites_are_no_less_likely_than_one_of_all_ways() {
    let three = staged(&["a", "b", "c"]);
    assert!(three["p_value"].as_f64().unwrap() >= 1.0 / 6.0 - 1e-9, "{three}");
    assert_eq!(three["reason"], "few_sites", "{three}");
    let four = staged(&["a", "b", "c", "d"]);
    assert!(four["p_value"].as_f64().unwrap() >= 1.0 / 12.0 - 1e-9, "{four}");
    assert_ne!(four["tier"], "supported", "{four}");
    let eight = staged(&["a", "b", "c", "d", "e", "f", "g", "h"]);
    let p = eight["p_value"].as_f64().unwrap();
    assert!((1.0 / 56.0 - 1e-9..0.05).contains(&p), "{eight}");
    assert_eq!(eight["tier"], "supported", "{eight}");
}
