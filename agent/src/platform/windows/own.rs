//! The agent's own: its clocks, what it uses up, and the files that only its user may read.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The host's monotonic clock of this boot, in milliseconds; it goes on while the host sleeps.
pub fn monotonic_ms() -> u64 {
    static BEGUN: OnceLock<(Instant, u64)> = OnceLock::new();
    let (begun, up_ms) = BEGUN.get_or_init(|| {
        (Instant::now(), sysinfo::System::uptime().unwrap_or_default().saturating_mul(1_000))
    });
    up_ms.saturating_add(milliseconds(begun.elapsed()))
}

/// Windows names no boot.
pub fn boot_name() -> Option<String> {
    None
}

/// An example of the sample configuration as this system writes paths: beside the configuration, in
/// quotes that leave backslashes alone.
pub fn path_example(example: &str) -> String {
    let mut pieces = example.split("\"/etc/driftline/");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        text.push_str(r"'C:\Program Files\Driftline\");
        text.push_str(&piece.replacen('"', "'", 1));
    }
    text.replace("\"/var/lib/driftline/agent\"", &format!("'{}'", super::STATE_FOLDER))
}

/// What the host calls itself.
pub fn host_name() -> String {
    sysinfo::System::host_name().unwrap_or_default()
}

/// CPU time of this thread, in milliseconds; 0 where Windows does not tell.
pub fn thread_cpu_ms() -> u64 {
    cpu_time::ThreadTime::try_now().map_or(0, |time| milliseconds(time.as_duration()))
}

/// CPU time of the agent, in milliseconds; 0 where Windows does not tell.
pub fn process_cpu_ms() -> u64 {
    cpu_time::ProcessTime::try_now().map_or(0, |time| milliseconds(time.as_duration()))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Memory of the agent that is in use, in bytes; 0 where Windows does not tell.
pub fn resident_bytes() -> u64 {
    memory_stats::memory_stats().map_or(0, |stats| stats.physical_mem as u64)
}

/// Open files of the agent, which are not counted here.
pub fn open_files() -> u64 {
    0
}

/// How files are opened that only their owner may read: the folder they are in sees to that.
pub fn files_of_owner() -> OpenOptions {
    OpenOptions::new()
}

/// Makes a folder, where there is none; who may enter it follows from the one it is in.
///
/// # Errors
/// What Windows refuses.
pub fn folder_of_owner(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Whether others may read the file. Windows has no short answer; the manual says where to keep it.
///
/// # Errors
/// When it cannot be looked at.
pub fn is_for_others(path: &Path) -> io::Result<bool> {
    fs::metadata(path).map(|_| false)
}

/// Makes durable which files are in a folder, which Windows' journal does by itself.
///
/// # Errors
/// None here.
pub fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
