//! Which repositories, ranges and paths are histories, and what of them is never run.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;

#[test]
fn merges_are_held_against_their_first_parent() {
    let made = Made::new();
    made.commit(1, &[("a", "1\n")]);
    for (branch, file) in [("left", "l"), ("right", "r")] {
        made.git(&["checkout", "-q", "-b", branch, "main"]);
        made.commit(2, &[(file, "1\n")]);
    }
    made.git(&["checkout", "-q", "main"]);
    made.commit(3, &[("a", "2\n")]);
    made.git(&["merge", "-q", "--no-ff", "-m", "octopus", "left", "right"]);
    made.git(&["checkout", "-q", "--orphan", "apart"]);
    made.commit(5, &[("o", "1\n")]);
    made.git(&["checkout", "-q", "main"]);
    made.git(&["merge", "-q", "--allow-unrelated-histories", "-m", "two roots", "apart"]);
    let files = |lines: &[Value]| -> Vec<BTreeSet<String>> {
        lines.iter().map(|line| set(&line["files"], "")).collect()
    };
    let expected = [vec!["a"], vec!["a"], vec!["l", "r"], vec!["o"]];
    let expected = expected.map(|names| names.into_iter().map(String::from).collect());
    assert_eq!(files(&made.replay(&[])), expected);
    assert_eq!(files(&made.replay(&["--rev", "apart"])).len(), 1);
}

#[test]
fn a_range_begins_with_what_its_parent_had() {
    let made = Made::new();
    for (at, text) in [(1, "[a]\nx=1\n"), (2, "[a]\nx=2\n"), (3, "[a]\nx=3\n")] {
        made.commit(at, &[("sub/a.ini", text), ("subway", &at.to_string())]);
    }
    let lines = made.replay(&["--rev", "HEAD~1..HEAD", "--path", "sub/"]);
    assert_eq!(said(&lines[0]), ["modified sub/a.ini a/x 2 3"]);
    assert_eq!((lines.len(), set(&lines[0]["files"], "").len()), (1, 1));
    assert_eq!(made.replay(&["--path", "nowhere"]).len(), 3);
    assert!(made.replay(&["--rev", "HEAD..HEAD"]).is_empty());
    for range in ["nothing", "--all", "HEAD...HEAD~2", ""] {
        let lines = replay(made.path(), &["--rev", range]);
        assert!(lines.as_ref().is_ok_and(|l| l.len() == 2) || lines.is_err(), "{range}: {lines:?}");
    }
    let error = replay(made.path(), &["--rev", "--"]).unwrap_err().to_string();
    assert_eq!(error, "--rev takes commits such as `v1..main`, no option");
}

#[test]
fn bare_and_shallow_clones_and_bundles_are_histories_too() {
    let made = Made::new();
    made.commit(1, &[("a", "1\n")]);
    made.commit(2, &[("a", "2\n")]);
    made.commit(3, &[("a", "3\n")]);
    let folder = tempfile::tempdir().unwrap();
    let (bare, shallow) = (folder.path().join("bare"), folder.path().join("shallow"));
    let (bundle, headless) = (folder.path().join("a:b.bundle"), folder.path().join("main.bundle"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let source = text(made.path());
    git(folder.path(), &["clone", "-q", "--bare", &source, &text(&bare)]);
    let file = format!("file://{source}");
    git(folder.path(), &["clone", "-q", "--depth", "2", &file, &text(&shallow)]);
    made.git(&["bundle", "create", "-q", &text(&bundle), "HEAD", "main"]);
    made.git(&["bundle", "create", "-q", &text(&headless), "main"]);
    let whole = made.replay(&[]);
    for other in [&bare, &bundle, &headless] {
        assert_eq!(replay(other, &[]).unwrap(), whole, "{other:?}");
    }
    let cut = replay(&shallow, &[]).unwrap();
    assert_eq!((cut.len(), said(&cut[0]).len()), (2, 3));
    let no_bundle = made.path().join("a");
    let error = replay(&no_bundle, &[]).unwrap_err().to_string();
    assert!(error.contains("neither a git repository nor a bundle"), "{error}");
    let error = replay(&folder.path().join("gone"), &[]).unwrap_err().to_string();
    assert!(error.contains("gone"), "{error}");
    let empty = Made::new();
    let error = replay(empty.path(), &[]).unwrap_err().to_string();
    assert!(error.ends_with(" has no commit yet: nothing to read"), "{error}");
    let nothing = tempfile::tempdir().unwrap();
    let error = format!("{:#}", replay(nothing.path(), &[]).unwrap_err());
    let opening = format!("opening {} (", text(nothing.path()));
    let told = error.starts_with(&opening) && error.contains("): git says: not a git repository");
    assert!(told, "{error}");
}

#[test]
fn nothing_that_a_repository_names_is_run() {
    let made = Made::new();
    let ran = made.path().join(".git/ran");
    let script = made.path().join(".git/run");
    fs::write(&script, format!("#!/bin/sh\ntouch '{}'\ncat\n", ran.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    made.commit(1, &[("a", "1\n"), (".gitattributes", "* diff=odd filter=odd\n")]);
    made.commit(2, &[("a", "2\n")]);
    let script = script.to_str().unwrap();
    for (name, value) in [
        ("core.fsmonitor", script),
        ("core.pager", script),
        ("diff.external", script),
        ("diff.odd.command", script),
        ("diff.odd.textconv", script),
        ("diff.orderFile", script),
        ("diff.renames", "true"),
        ("filter.odd.smudge", script),
        ("filter.odd.clean", script),
        ("gpg.program", script),
        ("log.showSignature", "true"),
        ("log.follow", "true"),
        ("diff.noprefix", "true"),
        ("diff.relative", "true"),
    ] {
        made.git(&["config", name, value]);
    }
    let lines = replay(made.path(), &["--path", "a"]).unwrap();
    assert_eq!((lines.len(), said(&lines[1]).len()), (2, 1));
    assert!(!ran.exists());
}

#[test]
fn a_path_may_be_written_as_shells_complete_it() {
    let made = Made::new();
    made.commit(1, &[("etc/a", "1\n"), ("b", "1\n")]);
    for path in ["etc", "etc/", "/etc", "./etc", "./etc//", "etc/./a"] {
        assert_eq!(made.replay(&["--path", path])[0]["files"], json!(["etc/a"]), "{path}");
    }
    assert_eq!(made.replay(&["--path", "."])[0]["files"], json!(["b", "etc/a"]));
}
