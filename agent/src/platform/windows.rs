//! Windows.

mod own;
mod place;
mod registry;
mod sockets;

pub use own::{
    boot_name, files_of_owner, folder_of_owner, host_name, is_for_others, monotonic_ms, open_files,
    path_example, process_cpu_ms, resident_bytes, sync_folder, thread_cpu_ms,
};
pub use place::{
    DENIED, Directory, FileType, Refusal, Root, Stat, TIMED_OUT, attributes, is_absent,
    is_write_locked, major, minor, path_bytes, place_of, reason, refusal, starts, stat_of,
};
pub use registry::read_key;
pub use sockets::{Netlink, Socket, is_unsupported};

/// Has the heap hold little beside what is in use, as Windows' does by itself.
pub fn keep_small() {}

/// Gives back what the program has freed, which Windows' heap does by itself.
pub fn give_back() {}

/// Where the configuration stands: only administrators write there.
pub const CONFIG_FILE: &str = r"C:\Program Files\Driftline\agent.toml";

/// Where the agent keeps its state: in the profile of the system's own account, which nobody but
/// that account and administrators may enter.
pub const STATE_FOLDER: &str =
    r"C:\Windows\System32\config\systemprofile\AppData\Local\Driftline\agent";
