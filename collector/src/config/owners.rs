//! Who answers for a finding: entries of `[[owner]]`, of which the last that fits counts, as in
//! CODEOWNERS. Pure.

#![deny(clippy::disallowed_methods, reason = "who owns something is what the configuration says")]

use std::collections::BTreeSet;

use driftline_protocol::ids::HostId;
use driftline_protocol::mutant::{self, Mutant};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, de};

use super::Config;
use crate::analysis::exceptions::ExceptionScope;
use crate::analysis::finding::Finding;
use crate::analysis::rules::About;

/// The most entries: each finding that is shown is held against every one.
pub const OWNERS_MOST: usize = 500;

/// The most owners of a chain: further than that nobody goes.
const CHAIN_MOST: usize = 8;

/// The longest name of an owner, in bytes.
const NAME_BYTES: usize = 63;

/// The most owners with a label value of their own in metrics; others share [`OTHER`].
pub const LABELS_MOST: usize = 100;

/// The label value of owners that have none of their own.
pub const OTHER: &str = "other";

/// The label value where nobody answers for something.
pub const NOBODY: &str = "nobody";

/// One entry of `[[owner]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnerRule {
    /// Who owns it, and who is next while nobody acknowledges it.
    #[serde(deserialize_with = "chain")]
    pub chain: Vec<String>,
    /// How many hours each has, 1 to 720. Default 24.
    #[serde(default = "a_day", deserialize_with = "hours")]
    pub hours: u64,
    /// Which findings; every field narrows.
    #[serde(default)]
    pub scope: ExceptionScope,
}

fn a_day() -> u64 {
    24
}

fn hours<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    Ok(super::load::within(d, ("hours", 1..=720))?.unwrap_or_else(a_day))
}

fn chain<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let chain = Vec::<String>::deserialize(d)?;
    let fits = |name: &String| (1..=NAME_BYTES).contains(&name.len());
    if (1..=CHAIN_MOST).contains(&chain.len()) && chain.iter().all(fits) {
        return Ok(chain);
    }
    Err(de::Error::custom(format!(
        "chain must name 1 to {CHAIN_MOST} owners of 1 to {NAME_BYTES} bytes"
    )))
}

/// At most [`OWNERS_MOST`] entries.
pub(super) fn bounded<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<OwnerRule>, D::Error> {
    super::load::at_most(d, (OWNERS_MOST, "owners"))
}

/// What persons did about a finding, as far as that says whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Stand<'a> {
    /// When somebody acknowledged it last.
    pub acknowledged: Option<Timestamp>,
    /// To whom it was given last, and when.
    pub assigned: Option<(&'a str, Timestamp)>,
    /// The moment that is asked about.
    pub now: Timestamp,
}

impl Config {
    /// Who answers for `finding`: by the last entry that fits, else the `team` of its host; empty
    /// when nobody does. While nobody has acknowledged it, it goes down the chain; who did so
    /// before it was given to somebody else spoke for themselves.
    ///
    /// Whoever it was given to comes first, if this configuration names them, and the chain begins
    /// anew behind them. A name that stands nowhere in it can be no label, so it counts for none.
    pub fn owner_of<'a>(
        &'a self,
        finding: &Finding,
        (about, team): (&About, &'a str),
        stand: Stand<'_>,
    ) -> &'a str {
        let fits = |rule: &&OwnerRule| rule.scope.holds(&finding.id, about);
        let rule = self.owners.iter().rev().find(fits);
        let mut line: Vec<&str> =
            rule.into_iter().flat_map(|rule| rule.chain.iter().map(String::as_str)).collect();
        let (mut since, mut acknowledged) = (finding.first_seen, stand.acknowledged.is_some());
        let given = stand.assigned.filter(|_| !mutant::active(Mutant::AssignmentsMoveNothing));
        if let Some((name, at)) = given.and_then(|(to, at)| Some((self.owner_named(to)?, at))) {
            let behind = line.iter().position(|one| *one == name).map_or(0, |place| place + 1);
            drop(line.splice(..behind, [name]));
            since = at;
            acknowledged = stand.acknowledged.is_some_and(|by_now| by_now >= at);
        }
        let waited = match acknowledged || mutant::active(Mutant::NobodyIsNext) {
            true => SignedDuration::ZERO,
            false => stand.now.duration_since(since).max(SignedDuration::ZERO),
        };
        let hours = u64::try_from(waited.as_hours()).unwrap_or_default();
        let turns = rule.map_or(0, |rule| hours / rule.hours);
        let place = usize::try_from(turns).unwrap_or(usize::MAX);
        line.get(place.min(line.len().saturating_sub(1))).copied().unwrap_or(team)
    }

    /// The owner or team of this name, if there is one.
    fn owner_named(&self, name: &str) -> Option<&str> {
        self.names().find(|known| *known == name)
    }

    /// Every owner and team that is named, as they are written.
    fn names(&self) -> impl Iterator<Item = &str> {
        let chains = self.owners.iter().flat_map(|rule| rule.chain.iter().map(String::as_str));
        let teams = self.hosts.iter().filter_map(|rule| rule.team.as_deref());
        chains.chain(teams).filter(|name| !name.is_empty())
    }

    /// Who answers for `host` itself, such as for its silence: by the last entry whose scope speaks
    /// of hosts alone and fits, else its `team`; empty when nobody does.
    pub fn owner_of_host<'a>(&'a self, host: &HostId, (about, team): (&About, &'a str)) -> &'a str {
        let fits = |rule: &&OwnerRule| rule.scope.holds_host(host, about);
        let rule = self.owners.iter().rev().find(fits);
        rule.and_then(|rule| rule.chain.first()).map_or(team, String::as_str)
    }

    /// The owners with a label value of their own, teams of hosts among them: the first
    /// [`LABELS_MOST`] as they are written.
    pub fn owner_labels(&self) -> BTreeSet<&str> {
        let mut labels = BTreeSet::new();
        for name in self.names() {
            if labels.len() == LABELS_MOST {
                break;
            }
            labels.insert(name);
        }
        labels
    }

    /// The label value of `owner` in metrics.
    pub fn owner_label<'a>(labels: &BTreeSet<&'a str>, owner: &str) -> &'a str {
        match owner {
            "" => NOBODY,
            owner => labels.get(owner).copied().unwrap_or(OTHER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LABELS_MOST, Stand};
    use crate::analysis::finding::made_up;
    use crate::analysis::rules::About;
    use crate::config::Config;
    use crate::config::load::parse;
    use jiff::{SignedDuration, Timestamp};

    #[test]
    fn the_last_entry_that_fits_counts_and_its_chain_is_gone_down() {
        let text = "[[owner]]\nchain = ['voice', 'lead']\nhours = 4\nscope = { site = 'graz' }\n\
            [[owner]]\nchain = ['security']\nscope = { part = '/etc/ssh/*' }\n";
        let config = parse("t", text).unwrap();
        let about = |site: &str| About { site: site.into(), ..About::default() };
        let owner = |part: &str, site: &str, acknowledged: bool, hours: i64| {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
            let (finding, about) = (made_up(part, None), about(site));
            let acknowledged = acknowledged.then_some(Timestamp::UNIX_EPOCH);
            let stand = Stand { acknowledged, assigned: None, now };
            config.owner_of(&finding, (&about, "desk"), stand).to_owned()
        };
        assert_eq!(owner("/etc/sip.conf", "graz", false, 3), "voice");
        assert_eq!(owner("/etc/sip.conf", "graz", false, 4), "lead");
        assert_eq!(owner("/etc/sip.conf", "graz", false, 400), "lead");
        assert_eq!(owner("/etc/sip.conf", "graz", true, 400), "voice");
        assert_eq!(owner("/etc/ssh/sshd_config", "graz", false, 0), "security");
        assert_eq!(owner("/etc/sip.conf", "linz", false, 0), "desk");
    }

    #[test]
    fn who_was_given_a_finding_has_it_and_the_chain_begins_behind_them() {
        let text = "[[owner]]\nchain = ['voice', 'lead', 'board']\nhours = 4\n\
            scope = { site = 'graz' }\n[[host]]\nname = 'x'\nteam = 'edge'\n";
        let config = parse("t", text).unwrap();
        let hour = |hour| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
        let owner = |to: &str, site: &str, acknowledged: Option<i64>, now: i64| {
            let (about, acknowledged) =
                (About { site: site.into(), ..About::default() }, acknowledged.map(hour));
            // Given to somebody ten hours after it opened.
            let assigned = Some((to, hour(10)));
            let stand = Stand { acknowledged, assigned, now: hour(now) };
            config.owner_of(&made_up("/etc/a", None), (&about, "desk"), stand).to_owned()
        };
        for (to, site, acknowledged, now, expected) in [
            ("lead", "graz", None, 10, "lead"),
            ("lead", "graz", None, 13, "lead"),
            ("lead", "graz", None, 14, "board"),
            ("lead", "graz", Some(10), 400, "lead"),
            // Whoever had it before has seen it; that is not the lead.
            ("lead", "graz", Some(9), 13, "lead"),
            ("lead", "graz", Some(9), 14, "board"),
            ("board", "graz", None, 400, "board"),
            ("voice", "graz", None, 10, "voice"),
            // One who is in no chain: it comes back to those who are.
            ("edge", "graz", None, 13, "edge"),
            ("edge", "graz", None, 14, "voice"),
            ("edge", "graz", None, 18, "lead"),
            // Without an entry nobody is next.
            ("edge", "linz", None, 400, "edge"),
            // A name that the configuration does not know moves nothing.
            ("ada", "graz", None, 13, "board"),
            ("ada", "graz", Some(9), 13, "voice"),
            ("ada", "linz", None, 13, "desk"),
            ("", "linz", None, 13, "desk"),
        ] {
            assert_eq!(owner(to, site, acknowledged, now), expected, "{to} in {site} at {now}");
        }
    }

    #[test]
    fn a_host_itself_is_whose_entry_speaks_of_hosts_alone() {
        let text = "[[owner]]\nchain = ['voice', 'lead']\nscope = { site = 'graz' }\n\
            [[owner]]\nchain = ['security']\nscope = { part = '/etc/ssh/*' }\n\
            [[owner]]\nchain = ['edge']\nscope = { host = 'sbc-9*' }\n";
        let config = parse("t", text).unwrap();
        let owner = |host: &str, site: &str| {
            let about = About { site: site.into(), ..About::default() };
            config.owner_of_host(&host.parse().unwrap(), (&about, "desk")).to_owned()
        };
        assert_eq!(owner("sbc-1", "graz"), "voice");
        assert_eq!(owner("sbc-1", "linz"), "desk");
        assert_eq!(owner("sbc-91", "graz"), "edge");
    }

    #[test]
    fn labels_are_the_names_as_written_and_bounded() {
        let config = parse(
            "t",
            "[[owner]]\nchain = ['voice', 'lead']\n[[host]]\nname = 'a'\nteam = 'desk'\n\
             [[host]]\nname = 'b'\nteam = 'voice'\n[[host]]\nname = 'c'\nteam = ''",
        )
        .unwrap();
        let labels = config.owner_labels();
        assert_eq!(labels.iter().copied().collect::<Vec<_>>(), ["desk", "lead", "voice"]);
        let said = ["lead", "", "eve"].map(|owner| Config::owner_label(&labels, owner));
        assert_eq!(said, ["lead", "nobody", "other"]);
        let host = |n| format!("[[host]]\nname = 'h{n}'\nteam = 't{n}'\n");
        let many: String = (0..2 * LABELS_MOST).map(host).collect();
        let many = parse("t", &many).unwrap();
        assert_eq!(many.owner_labels().len(), LABELS_MOST);
        assert!(many.owner_labels().contains("t99"), "those written first have labels");
    }

    #[test]
    fn a_chain_of_nobody_is_refused_by_line() {
        for text in ["chain = []", "chain = ['']", "chain = ['a']\nhours = 0", "scope = {}"] {
            let error = parse("t", &format!("[[owner]]\n{text}")).unwrap_err().to_string();
            assert!(error.starts_with("t:"), "{error}");
        }
    }
}
