//! Numbers from a seed: equal seeds give equal worlds on every machine.
//!
//! Knows distributions, not what they are for. Quality is splitmix64's, which is enough to draw
//! worlds and not meant for secrets.

use std::f64::consts::TAU;

/// The largest mean that is drawn in one piece; larger ones are sums of pieces.
const PIECE: f64 = 25.0;

/// A source of numbers, and its state.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A source whose numbers follow from `seed` alone.
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed ^ 0x6472_6966_746c_696e);
        random.number();
        random
    }

    /// A source for one part of the work, the same wherever that part is done.
    pub fn part(seed: u64, names: &[u64]) -> Self {
        let mut random = Self::new(seed);
        for name in names {
            random = Self::new(random.number() ^ name.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        random
    }

    /// The next 64 bits.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Evenly in [`low`, `high`).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Evenly below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    /// Evenly among the seconds from `low` up to and without `high`.
    pub fn second(&mut self, low: i64, high: i64) -> i64 {
        low + (self.uniform() * (high - low) as f64) as i64
    }

    /// True in a `share` of draws.
    pub fn chance(&mut self, share: f64) -> bool {
        self.uniform() < share
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// The place of one of `weights`, drawn in proportion; the last one where all are 0.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut left = self.uniform() * weights.iter().sum::<f64>();
        for (place, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return place;
            }
        }
        weights.len().saturating_sub(1)
    }

    /// Any order, all equally likely.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.uniform()).ln()
    }

    /// Normal with mean 0 and variance 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }

    /// Gamma with this shape and mean 1 (Marsaglia and Tsang 2000).
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let power = self.uniform().max(f64::MIN_POSITIVE).powf(1.0 / shape);
            return self.gamma(shape + 1.0) * (shape + 1.0) * power / shape;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.exponential() > d * v - d - d * v.ln() - x * x / 2.0 {
                return d * v / shape;
            }
        }
    }

    /// Poisson with this mean, by counting arrivals.
    pub fn poisson(&mut self, mean: f64) -> u32 {
        let mut count = 0;
        let mut left = mean;
        while left > PIECE {
            count += self.arrivals(PIECE);
            left -= PIECE;
        }
        count + self.arrivals(left)
    }

    fn arrivals(&mut self, mean: f64) -> u32 {
        let limit = (-mean).exp();
        let mut product = self.uniform();
        let mut count = 0;
        while product > limit {
            product *= self.uniform();
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let values: Vec<f64> = (0..20_000).map(|_| draw()).collect();
        let mean = values.iter().sum::<f64>() / 20_000.0;
        let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        (mean, square / 19_999.0)
    }

    #[track_caller]
    fn check((mean, variance): (f64, f64), expected: (f64, f64)) {
        assert!((mean - expected.0).abs() < 0.05 * expected.0.max(0.5), "mean {mean}");
        assert!((variance - expected.1).abs() < 0.1 * expected.1, "variance {variance}");
    }

    #[test]
    fn draws_have_the_moments_of_their_distribution() {
        let mut random = Random::new(11);
        check(moments(|| random.uniform()), (0.5, 1.0 / 12.0));
        check(moments(|| random.exponential()), (1.0, 1.0));
        check(moments(|| 1.0 + random.normal()), (1.0, 1.0));
        check(moments(|| f64::from(random.poisson(0.7))), (0.7, 0.7));
        check(moments(|| f64::from(random.poisson(80.0))), (80.0, 80.0));
        check(moments(|| random.gamma(4.0)), (1.0, 0.25));
        check(moments(|| random.gamma(0.5)), (1.0, 2.0));
    }

    #[test]
    fn a_part_depends_on_its_names_and_not_on_when_it_is_drawn() {
        let draw = |names: &[u64]| Random::part(7, names).number();
        assert_eq!(draw(&[1, 2]), draw(&[1, 2]));
        assert_ne!(draw(&[1, 2]), draw(&[2, 1]));
        assert_ne!(Random::part(8, &[1]).number(), draw(&[1]));
    }
}
