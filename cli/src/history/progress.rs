//! How far a long command is, on a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// How often the line is drawn: as often as an eye follows.
const EVERY: Duration = Duration::from_millis(100);

/// How wide the bar is, in characters.
const WIDTH: u64 = 30;

/// A bar on stderr; silent where stderr is no terminal.
pub(crate) struct Progress {
    total: u64,
    done: u64,
    drawn: Option<Instant>,
    shown: bool,
}

impl Progress {
    /// A bar of `total` commits.
    pub(crate) fn new(total: u64) -> Self {
        Self { total, done: 0, drawn: None, shown: stderr().is_terminal() }
    }

    /// One more is done.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        let due = self.drawn.is_none_or(|at| at.elapsed() >= EVERY);
        if self.shown && due {
            self.drawn = Some(Instant::now());
            write(&format!("\r{}", bar(self.done, self.total)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            write("\r\x1b[K");
        }
    }
}

/// A terminal that is gone must not end the work.
fn write(text: &str) {
    let mut terminal = stderr().lock();
    drop(terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush()));
}

fn bar(done: u64, total: u64) -> String {
    let full = (done.min(total) * WIDTH).checked_div(total).unwrap_or(WIDTH);
    let marks: String = (0..WIDTH).map(|at| if at < full { '#' } else { '.' }).collect();
    format!("[{marks}] {done} of {total} commits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_full_when_all_is_done() {
        assert_eq!(bar(0, 10), format!("[{}] 0 of 10 commits", ".".repeat(30)));
        assert_eq!(bar(5, 10), format!("[{}{}] 5 of 10 commits", "#".repeat(15), ".".repeat(15)));
        assert_eq!(bar(10, 10), format!("[{}] 10 of 10 commits", "#".repeat(30)));
        assert_eq!(bar(0, 0), format!("[{}] 0 of 0 commits", "#".repeat(30)));
    }
}
