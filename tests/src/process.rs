//! One running program: started with its output in a file, killed without mercy or asked to stop.
//!
//! A process never outlives its handle. Limits are the caller's; see [`crate::wait`].

#![allow(clippy::disallowed_types, reason = "the judge starts the programs it judges")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::{programs, wait};

/// How long a program may take to end once asked to.
const STOPPING: Duration = Duration::from_secs(20);

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; what it says goes to the end of `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: &Path, arguments: &[String], log: &Path) -> anyhow::Result<Self> {
        Self::start_mutant(program, arguments, log, None)
    }

    /// As [`Self::start`], with a named fault for a program that knows it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_mutant(
        program: &Path,
        arguments: &[String],
        log: &Path,
        mutant: Option<&str>,
    ) -> anyhow::Result<Self> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let output =
            File::options().create(true).append(true).open(log).context("opening a log")?;
        let mut command = Command::new(program);
        match mutant {
            Some(name) => command.env(programs::MUTANT, name),
            None => command.env_remove(programs::MUTANT),
        };
        let child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("sharing a log")?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { name, child, log: log.to_path_buf() })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far, its last 4,000 characters.
    pub fn said(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let tail = text.get(text.len().saturating_sub(4_000)..).unwrap_or_default();
        String::from_utf8_lossy(tail).into_owned()
    }

    /// Says whether it still runs.
    ///
    /// # Errors
    /// When it has ended, with what it said.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait().context("asking after a child")? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}:\n{}", self.name, self.said()),
        }
    }

    /// Kills it at once, as a power cut would.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill9(mut self) -> anyhow::Result<()> {
        self.child.kill().context("killing")?;
        self.child.wait().context("reaping")?;
        Ok(())
    }

    /// Asks it to stop and waits for a clean end.
    ///
    /// # Errors
    /// When it does not end in time, or not with 0.
    pub fn stop(mut self) -> anyhow::Result<()> {
        run("kill", &["-TERM", &self.child.id().to_string()])?;
        let what = format!("{} stops when asked", self.name);
        let status = wait::until(&what, STOPPING, || Ok(self.child.try_wait()?))?;
        ensure!(status.success(), "{} stopped with {status}:\n{}", self.name, self.said());
        Ok(())
    }

    /// The most memory it ever held, in bytes (`VmHWM`).
    ///
    /// # Errors
    /// When it has ended.
    pub fn peak_bytes(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).context("reading the state of a process")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kilobytes.context("no VmHWM")? * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let text = format!("--- {} said:\n{}\n", self.name, self.said());
            drop(std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()));
        }
    }
}

/// Runs a tool of the machine to its end and gives its output.
///
/// # Errors
/// When it is missing or does not end with 0, with what it said.
pub fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = run_any(program, arguments)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments:?}: {}\n{said}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a tool of the machine to its end, however it ends.
///
/// # Errors
/// When it is missing.
pub fn run_any(program: &str, arguments: &[&str]) -> anyhow::Result<Output> {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {program}"))
}
