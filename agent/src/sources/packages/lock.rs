//! Whether a package manager is at work.
//!
//! It holds a write lock on one of its files from beginning to end, and `/proc/locks` tells
//! (proc_locks(5)): reading takes no lock of ours and stops nobody. Only of the running host is
//! anything known; where the table cannot be read, nobody is taken to be at work.

use std::path::Path;

use crate::machine::Machine;
use crate::platform::{Stat, major, minor};

const TABLE: &str = "/proc/locks";

/// The largest table that is read, in bytes: about 20,000 locks.
const TABLE_BYTES: u64 = 1024 * 1024;

/// What apt, dpkg and rpm lock while they change packages.
const LOCKS: [&str; 4] = [
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
    "/var/lib/rpm/.rpm.lock",
];

/// Whether one of the locks is held for writing.
pub(super) fn is_held(machine: &Machine) -> bool {
    if !machine.is_running() {
        return false;
    }
    let Ok(Some(table)) = machine.read(Path::new(TABLE), TABLE_BYTES) else { return false };
    let table = String::from_utf8_lossy(&table.bytes);
    LOCKS.iter().any(|path| {
        let stat = machine.stat_followed(Path::new(path)).ok().flatten();
        stat.is_some_and(|stat| lists(&table, &stat))
    })
}

/// Whether the table lists a write lock on this file, as `1: POSIX ADVISORY WRITE 812 fe:01:3932 0
/// EOF`.
fn lists(table: &str, stat: &Stat) -> bool {
    let device = format!("{:02x}:{:02x}", major(stat.st_dev), minor(stat.st_dev));
    table.lines().any(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        // One that waits has `->` before its kind, and holds nothing.
        let [_, _, _, "WRITE", _, file, ..] = words.as_slice() else { return false };
        file.rsplit_once(':').is_some_and(|(on, inode)| {
            // On btrfs and overlays the table names another device than stat(2), of no major, as
            // stat's is. Elsewhere anybody can lock a file of that number in a tmpfs of theirs.
            let alike = major(stat.st_dev) == 0 && on.starts_with("00:");
            inode == stat.st_ino.to_string() && (on == device || alike)
        })
    })
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn a_write_lock_on_the_file_is_found_and_nothing_else() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let stat = rustix::fs::stat(file.path()).unwrap();
        let device = format!("{:02x}:{:02x}", major(stat.st_dev), minor(stat.st_dev));
        let (inode, next) = (stat.st_ino, stat.st_ino + 1);
        for (line, held) in [
            (format!("1: POSIX  ADVISORY  WRITE 812 {device}:{inode} 0 EOF"), true),
            (format!("1: POSIX  ADVISORY  WRITE 812 00:2a:{inode} 0 EOF"), major(stat.st_dev) == 0),
            (format!("1: POSIX  ADVISORY  READ 812 {device}:{inode} 0 EOF"), false),
            (format!("1: -> POSIX  ADVISORY  WRITE 812 {device}:{inode} 0 EOF"), false),
            (format!("1: POSIX  ADVISORY  WRITE 812 {device}:{next} 0 EOF"), false),
            (format!("1: POSIX  ADVISORY  WRITE 812 ff:ff:{inode} 0 EOF"), false),
            ("nonsense".to_owned(), false),
        ] {
            assert_eq!(lists(&line, &stat), held, "{line}");
        }
    }

    /// POSIX locks come from `fcntl`, which this machine's Python makes as dpkg does.
    #[test]
    #[allow(clippy::disallowed_types, reason = "a test may ask another program to lock a file")]
    fn the_kernel_lists_a_lock_as_we_read_it() {
        use std::io::{BufRead, BufReader};
        use std::process::{Command, Stdio};
        let file = tempfile::NamedTempFile::new().unwrap();
        let script = "import fcntl,sys; f=open(sys.argv[1],'w'); fcntl.lockf(f,fcntl.LOCK_EX); \
            print('held',flush=True); sys.stdin.read()";
        let child = Command::new("python3")
            .args(["-c", script])
            .arg(file.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else { return };
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "held\n");
        let table = std::fs::read_to_string(TABLE).unwrap();
        assert!(lists(&table, &rustix::fs::stat(file.path()).unwrap()), "{table}");
        drop(child.stdin.take());
        child.wait().unwrap();
        let table = std::fs::read_to_string(TABLE).unwrap();
        assert!(!lists(&table, &rustix::fs::stat(file.path()).unwrap()), "{table}");
    }
}
