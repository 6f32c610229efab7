//! How many open cases stand where against their targets, by service, team and priority.
//!
//! Services are names of the configuration or `unmapped`; teams and priorities those it lists, or
//! `other`, so that no case system makes series of its own.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::analysis::service_levels::ServiceLevel;
use crate::config::{Config, Words};
use crate::store::StoreError;
use crate::writer::Reads;

/// The most open cases that are counted, those due first before all others: 40 MB while they are.
const OPEN: u64 = 500_000;

/// Teams and priorities that the configuration does not list.
pub const OTHER: &str = "other";

/// The service of words that mean none of the configuration's.
pub const UNMAPPED: &str = "unmapped";

/// Service, team, priority.
pub type Desk = (String, String, String);

/// Open cases by desk, in the order of [`ServiceLevel::ALL`].
pub type ServiceLevels = BTreeMap<Desk, [u64; ServiceLevel::ALL.len()]>;

/// Counts the open cases of `store` at `now`.
///
/// # Errors
/// [`StoreError`].
pub fn service_levels(
    store: &dyn Reads,
    config: &Config,
    now: Timestamp,
) -> Result<ServiceLevels, StoreError> {
    let mapper = config.mapper();
    let settings = &config.service_levels;
    let (teams, priorities) = (Listed::of(&settings.teams), Listed::of(&settings.priorities));
    let mut levels = ServiceLevels::new();
    let mut meanings: BTreeMap<(String, Words), String> = BTreeMap::new();
    store.each_open_case(OPEN, &mut |case| {
        let words = Words {
            service: case.service.to_owned(),
            site: case.site.to_owned(),
            category: case.category.to_owned(),
        };
        let service = meanings.entry((case.source.to_owned(), words)).or_insert_with_key(
            |(source, words)| {
                let service = mapper.map(source, words).service;
                if mapper.knows_service(&service) { service } else { UNMAPPED.to_owned() }
            },
        );
        let (team, priority) = (teams.name(case.team), priorities.name(case.priority));
        let times = (case.opened_at, case.due_at);
        let level = ServiceLevel::of(times, now.as_second(), settings.at_risk_percent);
        let counts = levels.entry((service.clone(), team, priority)).or_default();
        for (count, each) in counts.iter_mut().zip(ServiceLevel::ALL) {
            *count += u64::from(each == level);
        }
    })?;
    Ok(levels)
}

/// The names that the configuration lists, beside the small letters they are found by.
struct Listed<'a>(Vec<(String, &'a str)>);

impl<'a> Listed<'a> {
    fn of(names: &'a [String]) -> Self {
        Self(names.iter().map(|name| (name.to_lowercase(), name.as_str())).collect())
    }

    /// The listed name that `word` means: a case costs a comparison a name and makes no text but
    /// where letters beyond ASCII need one.
    fn name(&self, word: &str) -> String {
        let same = |small: &str| {
            if small.is_ascii() {
                small.eq_ignore_ascii_case(word)
            } else {
                small == word.to_lowercase()
            }
        };
        let found = self.0.iter().find(|(small, _)| same(small));
        found.map_or(OTHER, |(_, name)| name).to_owned()
    }
}
