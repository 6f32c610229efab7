//! A source that costs its host too much is stopped, and everybody can see which and why.

use driftline_tests::wait::{self, PATIENCE};

use super::{HOST, one_host};

/// More than the least budget for reading, in files that may each be read.
const FILES: usize = 3;
const FILE_BYTES: usize = 2 * 1024 * 1024;

#[test]
fn a_source_over_its_budget_is_stopped_named_and_takes_nothing_away() -> anyhow::Result<()> {
    let (mut fleet, root) = one_host()?;
    let own = fleet.folder().join("agent.d");
    std::fs::create_dir_all(&own)?;
    std::fs::write(own.join("budget.toml"), "[budget]\nread_bytes = 4194304\n")?;
    fleet.take(HOST)?.stop()?;
    for file in 0..FILES {
        // No large file is like another, or one look would be enough.
        let line = format!("key = {file}\n");
        let text = line.repeat(FILE_BYTES / line.len());
        std::fs::write(root.join(format!("etc/large-{file}.conf")), text)?;
    }
    fleet.start_agent(HOST)?;
    wait::until("the source is named", PATIENCE, || {
        let over = fleet.metric("driftline_source_over_budget", &["source=\"files\""])?;
        Ok((over > 0.5).then_some(()))
    })?;
    let success = fleet.metric("driftline_source_success", &["source=\"files\""])?;
    assert!(success < 0.5, "a source that was stopped did not come to its end");
    let page = fleet.page(&format!("/hosts/{HOST}"))?;
    for told in ["was stopped", "read_bytes", "more reading"] {
        assert!(page.contains(told), "the portal does not say {told}: {page}");
    }
    // Its blindness takes nothing away, and ends with its cause.
    let removed = fleet.metric("driftline_changes_total", &["kind=\"removed\""])?;
    assert!(removed < 0.5, "what was not read was called removed");
    fleet.take(HOST)?.stop()?;
    std::fs::remove_file(own.join("budget.toml"))?;
    fleet.start_agent(HOST)?;
    wait::until("the source is whole again", PATIENCE, || {
        let over = fleet.metric("driftline_source_over_budget", &["source=\"files\""])?;
        let success = fleet.metric("driftline_source_success", &["source=\"files\""])?;
        Ok((over < 0.5 && success > 0.5).then_some(()))
    })?;
    let memory = fleet.metric("driftline_agent_memory_bytes", &[])?;
    assert!(memory > 1e6, "the agent tells of {memory} bytes");
    Ok(())
}
