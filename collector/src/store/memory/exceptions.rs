//! Exceptions in memory: by name, none is ever removed.

use std::collections::BTreeMap;

use super::Memory;
use crate::analysis::exceptions::Exception;
use crate::store::{ReadExceptions, StoreError};

/// Every exception by name.
pub(super) type Exceptions = BTreeMap<String, Exception>;

impl ReadExceptions for Memory {
    fn exceptions(&self) -> Result<Vec<Exception>, StoreError> {
        Ok(self.read().exceptions.values().cloned().collect())
    }
}
