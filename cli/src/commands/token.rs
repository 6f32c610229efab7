//! `driftline token`: who may read and administer.

use driftline_collector::store::{Scope, TokenRecord};
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
        /// What its holder may do: enrol, read, metrics or admin.
        #[arg(long)]
        scope: String,
        /// How long it lives, in days.
        #[arg(long, default_value_t = 90)]
        days: u32,
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
    const HEADINGS: &'static [&'static str] = &["name", "scope", "created", "expires"];

    fn cells(&self) -> Vec<String> {
        let scope = match self.scope {
            Scope::Enrol => "enrol",
            Scope::Read => "read",
            Scope::Metrics => "metrics",
            Scope::Admin => "admin",
        };
        vec![
            output::printable(&self.name),
            scope.to_owned(),
            output::moment(self.created_at),
            output::moment(self.expires_at),
        ]
    }
}

impl Token {
    /// Runs the command.
    pub(crate) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        match self {
            Self::Create { name, scope, days } => {
                let body = json!({ "name": name, "scope": scope, "days": days });
                let made: Value = client.post("/api/v1/tokens", &body).await?;
                let token = made.get("token").and_then(Value::as_str).unwrap_or_default();
                output::write(&format!("{token}\n"))?;
                eprintln_message("this token is shown this once; the collector keeps its hash");
            }
            Self::List => {
                output::print(output, &client.list::<TokenRecord>("tokens", &[]).await?)?;
            }
            Self::Remove { name } => client.delete("tokens", &name).await?,
        }
        Ok(Verdict::Fine)
    }
}
