//! What the engine can be told, and what it does when told nothing.

use std::collections::BTreeMap;

use crate::analysis::site_clock::SiteClock;

/// A day off: the site, or `None` for all, and the first and last second (exclusive), UTC.
pub type Holiday = (Option<String>, i64, i64);

/// What the engine can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Wanted share of wrong claims among all claims of one file.
    pub q: f64,
    /// The moment up to which cases were read, in seconds since 1970; the last case when `None`.
    pub until: Option<i64>,
    /// Days on which fewer people work; weeks with one are not taken for reference.
    pub holidays: Vec<Holiday>,
    /// What the clocks of sites show and when people work there; UTC and always where none says.
    pub clocks: Vec<SiteClock>,
    /// Window for changes that name none and whose kind has none, in hours.
    pub window_hours: u32,
    /// Windows by kind of change, in hours; fixed before anybody looks at cases.
    pub windows: BTreeMap<String, u32>,
    /// Weeks before the change that say what is usual.
    pub reference_weeks: usize,
    /// Random cohorts drawn at most for one change.
    pub draws: u32,
    /// Changes looked at in parallel.
    pub threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            q: 0.10,
            until: None,
            holidays: Vec::new(),
            clocks: Vec::new(),
            window_hours: 72,
            windows: BTreeMap::new(),
            reference_weeks: 4,
            draws: 9_999,
            threads: 2,
        }
    }
}
