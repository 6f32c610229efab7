//! What nobody sends on purpose and everybody meets: each is a clear error or a counted limit,
//! never a hang.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use driftline_protocol::limits;
use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use driftline_tests::process::{Process, run};
use driftline_tests::programs::{self, COLLECTOR};
use driftline_tests::wait::{self, PATIENCE};

use super::{HOST, one_host};

/// The agent's and the collector's peak may not pass this on any input here, in bytes. Reading one
/// bound of a file, a part or a body several times over stays below; reading without a bound does
/// not.
const PEAK: u64 = 512 * 1024 * 1024;

/// How long the worst tree may take to be read, kept and sent by an unoptimised build.
const LARGE: Duration = Duration::from_secs(300);

/// Edits the ordinary file and waits until it arrives: proof that nothing hangs.
fn still_works(
    fleet: &mut Fleet,
    root: &Path,
    marker: &str,
    limit: Duration,
) -> anyhow::Result<()> {
    let file = root.join("etc/app.conf");
    std::fs::write(&file, format!("first = {marker}\n"))?;
    // Of this file only: a snapshot of a hundred thousand parts is no page.
    wait::until(&format!("{marker} arrives"), limit, || {
        fleet.check_alive()?;
        Ok(fleet.changes_of(HOST, &file)?.contains(marker).then_some(()))
    })?;
    for who in [HOST, COLLECTOR] {
        let peak = fleet.peak_bytes(who)?;
        assert!(peak < PEAK, "{who} grew to {peak} bytes");
    }
    Ok(())
}

#[test]
fn what_is_no_ordinary_file_neither_blocks_nor_grows() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    let etc = root.join("etc");
    let sparse = std::fs::File::create(etc.join("gigabyte.conf"))?;
    sparse.set_len(1024 * 1024 * 1024)?;
    run("mkfifo", &[&etc.join("fifo.conf").display().to_string()])?;
    // Without root there is no way to make a device; the FIFO then stands for both.
    drop(run("mknod", &[&etc.join("zero.conf").display().to_string(), "c", "1", "5"]));
    symlink("loop-b.conf", etc.join("loop-a.conf"))?;
    symlink("loop-a.conf", etc.join("loop-b.conf"))?;
    symlink("..", etc.join("above"))?;
    let name =
        std::ffi::OsStr::to_os_string(std::os::unix::ffi::OsStrExt::from_bytes(b"n\xff\xfe.conf"));
    std::fs::write(etc.join(name), b"key = \xff\xfe\n\x00\x01")?;
    still_works(&mut fleet, &root, "marker-after-oddities", PATIENCE)
}

#[test]
fn a_million_keys_are_a_counted_limit() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    let keys: Vec<String> = (0..1_000_000).map(|key| format!("\"k{key}\":1")).collect();
    std::fs::write(root.join("etc/many.json"), format!("{{{}}}", keys.join(",")))?;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    std::fs::write(root.join("etc/deep.json"), deep)?;
    wait::until("the limits are counted", PATIENCE, || {
        Ok((fleet.metric("driftline_parts_unobserved", &[])? >= 2.0).then_some(()))
    })?;
    still_works(&mut fleet, &root, "marker-after-keys", LARGE)
}

#[test]
fn a_hundred_thousand_files_arrive_or_are_counted() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    for folder in 0..100 {
        let folder = root.join(format!("etc/many/{folder}"));
        std::fs::create_dir_all(&folder)?;
        for file in 0..1_000 {
            std::fs::write(folder.join(format!("{file}.conf")), "a = 1\n")?;
        }
    }
    still_works(&mut fleet, &root, "marker-after-files", LARGE)
}

#[test]
fn a_denied_file_is_unobserved_not_gone() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    let file = root.join("etc/app.conf");
    // Root reads everything, so where the tests run as root the agent runs as somebody else.
    if run("id", &["-u"])?.trim() == "0" {
        let folder = fleet.folder().display().to_string();
        run("chown", &["-R", "nobody", &folder])?;
        run("chown", &["0", &file.display().to_string()])?;
        let log = fleet.folder().join("nobody.log");
        let config = fleet.folder().join(format!("{HOST}.toml"));
        std::fs::set_permissions(fleet.folder(), PermissionsExt::from_mode(0o755))?;
        fleet.take(HOST)?.stop()?;
        run("chown", &["-R", "nobody", &fleet.state(HOST).display().to_string()])?;
        // The target folder may be in a home that nobody else may enter.
        let agent = fleet.folder().join("agent-of-nobody");
        std::fs::copy(programs::program(programs::AGENT)?, &agent)?;
        let mut arguments: Vec<String> =
            ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
                .map(String::from)
                .into();
        arguments.push(agent.display().to_string());
        arguments.extend(programs::agent_run(&config));
        let setpriv = Path::new("/usr/bin/setpriv");
        let mutant = programs::mutant_of(programs::AGENT);
        let _agent = Process::start_mutant(setpriv, &arguments, &log, mutant.as_deref())?;
        denied(&mut fleet, &file)
    } else {
        denied(&mut fleet, &file)
    }
}

fn denied(fleet: &mut Fleet, file: &Path) -> anyhow::Result<()> {
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o000))?;
    wait::until("the refusal is counted", PATIENCE, || {
        let denied = fleet.metric("driftline_parts_unobserved", &["denied"])?;
        Ok((denied > 0.5).then_some(()))
    })?;
    let removed = fleet.metric("driftline_changes_total", &["kind=\"removed\""])?;
    assert!(removed < 0.5, "what was denied was called removed");
    Ok(())
}

/// What the bomb becomes when nothing bounds it, in megabytes.
const BOMB_MEGABYTES: u64 = 400;

#[test]
fn a_bomb_is_refused_and_the_collector_stays_small() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    // As many blanks as fit a body that anybody may send, of a length the frame does not tell.
    let mut bomb = zstd::Encoder::new(Vec::new(), 19)?;
    let blanks = vec![b' '; 1_000_000];
    (0..BOMB_MEGABYTES).try_for_each(|_| bomb.write_all(&blanks))?;
    let bomb = bomb.finish()?;
    assert!(bomb.len() < 16 * 1024, "a bomb of {} bytes is refused unread", bomb.len());
    let json = ("Content-Type", "application/json");
    for path in ["/api/v1/enrol", "/api/v1/heartbeat", "/api/v1/parts", "/api/v1/report"] {
        let answer =
            http::post(fleet.address(), path, &[json, ("Content-Encoding", "zstd")], &bomb)?;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        // A length that is only claimed is refused before a byte of it is read.
        let claim = Some(limits::BODY_BYTES * 100);
        let head = http::head("POST", path, &[json], claim);
        let answer = http::exchange(fleet.address(), &head, b"")?;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        for body in [&b"{"[..], b"null", b"\xff\xff", b"[[[[[[[[[[[[[[[[[[[[[[[[[[[["] {
            let answer = http::post(fleet.address(), path, &[json], body)?;
            assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        }
    }
    still_works(&mut fleet, &root, "marker-after-bombs", PATIENCE)?;
    let peak = fleet.peak_bytes(COLLECTOR)?;
    assert!(peak < BOMB_MEGABYTES * 500_000, "the collector grew to {peak} bytes");
    Ok(())
}
