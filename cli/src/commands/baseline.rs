//! `driftline baseline list|show|approve|compare|history|remove`: what was agreed of hosts and of
//! groups.

use std::collections::BTreeMap;

use driftline_collector::analysis::agreement::{Exemption, Subject};
use driftline_collector::approvals::Overridden;
use driftline_collector::store::ApprovalRecord;
use driftline_collector::words::{counted, either};
use driftline_protocol::ids::{HostId, PartName, SourceName};
use driftline_protocol::item::{Item, ItemKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::Client;
use crate::moment;
use crate::output::{self, Output, Row};
use crate::{Verdict, eprintln_message};

/// Agrees to states of hosts, of them or of their groups, and says what was agreed. A group is `@`
/// and its name.
#[derive(clap::Subcommand)]
pub(crate) enum Baseline {
    /// List each host and group that has a baseline, with its newest approval.
    List,
    /// Say what was agreed of a host or a group.
    Show {
        /// The host, or `@` and the group.
        subject: Subject,
    },
    /// Agree to a state: drift counts from here.
    Approve(Box<Approve>),
    /// List what differs now from what was agreed; exit 1 when something does.
    Compare {
        /// The host, or `@` and the group.
        subject: Subject,
    },
    /// List the approvals of a baseline, the newest first.
    History {
        /// The host, or `@` and the group.
        subject: Subject,
    },
    /// Take back what was agreed of a group: its hosts are held to their own baselines alone.
    Remove {
        /// `@` and the group.
        subject: Subject,
        /// Why, for whoever asks later.
        #[arg(long)]
        reason: String,
    },
}

/// What is agreed to.
#[derive(clap::Args)]
pub(crate) struct Approve {
    /// Whose baseline moves: a host, or `@` and a group.
    #[arg(required_unless_present_any = ["rollout", "request"])]
    subject: Option<Subject>,
    /// The host whose state it is: a group's reference host. By default the host itself.
    #[arg(long)]
    from: Option<HostId>,
    /// How it stood at this time, as in `driftline diff HOST@TIME`: 2026-11-22T13:00:00Z,
    /// 2026-11-22, or back from now: -2h. What it observed by then counts, also where it told of it
    /// later.
    #[arg(long, allow_hyphen_values = true, value_parser = moment::argument)]
    at: Option<String>,
    /// What you read, as `baseline compare` said: where the host has told since of another state at
    /// that time, nothing is agreed to.
    #[arg(long, requires = "at")]
    etag: Option<String>,
    /// Only of this source.
    #[arg(long)]
    source: Option<SourceName>,
    /// Only of files and tables that follow this pattern; it knows `*` and `?`.
    #[arg(long)]
    part: Option<String>,
    /// What each host of the group has for itself: KEY, PART:KEY or PART:, all patterns. Once for
    /// each; `none` for nothing. By default as before.
    #[arg(long, value_parser = exemption)]
    except: Vec<Exempt>,
    /// Only the open drift this rollout led to, on all its hosts, where nothing has changed since;
    /// its number in `rollouts`.
    #[arg(long, conflicts_with_all = ["subject", "from", "at", "etag", "source", "part", "except"])]
    #[arg(conflicts_with = "request")]
    rollout: Option<i64>,
    /// Only the open drift this change request led to, where nothing has changed since: SOURCE/ID.
    #[arg(long, conflicts_with_all = ["subject", "from", "at", "etag", "source", "part", "except"])]
    request: Option<String>,
    /// Why, for whoever asks later.
    #[arg(long)]
    reason: String,
}

/// An exemption, or the word that takes all away.
#[derive(Clone, Debug)]
struct Exempt(Option<Exemption>);

fn exemption(text: &str) -> Result<Exempt, String> {
    if text == "none" {
        return Ok(Exempt(None));
    }
    let (part, key) = text.rsplit_once(':').map_or(("", text), |(part, key)| (part, key));
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let exemption = Exemption { source: None, part: given(part), key: given(key) };
    match exemption.names_something() {
        true => Ok(Exempt(Some(exemption))),
        false => Err("must be KEY, PART:KEY or PART:, and name more than everything".to_owned()),
    }
}

impl Row for ApprovalRecord {
    const NAME: &'static str = "baseline was ever approved";
    const WHOLE: usize = 4;
    const HEADINGS: &'static [&'static str] =
        &["number", "of", "at", "who", "what", "except", "reason"];
    const FIRST_LINE: usize = 4;

    fn cells(&self) -> Vec<String> {
        let exempt: Vec<String> = self.exempt.iter().map(Exemption::words).collect();
        vec![
            self.number.to_string(),
            output::printable(&self.subject.to_string()),
            output::moment(self.at),
            output::printable(&self.who),
            output::printable(&self.what()),
            if exempt.is_empty() { "-".to_owned() } else { output::printable(&exempt.join("; ")) },
            output::printable(&self.why),
        ]
    }
}

/// What was agreed of one section.
#[derive(Serialize, Deserialize)]
struct Section {
    #[serde(default)]
    source: String,
    patterns: Vec<String>,
    parts: u64,
}

impl Row for Section {
    const NAME: &'static str = "section of it was agreed";
    const WHOLE: usize = 1;
    const HEADINGS: &'static [&'static str] = &["source", "parts", "as a whole"];

    fn cells(&self) -> Vec<String> {
        let patterns = match self.patterns.is_empty() {
            true => "single items alone".to_owned(),
            false => output::printable(&self.patterns.join(" ")),
        };
        vec![self.source.clone(), self.parts.to_string(), patterns]
    }
}

#[derive(Deserialize)]
struct Shown {
    approval: ApprovalRecord,
    sections: BTreeMap<SourceName, Section>,
    hosts: Vec<HostId>,
    #[serde(default)]
    overridden: Vec<Overridden>,
    #[serde(default)]
    not_looked_at: usize,
}

/// What is said of a host whose own approval is newer than that of its group.
fn override_line(one: &Overridden) -> String {
    let Overridden { host, approval, at, parts } = one;
    let (parts, do_not) = (counted(*parts as u64, "part"), either(*parts as u64, "does", "do"));
    format!(
        "{parts} of it {do_not} not count on {host}: its own approval {approval} of {} is newer\n",
        output::moment(*at)
    )
}

/// The approval that was made.
#[derive(Deserialize)]
struct Made {
    approval: ApprovalRecord,
}

/// One item that differs from what was agreed.
#[derive(Serialize, Deserialize)]
struct Difference {
    host: HostId,
    source: SourceName,
    part: PartName,
    key: Option<ItemKey>,
    agreed: Option<Item>,
    now: Option<Item>,
}

impl Row for Difference {
    const NAME: &'static str = "difference from what was agreed";
    const WHOLE: usize = 1;
    const HEADINGS: &'static [&'static str] = &["host", "part", "item", "agreed", "now"];
    const FIRST_LINE: usize = 3;

    fn cells(&self) -> Vec<String> {
        let [agreed, now] = output::values(self.agreed.as_ref(), self.now.as_ref());
        let key = self.key.as_ref().map_or("the whole part", ItemKey::as_str);
        vec![
            self.host.to_string(),
            output::printable(self.part.as_str()),
            output::printable(key),
            agreed,
            now,
        ]
    }
}

impl Baseline {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        match self {
            Self::List => {
                let heads: Vec<ApprovalRecord> = client.list("baselines", &[]).await?;
                output::print(output, &heads)?;
            }
            Self::Show { subject } => show(client, output, &subject).await?,
            Self::Approve(approve) => approve.run(client).await?,
            Self::Compare { subject } => {
                let path = format!("{}/differences", path_of(&subject));
                let found: Value = client.get(&path, &[]).await?;
                let rows = found.get("differences").cloned().unwrap_or_default();
                let rows: Vec<Difference> = serde_json::from_value(rows)?;
                if found.get("more") == Some(&Value::Bool(true)) {
                    eprintln_message(&format!("only the first {} are listed", rows.len()));
                }
                output::print(output, &rows)?;
                if !rows.is_empty() {
                    let text = |name: &str| found.get(name).and_then(Value::as_str);
                    hint(&subject, text("at"), text("etag"));
                }
                return Ok(if rows.is_empty() { Verdict::Fine } else { Verdict::Found });
            }
            Self::History { subject } => {
                let path = format!("{}/approvals", path_of(&subject));
                let path = path.trim_start_matches("/api/v1/");
                let approvals: Vec<ApprovalRecord> = client.list(path, &[]).await?;
                output::print(output, &approvals)?;
            }
            Self::Remove { subject, reason } => {
                let path = format!("{}/remove", path_of(&subject));
                let _: Value = client.post(&path, &json!({ "reason": reason })).await?;
                eprintln_message(&format!("nothing is agreed of {subject} any more"));
            }
        }
        Ok(Verdict::Fine)
    }
}

/// Says by which command just what was compared is agreed to.
fn hint(subject: &Subject, at: Option<&str>, etag: Option<&str>) {
    let Some(at) = at else { return };
    let approve = format!("`driftline baseline approve {subject}");
    eprintln_message(&match (subject, etag) {
        (Subject::Host(_), Some(etag)) => {
            format!("{approve} --at {at} --etag {etag} --reason …` agrees to just this")
        }
        (Subject::Host(_), None) => {
            format!("{subject} told of more while this was read: compare it again to approve it")
        }
        (Subject::Group(_), _) => {
            format!("{approve} --from HOST --at {at} --reason …` agrees to what HOST had by then")
        }
    });
}

async fn show(client: &Client, output: Output, subject: &Subject) -> anyhow::Result<()> {
    let shown: Shown = client.get(&path_of(subject), &[]).await?;
    let Shown { approval, sections, hosts, overridden, not_looked_at } = shown;
    if output == Output::Table {
        let ApprovalRecord { number, at, who, why, exempt, .. } = &approval;
        let (at, who) = (output::moment(*at), output::printable(who));
        let mut text = format!(
            "{subject}: {}\napproval {number} by {who}, {at}: {}\n",
            output::printable(&approval.what()),
            output::printable(why)
        );
        if matches!(subject, Subject::Group(_)) {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            text += &format!("hosts: {}\n", hosts.join(" "));
        }
        text.extend(overridden.iter().map(override_line));
        if not_looked_at > 0 {
            let hosts = counted(not_looked_at as u64, "more host");
            text += &format!("{hosts} may have newer approvals; `baseline history HOST` says it\n");
        }
        for one in exempt {
            text += &format!("each host has for itself: {}\n", output::printable(&one.words()));
        }
        output::write(&format!("{text}\n"))?;
    }
    let rows: Vec<Section> = sections
        .into_iter()
        .map(|(source, section)| Section { source: source.to_string(), ..section })
        .collect();
    output::print(output, &rows)
}

impl Approve {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let Self { subject, from, at, etag, source, part, except, rollout, request, reason } = self;
        let Some(subject) = subject else {
            let body = json!({ "reason": reason, "rollout": rollout, "request": request });
            let done: Value = client.post("/api/v1/findings/accept", &body).await?;
            let count = done.get("accepted").and_then(Value::as_u64).unwrap_or_default();
            let words = either(count, "open drift is", "open drifts are");
            eprintln_message(&format!("{count} {words} what was agreed now"));
            let conflicts = done.get("conflicts").and_then(Value::as_u64).unwrap_or_default();
            if conflicts > 0 {
                let were = either(conflicts, "was", "were");
                eprintln_message(&format!("{conflicts} moved on since and {were} not accepted"));
            }
            return Ok(());
        };
        let except = (!except.is_empty())
            .then(|| except.into_iter().filter_map(|Exempt(one)| one).collect::<Vec<_>>());
        let body = json!({
            "reason": reason, "from": from, "at": at, "etag": etag, "source": source,
            "part": part, "except": except,
        });
        let Made { approval } = client.post(&path_of(&subject), &body).await?;
        let what = output::printable(&approval.what_and_not());
        let number = approval.number;
        eprintln_message(&format!("{what} is the baseline of {subject} now (approval {number})"));
        Ok(())
    }
}

/// Where the API speaks of a baseline; a group's name may hold anything.
fn path_of(subject: &Subject) -> String {
    let name: String = subject.to_string().bytes().fold(String::new(), |mut path, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'@' => {
                path.push(char::from(byte));
            }
            _ => path += &format!("%{byte:02X}"),
        }
        path
    });
    format!("/api/v1/baselines/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exemption_is_a_key_a_part_or_both() {
        let said = |text: &str| exemption(text).map(|one| one.0.map(|one| one.words()));
        assert_eq!(said("bind*"), Ok(Some("key bind*".into())));
        assert_eq!(said("/etc/sip.conf:bind*"), Ok(Some("part /etc/sip.conf, key bind*".into())));
        assert_eq!(said("/etc/hostname:"), Ok(Some("part /etc/hostname".into())));
        assert_eq!(said("none"), Ok(None));
        for text in ["", ":", "*", "*:*"] {
            assert!(said(text).is_err(), "{text:?} would exempt all");
        }
    }

    /// Whoever lists baselines on a terminal of 80 columns reads whole words.
    #[test]
    fn a_list_of_approvals_fits_eighty_columns() {
        let approval = ApprovalRecord {
            number: 1_204,
            subject: "@session-border-controllers".parse().unwrap(),
            at: "2026-11-22T13:00:00Z".parse().unwrap(),
            who: "ada.lovelace".into(),
            why: "the carrier asked for it, and the board of Thursday said yes to all of it".into(),
            basis: driftline_collector::store::Basis::Host {
                host: "sbc-1".parse().unwrap(),
                at: None,
            },
            source: Some("files".parse().unwrap()),
            part: Some("/etc/asterisk/*".into()),
            exempt: vec![Exemption { key: Some("*/address".into()), ..Exemption::default() }],
        };
        let text = output::table(&[approval]);
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let reason = "the carrier asked for it, and the board of Thursday said yes";
        assert!(text.contains(reason) && text.contains("except key */address"), "{text}");
    }

    #[test]
    fn a_group_of_any_name_has_an_address() {
        let path = |text: &str| path_of(&text.parse().unwrap());
        assert_eq!(path("sbc-1"), "/api/v1/baselines/sbc-1");
        assert_eq!(path("@Edge/SBCs"), "/api/v1/baselines/@Edge%2FSBCs");
    }
}
