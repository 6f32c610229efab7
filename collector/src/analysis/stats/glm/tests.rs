//! Fits with answers known from elsewhere.

use proptest::prelude::*;

use super::{Design, Family, fit};

fn near(found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() <= within, "{found} is not {expected} within {within}");
}

#[test]
fn the_randomised_trial_of_dobson_1990_is_fitted_as_published() {
    let counts = [18., 17., 15., 20., 10., 20., 25., 13., 12.];
    let flag = |yes| if yes { 1.0 } else { 0.0 };
    let rows: Vec<f64> = (0..9)
        .flat_map(|row| {
            let (outcome, treatment) = (row % 3, row / 3);
            [
                1.0,
                flag(outcome == 1),
                flag(outcome == 2),
                flag(treatment == 1),
                flag(treatment == 2),
            ]
        })
        .collect();
    let design = Design { columns: 5, rows: &rows, response: &counts, weights: None, offset: None };
    let fit = fit(&design, Family::Poisson).unwrap();
    for (found, expected) in fit.beta.iter().zip([3.044_522, -0.454_255, -0.292_987, 0., 0.]) {
        near(*found, expected, 1e-6);
    }
    for (found, expected) in fit.unit_errors().iter().zip([0.1709, 0.2022, 0.1927, 0.2, 0.2]) {
        near(found.unwrap(), expected, 5e-5);
    }
    near(fit.deviance, 5.1291, 5e-5);
    assert_eq!(fit.degrees, 4);
    assert!(fit.converged);
}

#[test]
fn a_share_is_fitted_by_its_trials() {
    // 30 of 100 against 60 of 120: the log odds ratio and its error are known in closed form.
    let design = Design {
        columns: 2,
        rows: &[1., 0., 1., 1.],
        response: &[0.3, 0.5],
        weights: Some(&[100., 120.]),
        offset: None,
    };
    let fit = fit(&design, Family::Binomial).unwrap();
    near(fit.beta[1], (1.0f64 / (0.3 / 0.7)).ln(), 1e-9);
    let error: f64 = 1. / 30. + 1. / 70. + 1. / 60. + 1. / 60.;
    near(fit.unit_errors()[1].unwrap(), error.sqrt(), 1e-7);
    assert_eq!(fit.dispersion, None);
}

#[test]
fn a_column_that_says_nothing_new_is_left_out() {
    let rows = [1., 2., 0., 1., 2., 0., 1., 2., 1., 1., 2., 1.];
    let design = Design {
        columns: 3,
        rows: &rows,
        response: &[2., 4., 8., 10.],
        weights: None,
        offset: None,
    };
    let fit = fit(&design, Family::Poisson).unwrap();
    assert_eq!(fit.beta[1], 0.0);
    assert_eq!(fit.unit_errors()[1], None);
    assert_eq!(fit.degrees, 2);
    near(fit.beta[0], 3.0f64.ln(), 1e-9);
    near(fit.predict(&[1., 2., 1.]).link, 9.0f64.ln(), 1e-9);
}

#[test]
fn nonsense_is_no_fit() {
    let good =
        Design { columns: 1, rows: &[1., 1.], response: &[1., 2.], weights: None, offset: None };
    assert!(fit(&good, Family::Poisson).is_some());
    let bad = [
        Design { columns: 0, ..good },
        Design { rows: &[1.], ..good },
        Design { rows: &[1., f64::NAN], ..good },
        Design { weights: Some(&[0., 0.]), ..good },
        Design { weights: Some(&[1., -1.]), ..good },
        Design { offset: Some(&[0.]), ..good },
        Design { rows: &[], response: &[], ..good },
    ];
    for design in bad {
        assert!(fit(&design, Family::Poisson).is_none(), "{design:?}");
    }
}

#[test]
fn a_group_without_a_case_ends_near_nothing() {
    let rows = [1., 0., 1., 0., 1., 1., 1., 1.];
    let design = Design {
        columns: 2,
        rows: &rows,
        response: &[3., 5., 0., 0.],
        weights: None,
        offset: None,
    };
    let fit = fit(&design, Family::Poisson).unwrap();
    assert!(fit.converged);
    near(fit.fitted[0], 4.0, 1e-6);
    assert!(fit.fitted[2] < 1e-6, "{fit:?}");
}

proptest! {
    /// With one constant per group the answer is the weighted mean of each group.
    #[test]
    fn group_means_are_found(
        counts in proptest::collection::vec((0..60u32, 1..5u32), 4..30),
        exposure in 1..9u32,
    ) {
        let response: Vec<f64> = counts.iter().map(|(y, _)| f64::from(*y) + 1.0).collect();
        let weights: Vec<f64> = counts.iter().map(|(_, w)| f64::from(*w)).collect();
        let offset = vec![f64::from(exposure).ln(); response.len()];
        let second = |row: usize| if row % 2 == 1 { 1.0 } else { 0.0 };
        let rows: Vec<f64> = (0..response.len()).flat_map(|row| [1.0, second(row)]).collect();
        let design = Design {
            columns: 2,
            rows: &rows,
            response: &response,
            weights: Some(&weights),
            offset: Some(&offset),
        };
        let fit = fit(&design, Family::Poisson).unwrap();
        let pulled: f64 = fit.leverage.iter().sum();
        prop_assert!((pulled - 2.0).abs() < 1e-9, "leverage adds up to the rank: {}", pulled);
        for group in 0..2 {
            let members = || (group..response.len()).step_by(2);
            let total: f64 = members().map(|row| weights[row]).sum();
            let mean = members().map(|row| weights[row] * response[row]).sum::<f64>() / total;
            prop_assert!((fit.fitted[group] - mean).abs() < 1e-5 * mean);
            let row = [1.0, second(group)];
            let predicted = fit.predict(&row);
            let exposed = (predicted.link + f64::from(exposure).ln()).exp();
            prop_assert!((exposed - mean).abs() < 1e-5 * mean);
            let error = (1.0 / (total * mean)).sqrt();
            prop_assert!((predicted.unit_error - error).abs() < 1e-3 * error);
        }
    }
}
