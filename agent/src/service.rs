//! The host's service manager, and the folder it gives us.

pub mod state;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
mod systemd;

#[cfg(unix)]
pub use unix::run;
#[cfg(windows)]
pub use windows::{recover, run};
