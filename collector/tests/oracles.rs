//! Our statistics against other people's programs, number by number.
//!
//! The tables lie in `fixtures/oracles` with their origin. Tolerances are relative and say how far
//! two good implementations are apart, not how far we may be off: exact tests agree to nine digits,
//! iterated fits to six, what R finds by a coarse search to four decimals.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::collections::BTreeMap;

use driftline_collector::analysis::stats::{
    adjust, breaks, case_series, fisher, glm, negative_binomial, online, poisson,
};

const EXACT: f64 = 1e-9;
/// R's `fisher.test` searches its estimate and interval in (0, 1), or their inverse, to this.
const SEARCHED: f64 = 1.3e-4;
const FITTED: f64 = 1e-6;
const PUBLISHED: f64 = 1e-3;

/// The rows of a fixture by column; `NA` is not a number.
fn rows(file: &str) -> Vec<BTreeMap<String, f64>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/oracles/");
    let text = std::fs::read_to_string(format!("{folder}{file}")).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let number = |field: &str| field.parse().unwrap_or(f64::NAN);
    let row = |line: &str| {
        let fields = header.iter().zip(line.split(','));
        fields.map(|(name, field)| ((*name).to_string(), number(field))).collect()
    };
    lines.map(row).collect()
}

#[track_caller]
fn check(what: &str, ours: f64, theirs: f64, tolerance: f64) {
    let apart = (ours - theirs).abs();
    let near = ours == theirs || apart <= tolerance * theirs.abs().max(f64::MIN_POSITIVE);
    assert!(near, "{what}: {ours} is not {theirs}");
}

#[test]
fn rate_ratios_are_those_of_poisson_test() {
    for row in rows("r_poisson_test.csv") {
        let count =
            |name: &str, over: &str| poisson::Rate { count: row[name] as u64, over: row[over] };
        let test = poisson::ratio_test(count("a", "ta"), count("b", "tb"));
        if row["p_two"].is_nan() {
            assert_eq!(test, None, "{row:?}");
            continue;
        }
        let test = test.unwrap();
        for (name, ours) in [
            ("p_greater", test.p_greater),
            ("p_two", test.p_two),
            ("rate_ratio", test.ratio),
            ("ci_lo", test.low),
            ("ci_hi", test.high),
        ] {
            check(&format!("{name} of {row:?}"), ours, row[name], EXACT);
        }
    }
}

#[test]
fn tables_of_two_by_two_are_those_of_fisher_test() {
    for row in rows("r_fisher_did.csv") {
        let test = fisher::fisher(&fisher::Table {
            exposed_after: row["yE"] as u64,
            exposed_before: row["bE"] as u64,
            unexposed_after: row["yU"] as u64,
            unexposed_before: row["bU"] as u64,
        });
        for (name, ours) in [("p_greater", test.p_greater), ("p_two", test.p_two)] {
            check(&format!("{name} of {row:?}"), ours, row[name], EXACT);
        }
        let searched = |odds: f64| if odds > 1.0 { 2.0 - 1.0 / odds } else { odds };
        for (name, ours) in
            [("cond_or", test.odds_ratio), ("ci_lo", test.low), ("ci_hi", test.high)]
        {
            let apart = (searched(ours) - searched(row[name])).abs();
            assert!(apart <= SEARCHED, "{name} of {row:?}: {ours}");
        }
    }
}

#[test]
fn negative_binomial_tails_are_those_of_pnbinom() {
    for row in rows("r_nbinom_tail.csv") {
        let law = negative_binomial::NegativeBinomial { mean: row["mu"], size: row["size"] };
        let count = row["y"] as u64;
        check(&format!("tail of {row:?}"), law.at_least(count), row["p_ge"], EXACT);
        check(&format!("mid-p of {row:?}"), law.mid_p(count), row["midp"], EXACT);
    }
}

#[test]
fn adjusted_p_values_are_those_of_p_adjust() {
    let rows = rows("r_padjust.csv");
    let p: Vec<f64> = rows.iter().map(|row| row["p"]).collect();
    for (name, ours) in [
        ("BH", adjust::benjamini_hochberg(&p)),
        ("BY", adjust::benjamini_yekutieli(&p)),
        ("holm", adjust::holm(&p)),
    ] {
        for (row, ours) in rows.iter().zip(ours) {
            check(&format!("{name} of {row:?}"), ours, row[name], EXACT);
        }
    }
}

#[test]
fn thresholds_of_a_stream_are_those_of_online_fdr() {
    let rows = rows("online_fdr.csv");
    let adaptive = |q, w0, candidate, discard| online::Adaptive { q, w0, candidate, discard };
    for sequence in [0.0, 1.0] {
        let these: Vec<_> = rows.iter().filter(|row| row["sequence"] == sequence).collect();
        let p: Vec<f64> = these.iter().map(|row| row["p"]).collect();
        for (name, ours) in [
            ("lord_05", online::lord_plus_plus(&p, 0.05, 0.005)),
            ("lord_10", online::lord_plus_plus(&p, 0.10, 0.05)),
            ("saffron", online::saffron(&p, &adaptive(0.05, 0.025, 0.5, 1.0))),
            ("addis", online::addis(&p, &adaptive(0.05, 0.00625, 0.25, 0.5))),
            ("lond", online::lond(&p, 0.05)),
        ] {
            for (step, (row, ours)) in these.iter().zip(ours).enumerate() {
                check(&format!("{name}, {sequence}, step {step}"), ours, row[name], EXACT);
            }
        }
    }
}

#[test]
fn a_self_controlled_series_is_the_published_one() {
    let interval = |row: &BTreeMap<String, f64>| case_series::Interval {
        unit: row["id"] as u32,
        length: row["len"],
        events: row["event"],
        x: vec![row["exp"], row["ageg"]],
    };
    let intervals: Vec<_> = rows("sccs_oxford.csv").iter().map(interval).collect();
    let fit = case_series::fit(&intervals).unwrap();
    let bound = |z: f64| (fit.log_ratios[0] + z * fit.standard_errors[0]).exp();
    for (name, z, published) in
        [("relative incidence", 0.0, 12.04), ("low", -1.96, 3.00), ("high", 1.96, 48.26)]
    {
        check(name, bound(z), published, PUBLISHED);
    }
}

/// Coefficients, and their standard errors widened by the dispersion, as R's quasi families do.
#[track_caller]
fn fitted(design: &glm::Design<'_>, family: glm::Family) -> (glm::Fit, Vec<f64>) {
    let fit = glm::fit(design, family).unwrap();
    let wide = fit.dispersion.unwrap().sqrt();
    let errors = fit.unit_errors().into_iter().map(|error| error.unwrap() * wide).collect();
    (fit, errors)
}

fn column(rows: &[BTreeMap<String, f64>], name: &str) -> Vec<f64> {
    rows.iter().map(|row| row[name]).collect()
}

/// The coefficients of a model in R's table, in its order.
fn expected(file: &str, model: &str) -> Vec<BTreeMap<String, f64>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/oracles/");
    let text = std::fs::read_to_string(format!("{folder}{file}")).unwrap();
    let models = text.lines().skip(1).map(|line| line.split(',').next().unwrap() == model);
    rows(file).into_iter().zip(models).filter(|(_, ours)| *ours).map(|(row, _)| row).collect()
}

#[test]
fn an_interrupted_series_is_that_of_glm() {
    let months = rows("sicily.csv");
    let events = column(&months, "events");
    let offset: Vec<f64> = column(&months, "person_years").iter().map(|n| n.ln()).collect();
    for (model, harmonics) in [("quasi_plain", 0), ("quasi_fourier2", 2)] {
        let mut design = Vec::new();
        for (time, month) in (1..).map(f64::from).zip(&months) {
            design.extend([1.0, month["ban"]]);
            for k in (1..=harmonics).map(f64::from) {
                let angle = std::f64::consts::TAU * k * time / 12.0;
                design.extend([angle.sin(), angle.cos()]);
            }
            design.push(time);
        }
        let theirs = expected("r_its_sicily.csv", model);
        let design = glm::Design {
            columns: theirs.len(),
            rows: &design,
            response: &events,
            weights: None,
            offset: Some(&offset),
        };
        let (fit, errors) = fitted(&design, glm::Family::Poisson);
        for (place, row) in theirs.iter().enumerate() {
            check(&format!("{model} {place}"), fit.beta[place], row["beta"], FITTED);
            check(&format!("{model} {place}"), errors[place], row["se"], FITTED);
            check(model, fit.dispersion.unwrap(), row["dispersion"], FITTED);
            check(model, fit.deviance, row["deviance"], FITTED);
        }
    }
}

/// The split of exposed and unexposed is the whole of a model with an effect for every month.
#[test]
fn an_exposed_group_against_another_is_that_of_glm() {
    let months = rows("seatbelts.csv");
    let (front, rear) = (column(&months, "front"), column(&months, "rear"));
    let trials: Vec<f64> = front.iter().zip(&rear).map(|(front, rear)| front + rear).collect();
    let share: Vec<f64> = front.iter().zip(&trials).map(|(front, of)| front / of).collect();
    let trend = |columns: usize| -> Vec<f64> {
        let row = |(time, month): (f64, &BTreeMap<String, f64>)| {
            [1.0, month["law"], time].into_iter().take(columns).collect::<Vec<_>>()
        };
        (1..).map(f64::from).zip(&months).flat_map(row).collect()
    };
    for (model, columns) in [("did_front_vs_rear_timeFE", 2), ("condbinom_front_rear_trend", 3)] {
        let design = glm::Design {
            columns,
            rows: &trend(columns),
            response: &share,
            weights: Some(&trials),
            offset: None,
        };
        check_law(model, &design, glm::Family::Binomial);
    }
    let mut rows = Vec::new();
    for (time, month) in (0..).zip(&months) {
        rows.extend([1.0, month["law"], f64::from(time)]);
        rows.extend((1..12).map(|of_year| f64::from(u8::from(time % 12 == of_year))));
    }
    let drivers = column(&months, "drivers");
    let design =
        glm::Design { columns: 14, rows: &rows, response: &drivers, weights: None, offset: None };
    check_law("its_drivers_monthFE_trend", &design, glm::Family::Poisson);
}

#[track_caller]
fn check_law(model: &str, design: &glm::Design<'_>, family: glm::Family) {
    let theirs = &expected("r_seatbelts.csv", model)[0];
    let (fit, errors) = fitted(design, family);
    check(model, fit.beta[1], theirs["beta"], FITTED);
    check(model, fit.beta[1].exp(), theirs["rr"], FITTED);
    check(model, errors[1], theirs["se"], FITTED);
}

/// The daily counts of each series.
fn daily() -> BTreeMap<String, Vec<f64>> {
    let text = include_str!("fixtures/oracles/breaks_series.csv");
    let mut series = BTreeMap::<String, Vec<f64>>::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        series.entry(fields[0].to_owned()).or_default().push(fields[2].parse().unwrap());
    }
    series
}

fn numbers<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> Vec<T> {
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn breaks_are_those_of_ruptures_and_otava() {
    let series = daily();
    let mut held = 0;
    for line in include_str!("fixtures/oracles/breaks.csv").lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let (counts, parameter) = (&series[fields[0]], fields[2].parse().unwrap());
        let expected: Vec<usize> = numbers(fields[3]);
        let roots: Vec<f64> = counts.iter().map(|count| (count + 0.375).sqrt()).collect();
        match fields[1] {
            "pelt" => assert_eq!(breaks::pelt(counts, parameter, 5), expected, "{line}"),
            "pelt_root" => assert_eq!(breaks::pelt(&roots, parameter, 5), expected, "{line}"),
            _ => {
                let found = breaks::divisive(counts, parameter);
                assert_eq!(found.iter().map(|b| b.at).collect::<Vec<_>>(), expected, "{line}");
                for (ours, theirs) in found.iter().zip(numbers::<f64>(fields[4])) {
                    check(line, ours.p, theirs, FITTED);
                }
            }
        }
        held += 1;
    }
    assert_eq!((series.len(), held), (10, 40));
}
