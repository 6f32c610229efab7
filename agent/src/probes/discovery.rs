//! The servers of a SIP domain, as a caller finds them (RFC 3263, section 4).
//!
//! The way of asking is the target's, so a rewriting rule (NAPTR) only says under which name its
//! services stand; without one that is `_sip._udp.` and its kin. Services are taken by priority and
//! then by weight, the heaviest first and not by lot: a probe shall find what it found before. A
//! domain without services is its own server, at the usual port.

use std::net::SocketAddr;

use driftline_protocol::mutant::{self, Mutant};

use super::dns::{self, Naptr, Record, Type};
use super::{Answer, Kind, Target};

/// The most names of services that are followed.
const NAMES: usize = 4;

/// The most servers of a domain that are told and tried.
const PLACES: usize = 4;

/// Whether the target is a domain whose servers DNS is asked for.
pub(super) fn is_domain(target: &Target) -> bool {
    target.kind.takes_domain() == Some(false) && !target.address.contains(':')
}

/// Where the target is asked, the first first: names or addresses with their ports.
///
/// # Errors
/// Why DNS does not say.
pub(super) fn places(target: &Target, servers: &[SocketAddr]) -> Result<Vec<String>, Answer> {
    if !is_domain(target) {
        return Ok(vec![target.address.clone()]);
    }
    let domain = &target.address;
    let (service, usual, port) = match target.kind {
        Kind::SipTcp => ("SIP+D2T", "_sip._tcp", 5_060),
        Kind::SipTls => ("SIPS+D2T", "_sips._tcp", 5_061),
        Kind::SipUdp | Kind::Tcp | Kind::Tls | Kind::DnsSrv | Kind::DnsNaptr => {
            ("SIP+D2U", "_sip._udp", 5_060)
        }
    };
    if mutant::active(Mutant::DomainsHaveNoServices) {
        return Ok(vec![format!("{domain}:{port}")]);
    }
    let mut names = replacements(dns::ask(servers, domain, Type::Naptr)?, service);
    if names.is_empty() {
        names.push(format!("{usual}.{domain}"));
    }
    let mut found = Vec::new();
    for name in &names {
        let mut services = match dns::ask(servers, name, Type::Srv) {
            Ok(services) => services,
            Err(Answer::Unknown) => Vec::new(),
            Err(other) => return Err(other),
        };
        services.sort_by_cached_key(|record| match record {
            Record::Srv { priority, weight, port, target } => {
                (*priority, u16::MAX - weight, target.clone(), *port)
            }
            Record::Naptr(_) => (u16::MAX, 0, String::new(), 0),
        });
        found.extend(services.into_iter().filter_map(|record| match record {
            // The root as a server means that there is none on purpose.
            Record::Srv { target, .. } if target.is_empty() => None,
            Record::Srv { port, target, .. } => Some(format!("{target}:{port}")),
            Record::Naptr(_) => None,
        }));
    }
    if found.is_empty() {
        found.push(format!("{domain}:{port}"));
    }
    found.truncate(PLACES);
    Ok(found)
}

/// The names under which the services of one kind stand, by the rules that are to be taken first.
fn replacements(records: Vec<Record>, service: &str) -> Vec<String> {
    let mut rules: Vec<Naptr> = records
        .into_iter()
        .filter_map(|record| match record {
            Record::Naptr(rule) => Some(rule),
            Record::Srv { .. } => None,
        })
        .filter(|rule| {
            rule.services.eq_ignore_ascii_case(service)
                && rule.flags.eq_ignore_ascii_case("s")
                && !rule.replacement.is_empty()
        })
        .collect();
    rules.sort_unstable();
    rules.into_iter().map(|rule| rule.replacement).take(NAMES).collect()
}
