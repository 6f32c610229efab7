//! One number to rank changes by. Not a probability, and not called one.
//!
//! The posterior odds of a change are its prior odds times `exp(evidence)`. Their logarithm,
//! squeezed into 0 to 1 so that it never saturates: one half where the cases say neither way, three
//! quarters where a change of average reputation is as likely as not.

/// Logarithm of the odds against an average change before its cases are looked at (9 to 1).
const PRIOR: f64 = 2.197_224_577_336_219_6;

/// The share of changes with this score that would turn out to belong to a rise if the engine's
/// likelihoods were exact and one change in ten did: what calibration is held against.
pub fn expected_share(score: f64) -> f64 {
    let squeezed = (2.0 * score - 1.0).clamp(-0.999, 0.999);
    let evidence = PRIOR * squeezed / (1.0 - squeezed.abs());
    1.0 / (1.0 + (PRIOR - evidence).exp())
}

/// The score of a change for which cases speak with `evidence`, a log likelihood ratio.
pub(super) fn score(evidence: f64) -> f64 {
    0.5 + 0.5 * evidence / (evidence.abs() + PRIOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_says_which_share_is_expected() {
        for (evidence, share) in [(0.0, 0.1), (PRIOR, 0.5), (2.0 * PRIOR, 0.9)] {
            let expected = expected_share(score(evidence));
            assert!((expected - share).abs() < 1e-9, "{evidence}: {expected}");
        }
        assert!(expected_share(1.0) > 0.99 && expected_share(0.0) < 0.01);
    }
}
