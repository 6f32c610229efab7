//! Cases and changes as other systems export them: files read into what the analysis takes.
//!
//! A row that cannot be taken is refused by its line and column, counted, and never silently gone;
//! the rows around it are taken. Free text and people's identifiers are not among the columns that
//! are looked at, and no value of a row is ever repeated in a message. Everything is bounded: the
//! length of a row, how many rows and names are kept, how many refusals are remembered. It does not
//! know where a file lies and prints nothing: the command line and the collector both call it.

mod calendar;
mod changes;
mod columns;
mod file;
mod intake;
mod moment;
mod ndjson;
mod people;
mod records;
mod refusal;
mod rows;
mod sites;
mod start;
mod table;
mod take;

pub use calendar::{Calendar, CalendarError, Holiday, read_calendar};
pub use changes::{Changes, SEPARATOR, read_changes};
pub(crate) use columns::is_same;
pub use columns::{Absent, ColumnNotes, UNREAD_NAMED, Unread, Wanted};
pub use file::read_cases;
pub use intake::{CaseForm, CaseRow, Field, Intake, read_rows, visible};
pub use moment::{parse_end, parse_moment};
pub use people::Hider;
pub use records::{Came, Record, read_records};
pub use refusal::{ReadError, Refusal, Refusals, Why};
pub use sites::read_sites;
pub use take::{Blanks, Cases, Column, Form};

#[cfg(test)]
mod tests;

/// The longest row, in bytes. Long texts of a case are in columns that are skipped, but they are
/// part of the row; a row beyond this is most often a quote that was never closed.
pub const ROW_BYTES: usize = 1024 * 1024;

/// The most columns of a row. The widest export of a case system has some hundreds.
pub const COLUMNS: usize = 4_096;

/// The longest name of a service, site, category or change, in bytes.
pub const NAME_BYTES: usize = 256;

/// The most different names of one column. More of them means that the column is the wrong one.
pub const NAMES: usize = 200_000;

/// The most cases of one evaluation. One takes 40 bytes, and 40 more where cases have ids.
pub const CASES: usize = 20_000_000;

/// The most changes of one evaluation.
pub const CHANGES: usize = 100_000;

/// The most refusals that are remembered; the others are only counted.
pub const REFUSALS: usize = 20;

/// How much is asked of a reader at once, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// The largest calendar, in bytes.
pub const CALENDAR_BYTES: u64 = 4 * 1024 * 1024;
