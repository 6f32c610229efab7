//! The list of all sites, one a line.
//!
//! Sites without a case are known by it, so that a change that names one is no slip.

use std::io::Read;

use super::NAMES;
use super::refusal::{ReadError, Refusal, Refusals, Why};
use super::rows::Rows;
use super::start::begin;
use super::take::{is_plain, name};

/// Reads the names of sites; blank lines are passed over, a line `site` on top is a header.
///
/// # Errors
/// [`ReadError::Input`], [`ReadError::Utf16`] or [`ReadError::Names`]. A name that cannot be taken
/// is refused.
pub fn read_sites(reader: impl Read) -> Result<(Vec<String>, Refusals), ReadError> {
    let mut rows = Rows::new(begin(reader)?.whole(), b',');
    let (mut sites, mut refused) = (Vec::new(), Refusals::default());
    let of_row = |line, why| Refusal { column: Some(1), ..Refusal::of_row(line, why) };
    while let Some(row) = rows.next()? {
        let line = row.line;
        let site = row.fields.and_then(|fields| {
            let width = Why::Width { found: fields.len(), expected: 1 };
            if fields.len() == 1 { name(fields.at(0)) } else { Err(width) }
        });
        match site {
            Ok("") => {}
            Ok("site") if line == 1 => {}
            Ok(site) if is_plain(site) => sites.push(site.to_owned()),
            Ok(_) => refused.push(of_row(line, Why::SiteName)),
            Err(why) => refused.push(of_row(line, why)),
        }
        if sites.len() > NAMES {
            return Err(ReadError::Names { line });
        }
    }
    Ok((sites, refused))
}
