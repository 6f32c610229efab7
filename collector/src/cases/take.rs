//! One case after the other, checked and encoded.
//!
//! What is shared by all forms of a file: which columns there are, what a value must be, and that a
//! case seen again is the same case. The opened time of a case is what it was when first seen;
//! everything else is what was said last. It does not know how a row was written.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use super::refusal::{ReadError, Refusals, Why};
use super::{CASES, NAME_BYTES, NAMES, parse_moment};
use crate::analysis::cases::{Gather, Named, Stream};

/// A column of a file of cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// When the case was opened.
    OpenedAt,
    /// The service it is about.
    Service,
    /// Where it is.
    Site,
    /// What sort of case it is.
    Category,
    /// Its name in the system that holds it.
    Id,
    /// When that system first held it.
    RecordedAt,
}

impl Column {
    /// Every column that is looked at.
    pub const ALL: [Self; 6] =
        [Self::OpenedAt, Self::Service, Self::Site, Self::Category, Self::Id, Self::RecordedAt];

    /// Its name in a header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenedAt => "opened_at",
            Self::Service => "service",
            Self::Site => "site",
            Self::Category => "category",
            Self::Id => "id",
            Self::RecordedAt => "recorded_at",
        }
    }
}

/// What is asked of a file of cases.
#[derive(Clone, Debug)]
pub struct Form {
    /// Where times without an offset are local.
    pub zone: TimeZone,
    /// Columns that must be there; [`Column::OpenedAt`] always must.
    pub required: Vec<Column>,
    /// Whether they may be empty in a row.
    pub blanks: Blanks,
}

/// Whether a required column may be empty in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blanks {
    /// Such a row is refused.
    Refused,
    /// Such a case does not say.
    Kept,
}

/// What a file of cases came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cases {
    /// The cases.
    pub stream: Stream,
    /// How many rows there were, without the header.
    pub rows: u64,
    /// How many of them were said again of a case that was there.
    pub repeated: u64,
    /// How many of those gave another opened time, which was not taken.
    pub reopened: u64,
    /// What was not taken.
    pub refused: Refusals,
}

/// The values of one row as they stand in the file; empty where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Raw<'a> {
    pub(super) opened_at: &'a [u8],
    pub(super) service: &'a [u8],
    pub(super) site: &'a [u8],
    pub(super) category: &'a [u8],
    pub(super) id: &'a [u8],
    pub(super) recorded_at: &'a [u8],
}

/// Takes rows.
pub(super) struct Taker<'a> {
    form: &'a Form,
    gather: Gather,
    /// Where the case of an id is, and when it was opened. Ids are kept as digests: they are not
    /// ours to hold, and a digest has a known size.
    ids: HashMap<[u8; 16], (usize, i64)>,
    pub(super) cases: Cases,
}

impl<'a> Taker<'a> {
    /// A taker of no rows yet, with `sites` known beforehand.
    pub(super) fn new(form: &'a Form, sites: &[String]) -> Self {
        let mut gather = Gather::default();
        for site in sites {
            gather.add_site(site);
        }
        Self { form, gather, ids: HashMap::new(), cases: Cases::default() }
    }

    /// Takes one row, or says which column is wrong and why.
    pub(super) fn take(&mut self, raw: &Raw<'_>) -> Result<(), (Column, Why)> {
        let named = self.named(raw)?;
        let id = match raw.id {
            [] => None,
            id => Some(digest(id)),
        };
        let place = (self.gather.taken(), named.opened_at);
        match id.and_then(|id| self.ids.get(&id)).copied() {
            Some((known, opened_at)) => {
                self.gather.amend(known, &named);
                self.cases.repeated += 1;
                self.cases.reopened += u64::from(opened_at != named.opened_at);
            }
            None => {
                self.gather.add(&named);
                if let Some(id) = id {
                    self.ids.insert(id, place);
                }
            }
        }
        Ok(())
    }

    /// Whether what was taken up to `line` is still within the bounds.
    pub(super) fn within_bounds(&self, line: u64) -> Result<(), ReadError> {
        if self.gather.names() > NAMES {
            return Err(ReadError::Names { line });
        }
        if self.gather.taken() > CASES {
            return Err(ReadError::Cases { line });
        }
        Ok(())
    }

    /// All that was taken.
    pub(super) fn finish(self) -> Cases {
        Cases { stream: self.gather.finish(), ..self.cases }
    }

    fn named<'b>(&self, raw: &Raw<'b>) -> Result<Named<'b>, (Column, Why)> {
        let moment =
            |column, text| parse_moment(text, &self.form.zone).map_err(|why| (column, why));
        if raw.opened_at.is_empty() {
            return Err((Column::OpenedAt, Why::Empty));
        }
        let opened_at = moment(Column::OpenedAt, raw.opened_at)?;
        let recorded_at = match raw.recorded_at {
            [] => None,
            text => Some(moment(Column::RecordedAt, text)?),
        };
        let site = self.name(Column::Site, raw.site)?;
        if !is_plain(site) {
            return Err((Column::Site, Why::SiteName));
        }
        Ok(Named {
            opened_at,
            recorded_at,
            service: self.name(Column::Service, raw.service)?,
            site,
            category: self.name(Column::Category, raw.category)?,
        })
    }

    fn name<'b>(&self, column: Column, text: &'b [u8]) -> Result<&'b str, (Column, Why)> {
        let blank = text.is_empty() && self.form.required.contains(&column);
        if blank && self.form.blanks == Blanks::Refused {
            return Err((column, Why::Empty));
        }
        name(text).map_err(|why| (column, why))
    }
}

/// A name as it may stand in a stream.
pub(super) fn name(text: &[u8]) -> Result<&str, Why> {
    if text.len() > NAME_BYTES {
        return Err(Why::LongName);
    }
    std::str::from_utf8(text).map_err(|_| Why::NotUtf8)
}

/// Whether a site may have this name: a table shows it on one line.
pub(super) fn is_plain(site: &str) -> bool {
    !site.contains(char::is_control)
}

fn digest(id: &[u8]) -> [u8; 16] {
    let mut digest = [0; 16];
    blake3::Hasher::new().update(id).finalize_xof().fill(&mut digest);
    digest
}
