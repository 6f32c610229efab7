//! Disks that are full, or that gave back something else than they were given.

use std::path::Path;

use driftline_tests::process::run;
use driftline_tests::programs::{self, COLLECTOR};
use driftline_tests::wait::{self, PATIENCE};

use super::{HOST, one_host};

fn balanced(fleet: &driftline_tests::fleet::Fleet) -> anyhow::Result<()> {
    wait::until("the ledger balances", PATIENCE, || {
        Ok((fleet.metric("driftline_ledger_imbalance", &[])? == 0.0).then_some(()))
    })
}

#[test]
fn what_was_seen_while_the_collector_was_away_arrives() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    fleet.take(COLLECTOR)?.kill9()?;
    for round in 0..5 {
        let kept = fleet.kept(HOST)?;
        let marker = format!("marker-away-{round}-end");
        std::fs::write(root.join(format!("etc/away-{round}.conf")), format!("key = {marker}\n"))?;
        wait::until("the agent keeps it", PATIENCE, || {
            Ok((fleet.kept(HOST)? > kept).then_some(()))
        })?;
    }
    // Then the agent is killed too: what it saw is on its disk or nowhere.
    fleet.take(HOST)?.kill9()?;
    std::fs::remove_file(root.join("etc/away-2.conf"))?;
    fleet.start_collector()?;
    fleet.start_agent(HOST)?;
    wait::until("what was seen and is gone again is in the history", PATIENCE, || {
        let rows = serde_json::to_string(&fleet.changes(HOST, 1_000)?)?;
        Ok((0..5).all(|n| rows.contains(&format!("marker-away-{n}-end"))).then_some(()))
    })?;
    balanced(&fleet)
}

#[test]
fn a_damaged_spool_repairs_itself_and_says_what_it_lost() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    for (round, keep) in [0, 1, 100, 4_096, 10_000].into_iter().enumerate() {
        fleet.take(HOST)?.kill9()?;
        let spool = fleet.state(HOST).join(programs::SPOOL);
        let bytes = std::fs::read(&spool)?;
        std::fs::write(&spool, bytes.get(..keep.min(bytes.len())).unwrap_or_default())?;
        fleet.start_agent(HOST)?;
        let marker = format!("marker-damaged-{round}-end");
        std::fs::write(root.join("etc/app.conf"), format!("first = {marker}\n"))?;
        fleet.wait_for(HOST, &marker)?;
    }
    balanced(&fleet)
}

#[test]
fn a_full_disk_stops_neither_side_for_good() -> anyhow::Result<()> {
    if run("id", &["-u"])?.trim() != "0" {
        eprintln!("not root: no small file system to fill; nothing was tried");
        return Ok(());
    }
    for who in [HOST, COLLECTOR] {
        let (mut fleet, root) = one_host()?;
        fleet.take(who)?.stop()?;
        let mount = Mount::over(&fleet.state(who))?;
        fleet.start_again(who)?;
        let filler = fleet.state(who).join("filler");
        // Fill it to the last byte; dd ends with an error then, as it should.
        drop(run("dd", &["if=/dev/zero", &format!("of={}", filler.display()), "bs=4096"]));
        for round in 0..20 {
            let text = format!("key = marker-full-{round}-end\n").repeat(200);
            std::fs::write(root.join(format!("etc/full-{round}.conf")), text)?;
        }
        // Either side may refuse and be restarted by its supervisor; neither may be damaged.
        std::fs::remove_file(&filler)?;
        let restarts = fleet.wait_for_supervised(HOST, "marker-full-19-end")?;
        eprintln!("{who} on a full disk: {restarts} restarts");
        balanced(&fleet)?;
        drop(fleet.take(who)?);
        drop(mount);
    }
    Ok(())
}

/// A file system of 8 MB over a folder, holding what the folder held.
struct Mount(String);

impl Mount {
    fn over(folder: &Path) -> anyhow::Result<Self> {
        let place = folder.display().to_string();
        let aside = format!("{place}.aside");
        run("cp", &["-a", &place, &aside])?;
        run("mount", &["-t", "tmpfs", "-o", "size=8m", "tmpfs", &place])?;
        let mount = Self(place.clone());
        run("cp", &["-a", &format!("{aside}/."), &place])?;
        Ok(mount)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(run("umount", &["-l", &self.0]));
    }
}
