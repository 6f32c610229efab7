//! The host's service manager, and the folder it gives us.

pub mod state;
pub mod systemd;
