//! Changes read to the end of a bound, page by page.

use super::{ChangeFilter, ChangeRecord, MAX_LIMIT, ReadHistory, StoreError};

/// Gives the changes of `filter` to `take`, the newest first: `most` of them and at most a page
/// more. Says whether there may be others.
///
/// # Errors
/// [`StoreError`].
pub fn each_change<S: ReadHistory + ?Sized>(
    store: &S,
    (mut filter, most): (ChangeFilter, usize),
    take: impl FnMut(ChangeRecord),
) -> Result<bool, StoreError> {
    filter.limit = MAX_LIMIT;
    let (mut looked_at, mut take) = (0, take);
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
