//! Lists of findings, as API and portal give them: the newest first, or the worst of what is open.

use crate::owners::Owners;
use crate::store::{FindingFilter, FindingRecord, MAX_LIMIT, StoreError, WorstFilter};
use crate::writer::Reads;

/// What is asked for, and in which order. The limit of the filter is of no matter.
#[derive(Clone, Debug)]
pub enum FindingList {
    /// Whatever was ever found, the newest first.
    Newest(FindingFilter),
    /// What is open, the worst first.
    Worst(WorstFilter),
}

impl FindingList {
    /// The first `limit` of the list, of those that `owner` answers for where one is named, and the
    /// one after which it goes on, if it does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn page(
        &self,
        store: &dyn Reads,
        owners: &mut Owners<'_>,
        (owner, limit): (Option<&str>, u32),
    ) -> Result<(Vec<FindingRecord>, Option<FindingRecord>), StoreError> {
        let Some(owner) = owner else {
            let found = self.find(store, (None, limit))?;
            let last = found.last().filter(|_| found.len() >= limit as usize).cloned();
            return Ok((found, last));
        };
        owners.listed((owner, limit), |last| self.find(store, (last, MAX_LIMIT)))
    }

    /// The first of them, or those that follow `last`.
    fn find(
        &self,
        store: &dyn Reads,
        (last, limit): (Option<&FindingRecord>, u32),
    ) -> Result<Vec<FindingRecord>, StoreError> {
        match self {
            Self::Newest(filter) => {
                let after = last.map(FindingRecord::place).or(filter.after);
                store.findings(&FindingFilter { after, limit, ..filter.clone() })
            }
            Self::Worst(filter) => {
                let after = last.map(FindingRecord::badness).or(filter.after);
                store.worst_findings(&WorstFilter { after, limit, ..filter.clone() })
            }
        }
    }

    /// The place of one in the list, as `after` takes it.
    pub fn place(&self, record: &FindingRecord) -> String {
        match self {
            Self::Newest(_) => record.place().to_string(),
            Self::Worst(_) => record.badness().to_string(),
        }
    }
}
