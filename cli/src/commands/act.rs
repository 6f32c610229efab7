//! `driftline finding show|acknowledge|assign|note|accept|log N`: what persons do about a finding.
//!
//! What is accepted is what was read: the finding is asked for and printed, whoever sits at the
//! terminal is asked, and the tag that comes with it goes back with the acceptance. Where the host
//! moves on in between, nothing is accepted. Who has read it elsewhere gives the tag of that page;
//! where nobody can be asked, nothing else is taken.

use std::io::{BufRead as _, IsTerminal as _, stdin};

use anyhow::Context as _;
use driftline_collector::analysis::exceptions::end;
use driftline_collector::analysis::sight::{Said, SaidItem};
use driftline_collector::store::{Act, ActRecord, FindingRecord};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use super::findings::sides;
use super::show;
use crate::client::Client;
use crate::output::{self, Output, Row};
use crate::{Verdict, eprintln_message};

/// What is done about a finding, by its number in `driftline findings`.
#[derive(clap::Subcommand)]
pub(crate) enum FindingCommand {
    /// Show one finding with all that is known of it: what should be and is, the class with its
    /// rule and its sentence, the owner, what was done, what its rule asks for, and its page.
    Show {
        /// The finding's number.
        number: i64,
    },
    /// Say that you have seen it and see to it; it goes to nobody else then.
    Acknowledge {
        /// The finding's number.
        number: i64,
        /// What there is to say.
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
    /// Give it to somebody.
    Assign {
        /// The finding's number.
        number: i64,
        /// To whom.
        to: String,
    },
    /// Write something down.
    Note {
        /// The finding's number.
        number: i64,
        /// What.
        text: String,
    },
    /// Say that it may be so: the baseline moves to what the host has, or, with --until, it is an
    /// exception until then.
    Accept {
        /// The finding's number.
        number: i64,
        /// Why, for whoever asks later.
        #[arg(long)]
        reason: String,
        /// Until when: a day (its last moment), a wall time such as 2026-12-31T17:00, or RFC 3339.
        #[arg(long)]
        until: Option<String>,
        /// The time zone the end is written in.
        #[arg(long, default_value = "UTC")]
        zone: String,
        /// What you read of it, as `etag` in `driftline findings --output json` said. Without it
        /// what it has now is printed, and you are asked.
        #[arg(long)]
        etag: Option<String>,
    },
    /// List what was done, newest first.
    Log {
        /// The finding's number.
        number: i64,
    },
}

impl Row for ActRecord {
    const NAME: &'static str = "line in the log of this finding";
    const WHOLE: usize = 3;
    const HEADINGS: &'static [&'static str] = &["at", "who", "act", "text"];

    fn cells(&self) -> Vec<String> {
        vec![
            output::moment(self.at),
            output::printable(&self.who),
            self.act.as_str().to_owned(),
            output::printable(&self.text),
        ]
    }
}

impl FindingCommand {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        let (number, act, text) = match self {
            Self::Show { number } => {
                show::run(client, number, output).await?;
                return Ok(Verdict::Fine);
            }
            Self::Acknowledge { number, note } => (number, Act::Acknowledge, note),
            Self::Assign { number, to } => (number, Act::Assign, to),
            Self::Note { number, text } => (number, Act::Note, text),
            Self::Accept { number, reason, until, zone, etag } => {
                if let Some(until) = &until {
                    check_end(until, &zone, Timestamp::now())?;
                }
                let etag = match etag {
                    Some(etag) => etag,
                    None => {
                        let end = until.as_deref().map(|until| (until, zone.as_str()));
                        read(client, number, (&reason, end)).await?
                    }
                };
                let body = json!({
                    "reason": reason, "expires": until, "zone": zone, "etag": etag,
                });
                let path = format!("/api/v1/findings/{number}/accept");
                let done: Value = client.post(&path, &body).await?;
                let name = done.get("name").and_then(Value::as_str);
                eprintln_message(&match name {
                    Some(name) => format!("finding {number}: the exception {name} permits it"),
                    None => format!("finding {number}: the baseline moved to it"),
                });
                return Ok(Verdict::Fine);
            }
            Self::Log { number } => {
                let acts: Vec<ActRecord> =
                    client.list(&format!("findings/{number}/acts"), &[]).await?;
                output::print(output, &acts)?;
                return Ok(Verdict::Fine);
            }
        };
        let path = format!("/api/v1/findings/{number}/acts");
        let _: Value = client.post(&path, &json!({ "act": act, "text": text })).await?;
        eprintln_message(&format!("finding {number}: {} is in its log", act.as_str()));
        Ok(Verdict::Fine)
    }
}

/// Refuses an end that cannot be before anybody reads the finding or copies a command with it.
fn check_end(until: &str, zone: &str, now: Timestamp) -> anyhow::Result<()> {
    let in_zone = TimeZone::get(zone)
        .map_err(|_| anyhow::anyhow!("--zone {zone:?} is no time zone, such as Europe/Vienna"))?;
    let at = end(until.trim(), &in_zone).context("--until")?;
    anyhow::ensure!(at > now, "--until {until} is over already");
    Ok(())
}

/// A finding as it is read before it is accepted.
#[derive(Deserialize)]
struct Read {
    #[serde(flatten)]
    record: FindingRecord,
    /// The tag of it; one that is over has none.
    etag: Option<String>,
    /// What its part says, where all of that is accepted.
    #[serde(default)]
    says: Option<Said>,
}

/// Prints what finding `number` is about and what it has now, and asks whether that is accepted;
/// gives the tag of it.
async fn read(
    client: &Client,
    number: i64,
    (reason, end): (&str, Option<(&str, &str)>),
) -> anyhow::Result<String> {
    let Read { record, etag, says } =
        client.get(&format!("/api/v1/findings/{number}"), &[]).await?;
    let Some(etag) = etag else { anyhow::bail!("finding {number} is over already") };
    let [should, now] = sides(&record.finding);
    let id = &record.finding.id;
    let key = id.key.as_ref().map_or("the whole part", |key| key.as_str());
    let what = format!("{}, {}, {key}", id.host, id.part);
    let line = format!("finding {number}: {what}: should be {should}, is {now}");
    eprintln_message(&output::printable(&line));
    says.iter().flat_map(said_lines).for_each(|line| eprintln_message(&line));
    if !stdin().is_terminal() {
        let until =
            end.map(|(until, zone)| format!(" --until {} --zone {}", quoted(until), quoted(zone)));
        anyhow::bail!(
            "finding {number} was not accepted: nobody can be asked here whether it may be so; \
             once you have read it, run: driftline finding accept {number} --reason {}{} \
             --etag {etag}",
            quoted(reason),
            until.unwrap_or_default(),
        );
    }
    eprintln_message("accept it as it is now? [y/N]");
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    anyhow::ensure!(is_yes(&answer), "finding {number} was not accepted");
    Ok(etag)
}

/// What a part says, line by line.
pub(super) fn said_lines(said: &Said) -> Vec<String> {
    let unread = said.unread.map(|reason| {
        format!("  its content cannot be read ({}): its bytes are accepted", reason.as_str())
    });
    let item = |one: &SaidItem| {
        output::printable(&format!("  {} = {}", one.key.as_str(), output::value(Some(&one.now))))
    };
    let left_out = said.left_out();
    let left_out = (!left_out.is_empty()).then(|| format!("  {left_out}"));
    unread.into_iter().chain(said.items.iter().map(item)).chain(left_out).collect()
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// `text` as one word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_to_run_is_one_word_for_each_text() {
        assert_eq!(quoted("as agreed"), "'as agreed'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn an_end_that_cannot_be_is_refused_before_anything_is_read() {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        for (until, zone, told) in [
            ("gestern", "UTC", "--until: \"gestern\" is no end"),
            ("31.12.2026", "UTC", "is no end"),
            ("2026-11-21", "UTC", "is over already"),
            ("2026-12-31", "Wien", "is no time zone"),
        ] {
            let refused = format!("{:#}", check_end(until, zone, now).unwrap_err());
            assert!(refused.contains(told), "{refused}");
        }
        check_end("2026-11-22", "Europe/Vienna", now).unwrap();
    }

    #[test]
    fn nothing_but_yes_is_yes() {
        assert!(["y\n", "Yes\n"].iter().all(|text| is_yes(text)));
        assert!(!["", "\n", "n\n", "yesterday"].iter().any(|text| is_yes(text)));
    }
}
