//! The pages of the manual that follow from the registries: `docs/sources.md`, `docs/formats.md`.
//!
//! The code is the original. A page that differs fails its test; `UPDATE_PAGES=1` writes it anew.

use std::fmt::Write;
use std::path::Path;

use crate::formats;
use crate::platform::System;
use crate::sources::files;

const SOURCES: &str = "\
# Sources

What the agent reads, one section for each source. `[sources] enable` in `agent.toml` names those
that run; all run where nothing is said. This page is made from the code.

| source | domain | parts | what is ordered | version |
|---|---|---|---|---|
";

const WINDOWS: &str = "
## On Windows

See [windows.md](windows.md) for how they are read. The servers and probes above are asked there as
well.

| source | domain | parts |
|---|---|---|
";

const LEFT_OUT: &str = "
## What `files` leaves out

Where `[files] exclude` says nothing; a list of your own replaces this one. All of it changes by
itself, or repeats what is read elsewhere.

";

const FORMATS: &str = "\
# Formats

How the `files` source reads a file. The first format of this list that claims a file reads it;
comments, white space and order that means nothing are no change. A file with binary content is
reported as one digest. This page is made from the code.

| format | what is ordered | version |
|---|---|---|
";

/// Compares a page with the file in `docs`; with `UPDATE_PAGES` set, writes it instead.
#[track_caller]
fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "docs/{name} is old; run the tests once with UPDATE_PAGES=1");
}

#[test]
fn the_page_of_sources_is_what_the_code_says() {
    let mut page = SOURCES.to_owned();
    let reading = super::defaults(System::Unix);
    let everything = "[runtime.asterisk]\naddress = '127.0.0.1:1'\nsecret_file = '/s'\n\
        [runtime.freeswitch]\naddress = '127.0.0.1:1'\nsecret_file = '/s'\n[[probes.targets]]\n\
        service = 's'\nhop = 'h'\nkind = 'tcp'\naddress = 'a:1'\n";
    let config: crate::config::Config = toml::from_str(everything).unwrap();
    for source in reading.into_iter().chain(super::running(&config.runtime, &config.probes)) {
        let (name, manual) = (source.name(), source.manual());
        assert!(!manual.parts.is_empty() && !manual.ordered.is_empty(), "{name} says nothing");
        let version = match manual.version {
            0 => "of its format".to_owned(),
            version => version.to_string(),
        };
        let (domain, parts, ordered) = (source.domain(), manual.parts, manual.ordered);
        writeln!(page, "| `{name}` | {domain} | {parts} | {ordered} | {version} |").unwrap();
    }
    page.push_str(WINDOWS);
    for source in super::defaults(System::Windows) {
        let (name, domain, manual) = (source.name(), source.domain(), source.manual());
        let parts = manual.parts;
        writeln!(page, "| `{name}` | {domain} | {parts} |").unwrap();
    }
    page.push_str(LEFT_OUT);
    for pattern in files::Config::default().exclude {
        writeln!(page, "- `{pattern}`").unwrap();
    }
    compare("sources.md", &page);
}

#[test]
fn the_page_of_formats_is_what_the_code_says() {
    let mut page = FORMATS.to_owned();
    for format in formats::ALL {
        let (name, ordered, version) = (format.name, format.ordered, format.version);
        writeln!(page, "| `{name}` | {ordered} | {version} |").unwrap();
    }
    compare("formats.md", &page);
}
