//! Policies of the browser as Chromium itself has merged them: what `chrome://policy` shows is
//! held against what the agent says of the same folder.
//!
//! Both see a folder of ours in the place of `/etc/chromium`, each in a mount namespace of its own.
//! What is not compared, and why, stands in `docs/oracles.md`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use driftline_tests::browser::Browser;
use driftline_tests::process::run;
use driftline_tests::programs;
use serde_json::Value;
use tempfile::TempDir;

/// Files of policies below `/etc/chromium/policies`.
const FILES: [(&str, &str); 11] = [
    (
        "managed/10-site.json",
        "{\"HomepageLocation\": \"https://first.example\", \"ShowHomeButton\": true,
          \"URLBlocklist\": [\"a.example\", \"b.example\"], \"DefaultCookiesSetting\": 1,
          \"ProxySettings\": {\"ProxyMode\": \"fixed_servers\", \"ProxyServer\": \"p:3128\",
          \"ProxyBypassList\": \"localhost\"}}",
    ),
    // The last file by name that sets a policy sets all of it.
    (
        "managed/20-more.json",
        "{\"HomepageLocation\": \"https://second.example\", \"URLBlocklist\": [\"c.example\"],
          \"ProxySettings\": {\"ProxyMode\": \"direct\"}}",
    ),
    ("managed/15-between.json", "{\"HomepageLocation\": \"https://between.example\"}"),
    // Names with other ends, and none.
    ("managed/30-other.conf", "{\"BookmarkBarEnabled\": false, \"ShowHomeButton\": false}"),
    ("managed/05-early", "{\"IncognitoModeAvailability\": 1, \"DefaultCookiesSetting\": 4}"),
    ("managed/.hidden.json", "{\"PrintingEnabled\": false}"),
    ("managed/old.json~", "{\"SearchSuggestEnabled\": false}"),
    ("managed/below/50.json", "{\"AutofillAddressEnabled\": false}"),
    // What is no JSON to the letter, and what is none at all.
    (
        "managed/60-comments.json",
        "{ // why\n\"SpellcheckEnabled\": false, /* until\n 2027 */ \"SyncDisabled\": true,}",
    ),
    ("managed/70-broken.json", "{\"AudioCaptureAllowed\": true"),
    (
        "recommended/10.json",
        "{\"ShowHomeButton\": true, \"HomepageIsNewTabPage\": false,
          \"TranslateEnabled\": false, \"RestoreOnStartupURLs\": [\"https://r.example\"]}",
    ),
];

/// What the page is given to show.
const SHOWN: &str = "import('chrome://resources/js/cr.js').then((cr) => new Promise((shown) => {
    cr.addWebUiListener('policies-updated', (names, values) => shown(values));
    chrome.send('listenPoliciesUpdates');
}))";

/// Level, then path of each value; the elements of a list together.
type Policies = BTreeMap<(String, String), Value>;

#[test]
fn chromium_has_the_policies_that_we_tell() -> anyhow::Result<()> {
    if !super::is_root("policies")? {
        return Ok(());
    }
    if run("which", &["chromium"]).is_err() {
        eprintln!("policies: chromium is not installed; nothing was tried");
        return Ok(());
    }
    let folder = TempDir::new()?;
    let etc = folder.path().join("etc");
    for (path, text) in FILES {
        let path = etc.join("policies").join(path);
        std::fs::create_dir_all(path.parent().context("a policy stands in a folder")?)?;
        std::fs::write(path, text)?;
    }
    let mut browser = Browser::configured(folder.path(), &etc)?;
    browser.open("chrome://policy/")?;
    let shown = browser.evaluate(SHOWN)?;
    let (theirs, ours) = (theirs(&shown)?, ours(folder.path(), &etc)?);
    eprintln!("{} values compared", theirs.len());
    ensure!(theirs.len() > 10, "{shown:#}");
    assert_eq!(ours, theirs);
    Ok(())
}

fn theirs(shown: &Value) -> anyhow::Result<Policies> {
    let all = shown["policyGroups"]["chrome"]["policies"].as_object().context("policies")?;
    let mut policies = Policies::new();
    for (name, policy) in all {
        // What is managed counts; what is recommended beside it is shown among its conflicts.
        let conflicts = policy["conflicts"].as_array().map(Vec::as_slice).unwrap_or_default();
        let recommended = conflicts.iter().filter(|policy| policy["level"] == "recommended");
        for policy in std::iter::once(policy).chain(recommended) {
            let level = policy["level"].as_str().context("a level")?;
            let level = if level == "mandatory" { "managed" } else { level };
            let mut add = |path: String, value: &Value| {
                policies.insert((level.to_owned(), path), value.clone());
            };
            if let Value::Object(members) = &policy["value"] {
                members.iter().for_each(|(member, value)| add(format!("{name}/{member}"), value));
            } else {
                add(name.clone(), &policy["value"]);
            }
        }
    }
    Ok(policies)
}

/// What the agent says, each value as JSON has it.
fn ours(folder: &Path, etc: &Path) -> anyhow::Result<Policies> {
    let config = folder.join("agent.toml");
    let text = format!(
        "collector = \"http://127.0.0.1:9\"\nhost_name = \"policies\"\nstate_dir = {:?}\n\
         [sources]\nenable = [\"browser_policy\"]\n",
        folder.join("state"),
    );
    std::fs::write(&config, text)?;
    let program = programs::program(programs::AGENT)?.canonicalize()?;
    let mutant = programs::mutant_of(programs::AGENT).unwrap_or_default();
    let script = "mount --bind \"$1\" /etc/chromium || exit 1
        [ -z \"$4\" ] || export DRIFTLINE_MUTANT=\"$4\"
        exec \"$2\" snapshot --config \"$3\"";
    let [etc, program, config] = [etc, &program, &config].map(|path| path.display().to_string());
    let words = ["-m", "sh", "-c", script, "sh", &etc, &program, &config, &mutant];
    let snapshot: Value = serde_json::from_str(&run("unshare", &words)?)?;
    let parts = snapshot["sections"]["browser_policy"]["parts"].as_object().context("parts")?;
    let mut policies = Policies::new();
    for (name, part) in parts {
        let Some(level) = name.strip_prefix("chromium/") else { continue };
        // A file that Chromium passes over is a part of its own.
        let Some(items) = part["observed"]["items"].as_object() else {
            ensure!(level == "managed/70-broken.json", "{name} was not read");
            continue;
        };
        for (key, item) in items.iter().filter(|(key, _)| !key.starts_with('@')) {
            policies.insert((level.to_owned(), key.clone()), plain(&item["value"]));
        }
    }
    Ok(policies)
}

/// A value of an item as JSON has it.
fn plain(value: &Value) -> Value {
    match value.as_object().and_then(|map| map.iter().next()) {
        Some((kind, Value::Array(all))) if kind == "list" => all.iter().map(plain).collect(),
        Some((_, inner)) => inner.clone(),
        None => value.clone(),
    }
}
