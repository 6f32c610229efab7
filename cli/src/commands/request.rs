//! `driftline request add|send|list|windows`: what was meant to be changed, and when it may be.

use std::path::PathBuf;

use anyhow::Context as _;
use driftline_collector::config::ShownWindow;
use driftline_collector::store::RequestRecord;
use driftline_collector::words::{counted, either};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::moment;
use crate::output::{self, Output, Row};
use crate::{Verdict, eprintln_message};

/// Adds, sends and lists change requests, and says when changes may be made.
#[derive(clap::Subcommand)]
pub(crate) enum RequestCommand {
    /// Write down one change request; one of the same id replaces it, and what it covers is judged
    /// again.
    Add(Box<Add>),
    /// Send the change requests of a file: CSV under a header, a JSON array, or one object a line.
    Send {
        /// The file.
        file: PathBuf,
        /// The system they come from; its columns may be named in the collector's configuration.
        #[arg(long)]
        source: String,
    },
    /// List change requests, the one that ends last first.
    List {
        /// Only of this source.
        #[arg(long, default_value = "")]
        source: String,
        /// Only with this id.
        #[arg(long, default_value = "")]
        id: String,
        /// At most this many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// List when changes may and must not be made.
    Windows,
}

/// What may be changed; patterns know `*` and `?`, and one option may be given several times.
#[derive(clap::Args)]
pub(crate) struct Add {
    /// Its id.
    id: String,
    /// When it begins: 2026-11-22T13:00:00Z, 2026-11-22 13:00, 2026-11-22 (all UTC), or from now:
    /// +2h, -2h.
    #[arg(long, allow_hyphen_values = true, value_parser = moment::argument)]
    start: String,
    /// When it ends, in the same forms.
    #[arg(long, allow_hyphen_values = true, value_parser = moment::argument)]
    end: String,
    /// Normal, standard or emergency.
    #[arg(long, default_value = "normal")]
    kind: String,
    /// Approved, requested or rejected.
    #[arg(long, default_value = "approved")]
    approval: String,
    /// A pattern of host names.
    #[arg(long = "host")]
    hosts: Vec<String>,
    /// A service.
    #[arg(long = "service")]
    services: Vec<String>,
    /// A site.
    #[arg(long = "site")]
    sites: Vec<String>,
    /// A group of the collector's configuration.
    #[arg(long = "group")]
    groups: Vec<String>,
    /// A pattern of files and tables.
    #[arg(long = "part")]
    parts: Vec<String>,
    /// A pattern of items.
    #[arg(long = "key")]
    keys: Vec<String>,
    /// The system it is written down for.
    #[arg(long, default_value = "cli")]
    source: String,
}

#[derive(Deserialize)]
struct Requests {
    requests: Vec<RequestRecord>,
}

#[derive(Deserialize)]
struct Windows {
    windows: Vec<ShownWindow>,
}

impl Row for RequestRecord {
    const NAME: &'static str = "change request matches";
    const WHOLE: usize = 5;
    const HEADINGS: &'static [&'static str] =
        &["request", "kind", "approval", "from", "until", "concerns", "address"];
    const FIRST_LINE: usize = 5;

    fn cells(&self) -> Vec<String> {
        let request = &self.request;
        let address = if request.url.is_empty() { "-" } else { &request.url };
        vec![
            output::printable(&request.name()),
            request.kind.as_str().to_owned(),
            request.approval.as_str().to_owned(),
            output::moment(request.start),
            output::moment(request.end),
            output::printable(&request.scope.words()),
            output::printable(address),
        ]
    }
}

impl Row for ShownWindow {
    const NAME: &'static str = "change window or blackout is configured";
    const WHOLE: usize = 4;
    const HEADINGS: &'static [&'static str] = &["name", "says", "now", "next", "when", "concerns"];
    const FIRST_LINE: usize = 4;

    fn cells(&self) -> Vec<String> {
        vec![
            output::printable(&self.name),
            if self.blackout { "no changes" } else { "changes" }.to_owned(),
            if self.open { "open" } else { "closed" }.to_owned(),
            self.next.map_or_else(|| "never".to_owned(), |span| output::moment(span.start)),
            self.when.clone(),
            output::printable(&self.scope),
        ]
    }
}

impl RequestCommand {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        match self {
            Self::Add(add) => add.run(client).await?,
            Self::Send { file, source } => send(client, &file, &source).await?,
            Self::List { source, id, limit } => {
                let limit = limit.to_string();
                let query = [("source", source.as_str()), ("id", &id), ("limit", &limit)];
                let found: Requests = client.get("/api/v1/change-requests", &query).await?;
                output::print(output, &found.requests)?;
            }
            Self::Windows => {
                let found: Windows = client.get("/api/v1/change-windows", &[]).await?;
                output::print(output, &found.windows)?;
            }
        }
        Ok(Verdict::Fine)
    }
}

impl Add {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let Self { id, start, end, kind, approval, hosts, services, sites, groups, .. } = self;
        let Self { parts, keys, source, .. } = self;
        let moments = start.parse::<Timestamp>().ok().zip(end.parse().ok());
        anyhow::ensure!(
            moments.is_none_or(|(start, end): (_, Timestamp)| start < end),
            "it would end at {end}, which is not after its start; 2h means two hours ago, and +2h \
             in two hours"
        );
        let body = json!({
            "id": id, "start": start, "end": end, "kind": kind, "approval": approval,
            "hosts": hosts, "services": services, "sites": sites, "groups": groups,
            "parts": parts, "keys": keys,
        });
        let path = path(&source)?;
        let body = ("application/json", body.to_string().into_bytes());
        told(&client.post_bytes(&path, body).await?)
    }
}

async fn send(client: &Client, file: &std::path::Path, source: &str) -> anyhow::Result<()> {
    let bytes =
        tokio::fs::read(file).await.with_context(|| format!("reading {}", file.display()))?;
    let kind = match bytes.trim_ascii_start().first() {
        Some(b'[') => "application/json",
        Some(b'{') => "application/x-ndjson",
        Some(_) | None => "text/csv",
    };
    told(&client.post_bytes(&path(source)?, (kind, bytes)).await?)
}

fn path(source: &str) -> anyhow::Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    anyhow::ensure!(source.chars().all(plain), "{source:?} is no name of a source");
    Ok(format!("/api/v1/change-requests?source={source}"))
}

/// Says what was taken; refusals are a failure, since whoever sends a request counts on it.
fn told(answer: &Value) -> anyhow::Result<()> {
    let number = |path: &str| answer.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    let taken = number("/taken");
    let refused = "/refused/total";
    eprintln_message(&format!("{} taken", counted(taken, "change request")));
    let too_old = number("/too_old");
    if too_old > 0 {
        let were = either(too_old, "was", "were");
        eprintln_message(&format!(
            "{too_old} {were} over before what the collector keeps (`retention_days`) and {were} \
             left out"
        ));
    }
    let first = answer.pointer("/refused/first/0").and_then(Value::as_str).unwrap_or_default();
    anyhow::ensure!(number(refused) == 0, "{} refused: {first}", number(refused));
    Ok(())
}
