//! What is packaged is what the programs say: the sample configurations are theirs, to the letter,
//! services are started by commands there are, and what is installed together speaks of the same.

use std::collections::BTreeSet;

use driftline_agent::platform::System;
use driftline_agent::sources::{Chosen, Source, all, files, running};
use driftline_collector::metrics::table::{SOURCES, source_label};
use driftline_tests::programs::workspace;

#[track_caller]
fn check(file: &str, generated: &str) {
    let path = workspace().join("packaging/config").join(file);
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write(&path, generated).expect("the sample can be written");
    }
    let packaged = std::fs::read_to_string(&path).expect("the sample is packaged");
    assert_eq!(packaged, generated, "{file} is old; run the tests once with UPDATE_PAGES=1");
}

#[test]
fn the_packaged_samples_are_the_programs_own() {
    check("agent.toml", &driftline_agent::config::sample());
    check("collector.toml", driftline_collector::config::sample());
}

#[test]
fn launchd_is_told_a_command_that_the_agent_knows() {
    let path = workspace().join("packaging/macos/io.driftline.agent.plist");
    let bytes = std::fs::read(path).expect("the property list is packaged");
    let items = (driftline_agent::formats::plist::FORMAT.read)(&bytes).expect("it is one");
    let shown: Vec<String> =
        items.iter().map(|(key, item)| format!("{key} {:?}", item.value)).collect();
    let has = |text: &str| shown.iter().any(|line| line.contains(text));
    assert!(has("Label Text(\"io.driftline.agent\")"), "{shown:?}");
    assert!(has("Text(\"run\"), Text(\"--config\")"), "{shown:?}");
    assert!(has("KeepAlive/SuccessfulExit Flag(false)"), "{shown:?}");
}

/// What stands behind `field: ` in a line of a package's list.
fn field<'a>(line: &'a str, field: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("{field}: "))?;
    rest.split([',', '}']).next().filter(|_| line.trim_start().starts_with("- {"))
}

/// `packaging/build` writes the pages; a test of the command holds each against what the program
/// declares.
#[test]
fn every_packaged_program_comes_with_its_manual_page() {
    let read = |path: &str| std::fs::read_to_string(workspace().join(path)).expect(path);
    let build = read("packaging/build");
    for (package, page) in [
        ("agent", "driftline-agent.8"),
        ("collector", "driftline-collector.8"),
        ("command", "driftline.1"),
    ] {
        let list = read(&format!("packaging/nfpm/{package}.yaml"));
        let installed: BTreeSet<&str> =
            list.lines().filter_map(|line| field(line, "dst")).collect();
        let (program, section) = page.split_once('.').expect("a page has a section");
        assert!(installed.contains(format!("/usr/bin/{program}").as_str()), "{installed:?}");
        let place = format!("/usr/share/man/man{section}/{page}.gz");
        assert!(installed.contains(place.as_str()), "{place} is not among {installed:?}");
        assert!(list.contains(&format!("/{page}.gz\", dst: {place}")), "{package} packs {page}");
        assert!(build.contains(&format!(" {page}")), "packaging/build writes {page}");
    }
}

/// The names of sources.
fn names(sources: &[Box<dyn Source>]) -> BTreeSet<String> {
    sources.iter().map(|source| source.name().to_string()).collect()
}

#[test]
fn the_collector_knows_every_source_of_an_agent_by_name_and_no_other() {
    let mut of_agents = BTreeSet::new();
    for system in [System::Unix, System::Windows] {
        let files = files::Config::of(system);
        let chosen = Chosen { files: &files, certificates: &[] };
        of_agents.extend(names(&all(system, &chosen).expect("the built-in patterns are patterns")));
    }
    let everything = "\
        [runtime]\n\
        asterisk = { address = \"127.0.0.1:1\", user = \"a\", secret_file = \"/a\" }\n\
        freeswitch = { address = \"127.0.0.1:2\", secret_file = \"/b\" }\n\
        [[probes.targets]]\n\
        service = \"s\"\nhop = \"h\"\nkind = \"tcp\"\naddress = \"127.0.0.1:3\"\n";
    let config: driftline_agent::config::Config =
        toml::from_str(everything).expect("every source that must be configured is");
    of_agents.extend(names(&running(&config.runtime, &config.probes)));
    let labels: BTreeSet<String> = SOURCES.iter().map(ToString::to_string).collect();
    of_agents.insert("other".to_owned());
    assert_eq!(labels, of_agents, "collector/src/metrics/table.rs lists the sources of agents");
    for source in &of_agents {
        assert_eq!(source_label(source), source, "its label value");
    }
}
