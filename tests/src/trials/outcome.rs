//! What was true, and what was said about it.

use super::answer::Answer;
use super::plan::{Design, Planted};
use super::truth::Truth;

/// The share of false claims that is asked for.
pub const Q: f64 = 0.10;
/// The level at which a p-value counts as small.
pub const LEVEL: f64 = 0.05;

/// One change of one trial.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The design of its file.
    pub design: Design,
    /// The number of its file.
    pub file: u64,
    /// What was true.
    pub planted: Planted,
    /// What was said.
    pub answer: Answer,
    /// Its place in the output, the best is 0.
    pub rank: usize,
}

impl Outcome {
    /// Whether the change really goes together with a rise.
    pub fn is_true(&self) -> bool {
        self.planted.truth == Truth::Effect
    }

    /// The p-value; what could not be computed claims nothing, which is 1.
    pub fn p(&self) -> f64 {
        self.answer.p_value.unwrap_or(1.0)
    }

    /// Whether it is claimed at the share of false claims asked for.
    pub fn is_claimed(&self) -> bool {
        self.answer.q_value.is_some_and(|q| q <= Q)
    }

    /// Whether the p-value is small.
    pub fn is_small(&self) -> bool {
        self.p() <= LEVEL
    }

    /// Whether it has this tier.
    pub fn has_tier(&self, tier: &str) -> bool {
        self.answer.tier == tier
    }

    /// Whether the interval holds the true ratio of exposed against unexposed; none without one.
    pub fn covers(&self) -> Option<bool> {
        let (low, high) = self.answer.interval?;
        let ratio = match self.planted.truth {
            Truth::Effect => self.planted.ratio,
            Truth::Nothing | Truth::RiseForAll => 1.0,
            // What sites have in common is not one number here.
            Truth::UnevenRise | Truth::RegionApart | Truth::RegionBlind => return None,
        };
        Some((low..=high).contains(&ratio))
    }
}
