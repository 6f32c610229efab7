//! What a program costs: the finished one by `getrusage`, the running one by `/proc`.
//!
//! `getrusage` sums over all finished children of a process, so each run is measured by a process
//! of its own ([`once`]), which is this program again.

#![allow(clippy::disallowed_types, reason = "measuring programs starts programs; ours never do")]

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// What one run of one program cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// From start to end, in seconds.
    pub wall: f64,
    /// On all cores, in seconds, its own children included.
    pub cpu: f64,
    /// The most memory it had at once, in bytes.
    pub peak: f64,
    /// Its exit code; -1 after a signal.
    pub code: i32,
}

/// Runs `command` in this process's name and says what it cost. Call it in a process that has
/// started nothing before.
///
/// # Errors
/// When the program cannot be started.
pub fn once(command: &[String]) -> anyhow::Result<Usage> {
    let (program, arguments) = command.split_first().context("no program to measure")?;
    let began = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    let status = child.wait().context("waiting for the program")?;
    let wall = began.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("asking for the usage")?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(Usage {
        wall,
        cpu: seconds(usage.user_time()) + seconds(usage.system_time()),
        peak: usage.max_rss() as f64 * 1024.0,
        code: status.code().unwrap_or(-1),
    })
}

/// Runs `command` in a measuring process of its own.
///
/// # Errors
/// When it cannot be started.
pub fn measure(command: &[String]) -> anyhow::Result<Usage> {
    let output = Command::new(std::env::current_exe()?)
        .arg("once")
        .arg("--")
        .args(command)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("starting the measuring process")?;
    ensure!(output.status.success(), "{command:?} could not be measured");
    serde_json::from_slice(&output.stdout).context("reading what was measured")
}

/// The CPU time process `id` has used so far, in seconds.
///
/// # Errors
/// When there is no such process.
pub fn cpu_of(id: u32) -> anyhow::Result<f64> {
    // By its clock, in nanoseconds: `/proc/PID/stat` counts ticks of 10 ms, a tenth of a round.
    let id = Pid::from_raw(i32::try_from(id).context("a process id")?);
    let time =
        clock_getcpuclockid(id).and_then(clock_gettime).context("asking for the CPU time")?;
    Ok(Duration::from(time).as_secs_f64())
}

/// The memory process `id` has now, in bytes.
///
/// # Errors
/// When there is no such process.
pub fn memory_of(id: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    resident(&status).context("reading /proc/PID/status")
}

fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_counted_finer_than_in_ticks_and_only_for_who_is_there() {
        let before = cpu_of(std::process::id()).unwrap();
        let after = cpu_of(std::process::id()).unwrap();
        assert!(before > 0.0 && after > before && after - before < 0.01, "{before} {after}");
        assert!(cpu_of(u32::MAX).is_err());
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t  2048 kB\n"), Some(2_097_152.0));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn a_finished_program_has_a_cost() {
        let usage = once(&["true".to_owned()]).unwrap();
        assert!(usage.wall > 0.0 && usage.peak > 0.0 && usage.code == 0);
        assert!(once(&["/does/not/exist".to_owned()]).is_err());
    }
}
