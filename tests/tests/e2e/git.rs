//! Random edits in a tree, held against git and against the editor's own journal.

use std::collections::BTreeSet;
use std::path::Path;

use driftline_tests::edits::{Editor, Kind};
use driftline_tests::fleet::Fleet;
use driftline_tests::git::Oracle;
use driftline_tests::programs;
use driftline_tests::wait::{self, PATIENCE};
use serde_json::Value;

use super::{HOST, seed};

/// Edits between two looks: few enough that two rarely meet in one file.
const BATCH: u64 = 10;

/// Names and contents that hosts have, one for each syntax; `{n}` is a number.
const KINDS: [(&str, &str); 8] = [
    ("app-{n}.conf", "# settings\nport = {n}\nhost = example-{n}\n"),
    ("pjsip-{n}.conf", "[line-{n}]\ntype=endpoint\nallow=!all,alaw\n\n[auth-{n}](!)\nx=1\n"),
    ("unit-{n}.service", "[Unit]\nDescription=Number {n}\n[Service]\nRestart=always\n"),
    ("data-{n}.json", "{\"n\": {n}, \"list\": [1, 2, {\"deep\": true}]}\n"),
    ("hosts-{n}", "127.0.0.1 localhost\n192.0.2.{n} host-{n} alias-{n}\n"),
    ("script-{n}.sh", "#!/bin/sh\nexec /usr/bin/true {n}\n"),
    ("notes-{n}", "Nothing claims this text.\nLine {n}.\n"),
    ("empty-{n}.conf", ""),
];

/// Files in the tree that is edited.
const FILES: usize = 400;

/// Makes the tree: the same on every machine.
fn tree(root: &Path) -> anyhow::Result<()> {
    for number in 0..FILES {
        let (name, text) = KINDS[number % KINDS.len()];
        let fill = |text: &str| text.replace("{n}", &number.to_string());
        let folder = root.join(format!("etc/d{}/e{}", number % 7, number % 3));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(fill(name)), fill(text))?;
    }
    Ok(std::fs::write(root.join("etc/last.conf"), "first = marker-first\n")?)
}

/// The files, as paths in the tree, that changed since change number `since`, and the newest
/// number.
fn reported(fleet: &Fleet, root: &Path, since: i64) -> anyhow::Result<(BTreeSet<String>, i64)> {
    let rows = fleet.changes(HOST, 1_000)?;
    let number = |row: &Value| row["id"].as_i64().unwrap_or_default();
    let newest = rows.iter().map(number).max().unwrap_or(since);
    let fresh = rows.iter().filter(|row| number(row) > since);
    let root = root.display().to_string();
    let parts = fresh.filter_map(|row| row["change"]["part"].as_str()?.strip_prefix(&root));
    Ok((parts.map(String::from).collect(), newest))
}

#[test]
fn changes_are_what_git_and_the_journal_say() -> anyhow::Result<()> {
    let seed = seed("against git")?;
    let mut fleet = Fleet::start()?;
    let root = fleet.folder().join("root");
    tree(&root)?;
    fleet.add_agent(HOST, &root, &["/etc/**"])?;
    fleet.wait_for(HOST, "marker-first")?;
    let oracle = Oracle::begin(&fleet.folder().join("git"), &root)?;
    let mut editor = Editor::new(&root, seed);
    let (_, mut since) = reported(&fleet, &root, 0)?;
    let (mut done, total) = (0, programs::count("DRIFTLINE_EDITS", 500)?);
    let mut touched = BTreeSet::new();
    while done < total {
        // Two edits may meet in one file between two looks and leave git nothing to say, and a
        // look may come a batch late; what nobody touched in either batch is an invention.
        let before = std::mem::take(&mut touched);
        let mut modes = BTreeSet::new();
        for _ in 0..BATCH {
            let edit = editor.edit("etc", &|_| false)?;
            touched.extend(edit.paths.clone());
            // git sees only the owner's executable bit; the editor turns the others, and back.
            if edit.kind == Kind::Mode {
                for path in edit.paths {
                    if !modes.remove(&path) {
                        modes.insert(path);
                    }
                }
            }
        }
        done += BATCH;
        let mut expected = oracle.commit()?;
        modes.retain(|path| root.join(path.trim_start_matches('/')).is_file());
        expected.extend(modes);
        let mut last = (BTreeSet::new(), since);
        let settled = wait::until("changes settle", PATIENCE, || {
            last = reported(&fleet, &root, since)?;
            Ok(expected.is_subset(&last.0).then_some(()))
        });
        let missed: Vec<&String> = expected.difference(&last.0).collect();
        anyhow::ensure!(settled.is_ok(), "seed {seed}, edit {done}: missed {missed:?}");
        let known: BTreeSet<String> = touched.union(&before).cloned().collect();
        let invented: Vec<&String> = last.0.difference(&known).collect();
        anyhow::ensure!(invented.is_empty(), "seed {seed}, edit {done}: invented {invented:?}");
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
