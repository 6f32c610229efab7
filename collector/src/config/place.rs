//! Which host belongs where. Pure.
//!
//! A host may suggest what it is; the configuration decides. Patterns know `*` and `?` only: host
//! names need no more, and matching is linear in the name for each star.

#![deny(clippy::disallowed_methods, reason = "where a host belongs depends on its name alone")]

use std::collections::BTreeSet;

use driftline_protocol::ids::HostId;
use driftline_protocol::wire::HostKind;
use serde::{Deserialize, Deserializer};

use super::Config;
use super::load::within;

/// The most sites with a label value of their own in metrics of findings; others share one.
pub const SITES_MOST: usize = 100;

/// Where hosts of a name belong.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRule {
    /// A pattern of host names with `*` and `?`.
    pub name: String,
    /// What kind of host; what the agent says when absent.
    pub kind: Option<HostKind>,
    /// Where it stands.
    pub site: Option<String>,
    /// Who owns it.
    pub team: Option<String>,
    /// What callers use it for.
    pub service: Option<String>,
}

/// A group of hosts; every condition that is given must hold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRule {
    /// The group's name.
    pub name: String,
    /// A pattern of host names with `*` and `?`.
    pub host: Option<String>,
    /// The kind of its hosts.
    pub kind: Option<HostKind>,
    /// The site of its hosts.
    pub site: Option<String>,
    /// Its hosts sleep: how many days of silence wake nobody, 1 to [`SLEEP_DAYS`].
    #[serde(default, deserialize_with = "sleep")]
    pub sleep_days: Option<u64>,
}

/// The most days that silence may wake nobody: beyond a year a host is gone.
pub const SLEEP_DAYS: u64 = 366;

fn sleep<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within(deserializer, ("sleep_days", 1..=SLEEP_DAYS))
}

/// The chain of groups that calls of one service pass.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicePath {
    /// What callers use, by the name its cases have here.
    pub service: String,
    /// The groups, in the order a call passes them.
    pub groups: Vec<String>,
    /// The sites that are served; `*` for all of them.
    pub sites: Vec<String>,
}

/// Whom a host serves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Served {
    /// The service; `None` when nobody said, so that the cases of all are looked at.
    pub service: Option<String>,
    /// The sites; `None` when nobody said, empty for all of them.
    pub sites: Option<Vec<String>>,
}

/// Where one host belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// What kind of host.
    pub kind: HostKind,
    /// Where it stands; empty when nobody said.
    pub site: String,
    /// Who owns it; empty when nobody said.
    pub team: String,
    /// What callers use it for; empty when nobody said.
    pub service: String,
    /// Whether any entry matched.
    pub assigned: bool,
    /// The groups it is in, in the order of the configuration.
    pub groups: Vec<String>,
    /// The most days of silence that one of these groups takes for sleep.
    pub sleep_days: Option<u64>,
}

impl Config {
    /// Where `host`, which calls itself a `kind`, belongs.
    pub fn place(&self, host: &HostId, kind: HostKind) -> Place {
        let rule = self.hosts.iter().find(|rule| matches(&rule.name, host.as_str()));
        let text = |pick: fn(&HostRule) -> &Option<String>| {
            rule.and_then(|rule| pick(rule).clone()).unwrap_or_default()
        };
        let mut place = Place {
            kind: rule.and_then(|rule| rule.kind).unwrap_or(kind),
            site: text(|rule| &rule.site),
            team: text(|rule| &rule.team),
            service: text(|rule| &rule.service),
            assigned: rule.is_some(),
            groups: Vec::new(),
            sleep_days: None,
        };
        for group in &self.groups {
            if holds(group, host, &place) {
                place.groups.push(group.name.clone());
                place.sleep_days = place.sleep_days.max(group.sleep_days);
            }
        }
        place
    }
}

impl Config {
    /// The sites with a label value of their own: the first [`SITES_MOST`] as they are written.
    pub fn site_labels(&self) -> BTreeSet<&str> {
        let mut labels = BTreeSet::new();
        let sites = self.hosts.iter().filter_map(|rule| rule.site.as_deref());
        for site in sites.filter(|site| !site.is_empty()) {
            if labels.len() == SITES_MOST {
                break;
            }
            labels.insert(site);
        }
        labels
    }

    /// Whom a host at `place` would serve if no path passed it: its own site.
    pub fn served_at_home(&self, place: &Place) -> Vec<Served> {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let sites = given(&place.site).map(|site| vec![site]);
        vec![Served { service: given(&place.service), sites }]
    }

    /// Whom a host at `place` serves: the sites of each service path that passes one of its groups,
    /// else its own site. A central session border controller touches sites elsewhere.
    pub fn served(&self, place: &Place) -> Vec<Served> {
        let passes = |path: &&ServicePath| path.groups.iter().any(|g| place.groups.contains(g));
        let mut served: Vec<Served> = Vec::new();
        for path in self.service_paths.iter().filter(passes) {
            let all = path.sites.iter().any(|site| site == "*");
            let sites = if all { Vec::new() } else { path.sites.clone() };
            let same = served.iter_mut().find(|s| s.service.as_ref() == Some(&path.service));
            match same.and_then(|same| same.sites.as_mut()) {
                Some(known) if all || known.is_empty() => known.clear(),
                Some(known) => known.extend(sites),
                None => {
                    served.push(Served { service: Some(path.service.clone()), sites: Some(sites) })
                }
            }
        }
        if served.is_empty() { self.served_at_home(place) } else { served }
    }
}

fn holds(group: &GroupRule, host: &HostId, place: &Place) -> bool {
    let GroupRule { name: _, host: pattern, kind, site, sleep_days: _ } = group;
    pattern.as_ref().is_none_or(|pattern| matches(pattern, host.as_str()))
        && kind.is_none_or(|kind| kind == place.kind)
        && site.as_ref().is_none_or(|site| *site == place.site)
}

/// Whether `name` follows `pattern`: `*` stands for any text, `?` for one character.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut position) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(position) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, position));
                at += 1;
            }
            Some(wanted) if wanted == byte || *wanted == b'?' => {
                at += 1;
                position += 1;
            }
            // The text after the last star fits nowhere yet: let the star take one more byte.
            _ => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    at = after;
                    position = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;

    #[test]
    fn a_pattern_matches_as_people_expect() {
        for (pattern, name, expect) in [
            ("sbc-*", "sbc-1", true),
            ("sbc-*", "asbc-1", false),
            ("*", "", true),
            ("?", "", false),
            ("*a*b", "xaxbxab", true),
            ("*a*b", "xaxbxa", false),
            ("a?c", "abc", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(matches(pattern, name), expect, "{pattern} {name}");
        }
    }

    #[test]
    fn the_first_host_entry_decides_and_all_groups_count() {
        let config = parse(
            "t",
            "[[host]]\nname = 'sbc-*'\nkind = 'uc'\nsite = 'vienna'\n\
             [[host]]\nname = '*'\nsite = 'elsewhere'\n\
             [[group]]\nname = 'uc'\nkind = 'uc'\n\
             [[group]]\nname = 'graz'\nsite = 'graz'\nsleep_days = 9\n\
             [[group]]\nname = 'edge'\nhost = 'sbc-?'\n",
        )
        .unwrap();
        let place = config.place(&"sbc-1".parse().unwrap(), HostKind::Endpoint);
        assert_eq!((place.kind, place.site.as_str()), (HostKind::Uc, "vienna"));
        assert_eq!((place.groups, place.sleep_days), (vec!["uc".into(), "edge".into()], None));
        let nobody = Config::default().place(&"x".parse().unwrap(), HostKind::Cloud);
        assert!(!nobody.assigned && nobody.kind == HostKind::Cloud);
    }

    #[test]
    fn a_host_sleeps_as_long_as_the_most_patient_of_its_groups_lets_it() {
        let group = |name: &str, host: &str, days: &str| {
            format!("[[group]]\nname = '{name}'\nhost = '{host}'\n{days}\n")
        };
        let text = [
            group("laptops", "lt-*", "sleep_days = 7"),
            group("sales", "lt-s*", "sleep_days = 21"),
            group("all", "*", ""),
        ];
        let config = parse("t", &text.concat()).unwrap();
        let check = |host: &str, days: Option<u64>| {
            let host = host.parse().unwrap();
            assert_eq!(config.place(&host, HostKind::Endpoint).sleep_days, days, "{host}");
        };
        check("lt-1", Some(7));
        check("lt-s1", Some(21));
        check("pbx", None);
        for days in [0, SLEEP_DAYS + 1] {
            let told = parse("t", &group("g", "*", &format!("sleep_days = {days}"))).unwrap_err();
            assert!(told.to_string().contains("must be 1 to 366"), "{told}");
        }
    }

    #[test]
    fn a_host_serves_the_sites_of_its_paths_and_else_its_own() {
        let config = parse(
            "t",
            "[[host]]\nname = 'sbc-*'\nsite = 'vienna'\nservice = 'edge'\n\
             [[host]]\nname = 'pbx'\nsite = 'graz'\n\
             [[group]]\nname = 'edge'\nhost = 'sbc-?'\n\
             [[service_path]]\nservice = 'voice'\ngroups = ['edge']\nsites = ['linz']\n\
             [[service_path]]\nservice = 'voice'\ngroups = ['x', 'edge']\nsites = ['graz']\n\
             [[service_path]]\nservice = 'fax'\ngroups = ['edge']\nsites = ['*']\n",
        )
        .unwrap();
        let served =
            |host: &str| config.served(&config.place(&host.parse().unwrap(), HostKind::Endpoint));
        let check = |host: &str, expect: &[(Option<&str>, Option<&[&str]>)]| {
            let expect = expect.iter().map(|(service, sites)| Served {
                service: service.map(str::to_owned),
                sites: sites.map(|sites| sites.iter().map(|s| (*s).to_owned()).collect()),
            });
            assert_eq!(served(host), expect.collect::<Vec<_>>(), "{host}");
        };
        check("sbc-1", &[(Some("voice"), Some(&["linz", "graz"])), (Some("fax"), Some(&[]))]);
        check("pbx", &[(None, Some(&["graz"]))]);
        check("nobody", &[(None, None)]);
    }
}
