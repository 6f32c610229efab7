//! A small generator of random numbers, seeded by text. Pure.
//!
//! xoshiro256** by Blackman and Vigna (public domain, <https://prng.di.unimi.it>), seeded through
//! splitmix64 as its authors advise. The same words give the same numbers on every machine.

/// The state of one sequence.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// A sequence that depends on `words` and nothing else (FNV-1a, a separator after each word).
    pub fn seeded(words: &[&str]) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in words.iter().flat_map(|word| word.bytes().chain([0xff])) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let mut mix = || {
            hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Self { state: [mix(), mix(), mix(), mix()] }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A whole number below `bound`, which is greater than 0 (Lemire's multiplication; the bias is
    /// below `bound / 2^64`).
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// Brings `items` into random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_give_the_same_numbers() {
        let mut first = Random::seeded(&["change", "voice"]);
        let mut second = Random::seeded(&["change", "voice"]);
        let mut third = Random::seeded(&["chang", "evoice"]);
        assert_eq!(first.bits(), second.bits());
        assert_ne!(first.bits(), third.bits());
    }

    #[test]
    fn every_place_is_as_likely() {
        let mut random = Random::seeded(&["dice"]);
        let mut seen = [0_u32; 6];
        for _ in 0..60_000 {
            seen[random.below(6)] += 1;
        }
        assert!(seen.iter().all(|count| (9_500..10_500).contains(count)), "{seen:?}");
    }
}
