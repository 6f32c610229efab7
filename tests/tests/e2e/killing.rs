//! kill -9 of either side at random moments: what was once seen stays seen, and what stands on disk
//! arrives.

use std::collections::BTreeSet;
use std::time::Duration;

use driftline_tests::edits::Dice;
use driftline_tests::programs;
use driftline_tests::wait::{self, PATIENCE};

use super::{HOST, one_host, seed};

#[test]
fn nothing_observed_is_lost_by_killing_either_side() -> anyhow::Result<()> {
    let seed = seed("killing")?;
    let (mut fleet, root) = one_host()?;
    let mut dice = Dice::new(seed);
    let rounds = programs::count("DRIFTLINE_KILLS", 200)?;
    // The judge's list: what each file must say in the end, and which markers the collector once
    // showed.
    let mut written: Vec<String> = Vec::new();
    let mut shown: BTreeSet<String> = BTreeSet::new();
    for round in 1..=rounds {
        let victim = if dice.below(2) == 0 { HOST } else { programs::COLLECTOR };
        let marker = format!("marker-{seed}-{round}-end");
        let file = root.join(format!("etc/round-{}.conf", round % 20));
        std::fs::write(&file, format!("key = {marker}\n"))?;
        written.push(marker);
        // A moment somewhere between the save and well after its acknowledgement; ends early when
        // it is seen.
        let moment = Duration::from_millis(dice.below(400));
        wait::while_quiet(moment, || Ok(None))?;
        if let Ok(rows) = fleet.changes(HOST, 200) {
            let text = serde_json::to_string(&rows)?;
            shown.extend(written.iter().rev().take(40).filter(|m| text.contains(*m)).cloned());
        }
        fleet.take(victim)?.kill9()?;
        fleet.start_again(victim)?;
    }
    for marker in written.iter().rev().take(20) {
        fleet.wait_for(HOST, marker)?;
    }
    let history = serde_json::to_string(&fleet.changes(HOST, 10_000)?)?;
    let lost: Vec<&String> = shown.iter().filter(|marker| !history.contains(*marker)).collect();
    assert!(lost.is_empty(), "seed {seed}: shown once and gone: {lost:?}");
    wait::until("the ledger balances", PATIENCE, || {
        Ok((fleet.metric("driftline_ledger_imbalance", &[])? == 0.0).then_some(()))
    })?;
    // What a kill takes back after it was acknowledged looks to the collector like a restored
    // store, and is healed as one; but here nobody restored anything.
    let restored = fleet.metric("driftline_events_total", &["kind=\"store_restored\""])?;
    assert_eq!(restored, 0.0, "seed {seed}: something acknowledged was not durable");
    eprintln!("{rounds} kills, {} markers shown in between, 0 lost, seed {seed}", shown.len());
    Ok(())
}

/// Between two looks only the newest state need be seen; but what was seen once must arrive once,
/// not twice.
#[test]
fn a_version_sent_twice_is_one_change() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    for round in 0..10 {
        let marker = format!("marker-once-{round}-end");
        std::fs::write(root.join(format!("etc/once-{round}.conf")), format!("key = {marker}\n"))?;
        fleet.take(programs::COLLECTOR)?.kill9()?;
        fleet.start_again(programs::COLLECTOR)?;
        fleet.wait_for(HOST, &marker)?;
    }
    let rows = fleet.changes(HOST, 10_000)?;
    for round in 0..10 {
        let marker = format!("marker-once-{round}-end");
        let times = rows.iter().filter(|row| row["change"]["after"].to_string().contains(&marker));
        assert_eq!(times.count(), 1, "{marker} is in the history more or less than once");
    }
    Ok(())
}
