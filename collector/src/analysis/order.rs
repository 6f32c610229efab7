//! Which items moved: the fewest that explain a new order. Pure.

/// The places in `ranks` of one longest strictly increasing subsequence, in order.
///
/// Items on it kept their order; all others moved, and no smaller set explains the difference. Of
/// several longest ones, always the same is given. Patience sorting, O(n log n).
pub fn longest_increasing(ranks: &[u32]) -> Vec<usize> {
    // ends[l]: place of the smallest end of a run of length l + 1
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(ranks.len());
    for (place, rank) in ranks.iter().enumerate() {
        let length = ends.partition_point(|end| ranks.get(*end).is_some_and(|r| r < rank));
        before.push(length.checked_sub(1).and_then(|shorter| ends.get(shorter).copied()));
        match ends.get_mut(length) {
            Some(end) => *end = place,
            None => ends.push(place),
        }
    }
    let mut run = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(place) = at {
        run.push(place);
        at = before.get(place).copied().flatten();
    }
    run.reverse();
    run
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_item_that_jumps_is_the_only_one_that_moved() {
        assert_eq!(longest_increasing(&[1, 2, 3, 0]), [0, 1, 2]);
        assert_eq!(longest_increasing(&[3, 0, 1, 2]), [1, 2, 3]);
        assert_eq!(longest_increasing(&[]), [0; 0]);
    }

    /// The same, by trying every end: O(n²).
    fn longest_naively(ranks: &[u32]) -> usize {
        let mut best = vec![1; ranks.len()];
        for i in 0..ranks.len() {
            for j in 0..i {
                if ranks[j] < ranks[i] {
                    best[i] = best[i].max(best[j] + 1);
                }
            }
        }
        best.into_iter().max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn it_increases_and_none_is_longer(ranks in proptest::collection::vec(0..20u32, 0..40)) {
            let run = longest_increasing(&ranks);
            prop_assert!(run.windows(2).all(|w| w[0] < w[1] && ranks[w[0]] < ranks[w[1]]));
            prop_assert_eq!(run.len(), longest_naively(&ranks));
        }
    }
}
