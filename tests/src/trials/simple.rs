//! The simple method of the literature, to hold the engine and the trials against.
//!
//! Exposed against unexposed sites of the service, the window against the same hours of four weeks
//! before, one two-by-two table a wave, pooled by inverse variance and widened by the dispersion of
//! the daily split; Benjamini and Hochberg over the file. What it reaches says how hard the trials
//! are. It has no randomisation, no attribution among changes and no veto, on purpose.

use std::collections::BTreeMap;

use super::answer::{Answer, Respond};
use super::plan::Trial;
use super::stream::{Change, DAY, Stream, WEEK};

/// How many weeks before are compared with.
const WEEKS: i64 = 4;

/// The simple method.
#[derive(Clone, Copy, Debug)]
pub struct Simple;

impl Respond for Simple {
    fn name(&self) -> String {
        "simple method".into()
    }

    fn respond(&self, trial: &Trial) -> anyhow::Result<Vec<Answer>> {
        let changes = trial.planted.iter().map(|planted| &planted.change);
        let mut answers: Vec<Answer> =
            changes.map(|change| answer(&trial.stream, change)).collect();
        adjust(&mut answers);
        answers.sort_by(|a, b| {
            b.score.unwrap_or(0.0).total_cmp(&a.score.unwrap_or(0.0)).then(a.id.cmp(&b.id))
        });
        Ok(answers)
    }
}

/// Cases after and before, of the exposed and of the others.
#[derive(Default)]
struct Table {
    after: [f64; 2],
    before: [f64; 2],
}

fn answer(stream: &Stream, change: &Change) -> Answer {
    let mut waves = BTreeMap::<i64, Vec<u16>>::new();
    for site in &change.exposed {
        waves.entry(change.onset(*site)).or_default().push(*site);
    }
    let (mut weighted, mut weights) = (0.0, 0.0);
    for (onset, sites) in &waves {
        let table = table(stream, change, *onset, sites);
        let [ye, yu] = table.after.map(|count| count + 0.5);
        let [be, bu] = table.before.map(|count| count + 0.5);
        let weight = 1.0 / (1.0 / ye + 1.0 / be + 1.0 / yu + 1.0 / bu);
        weighted += weight * ((ye / be).ln() - (yu / bu).ln());
        weights += weight;
    }
    let theta = weighted / weights;
    let deviation = (dispersion(stream, change) / weights).sqrt();
    let z = theta / deviation;
    Answer {
        id: change.id.clone(),
        p_value: Some(upper_tail(z)),
        q_value: None,
        score: Some(z),
        rate_ratio: Some(theta.exp()),
        interval: Some(((theta - 1.96 * deviation).exp(), (theta + 1.96 * deviation).exp())),
        tier: "undetermined".into(),
    }
}

fn table(stream: &Stream, change: &Change, onset: i64, sites: &[u16]) -> Table {
    let mut table = Table::default();
    for case in stream.cases.iter().filter(|case| case.service == change.service) {
        let exposed = sites.contains(&case.site);
        if !exposed && change.exposed.contains(&case.site) {
            continue; // its turn is another one, so it is no control
        }
        let side = usize::from(!exposed);
        let since = case.at - onset;
        if (0..change.window()).contains(&since) {
            table.after[side] += 1.0;
        } else if (-WEEKS * WEEK..0).contains(&since) && since.rem_euclid(WEEK) < change.window() {
            table.before[side] += 1.0;
        }
    }
    table
}

/// How much more the daily split between exposed and others varies than chance alone would.
fn dispersion(stream: &Stream, change: &Change) -> f64 {
    let mut days = BTreeMap::<i64, (f64, f64)>::new();
    let from = change.at - WEEKS * WEEK;
    for case in stream.cases.iter().filter(|case| case.service == change.service) {
        if (from..change.at).contains(&case.at) {
            let day = days.entry((case.at - from) / DAY).or_default();
            day.0 += f64::from(u8::from(change.exposed.contains(&case.site)));
            day.1 += 1.0;
        }
    }
    let sum = days.values().fold((0.0, 0.0), |sum, day| (sum.0 + day.0, sum.1 + day.1));
    let share = sum.0 / sum.1;
    let square =
        |day: &(f64, f64)| (day.0 - day.1 * share).powi(2) / (day.1 * share * (1.0 - share));
    let chi: f64 = days.values().map(square).filter(|square| square.is_finite()).sum();
    (chi / (days.len() as f64 - 1.0).max(1.0)).max(1.0)
}

fn adjust(answers: &mut [Answer]) {
    let p_values: Vec<f64> = answers.iter().map(|answer| answer.p_value.unwrap_or(1.0)).collect();
    let n = p_values.len() as f64;
    for (answer, own) in answers.iter_mut().zip(&p_values) {
        let adjusted = |p: &f64| p * n / p_values.iter().filter(|other| *other <= p).count() as f64;
        let q = p_values.iter().filter(|p| *p >= own).map(adjusted).fold(1.0, f64::min);
        answer.q_value = Some(q);
        if q <= 0.1 {
            answer.tier = "supported".into();
        }
    }
}

/// The normal upper tail, by the continued fraction far out and by the series near the middle
/// (Abramowitz and Stegun 26.2.11 and 26.2.14).
fn upper_tail(z: f64) -> f64 {
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z < 0.0 {
        return 1.0 - upper_tail(-z);
    }
    if z > 5.0 {
        return density / (1..60).rev().fold(z, |rest, k| z + f64::from(k) / rest);
    }
    let (mut term, mut sum) = (z, z);
    for k in 1..120 {
        term *= z * z / f64::from(2 * k + 1);
        sum += term;
    }
    (0.5 - density * sum).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_textbooks() {
        for (z, expected) in [
            (0.0, 0.5),
            (1.644_853_626_951_472_2, 0.05),
            (-1.0, 0.841_344_746_068_542_9),
            (4.0, 3.167_124_183_311_992e-5),
            (6.0, 9.865_876_450_377_018e-10),
        ] {
            let tail = upper_tail(z);
            assert!((tail / expected - 1.0).abs() < 1e-9, "{z}: {tail}");
        }
    }
}
