//! Words of cases that mean nothing by the configuration, so that somebody can say what they are.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::config::{Mapper, Words};
use crate::store::StoreError;
use crate::writer::Reads;

/// How far back words are looked at, in hours: four weeks.
const LOOK_BACK_HOURS: i64 = 28 * 24;

/// A word that means nothing by the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unmapped {
    /// `service` or `site`.
    pub column: &'static str,
    /// The source.
    pub source: String,
    /// The word.
    pub word: String,
    /// How many cases of the last four weeks have it.
    pub cases: u64,
}

/// The words of the four weeks before `now` that are no name of the configuration, the commonest
/// first, at most `most`.
///
/// # Errors
/// [`StoreError`].
pub fn unmapped(
    store: &dyn Reads,
    mapper: &Mapper,
    now: Timestamp,
    most: usize,
) -> Result<Vec<Unmapped>, StoreError> {
    let from = now.checked_sub(SignedDuration::from_hours(LOOK_BACK_HOURS)).unwrap_or(now);
    let mut counts: BTreeMap<(&'static str, String, String), u64> = BTreeMap::new();
    for count in store.case_counts(from)? {
        let words = Words { service: count.service, site: count.site, category: count.category };
        let mapped = mapper.map(&count.source, &words);
        let unknown = [
            ("service", words.service, mapper.knows_service(&mapped.service)),
            ("site", words.site, mapper.knows_site(&mapped.site)),
        ];
        for (column, word, _) in unknown.into_iter().filter(|(_, _, known)| !known) {
            *counts.entry((column, count.source.clone(), word)).or_default() += count.cases;
        }
    }
    let unmapped = |((column, source, word), cases)| Unmapped { column, source, word, cases };
    let mut all: Vec<Unmapped> = counts.into_iter().map(unmapped).collect();
    all.sort_by_key(|word| Reverse(word.cases));
    all.truncate(most);
    Ok(all)
}
