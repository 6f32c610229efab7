//! Medians, percentiles and ratios, and nothing that hides a spread.

/// The value that `share` (0 to 1) of `values` do not pass, by nearest rank; 0 without values.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank.min(sorted.len()).saturating_sub(1)).copied().unwrap_or(0.0)
}

/// The middle value; the lower one of two.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// `a` as a multiple of `b`, such as `0.42`; a dash where there is nothing to compare with.
pub fn ratio(a: f64, b: f64) -> String {
    if b <= 0.0 || !a.is_finite() {
        return "-".to_owned();
    }
    let ratio = a / b;
    if ratio >= 100.0 { format!("{ratio:.0}") } else { significant(ratio) }
}

/// `value` with three significant digits.
pub fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let before_point = value.abs().log10().floor() as i32 + 1;
    let digits = usize::try_from(3 - before_point).unwrap_or(0);
    format!("{value:.digits$}")
}

/// Even numbers without a source of randomness, so that a run can be repeated (splitmix64).
#[derive(Clone, Debug)]
pub struct Seeded(pub u64);

impl Seeded {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// A word of `length` letters.
    pub fn word(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(b'a' + (self.below(26) as u8))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        for (share, expected) in [(0.0, 1.0), (0.5, 100.0), (0.99, 198.0), (1.0, 200.0)] {
            assert_eq!(percentile(&values, share), expected, "{share}");
        }
        assert_eq!(percentile(&[7.0], 0.99), 7.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0, 9.0]), 2.0);
    }

    #[test]
    fn a_ratio_keeps_three_digits_and_never_divides_by_nothing() {
        for (a, b, expected) in [
            (1.0, 3.0, "0.333"),
            (12.0, 1.0, "12.0"),
            (1234.0, 1.0, "1234"),
            (1.0, 2000.0, "0.000500"),
            (1.0, 0.0, "-"),
        ] {
            assert_eq!(ratio(a, b), expected);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_words() {
        let words = |seed| {
            let mut seeded = Seeded(seed);
            (0..4).map(|_| seeded.word(6)).collect::<Vec<_>>()
        };
        assert_eq!(words(7), words(7));
        assert_ne!(words(7), words(8));
    }
}
