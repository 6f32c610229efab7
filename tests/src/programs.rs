//! Where the programs are and how they are called: the one page to change when flags or keys
//! change.
//!
//! Knows names of files, flags, configuration keys and addresses; starts nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// The agent.
pub const AGENT: &str = "driftline-agent";
/// The collector.
pub const COLLECTOR: &str = "driftline-collector";
/// The admin's command.
pub const ADMIN: &str = "driftline";

/// The root of the source tree.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// The built program `name`: beside this test program, or in `DRIFTLINE_PROGRAMS`.
///
/// # Errors
/// When it is not there, with the command that builds it.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let folder = match std::env::var_os("DRIFTLINE_PROGRAMS") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let test = std::env::current_exe().context("finding this test program")?;
            test.ancestors().nth(2).context("finding the target folder")?.to_path_buf()
        }
    };
    let path = folder.join(name);
    ensure!(path.is_file(), "{} is missing: cargo build --workspace --bins", path.display());
    Ok(path)
}

/// A count from the environment, for runs longer or shorter than CI's.
///
/// # Errors
/// When the variable is set to something else.
pub fn count(variable: &str, default: u64) -> anyhow::Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text} is no number")),
        Err(_) => Ok(default),
    }
}

/// What a test may choose about an agent; everything else is its default.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// The tree it reads in place of `/`.
    pub root: PathBuf,
    /// Globs of the `files` source, as paths inside the root.
    pub include: Vec<String>,
    /// The sources that run.
    pub sources: Vec<&'static str>,
    /// Seconds between heartbeats and between full rescans.
    pub interval_seconds: u32,
    /// Bytes the spool may hold.
    pub spool_bytes: u64,
    /// The name it asks for.
    pub host: String,
}

/// The configuration file of an agent.
pub fn agent_config(
    settings: &AgentSettings,
    state: &Path,
    collector: SocketAddr,
    secret: &Path,
) -> String {
    let AgentSettings { root, include, sources, interval_seconds, spool_bytes, host } = settings;
    format!(
        "collector = \"http://{collector}\"\n\
         enrolment_secret_file = {secret:?}\n\
         host = {host:?}\n\
         state = {state:?}\n\
         root = {root:?}\n\
         sources = {sources:?}\n\
         heartbeat_seconds = {interval_seconds}\n\
         rescan_seconds = {interval_seconds}\n\
         [files]\n\
         include = {include:?}\n\
         [spool]\n\
         limit_bytes = {spool_bytes}\n"
    )
}

/// The configuration file of a collector.
pub fn collector_config(state: &Path, listen: SocketAddr, secret: &Path) -> String {
    format!(
        "listen = \"{listen}\"\n\
         state = {state:?}\n\
         enrolment_secret_file = {secret:?}\n\
         portal_url = \"http://{listen}\"\n\
         heartbeat_seconds = 1\n"
    )
}

/// The arguments that run the agent until it is stopped.
pub fn agent_run(config: &Path) -> Vec<String> {
    vec!["run".into(), "--config".into(), config.display().to_string()]
}

/// The arguments that print one redacted snapshot.
pub fn agent_snapshot(config: &Path) -> Vec<String> {
    vec!["snapshot".into(), "--config".into(), config.display().to_string()]
}

/// The arguments that run the collector until it is stopped.
pub fn collector_serve(config: &Path) -> Vec<String> {
    vec!["serve".into(), "--config".into(), config.display().to_string()]
}

/// The arguments that choose a mutant; only a program built with the feature `mutants` knows them.
pub fn mutant(name: &str) -> Vec<String> {
    vec!["--mutant".into(), name.into()]
}

/// The program and mutant that `DRIFTLINE_MUTANT=driftline-agent:NAME` asks for; set by the test of
/// the tests.
pub fn chosen_mutant() -> Option<(String, String)> {
    let chosen = std::env::var("DRIFTLINE_MUTANT").ok()?;
    let (program, name) = chosen.split_once(':')?;
    Some((program.to_string(), name.to_string()))
}

/// Where a program says that it works.
pub const HEALTHY: &str = "/-/healthy";
/// Where the collector shows its metrics.
pub const METRICS: &str = "/metrics";
/// Where the collector lists hosts.
pub const HOSTS: &str = "/api/v1/hosts";

/// Where the collector lists changes of one host, newest first.
pub fn changes(host: &str, limit: u32) -> String {
    format!("/api/v1/changes?host={host}&limit={limit}")
}

/// Where the present state of a host is approved as its baseline.
pub fn approve(host: &str) -> String {
    format!("/api/v1/hosts/{host}/baseline")
}

/// Where the newest snapshot of a host is shown, typed.
pub fn snapshot(host: &str) -> String {
    format!("/api/v1/hosts/{host}/snapshot")
}

/// The file that holds a collector's store, inside its state folder.
pub const STORE: &str = "store.sqlite";
/// The file that holds an agent's spool, inside its state folder.
pub const SPOOL: &str = "spool.sqlite";
