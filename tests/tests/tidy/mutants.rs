//! Who judges the judge: a small tidy tree, and one way to offend against each check.

use super::offences;
use super::tree::Tree;

const WIRE: &str = "//! Wire.
//! POST /a EnrolRequest -> EnrolAnswer
//! POST /b Heartbeat -> HeartbeatAnswer
//! POST /c PartsUpload -> PartsAnswer
//! POST /d Report -> ReportAnswer
pub const PROTOCOL_VERSION: u32 = 1;
";
const ALERT: &str = "      - alert: DriftlineSilent
        expr: driftline_up == 0
        labels:
          severity: warning
        annotations:
          summary: s
          description: d
          runbook_url: \"{{ $labels.url }}/runbooks/DriftlineSilent\"
          portal_url: \"{{ $labels.url }}\"
";
const ALERT_TESTS: &str = "alert_rule_test:
  - alertname: DriftlineSilent
    exp_alerts:
      - exp_labels: {severity: warning}
  - alertname: DriftlineSilent
    exp_alerts: []
";
const MEMBER: &str = "[package]\nname = \"m\"\n[lints]\nworkspace = true\n[dependencies]\n";
const MESSAGES: [&str; 9] = [
    "enrol_request",
    "enrol_answer",
    "heartbeat",
    "heartbeat_answer",
    "parts_upload",
    "parts_answer",
    "report",
    "report_answer",
    "problem",
];

/// The smallest tree in which every check has something to look at and nothing to say.
fn tidy() -> Tree {
    let mut tree = Tree::default();
    for page in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE"] {
        tree.put(page, "Text, with a [link](README.md) to `os` and `metrics`.\n");
    }
    tree.put("CONTRIBUTING.md", "Add a source. Add a format. Add a rule. Add an alert.\n");
    tree.put("protocol/Cargo.toml", MEMBER);
    tree.put("agent/Cargo.toml", format!("{MEMBER}driftline-protocol.workspace = true\n"));
    tree.put("protocol/src/wire.rs", WIRE);
    let pure = "//! Pure.\n#![deny(clippy::disallowed_methods, reason = \"pure\")]\n";
    tree.put("protocol/src/lib.rs", format!("{pure}pub mod wire;\npub mod mutant;\n"));
    for message in MESSAGES {
        tree.put(&format!("protocol/golden/v1/{message}.json"), "{}");
    }
    tree.put(
        "agent/src/lib.rs",
        "//! Agent.\nmod sources;\nmod formats;\nmod metrics;\nmod run;\n",
    );
    let machine =
        "#![cfg_attr(\n    not(test),\n    deny(clippy::disallowed_methods, reason = \"r\")\n)]\n";
    let list = format!("//! List.\n{machine}mod os;\nfn all() {{ os::new() }}\n");
    tree.put("agent/src/sources.rs", list);
    let fault = "//! Faults.\nmutants! {\n    /// Doc.\n    Deaf,\n}\n";
    tree.put("protocol/src/mutant.rs", fault);
    tree.put("agent/src/run.rs", "//! Run.\nfn f() { active(Mutant::Deaf) }\n");
    tree.put("tests/tests/e2e/main.rs", "//! Tests.\nmod mutants;\n");
    tree.put("tests/tests/e2e/mutants.rs", "//! Rows.\nconst R: X = (\"a\", \"deaf\", \"t\");\n");
    tree.put("agent/src/sources/os.rs", "//! Os.\nimpl Source for Os {}\n");
    tree.put("agent/src/formats.rs", format!("{pure}mod ini;\nstatic A: X = [ini::INI];\n"));
    let ini = "//! Ini.\npub const INI: Format = Format {};\n#[cfg(test)]\nmod tests {}\n";
    tree.put("agent/src/formats/ini.rs", ini);
    tree.put("fuzz/fuzz_targets/ini.rs", "//! Fuzz.\nuse formats::ini::INI;\n");
    tree.put("fuzz/Cargo.toml", "[[bin]]\npath = \"fuzz_targets/ini.rs\"\n");
    tree.put("agent/src/metrics.rs", "//! Names.\nconst UP: &str = \"driftline_up\";\n");
    tree.put("collector/src/lib.rs", "//! Collector.\npub mod metrics;\n");
    tree.put("collector/src/metrics.rs", "//! Metrics.\nmod table;\n");
    tree.put("collector/src/metrics/table.rs", "//! Labels.\nconst S: [&str; 1] = [\"os\"];\n");
    tree.put("docs/metrics.md", "| `driftline_up` | help |\n");
    tree.put("docs/sources.md", "| `os` |\n");
    tree.put("docs/formats.md", "| `ini` |\n");
    tree.put("rules/prometheus/a.yaml", ALERT);
    tree.put("rules/prometheus/tests/a.yaml", ALERT_TESTS);
    let headings = "## Meaning\n## Impact\n## Diagnosis\n## Mitigation\n";
    tree.put("docs/runbooks/DriftlineSilent.md", headings);
    tree
}

fn check(check: &str, offend: impl FnOnce(&mut Tree)) {
    let mut tree = tidy();
    offend(&mut tree);
    let found = offences(&tree);
    let checks: Vec<&str> = found.iter().map(|offence| offence.check).collect();
    assert_eq!(checks, [check], "{found:#?}");
    assert!(found.iter().all(|o| !o.why.is_empty() && !o.cure.is_empty() && !o.place.is_empty()));
}

fn add(path: &'static str, text: impl Into<String>) -> impl FnOnce(&mut Tree) {
    move |tree| tree.put(path, text)
}

fn append(path: &'static str, text: impl Into<String>) -> impl FnOnce(&mut Tree) {
    move |tree| {
        let before = tree.get(path).unwrap().to_string();
        tree.put(path, before + &text.into());
    }
}

fn replace(path: &'static str, from: &'static str, to: &'static str) -> impl FnOnce(&mut Tree) {
    move |tree| {
        let before = tree.get(path).unwrap().to_string();
        assert!(before.contains(from), "{path} does not say {from}");
        tree.put(path, before.replacen(from, to, 1));
    }
}

fn remove(path: &'static str) -> impl FnOnce(&mut Tree) {
    move |tree| tree.remove(path)
}

#[test]
fn a_tidy_tree_has_no_offence() {
    assert_eq!(offences(&tidy()), []);
}

#[test]
fn every_page_offence_is_found() {
    let code = "agent/src/lib.rs";
    check("long_file", append(code, "x();\n".repeat(500)));
    // What is only for tests, and stands above the page's own code, hides nothing of it.
    let seam = "#[cfg(test)]\nmod tests;\n#[cfg(test)]\nthread_local! {}\n";
    check("long_file", append(code, format!("{seam}{}", "x();\n".repeat(500))));
    check("wide_line", append(code, format!("// {}\n", "ä".repeat(98))));
    check("no_header", replace(code, "//! ", "// "));
    check("leftover", append(code, ["// FIX", "ME later\n"].concat()));
    check("leftover", append(code, ["db", "g!(x)\n"].concat()));
    check("leftover", append(code, ["#[ign", "ore]\n"].concat()));
    check("unsafe_elsewhere", append(code, ["#[allow(unsafe", "_code)]\n"].concat()));
    check("leftover", append("README.md", ["TO", "DO: write\n"].concat()));
    check(
        "sleeping_test",
        append(code, ["#[cfg(test)]\nmod tests {\nsle", "ep(x);\n}\n"].concat()),
    );
    check("unnamed_module", add("agent/src/sources/stray.rs", "//! Stray.\n"));
    let claimed = "<!-- measured -->\n| ours | best |\n<!-- end of what was measured -->\n";
    check("unmeasured_row", append("README.md", claimed));
}

#[test]
fn what_is_allowed_is_not_an_offence() {
    let mut tree = tidy();
    let long_tests = format!("#[cfg(test)]\n#[cfg(unix)]\nmod a {{\n{}}}\n", "x();\n".repeat(600));
    append("agent/src/lib.rs", long_tests)(&mut tree);
    append("agent/src/sources.rs", ["// TO", "DO(#12): later\n"].concat())(&mut tree);
    append("agent/src/sources/os.rs", "let hostile = \"../../../../etc/passwd\";\n")(&mut tree);
    append("protocol/src/wire.rs", ["// the net", "work/", " is fine\n"].concat())(&mut tree);
    assert_eq!(offences(&tree), []);
}

#[test]
fn every_crate_offence_is_found() {
    check("arrows", append("agent/Cargo.toml", "driftline-collector.workspace = true\n"));
    check("arrows", append("protocol/Cargo.toml", "driftline-agent = { workspace = true }\n"));
    check("versions_in_one_place", append("agent/Cargo.toml", "serde = \"1\"\n"));
    check("versions_in_one_place", replace("agent/Cargo.toml", "[lints]\nworkspace = true\n", ""));
    check("pure_headers", replace("agent/src/formats.rs", "disallowed_methods", "x"));
    check("pure_headers", replace("agent/src/sources.rs", "disallowed_methods", "x"));
    let read = ["x.read_to_", "end(&mut all);\n"].concat();
    check("unbounded", append("agent/src/run.rs", ["#[cfg(test)]\nmod tests;\n", &read].concat()));
    check("unbounded", append("agent/src/run.rs", read));
}

#[test]
fn every_metric_offence_is_found() {
    check("unknown_metric", add("dashboards/x.json", "{\"expr\": \"sum(driftline_upp)\"}"));
    check("unwritten_metric", append("agent/src/metrics.rs", "const B: &str = \"driftline_b\";\n"));
    check("unwritten_metric", append("docs/metrics.md", "| `driftline_gone` |\n"));
}

#[test]
fn every_alert_offence_is_found() {
    let alert = "rules/prometheus/a.yaml";
    for field in ["severity:", "summary:", "description:", "portal_url:"] {
        check("complete_alert", replace(alert, field, "other:"));
    }
    check("complete_alert", replace(alert, "runbooks/DriftlineSilent", "runbooks/Other"));
    check("complete_alert", replace(alert, "{{ $labels.url }}/run", "https://example.org/run"));
    check("complete_alert", remove("docs/runbooks/DriftlineSilent.md"));
    check("complete_alert", replace("docs/runbooks/DriftlineSilent.md", "## Impact", "## Effect"));
    check("complete_alert", replace("rules/prometheus/tests/a.yaml", "exp_alerts: []", "x:"));
    check("complete_alert", replace("rules/prometheus/tests/a.yaml", "- exp_labels:", "- x:"));
    check("orphan_runbook", add("docs/runbooks/DriftlineOld.md", "Old.\n"));
}

#[test]
fn every_registry_offence_is_found() {
    check("unlisted_source", replace("agent/src/sources.rs", "os::new()", "none"));
    check("unlisted_source", replace("docs/sources.md", "os", "so"));
    check("unlisted_source", replace("collector/src/metrics/table.rs", "os", "so"));
    check("unlisted_format", replace("agent/src/formats.rs", "ini::INI", ""));
    check("unlisted_format", replace("fuzz/fuzz_targets/ini.rs", "ini::INI", "x"));
    check("unlisted_format", replace("agent/src/formats/ini.rs", "#[cfg(test)]", ""));
    check("unlisted_source", replace("agent/src/sources.rs", "os::new()", "std::os::new()"));
    check("unproven_mutant", replace("agent/src/run.rs", "Mutant::Deaf", "Mutant::Deafer"));
    check("unproven_mutant", replace("tests/tests/e2e/mutants.rs", "deaf", "def"));
    check("every_message", remove("protocol/golden/v1/heartbeat_answer.json"));
    check("every_message", add("protocol/golden/v1/problem.json", ""));
}

#[test]
fn every_link_offence_is_found() {
    check("front_pages", |tree| {
        tree.remove("CHANGELOG.md");
    });
    check("front_pages", replace("CONTRIBUTING.md", "Add a format.", ""));
    check("unmapped_module", replace("ARCHITECTURE.md", "`metrics`", "metrics"));
    check("outside", append("README.md", "see ../DESIGN.md\n"));
    check("outside", append("agent/src/lib.rs", ["// from /wo", "rk/notes\n"].concat()));
    check("outside", append("agent/src/lib.rs", "include_str!(\"../../../x\");\n"));
    check("dead_link", append("README.md", "[gone](docs/gone.md)\n"));
}

#[test]
fn a_tree_on_disk_is_read_without_what_programs_made() {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in [
        ("a/b.rs", &b"//! B.\n"[..]),
        ("target/debug/x.rs", b"fn x() {}"),
        (".git/HEAD", b"ref"),
        ("binary.png", b"\xff\xfe"),
    ] {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let tree = Tree::read(folder.path());
    let files: Vec<(&str, &str)> = tree.files("", "").collect();
    assert_eq!(files, [("a/b.rs", "//! B.\n"), ("binary.png", "")]);
}
