//! How unlike each other sites are in the window itself, apart from the change.
//!
//! The past says how much the split wavers on ordinary days. On a day when every site rises by a
//! factor of its own, it wavers more, and only that day knows. So within the exposed sites of a
//! wave, and within the sites that were never reached, cases are held against the shares of the
//! sites' histories: the squared differences over their variance under chance (Pearson). A rise of
//! all exposed sites alike leaves no trace here.

use super::dispersion::Dispersion;
use super::panel::{Panel, Row};

/// The dispersion among sites of one side in the window, resting on as many sites as weigh in it.
pub(super) fn dispersion(panel: &Panel) -> Dispersion {
    let mut sums = Sums::default();
    for wave in panel.shape.complete() {
        sums.add(panel, wave, |row| row.wave == Some(wave));
        sums.add(panel, wave, |row| row.wave.is_none());
    }
    if sums.variances <= 0.0 {
        return Dispersion { value: 1.0, windows: 0.0 };
    }
    Dispersion {
        value: sums.squares / sums.variances,
        windows: sums.variances * sums.variances / sums.variances_squared,
    }
}

#[derive(Default)]
struct Sums {
    squares: f64,
    variances: f64,
    variances_squared: f64,
}

impl Sums {
    fn add(&mut self, panel: &Panel, wave: usize, side: impl Fn(&Row) -> bool) {
        let rows = || panel.rows.iter().filter(|row| side(row));
        let cases = |row: &Row| panel.shape.after(&row.numbers, wave);
        let seen: f64 = rows().map(cases).sum();
        let size: f64 = rows().map(|row| f64::from(row.size)).sum();
        if seen <= 1.0 || rows().count() < 2 {
            return;
        }
        for row in rows() {
            let share = f64::from(row.size) / size;
            let expected = seen * share;
            // The share is estimated too, from the history.
            let variance = expected * (1.0 - share) * (1.0 + seen / size);
            self.squares += (cases(row) - expected).powi(2);
            self.variances += variance;
            self.variances_squared += variance * variance;
        }
    }
}
