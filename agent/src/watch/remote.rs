//! Where file systems are mounted that somebody else keeps.
//!
//! The kernel tells nothing of what changes there, and a look at one that is dead does not come
//! back. A source's reading can be given up; the watching thread cannot, and every other source
//! would be deaf with it. So the way to a home does not lead through them.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use driftline_protocol::limits;

use crate::machine::Machine;

/// The mounts as this process sees them (proc_pid_mountinfo(5)).
const TABLE: &str = "/proc/self/mountinfo";

/// File systems that ask another machine, or wait until somebody comes before they mount one.
const KINDS: [&str; 18] = [
    "9p",
    "afs",
    "autofs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "smb3",
    "vboxsf",
    "virtiofs",
];

/// How many links one way may go through, as for the kernel (path_resolution(7)).
const LINKS: usize = 40;

/// The mount points of such file systems, as the kernel names them; none where nobody tells.
pub(super) fn mounts(machine: &Machine) -> BTreeSet<PathBuf> {
    let table = machine.read(Path::new(TABLE), limits::FILE_BYTES).ok().flatten();
    table.map_or_else(BTreeSet::new, |content| remote(&content.bytes))
}

/// Whether the way from `start` on through `rest` comes into one of `mounts`, links and all.
///
/// Both are names of the machine; `root` is what the kernel calls the machine's. No link lies on
/// the way to `start`. Nothing behind such a mount is asked for, whoever put the link: to open it
/// would be too late. A file system of our own that is mounted inside another machine's counts as
/// the other's, for the way to it leads there.
pub(super) fn is_entered(
    mounts: &BTreeSet<PathBuf>,
    root: &Path,
    (start, rest): (&Path, &Path),
    machine: &Machine,
) -> bool {
    if mounts.is_empty() {
        return false;
    }
    // What the machine's root itself stands on is no matter: there is nothing else.
    let inside = |path: &Path| path.strip_prefix("/").map_or(root.into(), |path| root.join(path));
    let is_remote = |path: &Path| path.parent().is_some() && mounts.contains(&inside(path));
    if start.ancestors().any(is_remote) {
        return true;
    }
    let mut at = start.to_path_buf();
    let mut steps = VecDeque::new();
    let mut links = 0;
    put_before(&mut steps, rest);
    while let Some(step) = steps.pop_front() {
        if step == ".." {
            at.pop();
            continue;
        }
        // Of a link from the root on; it takes the place of all before it.
        at.push(&step);
        if is_remote(&at) {
            return true;
        }
        let Ok(Some(target)) = machine.link_target(&at) else { continue };
        at.pop();
        links += 1;
        if links > LINKS {
            // Nobody can open it.
            return false;
        }
        put_before(&mut steps, &path_of(&target));
    }
    false
}

/// Puts the steps of `path` before those that are left.
fn put_before(steps: &mut VecDeque<OsString>, path: &Path) {
    for step in path.iter().rev().filter(|step| *step != OsStr::new(".")) {
        steps.push_front(step.to_owned());
    }
}

#[cfg(unix)]
fn path_of(target: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(target))
}

/// There are no such tables.
#[cfg(not(unix))]
fn path_of(target: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(target).into_owned())
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
        for kind in ["beegfs", "gpfs", "ocfs2", "virtiofs", "9p", "ceph", "lustre", "glusterfs"] {
            check(&mount("/home", kind), Some("/home"));
        }
        check(&mount("/home/two\\040words\\134", "cifs"), Some("/home/two words\\"));
        // A host that booted from one has nothing else.
        check(&mount("/", "nfs"), None);
        check("36 35 98:0 / /home", None);
        check("", None);
    }

    #[test]
    #[cfg(unix)]
    fn a_way_that_comes_into_another_machines_files_is_known_before_it_is_gone() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        for made in ["nfs/home/ada", "srv/eve", "nfsd"] {
            std::fs::create_dir_all(folder.path().join(made)).unwrap();
        }
        for (target, link) in [
            ("/nfs/home", "home"),
            ("../nfs/./home/ada", "srv/up"),
            ("/home/ada", "srv/twice"),
            ("/srv", "homes"),
            ("loop", "loop"),
        ] {
            symlink(target, folder.path().join(link)).unwrap();
        }
        let redactor = driftline_protocol::redact::Redactor::new([7; 32]);
        let machine = Machine::open(folder.path(), redactor).unwrap();
        let mounts = BTreeSet::from(["/host/nfs/home".into(), "/host".into(), "/srv".into()]);
        let check = |start: &str, rest: &str, expected: bool| {
            let way = (Path::new(start), Path::new(rest));
            let entered = is_entered(&mounts, Path::new("/host"), way, &machine);
            assert_eq!(entered, expected, "{start} and {rest}");
        };
        check("/", "home", true);
        check("/", "home/ada", true);
        check("/", "nfs/home/ada", true);
        check("/nfs/home/ada", "x", true);
        check("/nfs", "home", true);
        check("/srv", "up", true);
        check("/srv", "twice/x", true);
        check("/", "homes/twice", true);
        check("/", "homes/eve", false);
        check("/", "nfs", false);
        check("/", "nfsd/home", false);
        check("/", "loop/x", false);
        check("/", "../../srv/eve", false);
        assert!(!is_entered(
            &BTreeSet::new(),
            Path::new("/"),
            (Path::new("/"), Path::new("home")),
            &machine
        ));
    }

    #[test]
    #[cfg(unix)]
    fn homes_behind_a_link_to_another_machines_files_are_not_opened() {
        use std::sync::Arc;

        use crate::watch::kernel::Kernel;
        use crate::watch::mailbox::Mailbox;
        use crate::watch::tree::Tree;
        use crate::watch::{Reach, Watched};
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for home in ["far/ada", "far/eve", "proc/self"] {
            std::fs::create_dir_all(root.join(home)).unwrap();
        }
        std::os::unix::fs::symlink("/far", root.join("home")).unwrap();
        let redactor = driftline_protocol::redact::Redactor::new([7; 32]);
        let machine = Machine::open(&root, redactor).unwrap();
        let one = |path: &str| Watched {
            source: "accounts".parse().unwrap(),
            path: path.into(),
            reach: Reach::Itself,
        };
        for (kind, watched) in [("ext4", 4), ("nfs4", 1)] {
            let place = root.join("far");
            let line = format!("36 35 0:5 / {} rw - {kind} source rw\n", place.display());
            std::fs::write(root.join("proc/self/mountinfo"), line).unwrap();
            let kernel = Kernel::new(Arc::new(Mailbox::default())).unwrap();
            let homes = ["/home/ada/keys", "/home/eve/keys"].map(one);
            let mut tree = Tree::new(kernel, homes.into(), 100);
            tree.sync(&machine);
            assert_eq!(tree.directories(), watched, "{kind}: the root, the folder, two homes");
        }
    }
}
