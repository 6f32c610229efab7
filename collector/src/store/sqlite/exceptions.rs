//! Exceptions in the file: whole bodies by name, since all of them are read together.

use rusqlite::params;

use super::Reader;
use super::codec::Json;
use super::write::Batch;
use crate::analysis::exceptions::Exception;
use crate::store::{ReadExceptions, StoreError};

/// Keeps one exception in the place of what had its name.
pub(super) fn keep(batch: &mut Batch<'_>, exception: &Exception) -> rusqlite::Result<()> {
    let mut keep = batch.db.prepare_cached(
        "INSERT INTO exception (name, body) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET body = ?2",
    )?;
    keep.execute(params![exception.name, Json(exception)]).map(drop)
}

impl ReadExceptions for Reader {
    fn exceptions(&self) -> Result<Vec<Exception>, StoreError> {
        self.pool.read("the exceptions", |db| {
            let mut find = db.prepare_cached("SELECT body FROM exception ORDER BY name")?;
            find.query_map([], |row| Ok(row.get::<_, Json<Exception>>(0)?.0))?.collect()
        })
    }
}
