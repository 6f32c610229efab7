//! Cases from a file, whichever of the two forms it has.

use std::io::{BufRead, BufReader, Read};

use super::refusal::{ReadError, Refusal, Why};
use super::rows::{Fields, Rows, mark};
use super::take::{Cases, Column, Form, Raw, Taker};
use super::{CHUNK_BYTES, ndjson};

/// Reads all cases of `reader`: comma-separated rows under a header, or one JSON object a line,
/// which the first character tells. `sites` are known beforehand and may have no case.
///
/// Columns may stand in any order, and others beside them are passed over.
///
/// # Errors
/// [`ReadError`] when nothing can be said of the file: it cannot be read, its header lacks a
/// column, or it is beyond a bound. A row that cannot be taken is in [`Cases::refused`].
pub fn read_cases(reader: impl Read, form: &Form, sites: &[String]) -> Result<Cases, ReadError> {
    let mut reader = BufReader::with_capacity(CHUNK_BYTES, reader);
    let start = reader.fill_buf().map_err(|source| ReadError::Input { line: 0, source })?;
    let mark = mark(start);
    let json = start.get(mark..).unwrap_or_default().trim_ascii_start().starts_with(b"{");
    reader.consume(mark);
    let mut taker = Taker::new(form, sites);
    if json {
        ndjson::take_all(reader, &mut taker)?;
    } else {
        take_rows(reader, form, &mut taker)?;
    }
    Ok(taker.finish())
}

fn take_rows(reader: impl Read, form: &Form, taker: &mut Taker<'_>) -> Result<(), ReadError> {
    let mut rows = Rows::new(reader);
    let header = rows.next()?.and_then(|row| row.fields.ok()).ok_or(ReadError::NoHeader)?;
    let names = Column::ALL.map(Column::as_str);
    let required: Vec<&str> = Column::ALL
        .into_iter()
        .filter(|column| *column == Column::OpenedAt || form.required.contains(column))
        .map(Column::as_str)
        .collect();
    let header = Header::of(header, &names, &required)?;
    while let Some(row) = rows.next()? {
        taker.cases.rows += 1;
        let line = row.line;
        let refused = match header.check(row.fields) {
            Err(why) => Some(Refusal { line, column: None, name: None, why }),
            Ok(fields) => {
                let refused = taker.take(&raw(&header, fields)).err();
                refused.map(|(column, why)| header.refusal(line, column.as_str(), why))
            }
        };
        match refused {
            Some(refused) => taker.cases.refused.push(refused),
            None => taker.within_bounds(line)?,
        }
    }
    Ok(())
}

fn raw<'a>(header: &Header, fields: Fields<'a>) -> Raw<'a> {
    let [opened_at, service, site, category, id, recorded_at] =
        Column::ALL.map(|column| header.value(fields, column.as_str()));
    Raw { opened_at, service, site, category, id, recorded_at }
}

/// Where the columns that are looked at stand.
pub(super) struct Header {
    width: usize,
    places: Vec<(&'static str, usize)>,
}

impl Header {
    /// Finds `names` among `fields`; `required` ones must be there.
    pub(super) fn of(
        fields: Fields<'_>,
        names: &[&'static str],
        required: &[&'static str],
    ) -> Result<Self, ReadError> {
        let mut places: Vec<(&'static str, usize)> = Vec::new();
        for index in 0..fields.len() {
            let field = fields.at(index);
            let Some(name) = names.iter().find(|name| name.as_bytes().eq_ignore_ascii_case(field))
            else {
                continue;
            };
            if places.iter().any(|(known, _)| known == name) {
                return Err(ReadError::Twice { column: name });
            }
            places.push((name, index));
        }
        let missing = required.iter().find(|name| places.iter().all(|(known, _)| known != *name));
        if let Some(column) = missing {
            return Err(ReadError::Lacks { column, required: required.join(", ") });
        }
        Ok(Self { width: fields.len(), places })
    }

    /// The fields of a row that has as many as the header.
    pub(super) fn check<'a>(&self, fields: Result<Fields<'a>, Why>) -> Result<Fields<'a>, Why> {
        let fields = fields?;
        if fields.len() != self.width {
            return Err(Why::Width { found: fields.len(), expected: self.width });
        }
        Ok(fields)
    }

    /// The value of the column `name`; empty where there is no such column.
    pub(super) fn value<'a>(&self, fields: Fields<'a>, name: &str) -> &'a [u8] {
        self.place(name).map_or(&[], |place| fields.at(place))
    }

    /// A refusal of the column `name`.
    pub(super) fn refusal(&self, line: u64, name: &'static str, why: Why) -> Refusal {
        Refusal { line, column: self.place(name).map(|place| place + 1), name: Some(name), why }
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.places.iter().find(|(known, _)| *known == name).map(|(_, place)| *place)
    }
}
