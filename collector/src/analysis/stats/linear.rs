//! Symmetric systems of a handful of unknowns. Pure.

#![allow(clippy::indexing_slicing, reason = "every index runs below the size asserted on entry")]

/// The inverse of a symmetric positive definite matrix given by rows; `None` when it is singular.
///
/// Gauss-Jordan with scaling by the diagonal: designs have fewer than twenty columns, and a column
/// that is a combination of others shows as a pivot that is nothing beside its own diagonal.
pub(super) fn inverse(matrix: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let n = matrix.len();
    assert!(matrix.iter().all(|row| row.len() == n), "a symmetric matrix is square");
    let mut left: Vec<Vec<f64>> = matrix.to_vec();
    let mut right: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| if i == j { 1.0 } else { 0.0 }).collect()).collect();
    for i in 0..n {
        let pivot = left[i][i];
        if !pivot.is_finite() || pivot <= 1e-12 * matrix[i][i].abs() {
            return None;
        }
        for j in 0..n {
            left[i][j] /= pivot;
            right[i][j] /= pivot;
        }
        for k in (0..n).filter(|k| *k != i) {
            let factor = left[k][i];
            for j in 0..n {
                let (step, other) = (factor * left[i][j], factor * right[i][j]);
                left[k][j] -= step;
                right[k][j] -= other;
            }
        }
    }
    Some(right)
}

/// `matrix * vector`.
pub(super) fn times(matrix: &[Vec<f64>], vector: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| dot(row, vector)).collect()
}

/// The sum of products.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Adds `weight * x x'` to `matrix`.
pub(super) fn add_outer(matrix: &mut [Vec<f64>], x: &[f64], weight: f64) {
    for (row, a) in matrix.iter_mut().zip(x) {
        for (cell, b) in row.iter_mut().zip(x) {
            *cell += weight * a * b;
        }
    }
}

/// A square of zeros.
pub(super) fn zeros(n: usize) -> Vec<Vec<f64>> {
    vec![vec![0.0; n]; n]
}
