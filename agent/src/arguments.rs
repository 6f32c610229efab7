//! The command line as it is declared. `main` parses and obeys it; the manual page is made of it.
//!
//! It stands in the library so that the admin's command can make that page (`driftline man`): the
//! agent carries nothing for it. What stands here reads nothing, the environment least of all.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::platform;

/// What the log tells, in the environment: a level, or a filter of `tracing-subscriber`.
pub const LOG_VARIABLE: &str = "DRIFTLINE_LOG";

/// The exit code of wrong usage and of every failure.
pub const FAILURE: u8 = 2;

/// Reports what is configured on this host to a Driftline collector. It only reads.
#[derive(Parser)]
#[command(name = "driftline-agent", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The configuration file; conf.d/*.toml and agent.d/*.toml beside it are read too.
    #[arg(long, global = true, default_value = platform::CONFIG_FILE)]
    pub config: PathBuf,
}

/// What the agent can be told to do.
#[derive(Subcommand)]
pub enum Command {
    /// Runs until it is asked to stop.
    Run,
    /// Writes one redacted snapshot of this host as JSON. Needs no configuration and no collector.
    Snapshot {
        /// Reads this tree instead of the host.
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
    /// Enrols this host with the secret of the configuration.
    Enrol,
    /// Has Windows start a service again that ended in failure; for the installer.
    #[cfg(windows)]
    Recover,
    /// Says whether the configuration can be used.
    CheckConfig {
        /// Writes a commented configuration with every key instead.
        #[arg(long)]
        sample: bool,
    },
}
