//! What a source may use up in one pass, and what the agent has used up itself.
//!
//! A [`Meter`] counts what a pass costs and says when it has passed a bound; from then on the
//! machine refuses every look, so the source comes to its end soon. It does not know what a pass
//! is for, and it stops no loop that looks at nothing: that is the business of the reader's
//! patience.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::wire::{Budget, Usage};
use serde::{Deserialize, Serialize};

use crate::platform::{open_files, process_cpu_ms, resident_bytes, thread_cpu_ms};

/// How many looks may pass between two at the clock and the memory; the bytes are always counted.
const LOOKS: u32 = 32;

/// What one pass of one source may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// CPU time, in seconds.
    pub cpu_seconds: u64,
    /// Memory beyond what the agent held before, in bytes.
    pub memory_bytes: u64,
    /// Bytes read from files.
    pub read_bytes: u64,
}

impl Default for Budgets {
    /// Far above what 50,000 files take (2 s, 60 MB, 400 MB), and below what hurts a host.
    fn default() -> Self {
        Self { cpu_seconds: 60, memory_bytes: 96 << 20, read_bytes: 4 << 30 }
    }
}

/// Counts what one pass costs, on the thread that reads.
pub struct Meter {
    budgets: Option<Budgets>,
    /// CPU time of the thread and memory of the agent when the pass began.
    begun: (u64, u64),
    looks: AtomicU32,
    bytes: AtomicU64,
    over: OnceLock<Budget>,
}

impl Meter {
    /// A meter that counts and never says stop.
    pub fn unlimited() -> Self {
        Self {
            budgets: None,
            begun: (0, 0),
            looks: AtomicU32::new(0),
            bytes: AtomicU64::new(0),
            over: OnceLock::new(),
        }
    }

    /// A meter of a pass that begins now, on this thread.
    pub fn begin(budgets: Budgets) -> Self {
        let begun = (thread_cpu_ms(), resident_bytes());
        Self { budgets: Some(budgets), begun, ..Self::unlimited() }
    }

    /// Notes one look at the machine, and says whether it may be taken.
    pub fn may_look(&self) -> bool {
        let Some(budgets) = self.budgets else { return true };
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        let read = self.bytes.load(Ordering::Relaxed);
        let over = if read > budgets.read_bytes {
            Some(Budget::Reads)
        } else if looks % LOOKS == LOOKS - 1 {
            self.over_now(budgets)
        } else {
            None
        };
        if let Some(over) = over.filter(|_| !mutant::active(Mutant::BudgetsWithoutEnd)) {
            // The first bound that is passed is the one that is told.
            self.over.get_or_init(|| over);
        }
        self.over().is_none()
    }

    fn over_now(&self, budgets: Budgets) -> Option<Budget> {
        let (cpu, memory) = self.begun;
        let used_ms = thread_cpu_ms().saturating_sub(cpu);
        if used_ms > budgets.cpu_seconds.saturating_mul(1_000) {
            return Some(Budget::Cpu);
        }
        let grown = resident_bytes().saturating_sub(memory);
        (grown > budgets.memory_bytes).then_some(Budget::Memory)
    }

    /// Notes bytes that were read.
    pub fn read(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    #[cfg(unix)]
    pub(crate) fn take_bytes_read(&self) -> u64 {
        self.bytes.swap(0, Ordering::Relaxed)
    }

    /// The bound that was passed, if one was.
    pub fn over(&self) -> Option<Budget> {
        self.over.get().copied()
    }
}

/// What the agent uses itself: CPU time since its start, memory, open files.
pub fn usage() -> Usage {
    Usage { cpu_ms: process_cpu_ms(), memory_bytes: resident_bytes(), open_files: open_files() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Budgets = Budgets { cpu_seconds: 60, memory_bytes: u64::MAX, read_bytes: 100 };

    fn look_often(meter: &Meter) -> bool {
        (0..2 * LOOKS).all(|_| meter.may_look())
    }

    #[test]
    fn a_pass_that_reads_too_much_is_stopped_and_the_first_bound_is_told() {
        let meter = Meter::begin(SMALL);
        meter.read(100);
        assert!(look_often(&meter));
        meter.read(1);
        assert!(!meter.may_look());
        assert!(!meter.may_look(), "it stays stopped");
        assert_eq!((meter.over(), meter.bytes_read()), (Some(Budget::Reads), 101));
        let unlimited = Meter::unlimited();
        unlimited.read(u64::MAX);
        assert!(look_often(&unlimited));
    }

    #[test]
    fn a_pass_that_grows_or_works_too_much_is_stopped() {
        let meter = Meter::begin(Budgets { memory_bytes: 32 << 20, ..SMALL });
        let held = vec![1_u8; 64 << 20];
        assert!(!look_often(&meter));
        assert_eq!(meter.over(), Some(Budget::Memory));
        drop(held);
        let meter = Meter::begin(Budgets { cpu_seconds: 0, ..SMALL });
        let until = thread_cpu_ms() + 5;
        while thread_cpu_ms() < until {}
        assert!(!look_often(&meter));
        assert_eq!(meter.over(), Some(Budget::Cpu));
    }

    #[test]
    fn the_agent_knows_what_it_uses() {
        let before = usage();
        let file = tempfile::tempfile().unwrap();
        let now = usage();
        assert!(now.memory_bytes > 1 << 20, "{now:?}");
        assert!(now.cpu_ms >= before.cpu_ms);
        // Other tests open and close files meanwhile.
        assert!(now.open_files > 3 || cfg!(windows), "{now:?}");
        drop(file);
    }
}
