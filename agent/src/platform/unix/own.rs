//! The agent's own: its clocks, what it uses up, and the files that only its user may read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use driftline_protocol::limits;
use rustix::fs::{Dir, Mode, OFlags};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The largest `/proc/self/statm`, in bytes; it has seven numbers.
const STATM_BYTES: u64 = 256;

/// The largest boot id, in bytes; a real one has 37.
const BOOT_BYTES: u64 = 128;

/// The host's monotonic clock of this boot, in milliseconds; it goes on while the host sleeps.
pub fn monotonic_ms() -> u64 {
    clock_ms(ClockId::Boottime)
}

/// The kernel's name of this boot, where it has one.
pub fn boot_name() -> Option<String> {
    let read = File::open("/proc/sys/kernel/random/boot_id")
        .and_then(|mut file| limits::read_bounded(&mut file, BOOT_BYTES));
    Some(String::from_utf8_lossy(&read.ok()?).trim().to_owned())
}

/// An example of the sample configuration as this system writes paths.
pub fn path_example(example: &str) -> String {
    example.to_owned()
}

/// What the host calls itself.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// CPU time of this thread, in milliseconds.
pub fn thread_cpu_ms() -> u64 {
    clock_ms(ClockId::ThreadCPUTime)
}

/// CPU time of the agent, in milliseconds.
pub fn process_cpu_ms() -> u64 {
    clock_ms(ClockId::ProcessCPUTime)
}

fn clock_ms(clock: ClockId) -> u64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    tv_sec.unsigned_abs() * 1_000 + tv_nsec.unsigned_abs() / 1_000_000
}

/// Memory of the agent that is in use, in bytes; 0 where the kernel does not tell.
pub fn resident_bytes() -> u64 {
    let read = File::open("/proc/self/statm")
        .and_then(|mut file| limits::read_bounded(&mut file, STATM_BYTES));
    let text = String::from_utf8(read.unwrap_or_default()).unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default().saturating_mul(rustix::param::page_size() as u64)
}

/// Open files of the agent; 0 where the kernel does not tell.
pub fn open_files() -> u64 {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(folder) = rustix::fs::open("/proc/self/fd", flags, Mode::empty()) else { return 0 };
    let Ok(entries) = Dir::read_from(folder.as_fd()) else { return 0 };
    // Without `.`, `..`, and the two files with which this is counted.
    (entries.filter(Result::is_ok).count() as u64).saturating_sub(4)
}

/// How files are opened that only their owner may read.
pub fn files_of_owner() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Makes a folder that only its owner may enter, where there is none.
///
/// # Errors
/// What the kernel refuses.
pub fn folder_of_owner(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whether others than its owner may read the file.
///
/// # Errors
/// When it cannot be looked at.
pub fn is_for_others(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.mode() & 0o077 != 0)
}

/// Makes durable which files are in a folder.
///
/// # Errors
/// What the kernel refuses.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
