//! Where the programs are and how they are called: the one page to change when flags or keys
//! change.
//!
//! Knows names of files, flags, configuration keys and addresses; starts nothing.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// The agent.
pub const AGENT: &str = "driftline-agent";
/// The collector.
pub const COLLECTOR: &str = "driftline-collector";
/// The admin's command.
pub const ADMIN: &str = "driftline";

/// What a test drives in its own process, in place of a program.
pub const LIBRARY: &str = "library";

/// The agent's own tests, as a program: what it reads is held against other programs there.
pub const AGENT_TESTS: &str = "agent-tests";

/// The test that counts what many passes leave behind, as a program.
pub const LEAK_TESTS: &str = "leak-tests";

/// The tests of what is packaged together, as a program.
pub const PACKAGING_TESTS: &str = "packaging-tests";

/// The root of the source tree.
pub fn workspace() -> PathBuf {
    // Cargo says where the tree is now; the program itself, where it was when it was built, which
    // is another one where the target folder was copied.
    let now = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let tests = now.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    tests.parent().unwrap_or(&tests).to_path_buf()
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
    /// The tree it reads.
    pub root: PathBuf,
    /// Globs of the `files` source, as paths inside the root.
    pub include: Vec<String>,
    /// Bytes the spool may hold.
    pub spool_bytes: u64,
    /// The name it asks for.
    pub host: String,
    /// The control socket of a Kamailio that it asks every second, beside reading files.
    pub kamailio: Option<PathBuf>,
    /// The table `[probes]`, without its head; nobody is asked where it is empty.
    pub probes: String,
}

/// Seconds between heartbeats in a test fleet: the fewest that both programs accept.
pub const HEARTBEAT_SECONDS: u32 = 5;

/// The configuration file of an agent.
pub fn agent_config(
    settings: &AgentSettings,
    state: &Path,
    collector: SocketAddr,
    secret: &Path,
) -> String {
    let AgentSettings { root, include, spool_bytes, host, kamailio, probes } = settings;
    // The agent always reads `/`; a test's tree is a place in it, and nothing else is in scope.
    let include: Vec<String> =
        include.iter().map(|glob| format!("{}{glob}", root.display())).collect();
    let mut enable = vec!["files"];
    let mut more = String::new();
    if let Some(socket) = kamailio {
        enable.push("kamailio_running");
        more = format!("[runtime]\nevery_seconds = 1\nkamailio = {{ socket = {socket:?} }}\n");
    }
    if !probes.is_empty() {
        enable.push("probes");
        more.push_str(&format!("[probes]\n{probes}\n"));
    }
    format!(
        "collector = \"http://{collector}\"\n\
         enrolment_secret_file = {secret:?}\n\
         host_name = {host:?}\n\
         state_dir = {state:?}\n\
         heartbeat_seconds = {HEARTBEAT_SECONDS}\n\
         spool_limit_bytes = {spool_bytes}\n\
         [sources]\n\
         enable = {enable:?}\n\
         rescan_seconds = 60\n\
         [files]\n\
         include = {include:?}\n\
         {more}"
    )
}

/// Writes an enrolment secret as an agent takes it: for its owner alone.
///
/// # Errors
/// When it cannot be written.
pub fn keep_secret(path: &Path, secret: &str) -> anyhow::Result<()> {
    std::fs::write(path, secret).context("writing the secret")?;
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).context("keeping the secret from others")
}

/// The configuration file of a collector.
pub fn collector_config(state: &Path, listen: SocketAddr, secret: &Path) -> String {
    format!(
        "listen = \"{listen}\"\n\
         state_dir = {state:?}\n\
         enrolment_secret_file = {secret:?}\n\
         public_url = \"http://{listen}\"\n\
         heartbeat_seconds = {HEARTBEAT_SECONDS}\n"
    )
}

/// The arguments that run the agent until it is stopped.
pub fn agent_run(config: &Path) -> Vec<String> {
    vec!["run".into(), "--config".into(), config.display().to_string()]
}

/// The arguments that run the collector until it is stopped.
pub fn collector_serve(config: &Path) -> Vec<String> {
    vec!["serve".into(), "--config".into(), config.display().to_string()]
}

/// The arguments that hold a file of changes against a file of cases.
pub const fn correlate<'a>(cases: &'a str, changes: &'a str) -> [&'a str; 7] {
    ["correlate", "--cases", cases, "--changes", changes, "--output", "ndjson"]
}

/// Chooses a mutant; only a program built with the feature `mutants` reads it.
pub const MUTANT: &str = "DRIFTLINE_MUTANT";

/// What the test of the tests tells this harness, as `driftline-agent:NAME`. Another name than
/// [`MUTANT`], so that the program that is not meant stays what it is.
pub const CHOSEN_MUTANT: &str = "DRIFTLINE_TESTS_MUTANT";

/// The mutant that `program` shall be in this run, if any.
pub fn mutant_of(program: &str) -> Option<String> {
    let chosen = std::env::var(CHOSEN_MUTANT).ok()?;
    let (meant, name) = chosen.split_once(':')?;
    (meant == program).then(|| name.to_string())
}

/// Where a program says that it works.
pub const HEALTHY: &str = "/-/healthy";
/// Where the collector shows its metrics.
pub const METRICS: &str = "/metrics";
/// Where the system `desk` posts its cases.
pub const POST_CASES: &str = "/api/v1/cases?source=desk";
/// Where the collector ranks changes by how well they go together with a rise in cases.
pub const SUSPECTS: &str = "/api/v1/suspects";
/// Where the collector lists hosts.
pub const HOSTS: &str = "/api/v1/hosts";

/// Where the collector lists changes of one host, newest first.
pub fn changes(host: &str, limit: u32) -> String {
    format!("/api/v1/changes?host={host}&limit={limit}")
}

/// Where the collector lists the newest changes of one file of a host.
pub fn changes_of(host: &str, file: &Path) -> String {
    let part = crate::http::escape(&file.display().to_string());
    format!("/api/v1/changes?host={host}&part={part}&limit=20")
}

/// Where the collector says what of a host cannot be read.
pub fn sections(host: &str) -> String {
    format!("/api/v1/hosts/{host}/sections")
}

/// Where the present state of a host is approved as its baseline.
pub fn approve(host: &str) -> String {
    format!("/api/v1/hosts/{host}/baseline")
}

/// Where the newest snapshot of a host is shown, typed.
pub fn snapshot(host: &str) -> String {
    format!("/api/v1/hosts/{host}/snapshot")
}

/// What an agent says once a version is on its disk.
pub const KEPT: &str = "state changed";
/// The file that holds a collector's store, inside its state folder.
pub const STORE: &str = "collector.sqlite";
/// The file that holds an agent's spool, inside its state folder.
pub const SPOOL: &str = "agent.db";
