//! Whether scores mean what they say: the share that people confirmed, by score.
//!
//! Each dot is a fifth of the scale with the 95 % interval of its share; the line is what would be
//! confirmed if the engine's likelihoods were exact and one change in ten belonged to a rise.

use std::fmt::Write;

use crate::analysis::correlate::expected_share;
use crate::store::{Outcome, OutcomeRecord};

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 40.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 8.0;

/// Parts of the scale of scores.
const PARTS: usize = 5;

/// Half the width of a 95 % interval, in standard errors.
const INTERVAL: f64 = 1.96;

/// Suspects of one part of the scale.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Part {
    scores: f64,
    confirmed: f64,
    all: f64,
}

/// The chart of what was said last of each suspect; empty while nobody said anything of one with a
/// score.
///
/// The result holds only numbers and fixed words, so a template may print it as it stands.
pub(super) fn draw<'a>(said: impl Iterator<Item = &'a OutcomeRecord>) -> String {
    let parts = parts(said);
    let all: f64 = parts.iter().map(|part| part.all).sum();
    if all <= 0.0 {
        return String::new();
    }
    let mut svg = format!(
        "<svg class=\"cases\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"share \
         confirmed by score, of {all} suspects\">"
    );
    for tenth in [0, 5, 10] {
        let share = f64::from(tenth) / 10.0;
        let (x, y) = (x(share), y(share));
        put(
            &mut svg,
            format_args!(
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{WIDTH}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}%</text>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{share}</text>",
                LEFT - 6.0,
                y + 4.0,
                tenth * 10,
                HEIGHT - 7.0
            ),
        );
    }
    let mut line = String::new();
    for step in 0..=40 {
        let score = f64::from(step) / 40.0;
        let pen = if step == 0 { 'M' } else { 'L' };
        put(&mut line, format_args!("{pen}{:.1} {:.1}", x(score), y(expected_share(score))));
    }
    put(&mut svg, format_args!("<path class=\"expected\" d=\"{line}\"/>"));
    parts.iter().filter(|part| part.all > 0.0).for_each(|part| dot(&mut svg, part));
    svg.push_str("</svg>");
    svg
}

fn parts<'a>(said: impl Iterator<Item = &'a OutcomeRecord>) -> [Part; PARTS] {
    let mut parts = [Part::default(); PARTS];
    for (score, outcome) in said.filter_map(|said| Some((said.score?, said.outcome))) {
        let place = ((score * PARTS as f64) as usize).min(PARTS - 1);
        if let Some(part) = parts.get_mut(place) {
            part.scores += score;
            part.confirmed += f64::from(u8::from(outcome == Outcome::Confirmed));
            part.all += 1.0;
        }
    }
    parts
}

fn dot(svg: &mut String, part: &Part) {
    let Part { scores, confirmed, all } = part;
    let (low, high) = wilson(*confirmed, *all);
    let (x, share) = (x(scores / all), confirmed / all);
    put(
        svg,
        format_args!(
            "<path class=\"bound\" d=\"M{x:.1} {:.1}V{:.1}\"/><circle class=\"mark\" \
             cx=\"{x:.1}\" cy=\"{:.1}\" r=\"5\"><title>{confirmed} of {all} confirmed, mean score \
             {:.2}</title></circle>",
            y(low),
            y(high),
            y(share),
            scores / all
        ),
    );
}

/// The interval of a share that cannot leave 0 to 1.
fn wilson(part: f64, all: f64) -> (f64, f64) {
    let square = INTERVAL * INTERVAL;
    let share = part / all;
    let middle = (share + square / (2.0 * all)) / (1.0 + square / all);
    let inner = share * (1.0 - share) / all + square / (4.0 * all * all);
    let half = INTERVAL * inner.sqrt() / (1.0 + square / all);
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

fn x(score: f64) -> f64 {
    LEFT + score * (WIDTH - LEFT - 12.0)
}

fn y(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
}

fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let written = svg.write_fmt(text);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::analysis::correlate::Tier;

    fn said(score: Option<f64>, outcome: Outcome) -> OutcomeRecord {
        OutcomeRecord {
            suspect: 1,
            at: Timestamp::UNIX_EPOCH,
            who: "ada".into(),
            outcome,
            reason: String::new(),
            kind: "files".into(),
            tier: Tier::Supported,
            score,
        }
    }

    #[test]
    fn each_part_of_the_scale_has_its_share() {
        let all = [
            said(Some(0.9), Outcome::Confirmed),
            said(Some(1.0), Outcome::Rejected),
            said(Some(0.1), Outcome::Rejected),
            said(None, Outcome::Confirmed),
        ];
        let parts = parts(all.iter());
        assert_eq!((parts[4].confirmed, parts[4].all, parts[4].scores), (1.0, 2.0, 1.9));
        assert_eq!((parts[0].confirmed, parts[0].all), (0.0, 1.0));
        let drawn = draw(all.iter());
        assert!(drawn.contains("share confirmed by score, of 3 suspects"), "{drawn}");
        assert_eq!(drawn.matches("<circle").count(), 2);
        assert_eq!(draw(all[3..].iter()), "", "without a score nothing is calibrated");
    }

    #[test]
    fn an_interval_holds_its_share_and_stays_on_the_scale() {
        for (part, all) in [(0.0, 1.0), (1.0, 1.0), (5.0, 9.0)] {
            let (low, high) = wilson(part, all);
            assert!(low >= 0.0 && high <= 1.0 && low <= part / all && high >= part / all);
            assert!(high - low > 0.3);
        }
    }
}
