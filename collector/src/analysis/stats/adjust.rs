//! Many tests at once. Pure.

/// Benjamini and Hochberg (1995): each value's least q at which it is among the rejected.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let n = p.len() as f64;
    let mut adjusted = vec![1.0; p.len()];
    let mut reached = 1.0_f64;
    for (place, index) in ascending(p).into_iter().enumerate().rev() {
        let value = p.get(index).copied().unwrap_or(1.0);
        reached = reached.min(value * n / (place + 1) as f64);
        if let Some(place) = adjusted.get_mut(index) {
            *place = reached;
        }
    }
    adjusted
}

/// Indices by ascending value, ties in place.
fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<(usize, f64)> = p.iter().copied().enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    order.into_iter().map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R 4.2.2 `p.adjust`.
    #[test]
    fn adjustments_agree_with_r() {
        assert_eq!(benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005]), [0.02, 0.04, 0.04, 0.02]);
        assert!(benjamini_hochberg(&[]).is_empty());
    }
}
