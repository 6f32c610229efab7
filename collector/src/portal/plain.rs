//! What the engine said, in sentences a service desk lead understands. Pure.
//!
//! The words are *after*, *together with* and *associated*; nothing here says that a change made a
//! case. Every number stands with what it is a number of.

use jiff::SignedDuration;

use crate::analysis::correlate::{Evidence, Reason, Tier};
use crate::store::SuspectRecord;

/// What one may go by, in one sentence.
pub(super) fn verdict(suspect: &SuspectRecord) -> String {
    let text = match suspect.evidence.tier {
        Tier::Supported => {
            "Cases rose together with this change: at the sites it reached and not at the others, \
             by more than chance would easily show."
        }
        Tier::Possible => "Cases rose after this change, but something is missing to say more.",
        Tier::Coincident => {
            "Cases rose after this change, but the rise was there before, or another change goes \
             together with it better."
        }
        Tier::Refuted => "A rise of a fifth or more after this change is ruled out.",
        Tier::Undetermined => {
            "Nothing can be said of this change yet, or there is too little to say it from."
        }
    };
    text.to_owned()
}

/// The evidence, one sentence for each kind of it.
pub(super) fn sentences(suspect: &SuspectRecord) -> Vec<String> {
    let evidence = &suspect.evidence;
    let mut all = Vec::new();
    all.extend(counts(evidence));
    all.extend(ratio(evidence));
    all.extend(chance(evidence));
    all.extend(controls(evidence));
    all.extend(placebo(evidence));
    if let Some(seconds) = evidence.lag_seconds {
        let lag = span(seconds);
        all.push(format!("The first hour above what is usual began {lag} after the change."));
    }
    all.extend(evidence.reason.map(|reason| because(reason).to_owned()));
    if let Some(ratio) = evidence.detectable_ratio.filter(|_| evidence.tier != Tier::Supported) {
        all.push(format!(
            "With so few cases a rise to {ratio:.1} times as many would have been noticed four \
             times in five; a smaller one may be there."
        ));
    }
    if !evidence.indistinguishable.is_empty() {
        let others = evidence.indistinguishable.join(", ");
        all.push(format!("No count of cases can tell it from {others}."));
    }
    all
}

fn counts(evidence: &Evidence) -> Option<String> {
    let (observed, expected) = (evidence.observed?, evidence.expected?);
    let hours = evidence.window_hours;
    Some(format!(
        "In the {hours} hours after the change the sites it reached had {observed} cases; their \
         past and the other sites let expect {expected:.1}."
    ))
}

fn ratio(evidence: &Evidence) -> Option<String> {
    let (ratio, low, high) = (evidence.rate_ratio?, evidence.ci_low?, evidence.ci_high?);
    Some(format!(
        "That is {ratio:.1} times as many; with 95 % confidence between {low:.1} and {high:.1} \
         times."
    ))
}

fn chance(evidence: &Evidence) -> Option<String> {
    let p = evidence.p_value?;
    let in_words = if p < 0.001 {
        "less than once in 1000 times".to_owned()
    } else {
        format!("about {} times in 1000", (p * 1_000.0).round())
    };
    let claims = evidence.q_value.map_or_else(String::new, |q| {
        format!(
            " If all changes that look as good are believed, about {:.0} % of them are wrong.",
            (q * 100.0).ceil()
        )
    });
    Some(format!("Chance alone would show as much {in_words}.{claims}"))
}

fn controls(evidence: &Evidence) -> Option<String> {
    let controls = evidence.controls.as_ref()?;
    let share = controls.share * 100.0;
    let sites = controls.sites;
    Some(format!("It was compared with {sites} sites that have {share:.0} % of the cases."))
}

fn placebo(evidence: &Evidence) -> Option<String> {
    let placebo = evidence.placebo.as_ref().filter(|placebo| placebo.draws > 0)?;
    let times = match placebo.exceeded {
        0 => "in none of them".to_owned(),
        count => format!("in {count} of them"),
    };
    Some(format!(
        "The same hours of {} past weeks were tried: the same sites rose as much {times}.",
        placebo.draws
    ))
}

/// What kept the tier from being better.
fn because(reason: Reason) -> &'static str {
    match reason {
        Reason::UnknownExposure => {
            "One of its hosts is of no known site, so nobody knows which sites it reached."
        }
        Reason::UnknownService => "No case of that service was ever seen.",
        Reason::NoEligibleSite => {
            "None of the sites it reached has had enough cases to compare with."
        }
        Reason::WindowOpen => {
            "The time after the change in which cases are counted is not over yet."
        }
        Reason::ShortHistory => "There are too few weeks of cases before the change.",
        Reason::TooFewCases => "Hardly any case is expected in that time.",
        Reason::NoControls => {
            "No other site has enough cases to compare with, so something that happened to all \
             would look the same."
        }
        Reason::FewSites => "So few sites are there that chance cannot be ruled out.",
        Reason::PreExisting => "The sites were above their usual share already before the change.",
        Reason::BetterExplained => "Another change goes together with this rise better.",
        Reason::PlaceboExceeded => "The same sites did as much in past weeks without the change.",
        Reason::Indistinguishable => "Other changes reached the same sites at the same time.",
        Reason::Weak => "Chance explains this rise too easily.",
        Reason::Inconclusive => "Neither a rise nor its absence can be shown.",
    }
}

/// A length of time in its largest unit that says something.
pub(super) fn span(seconds: i64) -> String {
    let span = SignedDuration::from_secs(seconds);
    match (span.as_hours(), span.as_mins()) {
        (0, minutes) => format!("{minutes} minutes"),
        (hours, _) if hours < 48 => format!("{hours} hours"),
        (hours, _) => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn evidence(tier: &str, reason: Option<&str>) -> Evidence {
        serde_json::from_value(serde_json::json!({
            "window_hours": 72, "observed": 31, "expected": 12.54, "excess": 18.46,
            "rate_ratio": 2.487, "ci_low": 1.41, "ci_high": 4.4, "p_value": 0.0045,
            "q_value": 0.0091, "dispersion": 1.0, "score": 0.84, "llr": 4.8, "tier": tier,
            "controls": { "sites": 9, "share": 0.75 }, "placebo": { "draws": 4, "exceeded": 0 },
            "lag_seconds": 10_800, "detectable_ratio": 2.1, "indistinguishable": [],
            "reason": reason,
        }))
        .unwrap()
    }

    fn suspect(tier: &str, reason: Option<&str>) -> SuspectRecord {
        SuspectRecord {
            number: 1,
            key: "set-1/voice".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
            pass: 1,
            kind: "files".into(),
            parts: Vec::new(),
            changes: Vec::new(),
            total: 1,
            hosts: Vec::new(),
            host_count: 1,
            candidate: crate::analysis::cases::Candidate {
                id: "set-1/voice".into(),
                at: 0,
                service: None,
                exposure: crate::analysis::cases::Exposure::Everywhere,
                kind: None,
                window_hours: None,
                waves: Vec::new(),
            },
            evidence: evidence(tier, reason),
            outcome: None,
        }
    }

    #[test]
    fn evidence_is_told_in_sentences() {
        let expect = [
            "In the 72 hours after the change the sites it reached had 31 cases; their past and \
             the other sites let expect 12.5.",
            "That is 2.5 times as many; with 95 % confidence between 1.4 and 4.4 times.",
            "Chance alone would show as much about 5 times in 1000. If all changes that look as \
             good are believed, about 1 % of them are wrong.",
            "It was compared with 9 sites that have 75 % of the cases.",
            "The same hours of 4 past weeks were tried: the same sites rose as much in none of \
             them.",
            "The first hour above what is usual began 3 hours after the change.",
        ];
        assert_eq!(sentences(&suspect("supported", None)), expect);
    }

    const REASONS: [Reason; 14] = [
        Reason::UnknownExposure,
        Reason::UnknownService,
        Reason::NoEligibleSite,
        Reason::WindowOpen,
        Reason::ShortHistory,
        Reason::TooFewCases,
        Reason::NoControls,
        Reason::FewSites,
        Reason::PreExisting,
        Reason::BetterExplained,
        Reason::PlaceboExceeded,
        Reason::Indistinguishable,
        Reason::Weak,
        Reason::Inconclusive,
    ];

    /// The words in the first column of the table of `docs/correlate.md` under `heading`.
    fn told(heading: &str) -> Vec<String> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/correlate.md");
        let page = std::fs::read_to_string(path).unwrap();
        let rows = page.lines().skip_while(|line| !line.starts_with(heading)).skip(2);
        let cell = |row: &str| row.trim_start_matches('|').split('|').next().map(str::to_owned);
        let cells = rows.take_while(|row| row.starts_with('|')).filter_map(cell);
        let words = |cell: String| -> Vec<String> {
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        cells.flat_map(words).collect()
    }

    /// Everything that keeps a tier from being better, and no more, stands in the manual.
    #[test]
    fn every_reason_and_tier_is_in_the_manual_and_no_other() {
        // Who adds a reason comes by here: it belongs into the list, too.
        let named = |reason: Reason| match reason {
            Reason::UnknownExposure
            | Reason::UnknownService
            | Reason::NoEligibleSite
            | Reason::WindowOpen
            | Reason::ShortHistory
            | Reason::TooFewCases
            | Reason::NoControls
            | Reason::FewSites
            | Reason::PreExisting
            | Reason::BetterExplained
            | Reason::PlaceboExceeded
            | Reason::Indistinguishable
            | Reason::Weak
            | Reason::Inconclusive => reason.as_str().to_owned(),
        };
        let sorted = |mut words: Vec<String>| {
            words.sort();
            words
        };
        assert_eq!(sorted(told("| `reason` |")), sorted(REASONS.map(named).to_vec()));
        let tiers = Tier::ALL.map(|tier| tier.as_str().to_owned()).to_vec();
        assert_eq!(sorted(told("| `tier` |")), sorted(tiers));
    }

    #[test]
    fn every_tier_and_reason_has_its_sentence_and_none_says_caused() {
        let mut said = Vec::new();
        for tier in Tier::ALL {
            said.push(verdict(&suspect(tier.as_str(), None)));
        }
        for reason in REASONS {
            said.extend(sentences(&suspect("possible", Some(reason.as_str()))));
        }
        for word in ["caus", "because of", "due to", "blame", "fault"] {
            assert!(!said.join(" ").to_lowercase().contains(word), "{word}");
        }
        let unknown = verdict(&suspect("undetermined", None));
        let different: std::collections::BTreeSet<_> = said[..5].iter().collect();
        assert_eq!((different.len(), &said[4]), (5, &unknown));
    }
}
