//! Weighted least squares by orthogonal columns. Pure.
//!
//! The modified Gram–Schmidt process with the response as one more column, which is as stable for
//! least squares as Householder reflections (Björck 1967) and shorter. A column that follows from
//! those before it is left out, as R does, so an over-full design is no error.

use super::glm::Design;

/// A column shorter than this share of its own length, once the columns before it are taken away,
/// follows from them. R's tolerance.
const INDEPENDENT: f64 = 1e-11;

/// The upper triangle R of a design `sqrt(W) X = Q R`, for the columns that are independent.
#[derive(Clone, Debug)]
pub(crate) struct Triangle {
    columns: usize,
    /// Which columns were kept, in order.
    kept: Vec<usize>,
    /// For each kept column the entries above and on the diagonal.
    entries: Vec<Vec<f64>>,
}

impl Triangle {
    /// The coefficients that bring `design` nearest to `working` under `weights`; 0 for columns
    /// that were left out.
    pub(crate) fn solve(
        design: &Design<'_>,
        weights: &[f64],
        working: Vec<f64>,
    ) -> (Self, Vec<f64>) {
        let roots: Vec<f64> = weights.iter().map(|weight| weight.sqrt()).collect();
        let mut target: Vec<f64> = working;
        // A row that does not count may have a working response that is not finite.
        for (value, root) in target.iter_mut().zip(&roots) {
            *value = if *root > 0.0 { *value * root } else { 0.0 };
        }
        let mut triangle = Self { columns: design.columns, kept: Vec::new(), entries: Vec::new() };
        let mut units: Vec<Vec<f64>> = Vec::new();
        let mut right = Vec::new();
        for at in 0..design.columns {
            let values = design.rows.iter().skip(at).step_by(design.columns);
            let mut column: Vec<f64> = values.zip(&roots).map(|(x, root)| x * root).collect();
            let length = dot(&column, &column).sqrt();
            let mut entries = Vec::with_capacity(units.len() + 1);
            for unit in &units {
                entries.push(take_away(&mut column, unit));
            }
            let rest = dot(&column, &column).sqrt();
            if rest <= length * INDEPENDENT {
                continue;
            }
            entries.push(rest);
            column.iter_mut().for_each(|value| *value /= rest);
            right.push(take_away(&mut target, &column));
            units.push(column);
            triangle.kept.push(at);
            triangle.entries.push(entries);
        }
        let beta = triangle.back(right);
        (triangle, beta)
    }

    /// How many columns are independent.
    pub(crate) fn rank(&self) -> usize {
        self.kept.len()
    }

    /// Whether `column` is one of them.
    pub(crate) fn keeps(&self, column: usize) -> bool {
        self.kept.contains(&column)
    }

    /// The length of `row` after division by the triangle: the root of `row' (X'WX)^-1 row`.
    pub(crate) fn length(&self, row: &[f64]) -> f64 {
        let solved = self.forward(row);
        dot(&solved, &solved).sqrt()
    }

    /// `(X'WX)^-1`, row by row, with zeros for columns that were left out.
    pub(crate) fn inverse_square(&self) -> Vec<Vec<f64>> {
        let unit = |at: usize| (0..self.columns).map(|c| if c == at { 1.0 } else { 0.0 }).collect();
        let solved = |at: usize| {
            let row: Vec<f64> = unit(at);
            self.forward(&row)
        };
        let all: Vec<Vec<f64>> = (0..self.columns).map(solved).collect();
        all.iter().map(|a| all.iter().map(|b| dot(a, b)).collect()).collect()
    }

    /// Solves `R' u = row` for the kept columns.
    fn forward(&self, row: &[f64]) -> Vec<f64> {
        let mut solved: Vec<f64> = Vec::with_capacity(self.kept.len());
        for (column, entries) in self.kept.iter().zip(&self.entries) {
            let known = dot(entries, &solved);
            let own = row.get(*column).copied().unwrap_or(0.0);
            let diagonal = entries.last().copied().unwrap_or(1.0);
            solved.push((own - known) / diagonal);
        }
        solved
    }

    /// Solves `R b = right`, spread over all columns.
    fn back(&self, mut right: Vec<f64>) -> Vec<f64> {
        let mut beta = vec![0.0; self.columns];
        for (column, entries) in self.kept.iter().zip(&self.entries).rev() {
            let Some((diagonal, above)) = entries.split_last() else { continue };
            let value = right.pop().unwrap_or(0.0) / diagonal;
            for (rest, entry) in right.iter_mut().zip(above) {
                *rest -= entry * value;
            }
            if let Some(place) = beta.get_mut(*column) {
                *place = value;
            }
        }
        beta
    }
}

/// The product of as many values as the shorter side has.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Takes what lies along `unit` away from `column`, and says how much that was.
fn take_away(column: &mut [f64], unit: &[f64]) -> f64 {
    let along = dot(column, unit);
    for (value, unit) in column.iter_mut().zip(unit) {
        *value -= along * unit;
    }
    along
}
