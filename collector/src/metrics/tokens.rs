//! What a scrape tells of tokens that end, while somebody can still replace them.

use std::collections::BTreeMap;

use super::{Page, View, number, table};
use crate::auth::ending::{ENROLMENT_SECRET, KINDS, Standing, is_brief};

/// Tokens by what they are for and how they stand; closed lists, so each begins at 0.
///
/// One that was made for a few days and is over is where it was meant to be: it counts nowhere.
pub(super) fn about_tokens(page: &mut Page, view: &View<'_>) {
    let mut counts: BTreeMap<(&str, Standing), u64> = BTreeMap::new();
    for token in &view.tokens {
        let standing = Standing::of(token, view.now);
        if standing != Standing::Expired || !is_brief(token) {
            *counts.entry((token.scope.as_str(), standing)).or_default() += 1;
        }
    }
    if let Some(ends) = view.secret_ends {
        counts.insert((ENROLMENT_SECRET, Standing::of_end(ends, view.now)), 1);
    }
    let mut samples = Vec::new();
    for kind in KINDS {
        for standing in Standing::ALL {
            let count = counts.get(&(kind, standing)).copied().unwrap_or_default();
            samples.push((vec![kind, standing.as_str()], number(count)));
        }
    }
    page.add(&table::TOKENS, samples);
}
