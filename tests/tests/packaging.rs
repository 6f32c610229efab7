//! What is packaged is what the programs say: the sample configurations are theirs, to the letter,
//! and services are started by commands there are.

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

#[test]
fn launchd_is_told_a_command_that_the_agent_knows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = path.join("../packaging/macos/io.driftline.agent.plist");
    let bytes = std::fs::read(path).expect("the property list is packaged");
    let items = (driftline_agent::formats::plist::FORMAT.read)(&bytes).expect("it is one");
    let shown: Vec<String> =
        items.iter().map(|(key, item)| format!("{key} {:?}", item.value)).collect();
    let has = |text: &str| shown.iter().any(|line| line.contains(text));
    assert!(has("Label Text(\"io.driftline.agent\")"), "{shown:?}");
    assert!(has("Text(\"run\"), Text(\"--config\")"), "{shown:?}");
    assert!(has("KeepAlive/SuccessfulExit Flag(false)"), "{shown:?}");
}
