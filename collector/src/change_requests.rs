//! Change requests as other systems export them: files read into what the analysis takes.
//!
//! The same three forms as of cases, and the same care: only the fields of [`Field::ALL`] are
//! looked at, so no summary and no name of a person is ever kept. A request that cannot be taken is
//! refused by line and the others are taken. It does not know where a file lies.

use std::collections::BTreeMap;
use std::io::Read;

use driftline_protocol::mutant::{self, Mutant};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::analysis::classify::request::{Approval, ChangeRequest, RequestKind};
use crate::analysis::classify::scope::IntentScope;
use crate::cases::{
    Came, NAME_BYTES, ReadError, Record, Wanted, Why, parse_end, parse_moment, read_records,
};
use crate::config::Meanings;

/// The most names in a request's scope, over all its lists: each change is held against every one.
pub const SCOPE_NAMES: usize = 500;

/// The most bytes of all names in a request's scope: ten thousand of them fit into memory at once.
pub const SCOPE_BYTES: usize = 8 * 1024;

/// The longest time a request may cover, in days: a standard change is approved for a year, and one
/// without an end would permit for ever.
pub const SPAN_DAYS: i64 = 400;

/// The most requests that are kept of one source: a large site's of thirteen months. More of them
/// are refused, and those that are known go on being replaced.
pub const SOURCE_MOST: u64 = 50_000;

/// What stands for every host.
pub const EVERY_HOST: &str = "*";

/// The longest address of a request, in bytes.
const URL_BYTES: usize = 2_048;

/// What is kept of a change request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Its name in its system.
    Id,
    /// Normal, standard or emergency.
    Kind,
    /// Whether it may be done.
    Approval,
    /// When it begins.
    Start,
    /// When it ends.
    End,
    /// Where people read it.
    Url,
    /// The hosts it names.
    Hosts,
    /// The services it names.
    Services,
    /// The sites it names.
    Sites,
    /// The groups it names.
    Groups,
    /// The sources it names.
    Sources,
    /// The files and tables it names.
    Parts,
    /// The items it names.
    Keys,
}

impl Field {
    /// Every field there is.
    pub const ALL: [Self; 13] = [
        Self::Id,
        Self::Kind,
        Self::Approval,
        Self::Start,
        Self::End,
        Self::Url,
        Self::Hosts,
        Self::Services,
        Self::Sites,
        Self::Groups,
        Self::Sources,
        Self::Parts,
        Self::Keys,
    ];

    /// Its name in a column map, and what its column is called unless one says otherwise.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Kind => "kind",
            Self::Approval => "approval",
            Self::Start => "start",
            Self::End => "end",
            Self::Url => "url",
            Self::Hosts => "hosts",
            Self::Services => "services",
            Self::Sites => "sites",
            Self::Groups => "groups",
            Self::Sources => "sources",
            Self::Parts => "parts",
            Self::Keys => "keys",
        }
    }

    fn is_required(self) -> bool {
        matches!(self, Self::Id | Self::Approval | Self::Start | Self::End)
    }

    fn is_list(self) -> bool {
        matches!(
            self,
            Self::Hosts
                | Self::Services
                | Self::Sites
                | Self::Groups
                | Self::Sources
                | Self::Parts
                | Self::Keys
        )
    }
}

/// How the requests of one source are written, and when they came.
#[derive(Clone, Debug)]
pub struct RequestForm {
    /// The system they come from.
    pub source: String,
    /// Where times without an offset are local.
    pub zone: TimeZone,
    /// What columns or members are called; others are called as [`Field::as_str`].
    pub columns: BTreeMap<Field, String>,
    /// What its words for [`Field::Approval`] mean, beside those of the shipped list.
    pub approvals: Meanings<Approval>,
    /// The same of [`Field::Kind`].
    pub kinds: Meanings<RequestKind>,
    /// When they were received.
    pub now: Timestamp,
}

/// Gives every change request of `reader` to `take`, which ends the reading with `false`.
///
/// # Errors
/// [`ReadError`] when nothing more can be said of what is left; requests before it were taken.
pub fn read_requests(
    reader: impl Read,
    form: &RequestForm,
    take: &mut dyn FnMut(ChangeRequest) -> bool,
) -> Result<Came, ReadError> {
    let wanted = Field::ALL.map(|field| Wanted {
        name: field.as_str(),
        column: form.columns.get(&field).map_or(field.as_str(), String::as_str).to_owned(),
        required: field.is_required(),
        list: field.is_list(),
    });
    read_records(reader, &wanted, &mut |record| {
        let request = request(record, form).map_err(|(field, why)| (field as usize, why))?;
        Ok(take(request))
    })
}

type Wrong = (Field, Why);

fn request(record: &Record<'_>, form: &RequestForm) -> Result<ChangeRequest, Wrong> {
    let text = |field: Field| record.text(field as usize).map_err(|why| (field, why));
    let short = |field: Field, most: usize| {
        let text = text(field)?;
        if text.len() > most { Err((field, Why::LongName)) } else { Ok(text.into_owned()) }
    };
    let moment = |field: Field| {
        let text = text(field)?;
        if text.is_empty() {
            return Err((field, Why::Empty));
        }
        let parse = if field == Field::End { parse_end } else { parse_moment };
        let seconds = parse(text.as_bytes(), &form.zone).map_err(|why| (field, why))?;
        Timestamp::from_second(seconds).map_err(|_| (field, Why::FarTime))
    };
    let id = short(Field::Id, NAME_BYTES)?;
    if id.is_empty() {
        return Err((Field::Id, Why::Empty));
    }
    let (kind, approval) = (text(Field::Kind)?, text(Field::Approval)?);
    let known_kind = form.kinds.of(&kind).or_else(|| RequestKind::meant_by(&kind));
    let known_approval = form.approvals.of(&approval).or_else(|| Approval::meant_by(&approval));
    let (start, end) = (moment(Field::Start)?, moment(Field::End)?);
    if end <= start {
        return Err((Field::End, Why::NotAfter));
    }
    if end.duration_since(start) > SignedDuration::from_hours(24 * SPAN_DAYS) {
        return Err((Field::End, Why::LongSpan));
    }
    let list = |field: Field| {
        // No request widens by itself: what would have limited it must be there, and may be empty.
        let lacks = record.lacks(field as usize).map_err(|why| (field, why))?;
        if lacks && !mutant::active(Mutant::AbsentLimitsAreEmpty) {
            return Err((field, Why::Absent));
        }
        names(&text(field)?).map_err(|why| (field, why))
    };
    let mut scope = IntentScope {
        hosts: list(Field::Hosts)?,
        services: list(Field::Services)?,
        sites: list(Field::Sites)?,
        groups: list(Field::Groups)?,
        sources: list(Field::Sources)?,
        parts: list(Field::Parts)?,
        keys: list(Field::Keys)?,
    };
    // Over all lists together: each change is held against each name of each request.
    match scope.lists().into_iter().map(|(_, list)| list.len()).sum() {
        0 => return Err((Field::Hosts, Why::NoScope)),
        1..=SCOPE_NAMES => {}
        _ => return Err((Field::Hosts, Why::ManyNames)),
    }
    let bytes: usize = scope.lists().into_iter().flat_map(|(_, list)| list).map(String::len).sum();
    if bytes > SCOPE_BYTES {
        return Err((Field::Hosts, Why::LongNames));
    }
    check_place(&mut scope)?;
    // Only what a browser may be led to; anything else is no address of a request.
    let url = short(Field::Url, URL_BYTES)?;
    // Nor one with a password in it, since it is shown and told.
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let web = rest.is_some_and(|rest| !rest.split('/').next().unwrap_or_default().contains('@'));
    Ok(ChangeRequest {
        source: form.source.clone(),
        id,
        kind: known_kind.ok_or((Field::Kind, Why::NoWord))?,
        approval: known_approval.ok_or((Field::Approval, Why::NoWord))?,
        start,
        end,
        scope,
        url: if web { url } else { String::new() },
        received_at: form.now,
    })
}

/// Items wherever they are must be said to be so: a list of hosts that is empty, under a name that
/// nobody reads, or not sent at all would otherwise approve them on the whole fleet. `*` says it,
/// and stands for no host by name: what else changes there has nothing to do with the request.
fn check_place(scope: &mut IntentScope) -> Result<(), Wrong> {
    if scope.names_no_host() && !mutant::active(Mutant::LostHostsAreAll) {
        return Err((Field::Hosts, Why::NoPlace));
    }
    let names_items = [&scope.sources, &scope.parts, &scope.keys].iter().any(|it| !it.is_empty());
    let elsewhere = [&scope.services, &scope.sites, &scope.groups];
    let every_host = scope.hosts.iter().any(|host| host == EVERY_HOST);
    // Items under a name that nobody reads would leave everything on every host approved.
    if every_host && !names_items && !mutant::active(Mutant::LostHostsAreAll) {
        return Err((Field::Parts, Why::NoItem));
    }
    if every_host && names_items && elsewhere.iter().all(|list| list.is_empty()) {
        scope.hosts.clear();
    }
    Ok(())
}

/// The names of a list, which commas, semicolons or line ends separate.
fn names(text: &str) -> Result<Vec<String>, Why> {
    let names = text.split([',', ';', '\n']).map(str::trim).filter(|name| !name.is_empty());
    let mut all = Vec::new();
    for name in names {
        if name.len() > NAME_BYTES {
            return Err(Why::LongName);
        }
        if all.len() == SCOPE_NAMES {
            return Err(Why::ManyNames);
        }
        all.push(name.to_owned());
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
