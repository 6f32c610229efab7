//! Changes and findings read to the end of a bound, page by page.

use super::{
    ChangeFilter, ChangeRecord, FindingFilter, FindingRecord, MAX_LIMIT, ReadFindings, ReadHistory,
    StoreError,
};

/// Gives the changes of `filter` to `take`, the newest first: `most` of them and at most a page
/// more. Says whether there may be others.
///
/// # Errors
/// [`StoreError`].
pub fn each_change<S: ReadHistory + ?Sized>(
    store: &S,
    (mut filter, most): (ChangeFilter, usize),
    mut take: impl FnMut(ChangeRecord),
) -> Result<bool, StoreError> {
    filter.limit = MAX_LIMIT;
    let mut looked_at = 0;
    loop {
        let page = store.changes(&filter)?;
        let full = page.len() >= MAX_LIMIT as usize;
        looked_at += page.len();
        filter.before = page.last().map(|record| record.id);
        page.into_iter().for_each(&mut take);
        if !full || looked_at >= most {
            return Ok(full);
        }
    }
}

/// Gives the findings of `filter` to `take`, in the order of the store: `most` of them and at most
/// a page more.
///
/// # Errors
/// [`StoreError`].
pub fn each_finding<S: ReadFindings + ?Sized>(
    store: &S,
    (mut filter, most): (FindingFilter, usize),
    mut take: impl FnMut(FindingRecord),
) -> Result<(), StoreError> {
    filter.limit = MAX_LIMIT;
    let mut looked_at = 0;
    loop {
        let page = store.findings(&filter)?;
        let full = page.len() >= MAX_LIMIT as usize;
        looked_at += page.len();
        filter.after = page.last().map(FindingRecord::place);
        page.into_iter().for_each(&mut take);
        if !full || looked_at >= most {
            return Ok(());
        }
    }
}
