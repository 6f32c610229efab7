//! Where the next page of a list begins. Pure; it knows no list.
//!
//! A list is ordered by time, then by number, newest first. A cursor names a place in that order
//! and not a row, so it stays good when its row moves or goes.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

/// A place in a list that is ordered by time, then by number, newest first. It stays where it is
/// when the row it came from moves or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The time the list is ordered by.
    pub at: Timestamp,
    /// The number of the row.
    pub number: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.as_nanosecond(), self.number)
    }
}

/// A text that names no place in a list.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a place in a list is what its `next` says")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (at, number) = text.split_once('.').ok_or(CursorError)?;
        let at = at.parse().map_err(|_| CursorError)?;
        let at = Timestamp::from_nanosecond(at).map_err(|_| CursorError)?;
        Ok(Self { at, number: number.parse().map_err(|_| CursorError)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_nothing_else_is_one() {
        for (second, number) in [(0, 1), (1_800_000_000, i64::MAX), (-5, i64::MIN)] {
            let cursor = Cursor { at: Timestamp::from_second(second).unwrap(), number };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "1", "1.", ".1", "1.1.1", "yesterday", "99999999999999999999999999999.1"] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text:?}");
        }
    }
}
