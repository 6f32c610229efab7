//! What is said about one change. The names of fields are a contract.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// One change against the cases of its service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The change.
    pub id: String,
    /// The service looked at; `None` for all.
    pub service: Option<String>,
    /// What the cases say of it.
    #[serde(flatten)]
    pub evidence: Evidence,
}

/// What the cases say of one change.
///
/// What could not be computed is `None`; no number is NaN or infinite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// How long after the change cases were counted.
    pub window_hours: u32,
    /// Cases of the exposed sites in the window.
    pub observed: Option<u64>,
    /// What their past and the unexposed sites let expect.
    pub expected: Option<f64>,
    /// Observed less expected.
    pub excess: Option<f64>,
    /// The rise of exposed over that of unexposed sites.
    pub rate_ratio: Option<f64>,
    /// Lower end of its 95 % interval.
    pub ci_low: Option<f64>,
    /// Upper end of its 95 % interval.
    pub ci_high: Option<f64>,
    /// The larger of the model's and the random cohorts' p-value.
    pub p_value: Option<f64>,
    /// The least q at which this change is among the claims; `None` where no claim is possible.
    pub q_value: Option<f64>,
    /// How much more the split of cases wavers than chance alone would have it, at least 1.
    pub dispersion: Option<f64>,
    /// Ranking score between 0 and 1; one half says neither way. Not a probability.
    pub score: Option<f64>,
    /// Scan log likelihood ratio over dispersion; 0 without a rise.
    pub llr: Option<f64>,
    /// How far one may go.
    pub tier: Tier,
    /// Who was compared with.
    pub controls: Option<Controls>,
    /// The same sites at the same hours of past weeks.
    pub placebo: Option<Placebo>,
    /// From the change to the first hour above its bound.
    pub lag_seconds: Option<i64>,
    /// The rate ratio that would have been noticed four times in five.
    pub detectable_ratio: Option<f64>,
    /// Changes with nearly the same sites and hours, which no count can tell from this one.
    pub indistinguishable: Vec<String>,
    /// What kept the tier from being better, if anything did.
    pub reason: Option<Reason>,
}

/// How far one may go; a closed list, so it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Unexposed sites did not rise, chance is an unlikely explanation, the past was quiet.
    Supported,
    /// A rise that lacks something: controls, sites or strength.
    Possible,
    /// A rise that was there before, or that another change explains better.
    Coincident,
    /// A rise of a fifth or more is ruled out.
    Refuted,
    /// Too little to say.
    Undetermined,
}

impl Tier {
    /// Every tier, strongest first.
    pub const ALL: [Self; 5] =
        [Self::Supported, Self::Possible, Self::Coincident, Self::Refuted, Self::Undetermined];

    /// Its place among all, from 0 for the strongest.
    pub(crate) fn place(self) -> usize {
        Self::ALL.iter().position(|tier| *tier == self).unwrap_or(Self::ALL.len())
    }

    /// The word used in answers, metrics and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Possible => "possible",
            Self::Coincident => "coincident",
            Self::Refuted => "refuted",
            Self::Undetermined => "undetermined",
        }
    }
}

/// What kept a tier from being better; a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nobody knows where the change was made.
    UnknownExposure,
    /// No case of that service was ever seen.
    UnknownService,
    /// No eligible site is exposed.
    NoEligibleSite,
    /// The window reaches past what was read, or past the watermark.
    WindowOpen,
    /// Fewer reference weeks than asked for; with less than one nothing is said.
    ShortHistory,
    /// Hardly any case is expected in the window, or none was seen at all.
    TooFewCases,
    /// No unexposed site to compare with, so a shock for all would look the same.
    NoControls,
    /// So few cohorts of this size exist that chance cannot be ruled out.
    FewSites,
    /// The sites were above their usual share already before the change.
    PreExisting,
    /// What rose is explained by another change of the file.
    BetterExplained,
    /// The same sites did as much in past weeks without the change.
    PlaceboExceeded,
    /// The change is one of several that no count can tell apart.
    Indistinguishable,
    /// A rise that chance explains too easily.
    Weak,
    /// Neither a rise nor its absence can be shown.
    Inconclusive,
}

impl Reason {
    /// The word used in answers, metrics and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownExposure => "unknown_exposure",
            Self::UnknownService => "unknown_service",
            Self::NoEligibleSite => "no_eligible_site",
            Self::WindowOpen => "window_open",
            Self::ShortHistory => "short_history",
            Self::TooFewCases => "too_few_cases",
            Self::NoControls => "no_controls",
            Self::FewSites => "few_sites",
            Self::PreExisting => "pre_existing",
            Self::BetterExplained => "better_explained",
            Self::PlaceboExceeded => "placebo_exceeded",
            Self::Indistinguishable => "indistinguishable",
            Self::Weak => "weak",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// Who was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Controls {
    /// Eligible sites that the change had not reached.
    pub sites: usize,
    /// Their share of the cases of all eligible sites.
    pub share: f64,
}

/// The same sites at the same hours of past weeks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placebo {
    /// Past weeks tried.
    pub draws: u32,
    /// Those that rose as much.
    pub exceeded: u32,
}

/// Best score first, those without one last, ties by id.
pub(super) fn best_first(a: &Verdict, b: &Verdict) -> Ordering {
    let score = |verdict: &Verdict| verdict.evidence.score.unwrap_or(-1.0);
    score(b).total_cmp(&score(a)).then_with(|| a.id.cmp(&b.id))
}
