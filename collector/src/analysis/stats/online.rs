//! False discovery rate in a stream, where each answer is given before the next question. Pure.
//!
//! Each function returns one threshold per p-value; a hypothesis is rejected where its p-value is
//! at most its threshold. Thresholds look only backwards, so a prefix of the stream has the same
//! ones. LORD++ (Ramdas et al. 2017), LOND (Javanmard and Montanari 2015), SAFFRON (Ramdas et al.
//! 2018), ADDIS (Tian and Ramdas 2019). The portal tells how many claims would stand by the first;
//! SAFFRON and ADDIS are for p-values that have passed a uniformity check.

/// The weights of LORD++ and LOND: `0.07720838 log(max(j, 2)) / (j exp(sqrt(log j)))`.
fn slow(j: usize) -> f64 {
    let j_f = j as f64;
    0.077_208_38 * j_f.max(2.0).ln() / (j_f * j_f.ln().sqrt().exp())
}

/// The weights of SAFFRON and ADDIS: `0.43749 j^-1.6`.
fn steep(j: usize) -> f64 {
    0.437_490_165_8 * (j as f64).powf(-1.6)
}

/// Thresholds of LORD++ at level `q` with first wealth `w0 <= q`.
pub fn lord_plus_plus(p: &[f64], q: f64, w0: f64) -> Vec<f64> {
    let mut rejected: Vec<usize> = Vec::new();
    let mut thresholds = Vec::with_capacity(p.len());
    for (now, value) in (1..).zip(p) {
        let mut threshold = slow(now) * w0;
        for (place, then) in rejected.iter().enumerate() {
            let wealth = if place == 0 { q - w0 } else { q };
            threshold += wealth * slow(now - then);
        }
        if *value <= threshold {
            rejected.push(now);
        }
        thresholds.push(threshold);
    }
    thresholds
}

/// Thresholds of LOND at level `q`.
pub fn lond(p: &[f64], q: f64) -> Vec<f64> {
    let mut rejected = 0_u32;
    let mut thresholds = Vec::with_capacity(p.len());
    for (now, value) in (1..).zip(p) {
        let threshold = q * slow(now) * f64::from(rejected + 1);
        rejected += u32::from(*value <= threshold);
        thresholds.push(threshold);
    }
    thresholds
}

/// What SAFFRON and ADDIS are set to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    /// The level.
    pub q: f64,
    /// First wealth, at most `q`.
    pub w0: f64,
    /// A p-value at most this is a candidate and costs nothing, 0 to 1.
    pub candidate: f64,
    /// A p-value above this is left out altogether; 1 keeps all, and ADDIS is SAFFRON.
    pub discard: f64,
}

/// Thresholds of SAFFRON; `discard` is ignored.
pub fn saffron(p: &[f64], settings: &Adaptive) -> Vec<f64> {
    addis(p, &Adaptive { discard: 1.0, ..*settings })
}

/// Thresholds of ADDIS; its candidates are at most `candidate` and its tested at most `discard`.
pub fn addis(p: &[f64], settings: &Adaptive) -> Vec<f64> {
    let Adaptive { q, w0, candidate, discard } = *settings;
    // For each start of wealth, the tests since it that were kept and no candidates.
    let mut since_start = 0_usize;
    let mut since_rejection: Vec<usize> = Vec::new();
    let mut thresholds = Vec::with_capacity(p.len());
    for value in p {
        let mut wealth = w0 * steep(since_start + 1);
        for (place, since) in since_rejection.iter().enumerate() {
            wealth += if place == 0 { q - w0 } else { q } * steep(since + 1);
        }
        let threshold = candidate.min((discard - candidate) * wealth);
        if *value <= discard && *value > candidate {
            since_start += 1;
            since_rejection.iter_mut().for_each(|since| *since += 1);
        }
        if *value <= threshold {
            since_rejection.push(0);
        }
        thresholds.push(threshold);
    }
    thresholds
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The p-values of the onlineFDR vignette.
    const VIGNETTE: [f64; 15] = [
        2.9e-14, 0.06743, 0.01514, 0.08174, 0.00171, 3.61e-05, 0.79149, 0.27201, 0.28295, 7.59e-08,
        0.69274, 0.30443, 0.000_487, 0.72342, 0.54757,
    ];

    fn check(ours: &[f64], theirs: &[f64]) {
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!((ours - theirs).abs() < 1e-9 * theirs, "{ours} {theirs}");
        }
    }

    /// Thresholds of online-fdr 1.0.0 on the same p-values.
    #[test]
    fn thresholds_agree_with_online_fdr() {
        check(
            &lord_plus_plus(&VIGNETTE, 0.05, 0.005),
            &[0.000_267_583_854_563_004_3, 0.002_466_445_719_981_748, 0.000_573_281_754_204_682],
        );
        check(&lond(&VIGNETTE, 0.05), &[0.002_675_838_545_630_043_6, 0.001_163_820_578_294_174_1]);
    }

    #[test]
    fn a_threshold_looks_only_backwards() {
        let settings = Adaptive { q: 0.1, w0: 0.05, candidate: 0.25, discard: 0.5 };
        let whole = addis(&VIGNETTE, &settings);
        assert_eq!(addis(&VIGNETTE[..7], &settings), whole[..7]);
    }
}
