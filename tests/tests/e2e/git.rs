//! Random edits in a copy of /etc, held against git and against the editor's own journal.

use std::collections::BTreeSet;
use std::path::Path;

use driftline_tests::edits::{Editor, Kind};
use driftline_tests::fleet::Fleet;
use driftline_tests::git::Oracle;
use driftline_tests::process::run;
use driftline_tests::programs;
use driftline_tests::wait::{self, PATIENCE};
use serde_json::Value;

use super::{HOST, seed};

/// Edits between two looks: few enough that two rarely meet in one file.
const BATCH: u64 = 10;

/// What the default configuration never reads, or reads as a secret: listed, so that nothing is
/// missed unseen.
const OMITTED: [&str; 8] =
    ["shadow", "gshadow", "/ssl/private/", "ssh_host_", "mtab", "ld.so.cache", ".key", "passwd-"];

fn omitted(path: &str) -> bool {
    OMITTED.iter().any(|part| path.contains(part)) || path.ends_with('-')
}

/// The files that changed since change number `since`, the newest number, and kinds with their
/// parts.
fn reported(fleet: &Fleet, since: i64) -> anyhow::Result<(BTreeSet<String>, i64, Vec<Value>)> {
    let rows = fleet.changes(HOST, 10_000)?;
    let number = |row: &Value| row["id"].as_i64().unwrap_or_default();
    let newest = rows.iter().map(number).max().unwrap_or(since);
    let fresh: Vec<Value> = rows.into_iter().filter(|row| number(row) > since).collect();
    let parts = fresh.iter().filter_map(|row| row["change"]["part"].as_str());
    Ok((parts.map(String::from).collect(), newest, fresh))
}

fn copy_of_etc(root: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(root)?;
    run("cp", &["-a", "--reflink=auto", "/etc", &root.display().to_string()])?;
    std::fs::create_dir_all(root.join("etc/judge.d"))?;
    Ok(std::fs::write(root.join("etc/judge.d/first.conf"), "first = marker-first\n")?)
}

#[test]
fn changes_are_what_git_and_the_journal_say() -> anyhow::Result<()> {
    let seed = seed("against git")?;
    let mut fleet = Fleet::start()?;
    let root = fleet.folder().join("root");
    copy_of_etc(&root)?;
    fleet.add_agent(HOST, &root, &["/etc/**"])?;
    fleet.wait_for(HOST, "marker-first")?;
    let oracle = Oracle::begin(&fleet.folder().join("git"), &root)?;
    let mut editor = Editor::new(&root, seed);
    let (_, mut since, _) = reported(&fleet, 0)?;
    let (mut done, total) = (0, programs::count("DRIFTLINE_EDITS", 500)?);
    while done < total {
        let mut modes = BTreeSet::new();
        for _ in 0..BATCH {
            let edit = editor.edit("etc", &omitted)?;
            if edit.kind == Kind::Mode {
                modes.extend(edit.paths);
            }
        }
        done += BATCH;
        let mut expected = oracle.commit()?;
        // git sees only the executable bit; a file that was edited and is gone again is nobody's
        // change.
        expected.extend(
            modes.into_iter().filter(|path| root.join(path.trim_start_matches('/')).is_file()),
        );
        let mut last = (BTreeSet::new(), since, Vec::new());
        let settled = wait::until("changes settle", PATIENCE, || {
            last = reported(&fleet, since)?;
            Ok(expected.is_subset(&last.0).then_some(()))
        });
        let missed: Vec<&String> = expected.difference(&last.0).collect();
        assert!(
            settled.is_ok() && missed.is_empty(),
            "seed {seed}, edit {done}: missed {missed:?}"
        );
        // Two edits may meet in one file between two looks and leave git nothing to say; anything
        // else that was reported and not done is an invention.
        let invented: Vec<&String> = last.0.difference(&expected).collect();
        assert!(invented.iter().all(|path| path.contains("judge-")), "seed {seed}: {invented:?}");
        since = last.1;
    }
    eprintln!("{total} edits held against git and the journal, seed {seed}");
    Ok(())
}

#[test]
fn a_comment_is_cosmetic_and_order_counts_only_where_it_means_something() -> anyhow::Result<()> {
    let (fleet, root) = super::one_host()?;
    let file = root.join("etc/app.conf");
    let semantic = || -> anyhow::Result<f64> {
        let kinds = ["added", "removed", "modified", "moved"];
        kinds
            .iter()
            .map(|kind| fleet.metric("driftline_changes_total", &[&format!("kind=\"{kind}\"")]))
            .sum()
    };
    let cosmetic = || fleet.metric("driftline_changes_total", &["kind=\"cosmetic\""]);
    std::fs::write(&file, "first = marker-first\nsecond = 2\n")?;
    wait::until("the second key arrives", PATIENCE, || Ok((semantic()? >= 1.0).then_some(())))?;
    let before = semantic()?;
    for (round, text) in [
        "# a comment\nfirst = marker-first\nsecond = 2\n",
        "# a comment\n\n\nfirst   =   marker-first\nsecond=2\n",
        "second = 2\nfirst = marker-first\n",
    ]
    .iter()
    .enumerate()
    {
        let seen = cosmetic()?;
        std::fs::write(&file, text)?;
        wait::until("bytes that differ are counted", PATIENCE, || {
            Ok((cosmetic()? > seen).then_some(()))
        })?;
        assert!((semantic()? - before).abs() < 0.5, "round {round} was taken for a change");
    }
    Ok(())
}
