//! Unix, and what Linux alone has.

mod heap;
mod own;
mod place;
mod sockets;

pub use heap::{give_back, keep_small};
pub use own::{
    boot_name, files_of_owner, folder_of_owner, host_name, is_for_others, monotonic_ms, open_files,
    path_example, process_cpu_ms, resident_bytes, sync_folder, thread_cpu_ms,
};
pub use place::{
    DENIED, Directory, Root, TIMED_OUT, attributes, is_absent, is_write_locked, path_bytes,
    place_of, read_key, reason, refusal, starts, stat_of,
};
pub use rustix::fs::{FileType, Stat, major, minor};
pub use rustix::io::Errno as Refusal;
pub use sockets::{Netlink, Socket, is_unsupported};

/// Where the configuration stands.
pub const CONFIG_FILE: &str = "/etc/driftline/agent.toml";

/// Where the agent keeps its state.
pub const STATE_FOLDER: &str = "/var/lib/driftline/agent";
