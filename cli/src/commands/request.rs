//! `driftline request add|cancel|send|list|windows`: what was meant to be changed, and when it may
//! be.

use std::path::PathBuf;

use anyhow::Context as _;
use driftline_collector::analysis::classify::request::{Approval, ChangeRequest};
use driftline_collector::change_requests::EVERY_HOST;
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

/// The most refusals that are named.
const REFUSALS_NAMED: usize = 5;

/// Adds, sends and lists change requests, and says when changes may be made.
#[derive(clap::Subcommand)]
pub(crate) enum RequestCommand {
    /// Write down one change request; one of the same id replaces it, and what it covers is judged
    /// again.
    Add(Box<Add>),
    /// Call off a change request that is known: it is kept as it is, and rejected.
    Cancel {
        /// Its id.
        id: String,
        /// The system it comes from.
        #[arg(long, default_value = "cli")]
        source: String,
    },
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
        #[arg(long, default_value = "", hide_default_value = true)]
        source: String,
        /// Only with this id.
        #[arg(long, default_value = "", hide_default_value = true)]
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
    /// When it begins: 2026-11-22T13:00:00Z, 2026-11-22 13:00, 2026-11-22 (by --zone), or from
    /// now: +2h, -2h.
    #[arg(long, allow_hyphen_values = true)]
    start: String,
    /// When it ends, in the same forms; a day is its end.
    #[arg(long, allow_hyphen_values = true)]
    end: String,
    /// The time zone both are written in.
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// Where people read it.
    #[arg(long, default_value = "")]
    url: String,
    /// Normal, standard or emergency.
    #[arg(long, default_value = "normal")]
    kind: String,
    /// Approved, requested or rejected.
    #[arg(long, default_value = "approved")]
    approval: String,
    /// A pattern of host names; '*' for items on every host.
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
            output::printable(&request.scope.concerns()),
            output::printable(address),
        ]
    }
}

impl Row for ShownWindow {
    const NAME: &'static str = "change window or blackout is configured";
    const WHOLE: usize = 4;
    const HEADINGS: &'static [&'static str] =
        &["name", "says", "now", "from", "until", "when", "concerns"];
    const FIRST_LINE: usize = 5;

    fn cells(&self) -> Vec<String> {
        vec![
            output::printable(&self.name),
            if self.blackout { "no changes" } else { "changes" }.to_owned(),
            self.now().to_owned(),
            self.next.map_or_else(|| "-".to_owned(), |span| output::moment(span.start)),
            self.next.map_or_else(|| "-".to_owned(), |span| output::moment(span.end)),
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
            Self::Cancel { id, source } => cancel(client, &id, &source).await?,
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
        let Self { parts, keys, source, zone, url, .. } = self;
        let now = Timestamp::now();
        let start =
            moment::in_zone(&start, now, &zone).with_context(|| format!("--start {start:?}"))?;
        let end =
            moment::end_in_zone(&end, now, &zone).with_context(|| format!("--end {end:?}"))?;
        anyhow::ensure!(
            start < end,
            "it would end at {end}, which is not after its start; 2h means two hours ago, and +2h \
             in two hours"
        );
        let body = json!({
            "id": id, "start": start, "end": end, "kind": kind, "approval": approval,
            "hosts": hosts, "services": services, "sites": sites, "groups": groups,
            "sources": [], "parts": parts, "keys": keys, "url": url,
        });
        post(client, &source, &body).await
    }
}

async fn post(client: &Client, source: &str, request: &Value) -> anyhow::Result<()> {
    let body = ("application/json", request.to_string().into_bytes());
    told(&client.post_bytes(&path(source)?, body).await?)
}

/// Sends what is known of a request once more, as rejected.
async fn cancel(client: &Client, id: &str, source: &str) -> anyhow::Result<()> {
    let query = [("source", source), ("id", id), ("limit", "1")];
    let mut found: Requests = client.get("/api/v1/change-requests", &query).await?;
    let known = found.requests.pop().with_context(|| {
        format!("no change request {source}/{id} is known; `driftline request list` shows them")
    })?;
    post(client, source, &called_off(known.request)).await
}

fn called_off(request: ChangeRequest) -> Value {
    let scope = request.scope;
    // Items wherever they are have to be said to be so.
    let hosts = if scope.names_no_host() { vec![EVERY_HOST.to_owned()] } else { scope.hosts };
    json!({
        "id": request.id, "start": request.start, "end": request.end,
        "kind": request.kind, "approval": Approval::Rejected, "url": request.url,
        "hosts": hosts, "services": scope.services, "sites": scope.sites,
        "groups": scope.groups, "sources": scope.sources, "parts": scope.parts,
        "keys": scope.keys,
    })
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
    let refused = number("/refused/total");
    eprintln_message(&format!("{} taken", counted(taken, "change request")));
    let too_old = number("/too_old");
    if too_old > 0 {
        let were = either(too_old, "was", "were");
        eprintln_message(&format!(
            "{too_old} {were} over before what the collector keeps (`retention_days`) and {were} \
             left out"
        ));
    }
    let texts = |path: &str| {
        let list = answer.pointer(path).and_then(Value::as_array).into_iter().flatten();
        let list = list.filter_map(Value::as_str).map(output::printable);
        list.collect::<Vec<String>>()
    };
    let unread = texts("/unread_columns/first");
    if !unread.is_empty() {
        let total = number("/unread_columns/total");
        let columns = counted(total, "column");
        eprintln_message(&format!("{columns} nobody reads: {}", listed(&unread, total, ", ")));
    }
    let first: Vec<String> = texts("/refused/first").into_iter().take(REFUSALS_NAMED).collect();
    anyhow::ensure!(refused == 0, "{refused} refused: {}", listed(&first, refused, "\n  "));
    Ok(())
}

/// The first of so many, and how many more there are.
fn listed(first: &[String], total: u64, between: &str) -> String {
    let text = first.join(between);
    match total.saturating_sub(first.len() as u64) {
        0 => text,
        more => format!("{text}{between}and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use driftline_collector::analysis::classify::window::Span;

    use super::*;

    fn answer(refused: u64) -> Value {
        let first: Vec<String> = (0..refused.min(20)).map(|at| format!("line {at}: x")).collect();
        json!({
            "taken": 2, "refused": { "total": refused, "first": first },
            "unread_columns": { "total": 1, "first": ["Hots\u{1b}[31m"] },
        })
    }

    #[test]
    fn the_first_refusals_are_named_and_the_others_are_counted() {
        assert!(told(&answer(0)).is_ok());
        let error = told(&answer(30)).unwrap_err().to_string();
        for expect in ["30 refused", "line 0: x", "line 4: x", "and 25 more"] {
            assert!(error.contains(expect), "{error}");
        }
        assert!(!error.contains("line 5: x"), "{error}");
    }

    #[test]
    fn what_is_called_off_says_all_it_said() {
        let text = json!({
            "source": "itsm", "id": "CHG1", "kind": "emergency", "approval": "approved",
            "start": "2026-11-28T22:00:00Z", "end": "2026-11-28T23:00:00Z",
            "scope": { "parts": ["/etc/hosts"] }, "url": "https://itsm.example/CHG1",
            "received_at": "2026-11-28T21:00:00Z",
        });
        let said = called_off(serde_json::from_value(text).unwrap());
        assert_eq!(said["approval"], "rejected");
        assert_eq!((&said["kind"], &said["hosts"]), (&json!("emergency"), &json!(["*"])));
        assert_eq!(
            (&said["parts"], &said["end"]),
            (&json!(["/etc/hosts"]), &json!("2026-11-28T23:00:00Z"))
        );
    }

    #[test]
    fn a_request_says_whom_it_concerns() {
        let request = |id: &str, scope: Value| -> RequestRecord {
            let text = json!({
                "number": 1, "revision": 1, "source": "itsm", "id": id, "kind": "normal",
                "approval": "approved",
                "start": "2026-11-28T22:00:00Z", "end": "2026-11-28T23:00:00Z", "scope": scope,
                "url": "", "received_at": "2026-11-28T21:00:00Z",
            });
            serde_json::from_value(text).unwrap()
        };
        let told = [
            request("CHG1", json!({ "parts": ["/etc/hosts"], "keys": ["*/sbc-1"] })),
            request("CHG2", json!({ "hosts": ["sbc-*"], "parts": ["/etc/hosts"] })),
            request("CHG3", json!({ "sites": ["graz"] })),
            request("CHG4", json!({ "sources": ["packages"] })),
        ];
        insta::assert_snapshot!(output::table(&told));
    }

    #[test]
    fn a_window_says_how_it_stands_and_from_when_until_when() {
        let at = |text: &str| text.parse().unwrap();
        let span = Span { start: at("2026-11-22T22:00:00Z"), end: at("2026-11-23T02:00:00Z") };
        let window = |blackout: bool, open: bool, next: Option<Span>| ShownWindow {
            name: "nightly".into(),
            blackout,
            when: "daily 22:00 to 02:00 UTC".into(),
            scope: "everybody".into(),
            open,
            next,
        };
        let told = [
            window(false, true, Some(span)),
            window(false, false, Some(span)),
            window(true, true, Some(span)),
            window(true, false, None),
        ];
        insta::assert_snapshot!(output::table(&told));
    }
}
