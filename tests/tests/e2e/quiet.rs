//! Quiet is quiet: nothing happens on the host, so nothing is said of it.

use std::path::Path;
use std::time::Duration;

use driftline_tests::fleet::Fleet;
use driftline_tests::programs;
use driftline_tests::wait::{self, PATIENCE};

use super::{HOST, one_host};

/// A heartbeat of a test agent and some, and time for many looks at a file that is saved all the
/// time.
const QUIET: Duration = Duration::from_secs(programs::HEARTBEAT_SECONDS as u64 + 2);

/// Saves the file again and again with the words it has, so that there is something to look at,
/// and nothing to say.
fn stays_quiet(fleet: &Fleet, root: &Path, before: f64) -> anyhow::Result<()> {
    let file = root.join("etc/app.conf");
    let words = std::fs::read(&file)?;
    wait::while_quiet(QUIET, || {
        std::fs::write(root.join("etc/app.conf.swp"), &words)?;
        std::fs::rename(root.join("etc/app.conf.swp"), &file)?;
        let now = fleet.metric("driftline_changes_total", &[])?;
        Ok(((now - before).abs() > 0.5).then(|| format!("{before} changes became {now}")))
    })
}

#[test]
fn a_restart_of_either_side_changes_nothing() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    std::fs::write(root.join("etc/app.conf"), "first = marker-second\n")?;
    fleet.wait_for(HOST, "marker-second")?;
    let before = fleet.metric("driftline_changes_total", &[])?;
    assert!(before > 0.5, "the edit before the silence was not counted");
    stays_quiet(&fleet, &root, before)?;
    for who in [HOST, programs::COLLECTOR] {
        fleet.take(who)?.stop()?;
        fleet.start_again(who)?;
        stays_quiet(&fleet, &root, before)?;
        fleet.take(who)?.kill9()?;
        fleet.start_again(who)?;
        stays_quiet(&fleet, &root, before)?;
    }
    Ok(())
}

#[test]
fn a_file_that_cannot_be_read_is_neither_gone_nor_changed() -> anyhow::Result<()> {
    let (fleet, root) = one_host()?;
    let file = root.join("etc/app.conf");
    let before = fleet.metric("driftline_changes_total", &[])?;
    // 8 MB of it pass the bound of a readable file: the same blindness for root and everybody else.
    let whole = std::fs::read(&file)?;
    let mut large = whole.clone();
    large.resize(8 * 1024 * 1024, b'#');
    std::fs::write(&file, &large)?;
    wait::until("the blindness is counted", PATIENCE, || {
        let blind = fleet.metric("driftline_parts_unobserved", &["too_large"])?;
        Ok((blind > 0.5).then_some(()))
    })?;
    let removed = fleet.metric("driftline_changes_total", &["kind=\"removed\""])?;
    assert!(removed < 0.5, "what could not be read was called removed");
    std::fs::write(&file, &whole)?;
    wait::until("sight comes back", PATIENCE, || {
        let blind = fleet.metric("driftline_parts_unobserved", &["too_large"])?;
        Ok((blind < 0.5).then_some(()))
    })?;
    stays_quiet(&fleet, &root, before)
}
