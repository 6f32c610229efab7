//! Where file systems are mounted that somebody else keeps.
//!
//! The kernel tells nothing of what changes there, and a look at one that is dead does not come
//! back. A source's reading can be given up; the watching thread cannot, and every other source
//! would be deaf with it. So the way to a home does not lead through them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use driftline_protocol::limits;

use crate::machine::Machine;

/// The mounts as this process sees them (proc_pid_mountinfo(5)).
const TABLE: &str = "/proc/self/mountinfo";

/// File systems that ask another machine, or wait until somebody comes before they mount one.
const KINDS: [&str; 11] =
    ["9p", "afs", "autofs", "ceph", "cifs", "coda", "gfs2", "lustre", "nfs", "nfs4", "smb3"];

/// The mount points of such file systems, as the kernel names them; none where nobody tells.
pub(super) fn mounts(machine: &Machine) -> BTreeSet<PathBuf> {
    let table = machine.read(Path::new(TABLE), limits::FILE_BYTES).ok().flatten();
    table.map_or_else(BTreeSet::new, |content| remote(&content.bytes))
}

fn remote(table: &[u8]) -> BTreeSet<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(|line| of_line(&String::from_utf8_lossy(line))).collect()
}

fn of_line(line: &str) -> Option<PathBuf> {
    let (mount, system) = line.split_once(" - ")?;
    let kind = system.split(' ').next()?;
    let is_remote = KINDS.contains(&kind) || kind == "fuse" || kind.starts_with("fuse.");
    let place = mount.split(' ').nth(4).filter(|place| is_remote && *place != "/")?;
    Some(PathBuf::from(OsString::from(unescaped(place))))
}

/// The kernel writes blanks, line ends and the backslash as `\` with three octal digits.
fn unescaped(place: &str) -> String {
    let mut plain = String::new();
    let mut rest = place;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let left = code.and_then(|_| after.get(3..));
        plain.push(code.map_or('\\', char::from));
        rest = left.unwrap_or(after);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_machine_keeps_is_remote_and_a_disk_is_not() {
        let check = |line: &str, expected: Option<&str>| {
            assert_eq!(of_line(line).as_deref(), expected.map(Path::new), "{line}");
        };
        let mount = |place: &str, kind: &str| {
            format!("36 35 98:0 / {place} rw,noatime master:1 - {kind} source rw,errors=continue")
        };
        check(&mount("/home", "ext4"), None);
        check(&mount("/home/ada", "nfs4"), Some("/home/ada"));
        check(&mount("/net", "autofs"), Some("/net"));
        check(&mount("/mnt/far", "fuse.sshfs"), Some("/mnt/far"));
        check(&mount("/mnt/stick", "fuseblk"), None);
        check(&mount("/home/two\\040words\\134", "cifs"), Some("/home/two words\\"));
        // A host that booted from one has nothing else.
        check(&mount("/", "nfs"), None);
        check("36 35 98:0 / /home", None);
        check("", None);
    }
}
