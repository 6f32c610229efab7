//! `driftline exception add|list|end`: who may differ, why, and until when.

use driftline_collector::analysis::exceptions::{Exception, ExceptionScope, Standing};
use driftline_collector::analysis::finding::{FindingKind, RuleName};
use driftline_collector::config::place::matches;
use driftline_protocol::ids::SourceName;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::hosts;
use crate::client::Client;
use crate::output::{self, Output, Row};
use crate::{Verdict, eprintln_message};

/// Makes, lists and ends exceptions.
#[derive(clap::Subcommand)]
pub(crate) enum ExceptionCommand {
    /// Permit findings to be, for a while; patterns know `*` and `?`, and every option narrows.
    Add(Box<Add>),
    /// List exceptions, those that are over included.
    List,
    /// End an exception before its time.
    End {
        /// Its name.
        name: String,
    },
}

/// What may differ, and who says so.
#[derive(clap::Args)]
pub(crate) struct Add {
    /// A name that was never one before: 1 to 63 of a-z, 0-9, '.', '_' and '-'.
    name: String,
    /// A pattern of host names.
    #[arg(long)]
    host: Option<String>,
    /// Hosts of this group of the collector's configuration.
    #[arg(long)]
    group: Option<String>,
    /// Hosts of this site.
    #[arg(long)]
    site: Option<String>,
    /// Drift, deviation or discrepancy.
    #[arg(long, value_parser = kind)]
    kind: Option<FindingKind>,
    /// Findings of this rule.
    #[arg(long, value_parser = rule)]
    rule: Option<RuleName>,
    /// Of this source.
    #[arg(long)]
    source: Option<SourceName>,
    /// A pattern of parts.
    #[arg(long)]
    part: Option<String>,
    /// A pattern of item keys.
    #[arg(long)]
    key: Option<String>,
    /// Who answers for it.
    #[arg(long)]
    owner: String,
    /// Why, for whoever asks later.
    #[arg(long)]
    reason: String,
    /// The end: a day (its last moment), a wall time such as 2026-12-31T17:00, or RFC 3339.
    #[arg(long)]
    expires: String,
    /// The time zone the end is written in.
    #[arg(long, default_value = "UTC")]
    zone: String,
}

fn kind(text: &str) -> Result<FindingKind, String> {
    FindingKind::named(text).ok_or_else(|| "drift, deviation or discrepancy".to_owned())
}

fn rule(text: &str) -> Result<RuleName, String> {
    text.to_owned().try_into().map_err(|error| format!("{error}"))
}

#[derive(Serialize, Deserialize)]
struct Shown {
    #[serde(flatten)]
    exception: Exception,
    standing: Standing,
}

impl Row for Shown {
    const NAME: &'static str = "exception was ever made";
    const WHOLE: usize = 3;
    const HEADINGS: &'static [&'static str] =
        &["name", "standing", "expires", "owner", "scope", "reason"];
    const FIRST_LINE: usize = 3;

    fn cells(&self) -> Vec<String> {
        let standing = match self.standing {
            Standing::Active => "active",
            Standing::Expired => "expired",
            Standing::Ended => "ended",
        };
        vec![
            output::printable(&self.exception.name),
            standing.to_owned(),
            output::moment(self.exception.expires_at),
            output::printable(&self.exception.owner),
            output::printable(&self.exception.words()),
            output::printable(&self.exception.reason),
        ]
    }
}

impl ExceptionCommand {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        match self {
            Self::Add(add) => add.run(client).await?,
            Self::List => {
                let shown: Vec<Shown> = client.list("exceptions", &[]).await?;
                output::print(output, &shown)?;
            }
            Self::End { name } => {
                client.delete("exceptions", &name).await?;
                eprintln_message(&format!("the exception {name} is over"));
            }
        }
        Ok(Verdict::Fine)
    }
}

impl Add {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let Self { name, host, group, site, kind, rule, source, part, key, .. } = self;
        let pattern = host.clone();
        let scope = ExceptionScope { host, group, site, kind, rule, source, part, key };
        let Self { owner, reason, expires, zone, .. } = self;
        let body = json!({
            "name": name, "scope": scope, "owner": owner, "reason": reason,
            "expires": expires, "zone": zone,
        });
        let made: Value = client.post("/api/v1/exceptions", &body).await?;
        let until = made.get("expires_at").and_then(Value::as_str).unwrap_or_default();
        let until = match expires.trim().parse::<Date>() {
            Ok(day) if expires.trim().len() == 10 => format!("the end of {day} {zone}"),
            Ok(_) | Err(_) => until.to_owned(),
        };
        eprintln_message(&format!("{name} counts until {until}"));
        let hosts = hosts::all(client).await?;
        if let Some(pattern) =
            pattern.filter(|p| !hosts.iter().any(|h| matches(p, h.host.as_str())))
        {
            eprintln_message(&format!(
                "no host is known that {pattern:?} means; is it written right?"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_exceptions_fits_eighty_columns_and_breaks_no_path() {
        let part = "/etc/asterisk/a-folder-with-a-long-name/and-another/pjsip_wizard.conf";
        let shown: Shown = serde_json::from_value(json!({
            "name": "accept-42-1795347000000", "owner": "ada.lovelace", "made_by": "ada.lovelace",
            "scope": { "host": "sbc-w1", "kind": "drift", "source": "files", "part": part,
                "key": "global/codec" },
            "reason": "the carrier asked for it, and the board of Thursday said yes to all of it",
            "made_at": "2026-11-22T13:00:00Z", "expires_at": "2026-12-22T13:00:00Z",
            "zone": "UTC", "ended": null, "standing": "active",
        }))
        .unwrap();
        let text = output::table(&[shown]);
        let wide = text.lines().filter(|line| line.chars().count() > 80).count();
        assert_eq!((wide, text.lines().count() <= 8), (0, true), "{text}");
        assert!(text.contains(part), "{text}");
    }
}
