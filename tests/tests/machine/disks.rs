//! Disks that are full, read-only, or gave back something else than they were given.
//!
//! Judged by the test's own list of what it wrote and of what stood in the spool.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use driftline_tests::edits::Dice;
use driftline_tests::http;
use driftline_tests::process::run;
use driftline_tests::wait::{self, PATIENCE};

use super::pair::{HOST, Pair, Who};

/// A small file system over a state folder that is not there yet.
struct Mount(String);

impl Mount {
    fn over(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let place = folder.display().to_string();
        run("mount", &["-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", &place])?;
        Ok(Self(place))
    }

    fn remount(&self, option: &str) -> anyhow::Result<()> {
        run("mount", &["-o", &format!("remount,{option}"), &self.0]).map(drop)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(run("umount", &["-l", &self.0]));
    }
}

/// A pair whose state of `who` lies on a small file system.
fn on_small_disk(who: Who) -> anyhow::Result<(Pair, Mount)> {
    let mut pair = Pair::new()?;
    let mount = Mount::over(&pair.state(who))?;
    std::fs::write(pair.tree().join("etc/first.conf"), "first = marker-first\n")?;
    pair.start(Who::Collector)?;
    pair.start(Who::Agent)?;
    pair.wait_for("marker-first")?;
    Ok((pair, mount))
}

/// Leaves no byte free.
fn fill(folder: &Path) -> PathBuf {
    let filler = folder.join("filler");
    // dd ends with an error when the disk is full, as it should; the second pass takes the rest.
    for block in ["65536", "512"] {
        let words = [
            "if=/dev/zero",
            &format!("of={}", filler.display()),
            &format!("bs={block}"),
            "oflag=append",
            "conv=notrunc",
        ];
        drop(run("dd", &words));
    }
    filler
}

/// Every marker arrives as the state of its file; the programs may have needed their supervisor.
fn all_arrive(pair: &mut Pair, markers: &[String]) -> anyhow::Result<u32> {
    let mut restarts = 0;
    wait::until("everything arrives", PATIENCE, || {
        restarts += pair.supervise()?;
        let text = pair.snapshot()?.to_string();
        Ok(markers.iter().all(|marker| text.contains(marker)).then_some(()))
    })?;
    Ok(restarts)
}

#[test]
fn a_full_disk_loses_nothing_and_both_come_back() -> anyhow::Result<()> {
    if !super::is_root("full disk")? {
        return Ok(());
    }
    for who in [Who::Agent, Who::Collector] {
        let (mut pair, mount) = on_small_disk(who)?;
        let log_before = serde_json::to_string(&pair.changes()?)?.len();
        let filler = fill(&pair.state(who));
        let mut markers = Vec::new();
        for round in 0..20 {
            let marker = format!("marker-full-{round}-end");
            let text = format!("key = {marker}\n{}", "x = y\n".repeat(2_000));
            std::fs::write(pair.tree().join(format!("etc/full-{round}.conf")), text)?;
            markers.push(marker);
            wait::while_quiet(Duration::from_millis(150), || Ok(None))?;
        }
        // While the disk is full the collector still answers people from what it has.
        if who == Who::Agent {
            pair.json("/api/v1/hosts")?;
        }
        std::fs::remove_file(&filler)?;
        let restarts = all_arrive(&mut pair, &markers).with_context(|| {
            format!("{who:?}\n{}\n{}", pair.log(Who::Agent), pair.log(Who::Collector))
        })?;
        pair.balanced()?;
        let log = serde_json::to_string(&pair.changes()?)?;
        assert!(log.len() > log_before && log.contains("marker-full-0-end"));
        let said = pair.log(who).to_lowercase();
        assert!(said.contains("full") || said.contains("space"), "{who:?} says nothing: {said}");
        eprintln!("{who:?} on a full disk: {restarts} restarts, 20 of 20 files arrived");
        pair.stop(Who::Agent)?;
        pair.stop(Who::Collector)?;
        drop(mount);
    }
    Ok(())
}

#[test]
fn a_read_only_state_is_said_and_passes() -> anyhow::Result<()> {
    if !super::is_root("read-only")? {
        return Ok(());
    }
    for who in [Who::Agent, Who::Collector] {
        let (mut pair, mount) = on_small_disk(who)?;
        pair.stop(who)?;
        mount.remount("ro")?;
        let mut process = pair.spawn(who)?;
        let said = wait::until("the program says what stands in its way", PATIENCE, || {
            let said = pair.log(who).to_lowercase();
            let told = said.contains("read-only") || said.contains("readonly");
            Ok(told.then_some(said))
        });
        assert!(said.is_ok(), "{who:?}: {}", pair.log(who));
        let ended = process.check_alive().is_err();
        eprintln!("{who:?} on read-only state: {}", if ended { "ended" } else { "waits" });
        drop(process);
        mount.remount("rw")?;
        let marker = format!("marker-writable-{who:?}-end");
        std::fs::write(pair.tree().join("etc/first.conf"), format!("first = {marker}\n"))?;
        pair.start(who)?;
        pair.wait_for(&marker)?;
        pair.balanced()?;
        pair.stop(Who::Agent)?;
        pair.stop(Who::Collector)?;
        drop(mount);
    }
    Ok(())
}

/// The files of a state folder that hold a database, the largest first.
fn databases(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.display().to_string();
        if name.ends_with(".db") || name.ends_with(".sqlite") || name.ends_with("-wal") {
            files.push((std::fs::metadata(&path)?.len(), path));
        }
    }
    files.sort();
    files.reverse();
    Ok(files.into_iter().filter(|(size, _)| *size > 0).map(|(_, path)| path).collect())
}

/// Damages one file: cut short, or bits turned over.
fn damage(file: &Path, dice: &mut Dice) -> anyhow::Result<String> {
    let mut bytes = std::fs::read(file)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if dice.below(2) == 0 {
        bytes.truncate(usize::try_from(dice.below(bytes.len() as u64))?);
        std::fs::write(file, &bytes)?;
        return Ok(format!("{name} cut to {} bytes", bytes.len()));
    }
    let flips = 1 + dice.below(20);
    for _ in 0..flips {
        let at = usize::try_from(dice.below(bytes.len() as u64))?;
        bytes[at] ^= 1 << dice.below(8);
    }
    std::fs::write(file, &bytes)?;
    Ok(format!("{flips} bits of {name} turned over"))
}

#[test]
fn a_damaged_spool_repairs_itself_and_says_so() -> anyhow::Result<()> {
    if !super::is_root("damaged spool")? {
        return Ok(());
    }
    let seed = super::seed("damaged spool")?;
    let mut dice = Dice::new(seed);
    let mut pair = Pair::started(|_| Ok(()))?;
    let etc = pair.tree().join("etc");
    for round in 0..12 {
        // Something waits in it, since the collector is away.
        pair.kill9(Who::Collector)?;
        let waiting = format!("marker-waiting-{round}-end");
        std::fs::write(etc.join("waiting.conf"), format!("key = {waiting}\n"))?;
        wait::while_quiet(Duration::from_millis(700), || Ok(None))?;
        pair.kill9(Who::Agent)?;
        let files = databases(&pair.state(Who::Agent))?;
        let file = &files[usize::try_from(dice.below(files.len() as u64))?];
        let what = damage(file, &mut dice)?;
        pair.start(Who::Collector)?;
        pair.start(Who::Agent)?;
        let marker = format!("marker-damaged-{round}-end");
        std::fs::write(etc.join("first.conf"), format!("first = {marker}\n"))?;
        for text in [&marker, &waiting] {
            pair.wait_for(text)
                .with_context(|| format!("seed {seed}, {what}\n{}", pair.log(Who::Agent)))?;
        }
        pair.balanced().with_context(|| format!("seed {seed}, {what}"))?;
    }
    let hosts = pair.json("/api/v1/hosts")?;
    assert_eq!(hosts["hosts"].as_array().map(Vec::len), Some(1), "a second host: {hosts}");
    Ok(())
}

/// How many stores are damaged.
const STORES: u32 = 5;

/// How long a host that the damaged store forgot may take to notice: three refused tokens, each
/// waited out a little longer.
const FORGOTTEN: Duration = Duration::from_secs(240);

/// Waits until the collector hears the agent; where it does not know it any more, and the agent
/// says what to do, does that.
fn known_again(pair: &mut Pair) -> anyhow::Result<()> {
    let forgotten = wait::until("the agent is heard or asks for a person", FORGOTTEN, || {
        let asks = pair.log(Who::Agent).contains("run `driftline-agent enrol`");
        let heard = pair.snapshot().is_ok_and(|all| all.to_string().contains("marker-after"));
        Ok((asks || heard).then_some(asks && !heard))
    })?;
    if forgotten {
        let config = pair.config(Who::Agent).display().to_string();
        pair.stop(Who::Agent)?;
        pair.tool("driftline-agent", &["--config", &config, "enrol"])?;
        pair.start(Who::Agent)?;
    }
    Ok(())
}

#[test]
fn a_damaged_store_is_refused_by_name_or_serves_what_it_acknowledged() -> anyhow::Result<()> {
    if !super::is_root("damaged store")? {
        return Ok(());
    }
    let seed = super::seed("damaged store")?;
    let mut dice = Dice::new(seed);
    let (mut refused, mut healed) = (0, 0);
    for round in 0..STORES {
        let mut pair = Pair::started(|_| Ok(()))?;
        let backup = pair.path("backup").display().to_string();
        let config = pair.config(Who::Collector).display().to_string();
        pair.tool("driftline-collector", &["--config", &config, "backup", &backup])?;
        pair.kill9(Who::Collector)?;
        let files = databases(&pair.state(Who::Collector))?;
        let file = &files[usize::try_from(dice.below(files.len() as u64))?];
        let what = damage(file, &mut dice)?;
        let context = format!("seed {seed}, round {round}: {what}");
        let mut process = pair.spawn(Who::Collector)?;
        let address = pair.address;
        let up = wait::until("the collector answers or ends", PATIENCE, || {
            if process.check_alive().is_err() {
                return Ok(Some(false));
            }
            Ok(http::get_ok(address, "/-/healthy").ok().map(|_| true))
        })?;
        drop(process);
        if up {
            healed += 1;
        } else {
            refused += 1;
            let said = pair.log(Who::Collector);
            assert!(said.contains("collector.sqlite"), "{context}: no file is named: {said}");
            pair.tool("driftline-collector", &["--config", &config, "restore", &backup])
                .with_context(|| context.clone())?;
        }
        pair.start(Who::Collector)?;
        std::fs::write(pair.tree().join("etc/first.conf"), "first = marker-after\n")?;
        known_again(&mut pair)
            .and_then(|()| pair.wait_for("marker-after"))
            .with_context(|| format!("{context}, up {up}\n{}", pair.log(Who::Collector)))?;
        let host = pair.json(&format!("/api/v1/hosts/{HOST}"))?;
        assert_eq!(host["host"], HOST, "{context}");
    }
    eprintln!("{STORES} damaged stores: {refused} refused and restored, {healed} went on");
    Ok(())
}
