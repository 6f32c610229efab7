//! The two clocks of the host and the name of its boot: the one place of the agent that reads them.

use std::fs::File;

use driftline_protocol::limits;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// The largest boot id, in bytes; a real one has 37.
const BOOT_BYTES: u64 = 128;

/// The host's wall clock.
pub fn wall() -> Timestamp {
    Timestamp::now()
}

/// The host's monotonic clock of this boot, in milliseconds; it goes on while the host sleeps.
pub fn monotonic_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.unsigned_abs() * 1_000 + time.tv_nsec.unsigned_abs() / 1_000_000
}

/// Names this boot of the host. Where the kernel does not, each start of the agent is taken for a
/// boot, and monotonic times of before it are not told.
pub fn boot() -> String {
    let read = File::open("/proc/sys/kernel/random/boot_id")
        .and_then(|mut file| limits::read_bounded(&mut file, BOOT_BYTES));
    match read {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Err(_) => format!("started {}", wall()),
    }
}
