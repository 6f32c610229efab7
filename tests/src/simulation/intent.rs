//! What was asked for beforehand: requests, and whom they name. Written from the words of the
//! specification, so that a plan knows which requests come near a deed.

use serde_json::{Value, json};

use super::host::{Host, Place};

/// The first second of every world: Monday, 2 March 2026, 00:00 UTC. Clocks go forward on its 28th
/// day.
pub const START: i64 = 1_772_409_600;
/// A minute.
pub const MINUTE: i64 = 60;
/// An hour.
pub const HOUR: i64 = 3_600;
/// A day.
pub const DAY: i64 = 86_400;

/// Beyond this a request's time says nothing any more: its early and late hours, and one more.
const FAR: i64 = 25 * HOUR;
/// About an end of a request nothing else is planned: twice its slack.
const ABOUT: i64 = 30 * MINUTE;

/// A request as a change system has it; an empty list names everything.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Its name.
    pub id: String,
    /// `normal`, `standard` or `emergency`.
    pub kind: &'static str,
    /// `approved`, `requested` or `rejected`.
    pub approval: &'static str,
    /// From and to, in seconds of the world.
    pub span: (i64, i64),
    /// Patterns of hosts.
    pub hosts: Vec<String>,
    /// Services.
    pub services: Vec<String>,
    /// Sites.
    pub sites: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Sources.
    pub sources: Vec<String>,
    /// Parts.
    pub parts: Vec<String>,
    /// Patterns of items.
    pub keys: Vec<String>,
}

impl Request {
    /// An approved one from and to these seconds.
    pub fn approved(span: (i64, i64)) -> Self {
        Self { kind: "normal", approval: "approved", span, ..Self::default() }
    }

    /// Whether it names this host, by name, service, site or group.
    pub fn names(&self, host: &Host) -> bool {
        let listed = |list: &[String], word: &str| {
            list.is_empty() || list.iter().any(|pattern| fits(pattern, word))
        };
        listed(&self.hosts, &host.name)
            && listed(&self.services, host.role.service())
            && listed(&self.sites, host.site)
            && listed(&self.groups, host.role.group())
    }

    /// Whether it may be meant by a change of this place on this host; of keys the plan knows
    /// nothing, so one that lists some may be.
    pub fn covers(&self, host: &Host, place: Place) -> bool {
        let listed = |list: &[String], word: &str| {
            list.is_empty() || list.iter().any(|pattern| fits(pattern, word))
        };
        self.names(host) && listed(&self.sources, place.0) && listed(&self.parts, place.1)
    }

    /// Whether it could say something of a deed at `at`: it covers it within a day, or is open and
    /// names the host.
    pub fn comes_near(&self, host: &Host, place: Place, at: i64) -> bool {
        let within = |margin: i64| (self.span.0 - margin..=self.span.1 + margin).contains(&at);
        within(ABOUT) && self.names(host) || within(FAR) && self.covers(host, place)
    }

    /// Whether it is open at `at` and names another host that shares service, site or group with
    /// this one: the specification leaves open what that means.
    pub fn names_a_neighbour(&self, host: &Host, hosts: &[Host], at: i64) -> bool {
        let open = (self.span.0 - ABOUT..=self.span.1 + ABOUT).contains(&at);
        let alike = |other: &Host| {
            other.name != host.name && (other.role == host.role || other.site == host.site)
        };
        open && hosts.iter().any(|other| alike(other) && self.names(other))
    }

    /// As its system sends it.
    pub fn json(&self) -> Value {
        let at =
            |second: i64| jiff::Timestamp::from_second(START + second).map(|at| at.to_string());
        let mut json = json!({
            "id": self.id, "kind": self.kind, "approval": self.approval,
            "start": at(self.span.0).unwrap_or_default(),
            "end": at(self.span.1).unwrap_or_default(),
        });
        let lists = [
            ("hosts", &self.hosts),
            ("services", &self.services),
            ("sites", &self.sites),
            ("groups", &self.groups),
            ("sources", &self.sources),
            ("parts", &self.parts),
            ("keys", &self.keys),
        ];
        for (name, list) in lists {
            if !list.is_empty() {
                json[name] = json!(list);
            }
        }
        // Wherever the items are has to be said.
        if [&self.hosts, &self.services, &self.sites, &self.groups].iter().all(|it| it.is_empty()) {
            json["hosts"] = json!(["*"]);
        }
        json
    }
}

/// Whether `word` fits `pattern`, in which `*` stands for anything.
fn fits(pattern: &str, word: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == word,
        Some((head, rest)) => word.strip_prefix(head).is_some_and(|word| {
            word.char_indices()
                .map(|(at, _)| at)
                .chain([word.len()])
                .any(|at| word.get(at..).is_some_and(|tail| fits(rest, tail)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::host::{Role, SITES, file};
    use crate::simulation::text::{CHRONY, SSHD};

    #[test]
    fn a_request_names_and_covers_what_it_lists() {
        let host = Host::new(3, Role::Server, SITES[1]);
        let with = |groups: &str, parts: &str| Request {
            groups: vec![groups.into()],
            parts: vec![parts.into()],
            ..Request::approved((0, HOUR))
        };
        assert!(with("servers", SSHD).covers(&host, file(SSHD)));
        assert!(!with("servers", SSHD).covers(&host, file(CHRONY)));
        assert!(with("servers", SSHD).names(&host) && !with("edge", SSHD).names(&host));
        assert!(with("servers", SSHD).comes_near(&host, file(CHRONY), HOUR));
        assert!(!with("servers", SSHD).comes_near(&host, file(CHRONY), 3 * HOUR));
        assert!(with("servers", SSHD).comes_near(&host, file(SSHD), 3 * HOUR));
    }

    #[test]
    fn a_star_is_anything() {
        for (pattern, word, is) in [
            ("vie-*", "vie-srv-0001", true),
            ("*-srv-*", "vie-srv-0001", true),
            ("*-srv-*", "vie-lt-0001", false),
            ("a", "a", true),
            ("a*", "a", true),
        ] {
            assert_eq!(fits(pattern, word), is, "{pattern} {word}");
        }
    }
}
