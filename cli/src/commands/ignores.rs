//! `driftline ignores`: what is left out of alerts by a list, and why.

use driftline_collector::analysis::classify::ignore::Ignore;

use crate::Verdict;
use crate::client::Client;
use crate::output::{self, Output, Row};

impl Row for Ignore {
    const NAME: &'static str = "entry; [[ignore]] in the collector's configuration makes one";
    const WHOLE: usize = 3;
    const HEADINGS: &'static [&'static str] = &["name", "as", "from", "kinds", "covers", "reason"];
    const FIRST_LINE: usize = 3;

    fn cells(&self) -> Vec<String> {
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.as_str()).collect();
        vec![
            self.name.clone(),
            self.noise.as_str().to_owned(),
            if self.shipped { "driftline" } else { "site" }.to_owned(),
            if kinds.is_empty() { "all".to_owned() } else { kinds.join(", ") },
            output::printable(&self.scope.words()),
            output::printable(&self.reason),
        ]
    }
}

/// Runs the command.
pub(crate) async fn run(client: &Client, output: Output) -> anyhow::Result<Verdict> {
    let ignores: Vec<Ignore> = client.list("ignores", &[]).await?;
    output::print(output, &ignores)?;
    Ok(Verdict::Fine)
}
