//! What is packaged is what the programs say: the sample configurations are theirs, to the letter.

use std::path::Path;

#[track_caller]
fn check(file: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/config").join(file);
    let packaged = std::fs::read_to_string(&path).expect("the sample is packaged");
    assert_eq!(packaged, generated, "write the program's sample to packaging/config/{file} again");
}

#[test]
fn the_packaged_samples_are_the_programs_own() {
    check("agent.toml", &driftline_agent::config::sample());
    check("collector.toml", driftline_collector::config::sample());
}
