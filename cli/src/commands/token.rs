//! `driftline token`: who may read and administer.

use driftline_collector::arguments::ScopeArgument;
use driftline_collector::auth::ending::Standing;
use driftline_collector::store::{Scope, TokenRecord};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::client::Client;
use crate::output::{self, Output, Row};
use crate::{Verdict, eprintln_message};

/// Makes, lists and removes tokens of people and programs.
#[derive(clap::Subcommand)]
pub(crate) enum Token {
    /// Make a token and print it this once.
    Create {
        /// Its name, by which it is listed and removed.
        name: String,
        /// What its holder may do.
        #[arg(long, value_enum)]
        scope: ScopeArgument,
        /// How long it lives, in days.
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// Put it in the place of a token of the same name, which counts no longer.
        #[arg(long)]
        replace: bool,
    },
    /// List tokens, expired ones included.
    List,
    /// Remove a token; whoever holds it is refused from now on.
    Remove {
        /// Its name.
        name: String,
    },
}

impl Row for TokenRecord {
    const NAME: &'static str = "token has been made";
    const WHOLE: usize = 4;
    const HEADINGS: &'static [&'static str] = &["name", "scope", "created", "expires", "state"];

    fn cells(&self) -> Vec<String> {
        vec![
            output::printable(&self.name),
            self.scope.as_str().to_owned(),
            output::moment(self.created_at),
            output::moment(self.expires_at),
            Standing::of(self, Timestamp::now()).as_str().to_owned(),
        ]
    }
}

impl Token {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        match self {
            Self::Create { name, scope, days, replace } => {
                let scope = Scope::from(scope);
                let body = json!({
                    "name": name, "scope": scope, "days": days, "replace": replace,
                });
                let made: Value = client.post("/api/v1/tokens", &body).await?;
                let token = made.get("token").and_then(Value::as_str).unwrap_or_default();
                output::write(&format!("{token}\n"))?;
                let ends = made.get("expires_at").and_then(Value::as_str);
                let ends = ends.and_then(|text| text.parse().ok()).map(output::moment);
                eprintln_message(&format!(
                    "this token is shown this once; the collector keeps its hash. It ends {}, and \
                     nothing renews it: `driftline doctor` tells of it two weeks before",
                    ends.unwrap_or_default()
                ));
            }
            Self::List => {
                output::print(output, &client.list::<TokenRecord>("tokens", &[]).await?)?;
            }
            Self::Remove { name } => client.delete("tokens", &name).await?,
        }
        Ok(Verdict::Fine)
    }
}
