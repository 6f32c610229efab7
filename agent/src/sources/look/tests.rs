//! What times do not tell, and the digest does.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::time::Duration;

use super::*;
use crate::machine::Seam;
use crate::sources::check::{Passes, Planted};
use crate::sources::{Source, accounts, cron, desktop_uc_client};

/// Another program that has the file at `path` mapped, and writes there what it is told; `None`
/// without Python.
#[allow(clippy::disallowed_types, reason = "a test may ask another program to map a file")]
fn mapped(path: &Path) -> Option<Child> {
    let script = "import mmap,sys; f=open(sys.argv[1],'r+b'); m=mmap.mmap(f.fileno(),0)
for line in sys.stdin: m[:]=bytes.fromhex(line); print('written',flush=True)";
    let child = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    child.ok()
}

/// A source that remembers nothing yet.
type Made = fn() -> Box<dyn Source>;

/// A file of somebody's that is swapped through a mapping has the times it had.
#[test]
fn what_somebody_swaps_without_a_trace_in_its_times_is_told() {
    let passwd = ("/etc/passwd", 0o644, "bob:x:1000:1000::/home/bob:/bin/sh\n");
    let key = |body: &str| format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA{body} b\n");
    let settings = |value: &str| format!("[sip]\nregister_only_when_network_is_up={value}\n");
    let sources: [(&str, Made, String, String); 3] = [
        (
            "/home/bob/.ssh/authorized_keys",
            || Box::new(accounts::Accounts::new()),
            key("IJ0Cc3ZQvVb1kkHfWPgmHyyYmDMqAcOLGUOoVuMZ"),
            key("IK0Cc3ZQvVb1kkHfWPgmHyyYmDMqAcOLGUOoVuMZ"),
        ),
        (
            "/var/spool/cron/crontabs/bob",
            || Box::new(cron::Cron::new()),
            "1 2 * * * /bin/true\n".to_owned(),
            "1 3 * * * /bin/true\n".to_owned(),
        ),
        (
            "/home/bob/.config/linphone/linphonerc",
            || Box::new(desktop_uc_client::DesktopUcClient::new()),
            settings("0"),
            settings("1"),
        ),
    ];
    for (path, source, before, after) in sources {
        let planted = Planted::new(&[passwd, (path, 0o600, &before)]);
        let place = planted.machine.root().join(path.trim_start_matches('/'));
        // Who is not root owns it already.
        for made in [place.as_path(), &planted.machine.root().join("home/bob")] {
            if made.exists() && rustix::process::geteuid().is_root() {
                std::os::unix::fs::chown(made, Some(1000), None).unwrap();
            }
        }
        let Some(mut child) = mapped(&place) else { return };
        let (mut to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut from = BufReader::new(from);
        let mut write = |bytes: &str| {
            let hex: String = bytes.bytes().map(|byte| format!("{byte:02x}")).collect();
            writeln!(to, "{hex}").unwrap();
            let mut said = String::new();
            from.read_line(&mut said).unwrap();
            assert_eq!(said, "written\n");
            let stat = rustix::fs::stat(&place).unwrap();
            (stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec)
        };
        let first = write(&before);
        let seam = Seam { clock_ahead: Duration::from_secs(3_600), ..Seam::default() };
        let machine = planted.machine.with_seam(seam);
        let (mut source, mut passes) = (source(), Passes::default());
        let told = passes.next(&machine, source.as_mut());
        assert!(!told.is_empty(), "{path}");
        assert_eq!(passes.next(&machine, source.as_mut()), BTreeMap::new(), "{path} is the same");
        let second = write(&after);
        let again = passes.next(&machine, source.as_mut());
        drop(to);
        child.wait().unwrap();
        // The kernel may have written the page back in between; then its times tell.
        if first == second {
            assert_eq!(again.len(), 1, "{path} was swapped");
            assert!(again.iter().all(|(name, part)| told.get(name) != Some(part)), "{path}");
        }
    }
}
