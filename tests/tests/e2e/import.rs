//! A git history in a real collector: the same changes as a replay says, and nobody is woken.

use std::path::{Path, PathBuf};

use driftline_tests::fleet::Fleet;
use driftline_tests::process::{run, run_any};
use driftline_tests::programs::{self, ADMIN, COLLECTOR};
use serde_json::Value;

use super::HOST;
use super::secrets::holds;

/// What must not leave the history.
const CANARY: &str = "canary-Rw4-9bell1gerent";

/// A history as etckeeper keeps one: each step is the files that a commit writes or, where empty,
/// removes.
const STEPS: [&[(&str, &str)]; 5] = [
    &[("app.ini", "[a]\nx = 1\n"), ("asterisk/pjsip.conf", "[alice]\ntype=endpoint\nallow=ulaw\n")],
    &[("asterisk/pjsip.conf", "; why\n[alice]\ntype=endpoint\nallow=ulaw\n")],
    &[("asterisk/pjsip.conf", "[alice]\ntype=endpoint\nallow=alaw\n"), ("db.ini", "[d]\nq = 1\n")],
    &[("db.ini", "[d]\nq = 1\npassword = canary-Rw4-9bell1gerent\n")],
    &[("app.ini", "")],
];

/// Makes the history; commits are an hour apart and a week ago.
fn history(folder: &Path) -> anyhow::Result<PathBuf> {
    let tree = folder.join("history");
    std::fs::create_dir_all(tree.join("asterisk"))?;
    let git = |arguments: &[&str]| {
        let place = tree.display().to_string();
        let who = ["-c", "user.name=a", "-c", "user.email=a@localhost", "-C", &place];
        run("git", &[&who, arguments].concat())
    };
    git(&["init", "-q", "-b", "main"])?;
    let week_ago = jiff::Timestamp::now().as_second() - 7 * 86_400;
    for (hour, files) in (0..).zip(STEPS) {
        for (name, text) in files {
            match *text {
                "" => std::fs::remove_file(tree.join(name))?,
                text => std::fs::write(tree.join(name), text)?,
            }
        }
        git(&["add", "-A"])?;
        let date = format!("@{} +0000", week_ago + hour * 3_600);
        let place = tree.display().to_string();
        let stamped = [format!("GIT_COMMITTER_DATE={date}"), format!("GIT_AUTHOR_DATE={date}")];
        let mut commit = stamped.iter().map(String::as_str).collect::<Vec<_>>();
        commit.extend(["git", "-c", "user.name=a", "-c", "user.email=a@localhost", "-C", &place]);
        commit.extend(["commit", "-q", "-m", "step"]);
        run("env", &commit)?;
    }
    Ok(tree)
}

/// Runs the admin's command against the collector; gives what it says as JSON.
fn admin(fleet: &Fleet, arguments: &[&str]) -> anyhow::Result<Value> {
    let program = programs::program(ADMIN)?;
    let collector = format!("http://{}", fleet.address());
    let mut all = arguments.to_vec();
    all.extend(["--output", "json", "--collector", &collector]);
    Ok(serde_json::from_str(&run(&program.display().to_string(), &all)?)?)
}

fn import(fleet: &Fleet, git: &Path, more: &[&str]) -> anyhow::Result<Value> {
    let git = git.display().to_string();
    let mut arguments = vec!["import", "--git", &git, "--host", HOST, "--kind", "uc"];
    arguments.extend(["--at", "/etc"]);
    arguments.extend(more);
    Ok(admin(fleet, &arguments)?[0].take())
}

/// What changed, by part, item and kind, oldest first.
fn told(rows: &[Value], at: &str) -> Vec<String> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or("-").to_owned();
    let told = |row: &Value| {
        format!("{at}{} {} {}", text(row, "part"), text(row, "key"), text(row, "kind"))
    };
    let mut told: Vec<String> = rows.iter().map(told).collect();
    told.sort();
    told
}

/// What a replay says of all commits but the first.
fn replayed(fleet: &Fleet, git: &Path) -> anyhow::Result<Vec<String>> {
    let lines = admin(fleet, &["replay", "--git", &git.display().to_string()])?;
    let later = lines.as_array().unwrap().iter().skip(1);
    let rows = later.flat_map(|line| {
        let cosmetic = line["cosmetic"].as_array().unwrap().iter();
        let cosmetic = cosmetic.map(|part| serde_json::json!({"part": part, "kind": "cosmetic"}));
        line["changes"].as_array().unwrap().iter().cloned().chain(cosmetic)
    });
    Ok(told(&rows.collect::<Vec<_>>(), "/etc/"))
}

fn changes(fleet: &Fleet) -> anyhow::Result<Vec<String>> {
    let rows = fleet.changes(HOST, 1_000)?;
    let of_import = rows.iter().filter(|row| row["source"] == "imported_files");
    Ok(told(&of_import.map(|row| row["change"].clone()).collect::<Vec<_>>(), ""))
}

/// Nothing anybody is woken by knows of the import.
fn check_silence(fleet: &Fleet) -> anyhow::Result<()> {
    for metric in ["driftline_changes_total", "driftline_findings_open", "driftline_events_total"] {
        assert!(fleet.metric(metric, &[])? < 0.5, "{metric} counts an import");
    }
    let host = format!("host=\"{HOST}\"");
    assert!(fleet.metric("driftline_host_last_report_timestamp_seconds", &[&host])? < 0.5);
    assert!((fleet.metric("driftline_hosts", &["state=\"imported\""])? - 1.0).abs() < 0.5);
    Ok(())
}

#[test]
fn an_import_says_what_a_replay_says_and_wakes_nobody() -> anyhow::Result<()> {
    let mut fleet = Fleet::start()?;
    let git = history(fleet.folder())?;
    // What an earlier import left off at a third of the way, this one goes on with.
    let part = import(&fleet, &git, &["--rev", "HEAD~3"])?;
    assert_eq!((part["added"].as_u64(), part["known"].as_u64()), (Some(2), Some(0)), "{part}");
    let rest = import(&fleet, &git, &[])?;
    assert_eq!((rest["added"].as_u64(), rest["known"].as_u64()), (Some(3), Some(2)), "{rest}");
    let expected = replayed(&fleet, &git)?;
    assert!(expected.len() >= 5, "{expected:?}");
    assert_eq!(changes(&fleet)?, expected);
    let again = import(&fleet, &git, &[])?;
    assert_eq!((again["added"].as_u64(), again["known"].as_u64()), (Some(0), Some(5)), "{again}");
    assert_eq!(changes(&fleet)?, expected, "a second import added something");
    check_silence(&fleet)?;
    fleet.take(COLLECTOR)?.kill9()?;
    fleet.start_again(COLLECTOR)?;
    assert_eq!(import(&fleet, &git, &[])?["added"].as_u64(), Some(0));
    check_silence(&fleet)?;
    assert!(!holds(&fleet.state(COLLECTOR), CANARY)?, "a password of the history is kept");
    Ok(())
}

#[test]
fn an_agent_that_comes_later_keeps_the_history() -> anyhow::Result<()> {
    let mut fleet = Fleet::start()?;
    let git = history(fleet.folder())?;
    import(&fleet, &git, &[])?;
    let expected = changes(&fleet)?;
    let root = super::small_tree(fleet.folder())?;
    fleet.add_agent(HOST, &root, &["/etc/**"])?;
    fleet.wait_for(HOST, "marker-first")?;
    assert_eq!(changes(&fleet)?, expected);
    let sections = admin(&fleet, &["host", HOST])?.to_string();
    assert!(sections.contains("\"files\"") && sections.contains("imported_files"), "{sections}");
    assert!((fleet.metric("driftline_hosts", &["state=\"alive\""])? - 1.0).abs() < 0.5);
    assert_eq!(import(&fleet, &git, &[])?["added"].as_u64(), Some(0));
    assert!(fleet.metric("driftline_hosts_imbalanced", &[])? < 0.5);
    Ok(())
}

#[test]
fn another_history_is_refused_with_what_to_do() -> anyhow::Result<()> {
    let fleet = Fleet::start()?;
    let git = history(fleet.folder())?;
    import(&fleet, &git, &[])?;
    let expected = changes(&fleet)?;
    let program = programs::program(ADMIN)?.display().to_string();
    let (place, collector) = (git.display().to_string(), format!("http://{}", fleet.address()));
    for more in [&["--path", "asterisk"][..], &["--rev", "HEAD~2"], &["--rev", "HEAD~2..HEAD"]] {
        let arguments = ["import", "--git", &place, "--host", HOST, "--collector", &collector];
        let refused = run_any(&program, &[&arguments, more].concat())?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{more:?}: {said}");
        assert!(said.contains("--section"), "{more:?}: {said}");
    }
    assert_eq!(changes(&fleet)?, expected);
    let beside = import(&fleet, &git, &["--path", "asterisk", "--section", "asterisk"])?;
    assert_eq!(
        (beside["section"].as_str(), beside["added"].as_u64()),
        (Some("imported_asterisk"), Some(3))
    );
    Ok(())
}
