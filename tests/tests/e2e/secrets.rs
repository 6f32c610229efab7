//! Only redacted data leaves the host: a value that must not be held is nowhere but in its file.

use std::path::Path;

use driftline_tests::http;
use driftline_tests::programs::COLLECTOR;
use driftline_tests::wait::{self, PATIENCE};

use super::{HOST, one_host};

/// What a password looks like; two, so that its rotation is seen.
const CANARIES: [&str; 2] = ["canary-Xq7-Tr4ub4dor", "canary-Zk9-c0rrecth0rse"];

#[test]
fn a_password_stays_on_its_host() -> anyhow::Result<()> {
    let (fleet, root) = one_host()?;
    let file = root.join("etc/database.ini");
    for (round, canary) in CANARIES.iter().enumerate() {
        let text = format!("[db]\nround = marker-{round}-end\npassword = {canary}\n");
        std::fs::write(&file, text)?;
        let marker = format!("marker-{round}-end");
        wait::until("the file arrives", PATIENCE, || {
            Ok(fleet.changes_of(HOST, &file)?.contains(&marker).then_some(()))
        })?;
    }
    let changes = fleet.changes_of(HOST, &file)?;
    assert!(changes.contains("password"), "the rotation of a password is not seen: {changes}");
    let page = http::get_ok(fleet.address(), &format!("/hosts/{HOST}"))?.text();
    let metrics = http::get_ok(fleet.address(), "/metrics")?.text();
    let said = [page, metrics, changes, fleet.snapshot(HOST)?];
    for canary in CANARIES {
        assert!(!said.iter().any(|text| text.contains(canary)), "a password left its host");
        for place in [fleet.state(HOST), fleet.state(COLLECTOR), fleet.log(HOST)] {
            assert!(!holds(&place, canary)?, "a password is in {}", place.display());
        }
    }
    Ok(())
}

/// Whether a file, or a file below a folder, holds this text.
pub(crate) fn holds(place: &Path, text: &str) -> anyhow::Result<bool> {
    if place.is_dir() {
        for entry in std::fs::read_dir(place)? {
            if holds(&entry?.path(), text)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    // A file of SQLite may go while its folder is read.
    let bytes = std::fs::read(place).unwrap_or_default();
    Ok(bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}
