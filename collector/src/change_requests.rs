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
use crate::cases::{Came, NAME_BYTES, ReadError, Record, Wanted, Why, parse_moment, read_records};
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
        let seconds = parse_moment(text.as_bytes(), &form.zone).map_err(|why| (field, why))?;
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
    let list = |field: Field| names(&text(field)?).map_err(|why| (field, why));
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
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<ChangeRequest>, Result<Came, ReadError>) {
        let meanings = "[[change_source]]\nname = 'itsm'\n\
            approvals = { approved = ['genehmigt'], requested = ['Closed'] }\n\
            kinds = { emergency = ['Notfall'] }";
        let source = crate::config::load::parse("t", meanings).unwrap().change_sources.remove(0);
        let columns = [(Field::Id, "number"), (Field::Hosts, "cmdb_ci")];
        let form = RequestForm {
            source: "itsm".into(),
            zone: TimeZone::get("Europe/Vienna").unwrap(),
            columns: columns.map(|(field, name)| (field, name.to_owned())).into(),
            approvals: source.approvals,
            kinds: source.kinds,
            now: Timestamp::UNIX_EPOCH,
        };
        let mut all = Vec::new();
        let came = read_requests(text.as_bytes(), &form, &mut |request| {
            all.push(request);
            true
        });
        (all, came)
    }

    #[test]
    fn all_three_forms_say_the_same() {
        let object = "{\"number\":\"CHG1\",\"approval\":\"Approved\",\"kind\":\"Emergency\",\
            \"start\":\"2026-11-28 22:00:00\",\"end\":\"2026-11-28T22:00:00Z\",\
            \"cmdb_ci\":[\"sbc-1\",\"sbc-2\"],\"short_description\":\"Ada calls\",\
            \"url\":\"https://itsm.example/CHG1\"}";
        let table = "number,approval,kind,start,end,cmdb_ci,short_description,url\n\
            CHG1,approved,emergency,2026-11-28 22:00:00,2026-11-28T22:00:00Z,\
            \"sbc-1, sbc-2\",Ada calls,https://itsm.example/CHG1\n";
        let expect = ChangeRequest {
            source: "itsm".into(),
            id: "CHG1".into(),
            kind: RequestKind::Emergency,
            approval: Approval::Approved,
            start: "2026-11-28T21:00:00Z".parse().unwrap(),
            end: "2026-11-28T22:00:00Z".parse().unwrap(),
            scope: IntentScope {
                hosts: vec!["sbc-1".into(), "sbc-2".into()],
                ..IntentScope::default()
            },
            url: "https://itsm.example/CHG1".into(),
            received_at: Timestamp::UNIX_EPOCH,
        };
        for text in [table.to_owned(), format!("{object}\n"), format!("[{object}]")] {
            let (all, came) = read(&text);
            assert_eq!(all, std::slice::from_ref(&expect), "{text}");
            assert_eq!((came.as_ref().unwrap().rows, came.unwrap().refused.total), (1, 0));
        }
    }

    #[test]
    fn a_request_that_cannot_be_is_refused_by_line_and_column() {
        let header = "number,approval,start,end,cmdb_ci\n";
        let long = format!("{};", "a".repeat(100)).repeat(90);
        let (day, next) = ("2026-11-28 00:00:00", "2026-11-29 00:00:00");
        for (row, expect) in [
            (
                format!(",approved,{day},{next},a"),
                "line 2, column 1 (number, that is id): is empty",
            ),
            (format!("1,perhaps,{day},{next},a"), "line 2, column 2 (approval): is none of"),
            (format!("1,approved,soon,{next},a"), "line 2, column 3 (start): is not a time"),
            (format!("1,approved,{day},{day},a"), "line 2, column 4 (end): is not after"),
            (format!("1,approved,{day},2028-01-04 00:00:00,a"), "line 2, column 4 (end): is more"),
            (format!("1,approved,{day},{next},{}", "abcdefghi;".repeat(499).repeat(2)), "line 2"),
            (
                format!("1,approved,{day},{next},{long}"),
                "line 2, column 5 (cmdb_ci, that is hosts): has",
            ),
            (
                format!("1,approved,{day},{next}, ;"),
                "line 2, column 5 (cmdb_ci, that is hosts): names no host",
            ),
        ] {
            let (all, came) = read(&format!("{header}{row}\n"));
            let told = came.unwrap().refused.first[0].to_string();
            assert!(all.is_empty() && told.starts_with(expect), "{told}");
        }
        let lacks = read("number,start,end,cmdb_ci\n").1.unwrap_err().to_string();
        assert!(lacks.contains("must name number, approval, start, end"), "{lacks}");
    }

    /// What was meant for one host must never be approved on all of them.
    #[test]
    fn items_are_of_every_host_only_where_that_is_said() {
        let object = |rest: &str| {
            format!(
                "{{\"number\":\"1\",\"approval\":\"approved\",\"start\":\"28.11.2026 22:00\",\
                 \"end\":\"29.11.2026\",\"parts\":[\"/etc/a\"]{rest}}}"
            )
        };
        let row = |header: &str, hosts: &str| {
            format!(
                "number,approval,start,end,parts,{header}\n\
                 1,approved,28.11.2026 22:00,29.11.2026,/etc/a,{hosts}\n"
            )
        };
        let (sbc, all, no) = (Some(vec!["sbc-1"]), Some(Vec::new()), None);
        for (text, hosts) in [
            (object(",\"cmdb_ci\":[\"sbc-1\"]"), &sbc),
            (object(",\"hosts\":[\"sbc-1\"]"), &sbc),
            (object(",\"Hosts\":\"sbc-1\""), &sbc),
            (row("cmdb_ci", "sbc-1"), &sbc),
            (row("Hosts", "sbc-1"), &sbc),
            (row(" CMDB_CI ", "sbc-1"), &sbc),
            (object(""), &no),
            (object(",\"host\":[\"sbc-1\"]"), &no),
            (object(",\"cmdb_ci\":[],\"hosts\":[\"sbc-1\"]"), &no),
            (row("hosts", ""), &no),
            (object(",\"hosts\":\"*\""), &all),
            (row("cmdb_ci", "*"), &all),
        ] {
            let (found, came) = read(&text);
            let found = found.first().map(|request| request.scope.hosts.clone());
            let hosts =
                hosts.as_ref().map(|hosts| hosts.iter().map(|&host| host.to_owned()).collect());
            assert_eq!(found, hosts, "{text}");
            let refused = came.unwrap().refused;
            let told = refused.first.first().map(ToString::to_string).unwrap_or_default();
            assert!(
                hosts.is_some() || told.contains("if that is meant, its hosts are *"),
                "{told}"
            );
        }
        let neither = read(&row("host", "sbc-1")).1.unwrap_err().to_string();
        assert!(neither.contains("neither the column cmdb_ci, which"), "{neither}");
        assert!(neither.contains("for hosts, nor hosts"), "{neither}");
        let (_, came) = read(&object(",\"host\":[\"sbc-1\"]"));
        assert_eq!(came.unwrap().unread.words(), "host");
    }

    #[test]
    fn the_words_of_a_source_come_before_those_everybody_knows() {
        for (approval, kind, expect) in [
            ("Genehmigt", "NOTFALL", Some((Approval::Approved, RequestKind::Emergency))),
            ("approved", "", Some((Approval::Approved, RequestKind::Normal))),
            ("closed", "", Some((Approval::Requested, RequestKind::Normal))),
            ("abgelehnt", "", None),
        ] {
            let text = format!(
                "number,approval,kind,start,end,cmdb_ci\n\
                 1,{approval},{kind},28.11.2026 22:00:00,29.11.2026 02:00,a\n"
            );
            let (found, _) = read(&text);
            let found = found.first().map(|request| (request.approval, request.kind));
            assert_eq!(found, expect, "{approval} {kind}");
        }
    }

    #[test]
    fn an_address_leads_to_the_web_or_nowhere() {
        let row = "number,approval,start,end,cmdb_ci,url\n\
            1,,2026-11-28 00:00:00,2026-11-29 00:00:00,a,javascript:alert(1)\n";
        let (all, _) = read(row);
        assert_eq!((all[0].url.as_str(), all[0].approval), ("", Approval::Requested));
    }
}
