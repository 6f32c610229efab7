//! The command line as it is declared. `main` parses and obeys it; the manual page is made of it.
//!
//! It stands in the library so that the admin's command can make that page (`driftline man`). What
//! stands here reads nothing, the environment least of all.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::load;
use crate::store::Scope;
use crate::telemetry::LogFormat;

/// What the log tells, in the environment: a level, or a filter of `tracing-subscriber`.
pub const LOG_VARIABLE: &str = "DRIFTLINE_LOG";

/// The exit code of wrong usage and of every failure, as everywhere in Driftline.
pub const FAILURE: u8 = 2;

/// The exit code of a check that found something.
pub const FOUND: u8 = 1;

/// Keeps what hosts report; says what changed and what drifted.
#[derive(Parser)]
#[command(name = "driftline-collector", version)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long, global = true, default_value = load::DEFAULT_FILE)]
    pub config: PathBuf,
    /// How log lines look.
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the collector can be told to do.
#[derive(Subcommand)]
pub enum Command {
    /// Run the collector.
    Serve,
    /// Check the configuration files and stop.
    CheckConfig,
    /// Check packs of rules, their examples included, and say what is wrong where; without files,
    /// all that the collector would use. Exit 1 when there is a mistake.
    CheckRules {
        /// The packs.
        files: Vec<PathBuf>,
    },
    /// Print a configuration file with every setting, its meaning and its default.
    SampleConfig,
    /// Write a backup of the running or stopped store to a new file.
    Backup {
        /// Where to.
        file: PathBuf,
    },
    /// Put a backup in the place of the store; the collector must be stopped.
    Restore {
        /// The backup.
        file: PathBuf,
    },
    /// Make, list and remove tokens. A running collector notices within half a minute.
    #[command(subcommand)]
    Token(TokenCommand),
}

/// What can be done with tokens.
#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it this once.
    Create {
        /// Its name.
        name: String,
        /// What its holder may do.
        #[arg(long, value_enum)]
        scope: ScopeArgument,
        /// How long it lives, in days, 1 to 366.
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// Put it in the place of a token of the same name, which counts no longer.
        #[arg(long)]
        replace: bool,
    },
    /// List tokens by name.
    List,
    /// Remove a token.
    Remove {
        /// Its name.
        name: String,
    },
}

/// What the holder of a token may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ScopeArgument {
    /// Enrol hosts, and nothing else.
    Enrol,
    /// Read portal and API.
    Read,
    /// Read /metrics, and nothing else.
    Metrics,
    /// Send cases, and nothing else.
    Cases,
    /// Send change requests, and nothing else.
    #[value(name = "change_requests")]
    ChangeRequests,
    /// Approve, retire, manage tokens; and read.
    Admin,
}

impl From<ScopeArgument> for Scope {
    fn from(argument: ScopeArgument) -> Self {
        match argument {
            ScopeArgument::Enrol => Self::Enrol,
            ScopeArgument::Read => Self::Read,
            ScopeArgument::Metrics => Self::Metrics,
            ScopeArgument::Cases => Self::Cases,
            ScopeArgument::ChangeRequests => Self::ChangeRequests,
            ScopeArgument::Admin => Self::Admin,
        }
    }
}
