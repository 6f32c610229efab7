//! Quiet is quiet: a copy of this machine's own `/etc`, with its nightly jobs forced to run.
//!
//! Longer runs are by hand: `DRIFTLINE_QUIET_ROUNDS` repeats jobs, restarts and silence.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use driftline_tests::process::{run, run_any};
use driftline_tests::programs;
use driftline_tests::wait;

use super::pair::{Pair, Who};

/// More than a heartbeat, and much more than an agent needs to tell of a change.
const SILENCE: Duration = Duration::from_secs(7);

/// What the jobs write to besides `/etc`; copied, since they are to leave the machine alone.
const PLACES: [&str; 7] = [
    "etc",
    "var/lib/dpkg",
    "var/lib/apt",
    "var/lib/logrotate",
    "var/cache/apt",
    "usr/lib/systemd",
    "usr/share/polkit-1",
];

pub(super) fn copy_machine(tree: &Path) -> anyhow::Result<()> {
    for place in PLACES {
        let inside = tree.join(place);
        std::fs::create_dir_all(&inside)?;
        let from = format!("/{place}/.");
        if Path::new(&from).is_dir() {
            run("cp", &["-a", "--reflink=auto", &from, &inside.display().to_string()])?;
        }
    }
    // Something to rotate, in the place of logs that are not ours.
    std::fs::create_dir_all(tree.join("var/log/apt"))?;
    for log in ["dpkg.log", "alternatives.log", "apt/term.log", "apt/history.log", "wtmp", "btmp"] {
        std::fs::write(tree.join("var/log").join(log), "a line\n")?;
    }
    Ok(())
}

/// Runs what cron would run tonight, without network, in the agent's own namespace. Says what ran.
pub(super) fn nightly(pair: &Pair) -> anyhow::Result<Vec<&'static str>> {
    let pid = pair.pid(Who::Agent)?;
    let jobs = [
        ("/usr/sbin/logrotate", "logrotate -f /etc/logrotate.conf"),
        ("/usr/lib/apt/apt.systemd.daily", "/usr/lib/apt/apt.systemd.daily update"),
        ("/usr/lib/apt/apt.systemd.daily", "/usr/lib/apt/apt.systemd.daily install"),
        ("/usr/bin/apt-get", "apt-get update"),
        ("/usr/bin/dpkg", "dpkg --configure -a"),
    ];
    let mut ran = Vec::new();
    for (program, job) in jobs {
        if Path::new(program).exists() {
            // Without network an update fails, which is as quiet as one that finds nothing.
            let words = ["-t", &pid, "-m", "timeout", "60", "unshare", "-n", "sh", "-c", job];
            drop(run_any("nsenter", &words).with_context(|| job)?);
            ran.push(job);
        }
    }
    Ok(ran)
}

fn silent(pair: &mut Pair, what: &str) -> anyhow::Result<()> {
    silent_for(SILENCE, pair, what)
}

/// Fails as soon as a change of meaning is told within `span`.
pub(super) fn silent_for(span: Duration, pair: &mut Pair, what: &str) -> anyhow::Result<()> {
    wait::while_quiet(span, || {
        let changes = pair.semantic()?;
        Ok((changes > 0.5).then(|| {
            let rows = pair.changes().unwrap_or_default();
            format!("{what}: {changes} changes: {:?}", rows.get(..5.min(rows.len())))
        }))
    })
}

#[test]
fn nightly_jobs_and_restarts_change_nothing() -> anyhow::Result<()> {
    if !super::is_root("quiet")? {
        return Ok(());
    }
    let mut pair = Pair::new()?;
    copy_machine(&pair.tree())?;
    // What is not on this machine cannot be laid over.
    let is_here = |place: &&str| Path::new("/").join(place).is_dir();
    pair.binds = PLACES.into_iter().chain(["var/log"]).filter(is_here).collect();
    pair.configure_agent("\"files\", \"packages\", \"services\", \"accounts\", \"login_policy\"")?;
    std::fs::write(pair.tree().join("etc/first.conf"), "first = marker-first\n")?;
    pair.start(Who::Collector)?;
    pair.start(Who::Agent)?;
    pair.wait_for("marker-first")?;
    wait::while_quiet(SILENCE, || Ok(None))?;
    let rounds = programs::count("DRIFTLINE_QUIET_ROUNDS", 1)?;
    for _ in 0..rounds {
        let ran = nightly(&pair)?;
        silent(&mut pair, &format!("{ran:?}"))?;
        for who in [Who::Agent, Who::Collector] {
            pair.stop(who)?;
            pair.start(who)?;
            silent(&mut pair, &format!("restart of {who:?}"))?;
            pair.kill9(who)?;
            pair.start(who)?;
            silent(&mut pair, &format!("kill of {who:?}"))?;
        }
        eprintln!("0 changes after {ran:?} and four restarts");
    }
    // Deafness would pass as silence.
    std::fs::write(pair.tree().join("etc/first.conf"), "first = marker-heard\n")?;
    pair.wait_for("marker-heard")?;
    assert!((pair.semantic()? - 1.0).abs() < 0.5, "one edit is one change");
    Ok(())
}
