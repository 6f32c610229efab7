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

impl Config {
    /// Who answers for `finding` at `now`: by the last entry that fits, else the `team` of its
    /// host; empty when nobody does. While nobody has acknowledged it, it goes down the chain.
    pub fn owner_of<'a>(
        &'a self,
        finding: &Finding,
        (about, team): (&About, &'a str),
        (acknowledged, now): (bool, Timestamp),
    ) -> &'a str {
        let fits = |rule: &&OwnerRule| rule.scope.holds(&finding.id, about);
        let Some(rule) = self.owners.iter().rev().find(fits) else { return team };
        let waited = match acknowledged || mutant::active(Mutant::NobodyIsNext) {
            true => SignedDuration::ZERO,
            false => now.duration_since(finding.first_seen).max(SignedDuration::ZERO),
        };
        let hours = u64::try_from(waited.as_hours()).unwrap_or_default();
        let place = usize::try_from(hours / rule.hours).unwrap_or(usize::MAX);
        let last = rule.chain.len().saturating_sub(1);
        rule.chain.get(place.min(last)).map_or(team, String::as_str)
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
        let chains = self.owners.iter().flat_map(|rule| rule.chain.iter().map(String::as_str));
        let teams = self.hosts.iter().filter_map(|rule| rule.team.as_deref());
        let mut labels = BTreeSet::new();
        for name in chains.chain(teams).filter(|name| !name.is_empty()) {
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
    use driftline_protocol::snapshot::Domain;

    use super::LABELS_MOST;
    use crate::analysis::finding::{Finding, FindingId, FindingKind, Severity, Status};
    use crate::analysis::rules::About;
    use crate::config::Config;
    use crate::config::load::parse;
    use jiff::{SignedDuration, Timestamp};

    fn finding(part: &str) -> Finding {
        Finding {
            id: FindingId {
                host: "sbc-1".parse().unwrap(),
                source: "files".parse().unwrap(),
                part: part.parse().unwrap(),
                key: None,
                kind: FindingKind::Drift,
                rule: None,
            },
            domain: Domain::Config,
            severity: Severity::Info,
            desired: None,
            current: None,
            first_seen: Timestamp::UNIX_EPOCH,
            status: Status::Open,
        }
    }

    #[test]
    fn the_last_entry_that_fits_counts_and_its_chain_is_gone_down() {
        let text = "[[owner]]\nchain = ['voice', 'lead']\nhours = 4\nscope = { site = 'graz' }\n\
            [[owner]]\nchain = ['security']\nscope = { part = '/etc/ssh/*' }\n";
        let config = parse("t", text).unwrap();
        let about = |site: &str| About { site: site.into(), ..About::default() };
        let owner = |part: &str, site: &str, acknowledged: bool, hours: i64| {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
            let (finding, about) = (finding(part), about(site));
            config.owner_of(&finding, (&about, "desk"), (acknowledged, now)).to_owned()
        };
        assert_eq!(owner("/etc/sip.conf", "graz", false, 3), "voice");
        assert_eq!(owner("/etc/sip.conf", "graz", false, 4), "lead");
        assert_eq!(owner("/etc/sip.conf", "graz", false, 400), "lead");
        assert_eq!(owner("/etc/sip.conf", "graz", true, 400), "voice");
        assert_eq!(owner("/etc/ssh/sshd_config", "graz", false, 0), "security");
        assert_eq!(owner("/etc/sip.conf", "linz", false, 0), "desk");
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
