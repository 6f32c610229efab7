//! Whether a package manager is at work.
//!
//! It holds a write lock of `fcntl(2)` on one of its files from beginning to end: dpkg by
//! `file_lock` (lib/dpkg/file.c), apt by `GetLock` (apt-pkg/contrib/fileutl.cc), rpm by
//! `rpmlock_acquire` (lib/rpmlock.c). The kernel is asked whether such a lock stands in the way of
//! one for reading (`F_OFD_GETLK`), about the very file that is open; nothing is locked, and nobody
//! is stopped. Only who may write a file can hold one there. A lock of `flock(2)` or one for
//! reading, which whoever may read the file can take, is none, and neither is one on another file
//! of the same number, as a reader of `/proc/locks` could believe.
//!
//! A file that is not there is not locked. One that cannot be asked says nothing: then it is not
//! known whether somebody is at work, and never that nobody is.

use std::path::Path;

use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Reason;

use crate::machine::Machine;
use crate::platform::{is_write_locked, reason};

/// What apt, dpkg and rpm lock while they change packages.
const LOCKS: [&str; 4] = [
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
    "/var/lib/rpm/.rpm.lock",
];

/// Says that nobody is at work.
///
/// # Errors
/// [`Reason::Changing`] while one of the locks is held for writing, else why it is not known.
pub(super) fn is_free(machine: &Machine) -> Result<(), Reason> {
    if mutant::active(Mutant::HalfInstalledIsInstalled) {
        return Ok(());
    }
    for path in LOCKS {
        match is_held(machine, Path::new(path)) {
            Ok(true) => return Err(Reason::Changing),
            Err(_) if mutant::active(Mutant::LocksNobodyCanAskAreFree) => {}
            Err(reason) => return Err(reason),
            Ok(false) => {}
        }
    }
    Ok(())
}

fn is_held(machine: &Machine, path: &Path) -> Result<bool, Reason> {
    // Of its content nothing is read, so it may have any size.
    match machine.held(path, u64::MAX)? {
        Some(file) => is_write_locked(&file).map_err(reason),
        None => Ok(false),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Stdio};

    use super::*;
    use crate::machine::Seam;
    use crate::sources::check::Planted;

    const RPM: &str = "/var/lib/rpm/.rpm.lock";

    fn planted() -> Planted {
        Planted::new(&[(RPM, 0o644, "")])
    }

    /// Another program that has locked the file at `path` until it is done; `None` without Python.
    #[allow(clippy::disallowed_types, reason = "a test may ask another program to lock a file")]
    fn locked(path: &Path, how: &str) -> Option<Child> {
        let script = "import fcntl,struct,sys; f=open(sys.argv[1],'r+'); \
            l=lambda kind: struct.pack('hhqqhxxxx',kind,0,0,0,0); \
            {'posix': lambda: fcntl.lockf(f,fcntl.LOCK_EX), \
             'shared': lambda: fcntl.lockf(f,fcntl.LOCK_SH), \
             'ofd': lambda: fcntl.fcntl(f,37,l(fcntl.F_WRLCK)), \
             'flock': lambda: fcntl.flock(f,fcntl.LOCK_EX)}[sys.argv[2]](); \
            print('held',flush=True); sys.stdin.read()";
        let child = std::process::Command::new("python3")
            .args(["-c", script])
            .arg(path)
            .arg(how)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.ok()?;
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "held\n", "{how}");
        Some(child)
    }

    /// `fcntl` as dpkg, apt and rpm call it, made by this machine's Python.
    #[test]
    fn a_lock_that_only_a_writer_can_take_is_a_package_manager_at_work_and_no_other_is() {
        let planted = planted();
        let path = planted.machine.root().join(RPM.trim_start_matches('/'));
        for (how, expect) in [
            ("posix", Err(Reason::Changing)),
            ("ofd", Err(Reason::Changing)),
            ("shared", Ok(())),
            ("flock", Ok(())),
        ] {
            assert_eq!(is_free(&planted.machine), Ok(()), "before {how}");
            let Some(mut child) = locked(&path, how) else { return };
            assert_eq!(is_free(&planted.machine), expect, "{how}");
            drop(child.stdin.take());
            child.wait().unwrap();
        }
        assert_eq!(is_free(&planted.machine), Ok(()));
    }

    #[test]
    fn a_lock_that_cannot_be_asked_is_not_taken_for_a_free_one() {
        let planted = planted();
        assert_eq!(is_free(&planted.machine), Ok(()));
        let denied = Seam { denied: vec![RPM.into()], ..Seam::default() };
        let machine = planted.machine.with_seam(denied);
        assert_eq!(is_free(&machine), Err(Reason::Denied));
    }
}
