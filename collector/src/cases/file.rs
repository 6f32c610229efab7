//! Cases from a file, whichever of the two forms it has.

use std::io::{BufRead, Read};

use super::columns::Wanted;
use super::ndjson;
use super::refusal::{ReadError, Refusal};
use super::start::begin;
use super::table::{self, Table, Values};
use super::take::{Cases, Column, Form, Raw, Taker};

/// Reads all cases of `reader`: rows under a header, separated by commas, semicolons or tabs, or
/// one JSON object a line, which the first character tells. `sites` are known beforehand and may
/// have no case.
///
/// Columns may stand in any order, and others beside them are passed over.
///
/// # Errors
/// [`ReadError`] when nothing can be said of the file: it cannot be read, its header lacks a
/// column, or it is beyond a bound. A row that cannot be taken is in [`Cases::refused`].
pub fn read_cases(reader: impl Read, form: &Form, sites: &[String]) -> Result<Cases, ReadError> {
    let start = begin(reader)?;
    let mut taker = Taker::new(form, sites);
    if start.sign() == Some(b'{') {
        ndjson::take_all(start.whole(), &mut taker)?;
    } else {
        let wanted = Column::ALL.map(|column| {
            let required = column == Column::OpenedAt || form.required.contains(&column);
            Wanted::plain(column.as_str(), required)
        });
        take_rows(table::open(start, &wanted)?, &mut taker)?;
    }
    Ok(taker.finish())
}

fn take_rows(mut table: Table<impl BufRead>, taker: &mut Taker<'_>) -> Result<(), ReadError> {
    while let Some(row) = table.next()? {
        taker.cases.rows += 1;
        let line = row.line;
        let refused = match row.values {
            Err(why) => Some(Refusal::of_row(line, why)),
            Ok(values) => taker.take(&raw(values)).err().map(|(wrong, why)| {
                let column = values.column(wrong as usize);
                Refusal { line, column, name: Some(wrong.as_str()), called: None, why }
            }),
        };
        match refused {
            Some(refused) => taker.cases.refused.push(refused),
            None => taker.within_bounds(line)?,
        }
    }
    Ok(())
}

fn raw(values: Values<'_>) -> Raw<'_> {
    let [opened_at, service, site, category, id, recorded_at] =
        Column::ALL.map(|column| values.at(column as usize));
    Raw { opened_at, service, site, category, id, recorded_at }
}
