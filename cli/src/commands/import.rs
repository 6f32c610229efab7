//! `driftline import`: a git history into a collector, so that a host's timeline does not begin
//! empty.
//!
//! Files are read as in a replay and redacted here; the collector compares them as it compares what
//! agents say. What it has is asked first, so that a second import adds nothing and one that broke
//! off goes on. Nothing here decides what a change is.

mod sender;

use std::path::PathBuf;

use anyhow::Context;
use driftline_protocol::ids::{HostId, SourceName};
use driftline_protocol::redact::Redactor;
use driftline_protocol::wire::{HostKind, IMPORTED};
use serde::Serialize;
use tokio::runtime::Handle;

use crate::client::Client;
use crate::history::progress::Progress;
use crate::history::{History, Keyed};
use crate::output::{self, Output};
use crate::{Verdict, eprintln_message};
use sender::{Sender, Whose};

/// Imports a history.
#[derive(clap::Args)]
pub(crate) struct Import {
    #[command(flatten)]
    history: History,
    /// The host whose history it is; made where the collector does not know it.
    #[arg(long, value_name = "NAME")]
    host: HostId,
    /// What kind of host it is, where it is made.
    #[arg(long, default_value = "endpoint", value_parser = kind)]
    kind: HostKind,
    /// What to call this history where a host has several; its section is `imported_` and this.
    #[arg(long, value_name = "LABEL", default_value = "files")]
    section: String,
    /// Where the top of the repository stands on the host, such as `/etc`; the names of files then
    /// begin with it, as an agent's do.
    #[arg(long, value_name = "DIR")]
    at: Option<String>,
    /// The site's fingerprint key, as agents have it, so that their fingerprints can be compared
    /// with those of the history.
    #[arg(long, value_name = "FILE")]
    fingerprint_key_file: Option<PathBuf>,
}

/// What an import came to.
#[derive(Serialize)]
struct Outcome {
    host: HostId,
    section: SourceName,
    /// Commits read.
    commits: u64,
    /// States that are in the collector now and were not before.
    added: u64,
    /// States that were there.
    known: u64,
}

impl output::Row for Outcome {
    const NAME: &'static str = "history";
    const WHOLE: usize = 2;
    const HEADINGS: &'static [&'static str] = &["host", "section", "commits", "added", "known"];

    fn cells(&self) -> Vec<String> {
        let numbers = [self.commits, self.added, self.known].map(|number| number.to_string());
        let names = [self.host.to_string(), self.section.to_string()];
        names.into_iter().chain(numbers).collect()
    }
}

impl Import {
    /// Runs the command.
    pub(crate) async fn run(self, client: Client, output: Output) -> anyhow::Result<Verdict> {
        let handle = Handle::current();
        let outcome = tokio::task::spawn_blocking(move || self.send(client, handle));
        let outcome = outcome.await.context("the import broke; this is a bug of driftline")??;
        output::print(output, &[outcome])?;
        Ok(Verdict::Fine)
    }

    fn send(self, client: Client, handle: Handle) -> anyhow::Result<Outcome> {
        let source: SourceName = format!("{IMPORTED}{}", self.section).parse()?;
        let key = match &self.fingerprint_key_file {
            None => Keyed::ByFirstCommit,
            Some(path) => {
                let key = std::fs::read(path);
                let key = key.with_context(|| format!("reading the key in {}", path.display()))?;
                Keyed::With(Redactor::from_key_file(&key))
            }
        };
        let mut walk = self.history.open(key)?;
        let whose = Whose { host: self.host, kind: self.kind, source, at: self.at };
        let progress = Progress::new(walk.total());
        let mut sender = Sender::begin(whose, (client, handle), progress)?;
        walk.run(&mut sender)?;
        let sent = sender.end()?;
        if sent.forgotten > 0 {
            eprintln_message(&format!(
                "{} of these states are older than the collector keeps (retention_days); all but \
                 the newest of them will go",
                sent.forgotten
            ));
        }
        let (host, section) = (sent.whose.host, sent.whose.source);
        let (commits, added, known) = (sent.commits, sent.added, sent.known);
        Ok(Outcome { host, section, commits, added, known })
    }
}

fn kind(name: &str) -> Result<HostKind, String> {
    let found = HostKind::ALL.into_iter().find(|kind| kind.as_str() == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = HostKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("there are {}", names.join(", "))
    })
}
