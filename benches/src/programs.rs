//! Programs that run beside the measurement, and end with it.

#![allow(clippy::disallowed_types, reason = "measuring programs starts programs; ours never do")]

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(20);

/// How long a program may take to end when asked to.
const STOP: Duration = Duration::from_secs(15);

/// A running program; it is ended when this is dropped.
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts `command`; what it says goes to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &[String], log: &Path) -> anyhow::Result<Self> {
        let (program, arguments) = command.split_first().context("no program to start")?;
        let log = File::create(log).context("making a log")?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {program}"))?;
        Ok(Self { child })
    }

    /// Starts `command` and waits until something listens at `address`.
    ///
    /// # Errors
    /// When it cannot be started, ends at once or never listens.
    pub fn serving(command: &[String], address: SocketAddr, log: &Path) -> anyhow::Result<Self> {
        let mut running = Self::start(command, log)?;
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = running.child.try_wait()? {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                bail!("{command:?} ended with {status}: {said}");
            }
            if began.elapsed() > START {
                bail!("{command:?} does not listen at {address}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // It may have ended by itself; waiting below finds out.
            rustix::process::kill_process(id, rustix::process::Signal::TERM).ok();
        }
        let began = Instant::now();
        while began.elapsed() < STOP {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

/// A loopback address nobody listens at.
///
/// # Errors
/// When the operating system has none.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?)
}

/// Whether `program` is to be found in one of the usual places.
pub fn find(program: &str) -> Option<String> {
    let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/bin", "/sbin"];
    places.iter().map(|place| format!("{place}/{program}")).find(|path| Path::new(path).exists())
}

/// What `program` says about its version, in one line.
pub fn version(program: &str, argument: &str) -> String {
    let said = Command::new(program).arg(argument).stdin(Stdio::null()).output();
    let Ok(said) = said else { return "not installed".to_owned() };
    let text = [said.stdout, said.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| line.chars().any(|c| c.is_ascii_digit()));
    line.unwrap_or("unknown").trim().to_owned()
}
