//! One number to rank changes by. Not a probability, and not called one.
//!
//! The posterior odds of a change are its prior odds times `exp(evidence)`. Their logarithm,
//! squeezed into 0 to 1 so that it never saturates: one half where the cases say neither way, three
//! quarters where a change of average reputation is as likely as not.

/// Logarithm of the odds against an average change before its cases are looked at (9 to 1).
const PRIOR: f64 = 2.197_224_577_336_219_6;

/// The score of a change for which cases speak with `evidence`, a log likelihood ratio.
pub(super) fn score(evidence: f64) -> f64 {
    0.5 + 0.5 * evidence / (evidence.abs() + PRIOR)
}
