//! Many tests at once: step-up and step-down adjustments. Pure.
//!
//! The engine asks [`benjamini_hochberg`]; the other two say what stricter promises would cost.

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
}
