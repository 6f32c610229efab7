//! What an administrator does: reload, back up and restore, retire, open the door beyond loopback.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use anyhow::Context;
use driftline_tests::http;
use driftline_tests::process::{Process, run_any};
use driftline_tests::programs;
use driftline_tests::wait::{self, PATIENCE};
use tempfile::TempDir;

use super::pair::{HOST, Pair, Who};

fn listen(pair: &Pair) -> String {
    format!("listen = \"{}\"\n", pair.address)
}

fn post(pair: &Pair, path: &str) -> anyhow::Result<()> {
    let json = [("Content-Type", "application/json")];
    let answer = http::post(pair.address, path, &json, b"{}")?;
    anyhow::ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
    Ok(())
}

#[test]
fn a_bad_configuration_changes_nothing_and_is_told() -> anyhow::Result<()> {
    if !super::is_root("reload")? {
        return Ok(());
    }
    let mut pair = Pair::started(|_| Ok(()))?;
    let site = |pair: &Pair| -> anyhow::Result<String> {
        Ok(pair.json(&format!("/api/v1/hosts/{HOST}"))?["site"].as_str().unwrap_or("").into())
    };
    let told = |pair: &Pair, good: f64| {
        wait::until("the metric tells", PATIENCE, || {
            let value = pair.metric("driftline_reload_success", &[])?;
            Ok(((value - good).abs() < 0.5).then_some(()))
        })
    };
    let place = |site: &str| format!("[[host]]\nname = \"{HOST}\"\nsite = \"{site}\"\n");
    pair.configure_collector(&listen(&pair), &place("vienna"))?;
    pair.hang_up()?;
    wait::until("the new place is known", PATIENCE, || {
        Ok((site(&pair)? == "vienna").then_some(()))
    })?;
    for bad in ["[[host]\n", "[[host]]\nnaam = \"x\"\n", "nonsense = 1\n", "\u{0}"] {
        pair.configure_collector(&listen(&pair), &format!("{}{bad}", place("graz")))?;
        pair.hang_up()?;
        told(&pair, 0.0).with_context(|| format!("{bad:?}"))?;
        assert_eq!(site(&pair)?, "vienna", "{bad:?} was half taken");
        pair.configure_collector(&listen(&pair), &place("vienna"))?;
        pair.hang_up()?;
        told(&pair, 1.0)?;
    }
    let said = pair.log(Who::Collector);
    assert!(said.contains("driftline-collector.toml"), "no file is named: {said}");
    std::fs::write(pair.tree().join("etc/first.conf"), "first = marker-reloaded\n")?;
    pair.wait_for("marker-reloaded")
}

#[test]
fn a_backup_taken_while_reports_arrive_can_be_restored() -> anyhow::Result<()> {
    if !super::is_root("backup")? {
        return Ok(());
    }
    let mut pair = Pair::started(|_| Ok(()))?;
    let etc = pair.tree().join("etc");
    let config = pair.config(Who::Collector).display().to_string();
    let backup = pair.path("backup.sqlite").display().to_string();
    let write = |round: u32| {
        let text = format!("first = marker-backup-{round}-end\n");
        std::fs::write(etc.join("first.conf"), text)
    };
    for round in 0..10 {
        write(round)?;
        if round > 0 {
            // A backup never overwrites another.
            std::fs::remove_file(&backup)?;
        }
        pair.tool("driftline-collector", &["--config", &config, "backup", &backup])?;
    }
    pair.wait_for("marker-backup-9-end")?;
    for round in 10..15 {
        write(round)?;
        pair.wait_for(&format!("marker-backup-{round}-end"))?;
    }
    pair.stop(Who::Collector)?;
    pair.tool("driftline-collector", &["--config", &config, "restore", &backup])?;
    pair.start(Who::Collector)?;
    // Nothing changes on the host: the agent notices by itself that the collector forgot.
    pair.wait_for("marker-backup-14-end")?;
    let hosts = pair.json("/api/v1/hosts")?;
    assert_eq!(hosts["hosts"].as_array().map(Vec::len), Some(1), "{hosts}");
    let events = pair.json("/api/v1/events?limit=1000")?.to_string();
    assert!(events.contains("store_restored"), "the gap is not told: {events}");
    assert_eq!(events.matches("\"enrolled\"").count(), 1, "enrolled again: {events}");
    pair.balanced()?;
    write(99)?;
    pair.wait_for("marker-backup-99-end")
}

#[test]
fn a_retired_host_keeps_its_history_and_may_return() -> anyhow::Result<()> {
    if !super::is_root("retirement")? {
        return Ok(());
    }
    let mut pair = Pair::started(|_| Ok(()))?;
    let etc = pair.tree().join("etc");
    std::fs::write(etc.join("first.conf"), "first = marker-before\n")?;
    pair.wait_for_change("marker-before")?;
    let series = |pair: &Pair| -> anyhow::Result<bool> {
        let text = http::get_ok(pair.address, programs::METRICS)?.text();
        Ok(text.contains(&format!("host=\"{HOST}\"")))
    };
    assert!(series(&pair)?);
    let before = pair.changes()?.len();
    post(&pair, &format!("/api/v1/hosts/{HOST}/retire"))?;
    assert!(!series(&pair)?, "series of a retired host");
    std::fs::write(etc.join("first.conf"), "first = marker-retired\n")?;
    wait::while_quiet(std::time::Duration::from_secs(7), || {
        let now = pair.changes()?.len();
        Ok((now != before).then(|| format!("a retired host was heard: {now} changes")))
    })?;
    pair.check_alive()?;
    post(&pair, &format!("/api/v1/hosts/{HOST}/reinstate"))?;
    let answer = pair.wait_for("marker-retired");
    answer.with_context(|| format!("after the return\n{}", pair.log(Who::Agent)))?;
    assert!(pair.changes()?.len() > before);
    let events = pair.json("/api/v1/events?limit=1000")?.to_string();
    for word in ["retired", "returned"] {
        assert!(events.contains(word), "{word} is not told: {events}");
    }
    pair.balanced()
}

#[test]
fn beyond_loopback_nothing_runs_without_tls_and_tokens() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    let port = pair.address.port();
    pair.configure_collector(&format!("listen = \"0.0.0.0:{port}\"\n"), "")?;
    let program = programs::program(programs::COLLECTOR)?.display().to_string();
    let config = pair.config(Who::Collector).display().to_string();
    let output = run_any("timeout", &["20", &program, "serve", "--config", &config])?;
    let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("tls"), "{said}");
    assert!(http::get(pair.address, "/-/healthy").is_err());
    Ok(())
}

/// A quick start that listens beyond loopback; asked from loopback only.
struct Up {
    folder: TempDir,
    process: Process,
    url: String,
    authority: String,
    admin: String,
}

impl Up {
    /// Runs, with the first snapshot of this machine arrived.
    fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = http::free_address()?.port();
        let data = folder.path().join("data");
        let log = folder.path().join("up.log");
        let words =
            ["up", "--data", &data.display().to_string(), "--listen"].map(ToString::to_string);
        let words = [&words[..], &[format!("0.0.0.0:{port}")]].concat();
        let mut process = Process::start(&programs::program(programs::ADMIN)?, &words, &log)?;
        wait::until("the first snapshot is told", PATIENCE * 2, || {
            if let Err(error) = process.check_alive() {
                return Ok(Some(Err(error)));
            }
            Ok(std::fs::read_to_string(&log)?.contains(" sources, ").then_some(Ok(())))
        })??;
        let (authority, admin) = (data.join("tls/ca.pem"), data.join("admin-token"));
        let said = std::fs::read_to_string(&log)?;
        for file in [&authority, &admin] {
            assert!(said.contains(&file.display().to_string()), "{said}");
            let mode = std::fs::metadata(file)?.permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} is open to others", file.display());
        }
        Ok(Self {
            folder,
            process,
            url: format!("https://localhost:{port}"),
            authority: authority.display().to_string(),
            admin: admin.display().to_string(),
        })
    }

    /// Asks with a token and an authority, or without.
    fn ask(
        &self,
        token: Option<&str>,
        authority: Option<&str>,
        command: &[&str],
    ) -> anyhow::Result<Output> {
        let program = programs::program(programs::ADMIN)?.display().to_string();
        let mut words = vec!["--collector", &self.url, "--output", "json"];
        for (flag, file) in [("--token-file", token), ("--ca-file", authority)] {
            words.extend(file.into_iter().flat_map(|file| [flag, file]));
        }
        run_any(&program, &[&words, command].concat())
    }

    /// A token of this scope, made beside the running collector: the file that holds it.
    fn token(&self, scope: &str) -> anyhow::Result<String> {
        let config = self.folder.path().join("collector.toml");
        let state = self.folder.path().join("data/collector");
        std::fs::write(&config, format!("state_dir = {state:?}\n"))?;
        let config = config.display().to_string();
        let collector = programs::program(programs::COLLECTOR)?.display().to_string();
        // `up` has a token of the name `admin` itself.
        let name = format!("own-{scope}");
        let make = ["--config", &config, "token", "create", &name, "--scope", scope];
        let made = run_any(&collector, &make)?;
        anyhow::ensure!(made.status.success(), "{}", error_of(&made));
        let file = self.folder.path().join(scope);
        std::fs::write(&file, &made.stdout)?;
        Ok(file.display().to_string())
    }
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_quick_start_beyond_loopback_has_its_own_authority_and_scoped_tokens() -> anyhow::Result<()> {
    let up = Up::start()?;
    let authority = Some(up.authority.as_str());
    let known = up.ask(Some(&up.admin), authority, &["hosts"])?;
    assert!(known.status.success(), "{}", error_of(&known));
    for (token, authority) in [(None, authority), (Some(up.admin.as_str()), None)] {
        let refused = up.ask(token, authority, &["hosts"])?;
        assert_eq!(refused.status.code(), Some(2), "token {token:?}, authority {authority:?}");
    }
    let list = String::from_utf8_lossy(&known.stdout).into_owned();
    let hosts = serde_json::from_str::<serde_json::Value>(&list)?;
    let host = hosts[0]["host"].as_str().with_context(|| format!("no host in {list}"))?;
    let approve = ["baseline", "approve", host, "--reason", "test"];
    let scopes = [
        ("metrics", false, false),
        ("enrol", false, false),
        ("read", true, false),
        ("admin", true, true),
    ];
    let files: anyhow::Result<Vec<String>> =
        scopes.iter().map(|(scope, _, _)| up.token(scope)).collect();
    let files = files?;
    // A running collector notices tokens made beside it within half a minute, all at once: when it
    // knows the last one, it refuses the others for their scope and not for being strangers.
    wait::until("the tokens are known", PATIENCE, || {
        let answer = up.ask(files.last().map(String::as_str), authority, &["hosts"])?;
        Ok(answer.status.success().then_some(()))
    })?;
    for ((scope, reads, approves), file) in scopes.into_iter().zip(&files) {
        for (command, may) in [(&["hosts"][..], reads), (&approve, approves)] {
            let answer = up.ask(Some(file), authority, command)?;
            let code = if may { 0 } else { 2 };
            let said = error_of(&answer);
            assert_eq!(answer.status.code(), Some(code), "{scope}, {command:?}: {said}");
        }
    }
    up.process.stop()
}
