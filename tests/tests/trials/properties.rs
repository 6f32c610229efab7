//! What may not matter does not: names, weeks, categories, other services, the order of rows.

use driftline_tests::trials::answer::Program;
use driftline_tests::trials::plan::{Design, Trial};
use driftline_tests::trials::random::Random;
use driftline_tests::trials::stream::{Case, Change, Stream, WEEK, changes_csv, time};
use driftline_tests::trials::synthetic;
use driftline_tests::trials::truth::Truth;

use super::{assert_same, changes, said, said_of, seed, shape, trial};

/// Changes that compete, and changes that have a service each.
fn worlds() -> [Trial; 2] {
    [trial("office", 2, Design::Ten), trial("shocks", 4, Design::Each(Truth::Effect))]
}

#[test]
fn the_names_of_sites_do_not_matter() {
    for Trial { mut stream, planted } in worlds() {
        let trial = Trial { stream: stream.clone(), planted };
        let changes = changes(&trial);
        let before = said(&stream, &changes);
        Random::new(seed()).shuffle(&mut stream.sites);
        assert_same(&before, &said(&stream, &changes));
    }
}

#[test]
fn whole_weeks_do_not_matter() {
    for trial in worlds() {
        let changes = changes(&trial);
        let before = said(&trial.stream, &changes);
        let mut stream = trial.stream.clone();
        let shift = 5 * WEEK;
        stream.cases.iter_mut().for_each(|case| case.at += shift);
        let later: Vec<Change> = changes
            .into_iter()
            .map(|mut change| {
                change.at += shift;
                change.waves.iter_mut().for_each(|wave| wave.1 += shift);
                change
            })
            .collect();
        assert_same(&before, &said(&stream, &later));
    }
}

/// The cases file with a category for each case.
fn with_categories(stream: &Stream, category: impl Fn(usize) -> &'static str) -> String {
    let mut text = String::from("opened_at,service,site,category\n");
    for (number, Case { at, service, site }) in stream.cases.iter().enumerate() {
        let service = &stream.services[usize::from(*service)];
        let site = &stream.sites[usize::from(*site)];
        text += &format!("{},{service},{site},{}\n", time(*at), category(number));
    }
    text
}

#[test]
fn a_category_that_becomes_two_does_not_matter() {
    let [trial, _] = worlds();
    let changes = changes_csv(&trial.stream, &changes(&trial));
    let names = ["login", "audio", "video", "audio"];
    let one = with_categories(&trial.stream, |number| names[number % 4]);
    let two = with_categories(&trial.stream, |number| match number % 4 {
        3 => "audio again",
        other => names[other],
    });
    assert_same(&said_of(&one, &changes, &[]), &said_of(&two, &changes, &[]));
}

#[test]
fn another_service_does_not_matter() {
    for trial in worlds() {
        let changes = changes(&trial);
        let before = said(&trial.stream, &changes);
        let sites = trial.stream.sites.len();
        let other = synthetic::Shape { sites, ..shape("storms", 1) };
        let other = synthetic::stream(&other, &mut Random::new(seed() + 1));
        let mut stream = trial.stream.clone();
        let service = stream.services.len() as u16;
        stream.services.push("aaa-other".into());
        stream.cases.extend(other.cases.iter().map(|case| Case { service, ..*case }));
        stream.sort();
        assert_same(&before, &said(&stream, &changes));
    }
}

#[test]
fn more_cases_at_exposed_sites_never_lower_the_score() {
    let trial = trial("office", 3, Design::Each(Truth::Nothing));
    let mut random = Random::new(seed());
    for planted in &trial.planted {
        let change = &planted.change;
        let mut stream = trial.stream.clone();
        let mut last = f64::NEG_INFINITY;
        for step in [0, 1, 2, 5, 10, 20, 40, 80] {
            for _ in 0..step {
                let site = *random.pick(&change.exposed);
                let from = change.onset(site);
                let at = random.second(from, from + change.window());
                stream.cases.push(Case { at, service: change.service, site });
            }
            stream.sort();
            let said = said(&stream, std::slice::from_ref(change));
            let score = said[&change.id]["score"].as_f64().unwrap();
            assert!(score >= last - 1e-9, "{}: {last} became {score} at {step}", change.id);
            last = score;
        }
    }
}

#[test]
fn the_same_files_give_the_same_bytes_and_the_order_of_rows_does_not_matter() {
    let program = Program::built().unwrap();
    for trial in worlds() {
        let (cases, changes) = (trial.stream.csv(), changes_csv(&trial.stream, &changes(&trial)));
        let said = |cases: &str, changes: &str| {
            let ran = program.correlate(cases, changes, &[]).unwrap();
            assert_eq!(ran.code, Some(0), "{}", ran.stderr);
            ran.stdout
        };
        let first = said(&cases, &changes);
        assert_eq!(first, said(&cases, &changes));
        let mut random = Random::new(seed());
        let mut mixed = |text: &str| {
            let mut rows: Vec<&str> = text.lines().skip(1).collect();
            random.shuffle(&mut rows);
            format!("{}\n{}\n", text.lines().next().unwrap(), rows.join("\n"))
        };
        assert_eq!(first, said(&mixed(&cases), &mixed(&changes)));
    }
}
