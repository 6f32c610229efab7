//! Many tests at once: step-up and step-down adjustments, and the two-level hierarchy. Pure.

/// Benjamini and Hochberg (1995): each value's least q at which it is among the rejected.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    step_up(p, 1.0)
}

/// Benjamini and Yekutieli (2001), valid under any dependence.
pub fn benjamini_yekutieli(p: &[f64]) -> Vec<f64> {
    let harmonic: f64 = (1..=p.len()).map(|i| 1.0 / i as f64).sum();
    step_up(p, harmonic)
}

/// Holm (1979): family-wise error.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![1.0; p.len()];
    let mut reached = 0.0_f64;
    for (place, index) in ascending(p).into_iter().enumerate() {
        let left = (p.len() - place) as f64;
        let value = p.get(index).copied().unwrap_or(1.0);
        reached = reached.max((left * value).min(1.0));
        set(&mut adjusted, index, reached);
    }
    adjusted
}

fn step_up(p: &[f64], factor: f64) -> Vec<f64> {
    let n = p.len() as f64;
    let mut adjusted = vec![1.0; p.len()];
    let mut reached = 1.0_f64;
    for (place, index) in ascending(p).into_iter().enumerate().rev() {
        let value = p.get(index).copied().unwrap_or(1.0);
        reached = reached.min(value * n * factor / (place + 1) as f64);
        set(&mut adjusted, index, reached);
    }
    adjusted
}

/// One family of a hierarchy: a hypothesis and those below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The p-value of the whole, such as (change, service).
    pub p: f64,
    /// The p-values of its parts, such as categories and sites.
    pub parts: Vec<f64>,
}

/// Which parts are rejected when parts are only looked at below rejected wholes.
///
/// Benjamini and Bogomolov (2014): within a chosen family the level is `q` times the share of
/// families chosen, which keeps the expected false share at `q` on each level.
pub fn hierarchical(families: &[Family], q: f64) -> Vec<Option<Vec<bool>>> {
    let wholes: Vec<f64> = families.iter().map(|family| family.p).collect();
    let adjusted = benjamini_hochberg(&wholes);
    let chosen = adjusted.iter().filter(|value| **value <= q).count();
    let level = q * chosen as f64 / families.len().max(1) as f64;
    let below = |(family, adjusted): (&Family, f64)| {
        let parts = || benjamini_hochberg(&family.parts).iter().map(|p| *p <= level).collect();
        (adjusted <= q).then(parts)
    };
    families.iter().zip(adjusted).map(below).collect()
}

/// Indices by ascending value, ties in place.
fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<(usize, f64)> = p.iter().copied().enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    order.into_iter().map(|(index, _)| index).collect()
}

fn set(values: &mut [f64], index: usize, value: f64) {
    if let Some(place) = values.get_mut(index) {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R 4.2.2 `p.adjust` on the first values of the onlineFDR vignette.
    #[test]
    fn adjustments_agree_with_r() {
        let p = [0.01, 0.04, 0.03, 0.005];
        assert_eq!(benjamini_hochberg(&p), [0.02, 0.04, 0.04, 0.02]);
        let holm = holm(&p);
        for (ours, theirs) in holm.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((ours - theirs).abs() < 1e-12);
        }
        let by = benjamini_yekutieli(&p);
        assert!((by[3] - 0.02 * (1.0 + 0.5 + 1.0 / 3.0 + 0.25)).abs() < 1e-12);
    }

    #[test]
    fn nothing_below_a_whole_that_stands_is_looked_at() {
        let families = [
            Family { p: 0.001, parts: vec![0.001, 0.9] },
            Family { p: 0.8, parts: vec![0.000_001] },
        ];
        assert_eq!(hierarchical(&families, 0.1), [Some(vec![true, false]), None]);
    }
}
