//! The tables of a campaign, and which bars it clears. Markdown in, nothing decided elsewhere.

use super::measure::{Share, auc, excess_allowed, excess_over_uniform, rejected};
use super::outcome::{Outcome, Q};
use super::plan::{Design, RATIOS};
use super::truth::Truth;

/// Borders of expected cases in the detection curve.
const EXPECTED: [f64; 6] = [0.0, 3.0, 10.0, 30.0, 100.0, f64::INFINITY];
/// The tiers of the contract.
pub const TIERS: [&str; 5] = ["supported", "possible", "coincident", "refuted", "undetermined"];

/// A promise with its number.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What is promised.
    pub what: &'static str,
    /// What was measured.
    pub measured: String,
    /// Whether it holds.
    pub holds: bool,
}

/// What the trials of one world with one responder say.
pub struct Report<'a>(pub &'a [Outcome]);

impl Report<'_> {
    fn of(&self, design: Design) -> impl Iterator<Item = &Outcome> {
        self.0.iter().filter(move |outcome| outcome.design == design)
    }

    /// The share of small p-values where this is true of a change alone.
    pub fn small(&self, truth: Truth) -> Share {
        Share::of(self.of(Design::Each(truth)).map(Outcome::is_small))
    }

    /// The share of false claims in mixes.
    pub fn false_claims(&self) -> Share {
        let claims = self.of(Design::Mix).filter(|outcome| outcome.is_claimed());
        Share::of(claims.map(|outcome| !outcome.is_true()))
    }

    /// The same, when the judge itself adjusts all p-values of all mixes together.
    pub fn false_claims_of_all(&self) -> Share {
        let all: Vec<&Outcome> = self.of(Design::Mix).collect();
        let p_values: Vec<f64> = all.iter().map(|outcome| outcome.p()).collect();
        let claims = all.iter().zip(rejected(&p_values, Q)).filter(|(_, claimed)| *claimed);
        Share::of(claims.map(|(outcome, _)| !outcome.is_true()))
    }

    /// The share of effects in mixes that are claimed.
    pub fn recall(&self) -> Share {
        Share::of(self.of(Design::Mix).filter(|o| o.is_true()).map(Outcome::is_claimed))
    }

    /// How well the score separates effects from the rest in mixes.
    pub fn area(&self) -> f64 {
        let score = |o: &Outcome| (o.answer.score.unwrap_or(f64::NEG_INFINITY), o.is_true());
        auc(&self.of(Design::Mix).map(score).collect::<Vec<_>>())
    }

    /// How often the true one of ten is first.
    pub fn first(&self) -> Share {
        Share::of(self.of(Design::Ten).filter(|o| o.is_true()).map(|o| o.rank == 0))
    }

    /// How far p-values of shuffled times rise above uniform, and what is allowed.
    pub fn shuffled(&self) -> (f64, f64) {
        let p_values: Vec<f64> = self.of(Design::Shuffled).map(Outcome::p).collect();
        (excess_over_uniform(&p_values), excess_allowed(p_values.len()))
    }

    /// The promises that this campaign has trials for.
    pub fn bars(&self) -> Vec<Bar> {
        let mut bars = Vec::new();
        let mut at_most = |what, share: Share, limit| {
            if share.of > 0 {
                let holds = share.value() <= limit;
                bars.push(Bar { what, measured: share.text(), holds });
            }
        };
        at_most("small p with nothing there <= .065", self.small(Truth::Nothing), 0.065);
        at_most("small p when all rise <= .09", self.small(Truth::RiseForAll), 0.09);
        at_most("false claims in the mix <= .12", self.false_claims(), 0.12);
        let mut at_least = |what, share: Share, limit| {
            if share.of > 0 {
                let holds = share.value() >= limit;
                bars.push(Bar { what, measured: share.text(), holds });
            }
        };
        at_least("effects found in the mix >= .30", self.recall(), 0.30);
        at_least("true change first of ten >= .70", self.first(), 0.70);
        if self.of(Design::Mix).next().is_some() {
            let area = self.area();
            let what = "area under the curve of the score >= .84";
            bars.push(Bar { what, measured: format!("{area:.3}"), holds: area >= 0.84 });
        }
        if self.of(Design::Shuffled).next().is_some() {
            let (excess, allowed) = self.shuffled();
            let measured = format!("{excess:.4}, allowed {allowed:.4}");
            let what = "p of shuffled times not below uniform (KS at .01)";
            bars.push(Bar { what, measured, holds: excess <= allowed });
        }
        bars
    }

    /// All tables.
    pub fn markdown(&self) -> String {
        [self.promises(), self.errors(), self.mix(), self.ranks(), self.curve(), self.tiers()]
            .join("\n")
    }

    fn promises(&self) -> String {
        let mut text = String::from("| promise | measured | holds |\n|---|---|---|\n");
        for Bar { what, measured, holds } in self.bars() {
            let holds = if holds { "yes" } else { "**no**" };
            text.push_str(&format!("| {what} | {measured} | {holds} |\n"));
        }
        text
    }

    /// Truths in which every claim is false, and how often one is made all the same.
    fn errors(&self) -> String {
        let mut text = String::from(
            "| one change, truth | changes | p null | p <= .05 | supported | interval holds |\n\
             |---|---|---|---|---|---|\n",
        );
        let rows = Truth::ALL.map(|truth| (truth.as_str(), Design::Each(truth)));
        for (name, design) in rows.into_iter().chain([("shuffled times", Design::Shuffled)]) {
            let all: Vec<&Outcome> = self.of(design).collect();
            if all.is_empty() {
                continue;
            }
            let null = all.iter().filter(|o| o.answer.p_value.is_none()).count();
            let small = Share::of(all.iter().map(|o| o.is_small())).text();
            let supported = Share::of(all.iter().map(|o| o.has_tier("supported"))).text();
            let covers = Share::of(all.iter().filter_map(|o| o.covers())).text();
            let count = all.len();
            text.push_str(&format!(
                "| {name} | {count} | {null} | {small} | {supported} | {covers} |\n"
            ));
        }
        text
    }

    fn mix(&self) -> String {
        let changes = self.of(Design::Mix).count();
        let claims = self.of(Design::Mix).filter(|outcome| outcome.is_claimed()).count();
        let tiers = self.of(Design::Mix).filter(|outcome| outcome.has_tier("supported"));
        let supported = Share::of(tiers.map(|outcome| !outcome.is_true()));
        format!(
            "| mix of 70 % nothing, 10 % rise for all, 20 % effects | |\n|---|---|\n\
             | changes, claims at q = .10 | {changes}, {claims} |\n\
             | false among claims | {} |\n\
             | false among claims, all p-values adjusted together | {} |\n\
             | false among supported | {} |\n| effects claimed | {} |\n| area | {:.3} |\n",
            self.false_claims().text(),
            self.false_claims_of_all().text(),
            supported.text(),
            self.recall().text(),
            self.area(),
        )
    }

    fn ranks(&self) -> String {
        let mut text =
            String::from("| ten changes, ratio | first | first three |\n|---|---|---|\n");
        for ratio in RATIOS {
            let effects = || {
                self.of(Design::Ten).filter(|o| o.is_true()).filter(|o| o.planted.ratio == ratio)
            };
            let first = Share::of(effects().map(|o| o.rank == 0));
            let three = Share::of(effects().map(|o| o.rank < 3));
            if first.of > 0 {
                text.push_str(&format!("| {ratio} | {} | {} |\n", first.text(), three.text()));
            }
        }
        text
    }

    /// How often an effect of a ratio has a small p-value, by the cases that were expected.
    fn curve(&self) -> String {
        let mut text = String::from("| share of p <= .05: ratio, expected cases |");
        let bins: Vec<(f64, f64)> = EXPECTED.windows(2).map(|pair| (pair[0], pair[1])).collect();
        for (low, high) in &bins {
            let name = if high.is_finite() { format!("{low}-{high}") } else { format!("{low}+") };
            text.push_str(&format!(" {name} |"));
        }
        text.push_str(&format!("\n|---|{}\n", "---|".repeat(bins.len())));
        for ratio in RATIOS {
            text.push_str(&format!("| {ratio} |"));
            for (low, high) in &bins {
                let here = self.of(Design::Each(Truth::Effect)).filter(|outcome| {
                    let expected = outcome.planted.expected;
                    outcome.planted.ratio == ratio && (*low..*high).contains(&expected)
                });
                let share = Share::of(here.map(Outcome::is_small));
                let cell = match share.of {
                    0 => "-".into(),
                    of => format!("{:.2} of {of}", share.value()),
                };
                text.push_str(&format!(" {cell} |"));
            }
            text.push('\n');
        }
        text
    }

    fn tiers(&self) -> String {
        let mut text = format!("| truth | {} |\n|---|{}\n", TIERS.join(" | "), "---|".repeat(5));
        let mut row = |name: &str, outcomes: &mut dyn Iterator<Item = &Outcome>| {
            let tiers: Vec<&str> = outcomes.map(|outcome| outcome.answer.tier.as_str()).collect();
            let count = |tier: &&str| tiers.iter().filter(|said| *said == tier).count();
            let counts: Vec<String> = TIERS.iter().map(|tier| count(tier).to_string()).collect();
            if !tiers.is_empty() {
                text.push_str(&format!("| {name} | {} |\n", counts.join(" | ")));
            }
        };
        for truth in Truth::ALL {
            row(truth.as_str(), &mut self.of(Design::Each(truth)));
        }
        row("mix, no effect", &mut self.of(Design::Mix).filter(|o| !o.is_true()));
        row("mix, effect", &mut self.of(Design::Mix).filter(|o| o.is_true()));
        row("ten, the true one", &mut self.of(Design::Ten).filter(|o| o.is_true()));
        row("ten, the others", &mut self.of(Design::Ten).filter(|o| !o.is_true()));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::campaign;
    use crate::trials::plan::World;
    use crate::trials::simple::Simple;
    use crate::trials::synthetic::{ALL, Shape};

    #[test]
    fn a_report_counts_what_was_said() {
        let world = World::Made(Shape { services: 4, ..ALL[0].clone() });
        let designs =
            [(Design::Each(Truth::Effect), 5), (Design::Each(Truth::Nothing), 5), (Design::Mix, 1)];
        let outcomes = campaign::run(&world, &Simple, &designs, 3).unwrap();
        let report = Report(&outcomes);
        assert_eq!(report.small(Truth::Nothing).of, 20);
        assert!(report.small(Truth::Effect).hits > report.small(Truth::Nothing).hits);
        assert_eq!(report.bars().len(), 4, "{:?}", report.bars());
        let tables = report.markdown();
        for name in ["rise for all", "false among claims", "supported"] {
            assert!(tables.contains(name), "{tables}");
        }
        for line in tables.lines().filter(|line| !line.is_empty()) {
            assert!(line.starts_with('|') && line.ends_with('|'), "{line}");
        }
    }
}
