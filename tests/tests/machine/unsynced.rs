//! A disk that drops what was not synced, under both programs, and kill -9 at random moments.
//!
//! `unsynced.c` stands between program and disk; compiled here, with the compiler Rust needs too.
//! What a file of a state folder holds, seen from outside, is what was synced: so a marker found in
//! the agent's spool is one the agent may rely on, and one in an answer of the collector is one the
//! collector may. Every such marker must be in the change log in the end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use driftline_tests::edits::Dice;
use driftline_tests::process::{run, run_any};
use driftline_tests::programs;
use driftline_tests::wait;

use super::pair::{Pair, Who};

/// Writes `a`, syncs, writes `b`, and is killed.
const PROBE: &str = "#include <fcntl.h>\n#include <signal.h>\n#include <unistd.h>\n\
    int main(int count, char **words) {\n\
    int fd = open(words[1], O_CREAT | O_RDWR, 0600);\n\
    char seen[3] = \"\";\n\
    if (write(fd, \"a\", 1) != 1 || fsync(fd) || write(fd, \"b\", 1) != 1) return 1;\n\
    if (pread(fd, seen, 2, 0) != 2 || seen[1] != 'b') return 2;\n\
    raise(SIGKILL);\n}\n";

/// The shim as a library, proved to drop what is not synced and to show it until then.
fn shim(folder: &Path) -> anyhow::Result<PathBuf> {
    let source = programs::workspace().join("tests/tests/machine/unsynced.c");
    let (library, probe) = (folder.join("unsynced.so"), folder.join("probe"));
    let shown = |path: &Path| path.display().to_string();
    run(
        "cc",
        &["-Wall", "-Werror", "-O1", "-shared", "-fPIC", "-o", &shown(&library), &shown(&source)],
    )?;
    std::fs::write(folder.join("probe.c"), PROBE)?;
    run("cc", &["-o", &shown(&probe), &shown(&folder.join("probe.c"))])?;
    let file = folder.join("probed");
    let preload = format!("LD_PRELOAD={}", library.display());
    let under = format!("UNSYNCED_UNDER={}", folder.display());
    let ended = run_any("env", &[&preload, &under, &shown(&probe), &shown(&file)])?;
    anyhow::ensure!(ended.status.code().is_none(), "the probe saw {}", ended.status);
    anyhow::ensure!(std::fs::read(&file)? == b"a", "the shim lets unsynced writes through");
    Ok(library)
}

/// The markers of `written` that stand in the files of a folder.
fn standing(folder: &Path, written: &[String]) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending.to_string_lossy().ends_with("shm")) {
            continue;
        }
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        for marker in written {
            if bytes.windows(marker.len()).any(|window| window == marker.as_bytes()) {
                found.insert(marker.clone());
            }
        }
    }
    Ok(found)
}

#[test]
fn nothing_acknowledged_is_lost_on_a_disk_that_drops_unsynced_writes() -> anyhow::Result<()> {
    if !super::is_root("unsynced")? {
        return Ok(());
    }
    let seed = super::seed("unsynced")?;
    let mut dice = Dice::new(seed);
    let mut pair = Pair::new()?;
    let tree = pair.tree();
    let library = shim(tree.parent().context("a folder")?)?;
    for who in [Who::Agent, Who::Collector] {
        std::fs::create_dir_all(pair.state(who))?;
        let preload = format!("LD_PRELOAD={}", library.display());
        let under = format!("UNSYNCED_UNDER={}", pair.state(who).display());
        pair.environment.insert(who, vec![preload, under]);
    }
    let etc = pair.tree().join("etc");
    std::fs::write(etc.join("first.conf"), "first = marker-first\n")?;
    pair.start(Who::Collector)?;
    pair.start(Who::Agent)?;
    pair.wait_for("marker-first")?;
    let rounds = programs::count("DRIFTLINE_POWER_CUTS", 20)?;
    let (mut written, mut must) = (Vec::new(), BTreeSet::new());
    for round in 1..=rounds {
        let both = dice.below(4) == 0;
        let victim = if dice.below(2) == 0 { Who::Agent } else { Who::Collector };
        for part in 0..=dice.below(3) {
            let marker = format!("marker-{seed}-{round}-{part}-end");
            let text = format!("key = {marker}\n");
            std::fs::write(etc.join(format!("f{}.conf", dice.below(4))), text)?;
            written.push(marker);
            let moment = Duration::from_millis(dice.below(500));
            wait::while_quiet(moment, || Ok(None))?;
        }
        let recent = written.get(written.len().saturating_sub(30)..).unwrap_or_default();
        if let Ok(rows) = pair.changes() {
            let text = serde_json::to_string(&rows)?;
            must.extend(recent.iter().filter(|marker| text.contains(*marker)).cloned());
        }
        let victims = if both { vec![Who::Collector, Who::Agent] } else { vec![victim] };
        for who in &victims {
            pair.kill9(*who)?;
        }
        if victims.contains(&Who::Agent) {
            must.extend(standing(&pair.state(Who::Agent), recent)?);
        }
        for who in victims {
            pair.start(who)?;
        }
    }
    std::fs::write(etc.join("first.conf"), "first = marker-last\n")?;
    pair.wait_for("marker-last")?;
    let log = serde_json::to_string(&pair.changes()?)?;
    let lost: Vec<&String> = must.iter().filter(|marker| !log.contains(*marker)).collect();
    assert!(lost.is_empty(), "seed {seed}: relied on and lost: {lost:?}");
    pair.balanced()?;
    eprintln!("{rounds} power cuts, {} of {} markers relied on, 0 lost", must.len(), written.len());
    Ok(())
}
