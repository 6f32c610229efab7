//! How values stand in columns, and how a database's failure becomes ours.
//!
//! Whatever cannot be read back is damage, never a guess: a column that does not decode ends in
//! [`StoreError::Damaged`].

use std::str::FromStr;

use driftline_protocol::item::ItemKey;
use driftline_protocol::limits;
use driftline_protocol::wire::decompress;
use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{ErrorCode, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::StrDeserializer;

use crate::store::StoreError;
use crate::store::new_part::pack;

/// Says what was being done when the database failed.
pub(in crate::store) trait Doing<T> {
    /// The result with `what` as the context of its error.
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, StoreError>;
}

impl<T> Doing<T> for rusqlite::Result<T> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, StoreError> {
        self.map_err(|source| {
            if is_damage(&source) {
                StoreError::Damaged { what: format!("what was needed for {}", what().into()) }
            } else {
                StoreError::Database { doing: what().into(), source }
            }
        })
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    let unreadable = matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
    );
    let code = error.sqlite_error_code();
    unreadable || matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// A moment as nanoseconds since 1970; moments outside the years 1678 to 2262 stand at that bound.
#[derive(Clone, Copy)]
pub(super) struct At(pub(super) Timestamp);

impl At {
    pub(super) fn nanoseconds(self) -> i64 {
        let bound = if self.0 < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX };
        i64::try_from(self.0.as_nanosecond()).unwrap_or(bound)
    }
}

impl ToSql for At {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.nanoseconds().into())
    }
}

impl FromSql for At {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let moment = Timestamp::from_nanosecond(i128::from(value.as_i64()?));
        moment.map(Self).map_err(FromSqlError::other)
    }
}

/// A count or generation: all 64 bits, since a hostile one must not stop everybody's batch. No
/// query orders by such a column.
pub(super) struct Bits(pub(super) u64);

impl ToSql for Bits {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.cast_signed().into())
    }
}

impl FromSql for Bits {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(value.as_i64()?.cast_unsigned()))
    }
}

/// A checked text: an id or a name.
pub(super) struct Name<T>(pub(super) T);

impl<T: FromStr<Err: std::error::Error + Send + Sync + 'static>> FromSql for Name<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(FromSqlError::other)
    }
}

/// A word of a closed list, as in the API.
pub(super) struct Word<T>(pub(super) T);

impl<T: Serialize> ToSql for Word<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let word = serde_json::to_value(&self.0).map_err(not_storable)?;
        let word = word.as_str().ok_or_else(|| not_storable("a word must encode as text"))?;
        Ok(word.to_owned().into())
    }
}

impl<T: DeserializeOwned> FromSql for Word<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = StrDeserializer::<serde::de::value::Error>::new(value.as_str()?);
        T::deserialize(word).map(Self).map_err(FromSqlError::other)
    }
}

/// JSON: as text that people can read, or as a blob of its zstd form where that is shorter.
pub(in crate::store) struct Json<T>(pub(in crate::store) T);

/// JSON shorter than this many bytes stays text: it is what people look at, and zstd would save
/// little.
const COMPRESS_JSON_ABOVE: usize = 1_024;

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let json = serde_json::to_string(&self.0).map_err(not_storable)?;
        if json.len() > COMPRESS_JSON_ABOVE {
            return Ok(pack(json.as_bytes()).into());
        }
        Ok(json.into())
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let parsed = if let ValueRef::Blob(small) = value {
            serde_json::from_slice(&decompress(small).map_err(FromSqlError::other)?)
        } else {
            serde_json::from_str(value.as_str()?)
        };
        parsed.map(Self).map_err(FromSqlError::other)
    }
}

const _: () = assert!(
    limits::PART_BYTES <= limits::DECOMPRESSED_BYTES,
    "every part that may be kept can be read back"
);

fn not_storable(
    error: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}

/// The column `index` through one of the wrappers of this page.
pub(in crate::store) fn at(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    Ok(row.get::<_, At>(index)?.0)
}

pub(super) fn bits(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, Bits>(index)?.0)
}

pub(super) fn name<T>(row: &Row<'_>, index: usize) -> rusqlite::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    Ok(row.get::<_, Name<T>>(index)?.0)
}

pub(super) fn word<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    Ok(row.get::<_, Word<T>>(index)?.0)
}

pub(super) fn json<T: DeserializeOwned>(
    row: &Row<'_>,
    index: usize,
) -> rusqlite::Result<Option<T>> {
    Ok(row.get::<_, Option<Json<T>>>(index)?.map(|json| json.0))
}

/// A list of values for a query whose text was composed.
pub(super) type Values = Vec<Value>;

/// The key of an item.
pub(super) struct Key(pub(super) ItemKey);

impl FromSql for Key {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        ItemKey::try_from(value.as_str()?.to_owned()).map(Self).map_err(FromSqlError::other)
    }
}
