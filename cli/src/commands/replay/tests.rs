//! Small histories made here, and what is said of them; git itself says which files differ.

#![allow(clippy::disallowed_types, reason = "histories are made with git")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use clap::Parser;
use serde_json::{Value, json};

use super::*;

/// A history in the making.
struct Made {
    folder: tempfile::TempDir,
}

impl Made {
    fn new() -> Self {
        let made = Self { folder: tempfile::tempdir().unwrap() };
        made.git(&["init", "-q", "-b", "main"]);
        made
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(self.path(), arguments)
    }

    /// Commits these files beside all that is there, at second `at`.
    fn commit(&self, at: u32, files: &[(&str, &str)]) {
        for (name, text) in files {
            self.write(name, text.as_bytes());
        }
        self.keep(at);
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn keep(&self, at: u32) {
        self.git(&["add", "-A", "-f", "."]);
        self.commit_staged(at);
    }

    fn commit_staged(&self, at: u32) {
        let date = format!("@{at} +0500");
        let mut commit = command(self.path());
        commit.env("GIT_COMMITTER_DATE", date).env("GIT_AUTHOR_DATE", "@1 +0000");
        run(commit.args(["commit", "-q", "--allow-empty", "-m", "step"]));
    }

    /// What is said of it, with every commit verified and every file accounted for as git has it.
    fn replay(&self, arguments: &[&str]) -> Vec<Value> {
        let lines = replay(self.path(), arguments).unwrap();
        for line in &lines {
            self.judge(line);
        }
        lines
    }

    fn judge(&self, line: &Value) {
        let commit = line["commit"].as_str().unwrap();
        let files = set(&line["files"], "");
        let parents = self.git(&["rev-list", "--parents", "-n1", commit]);
        let differ = match parents.split_whitespace().nth(1) {
            Some(parent) => self.git(&["diff-tree", "-r", "-z", "--name-only", parent, commit]),
            None => self.git(&["ls-tree", "-r", "-z", "--name-only", commit]),
        };
        let differ = differ.split('\0').filter(|name| !name.is_empty());
        let differ: BTreeSet<String> = differ.map(str::to_owned).collect();
        assert!(files.is_subset(&differ), "{commit}: {files:?} of {differ:?}");
        let named =
            [("changes", "part"), ("cosmetic", ""), ("moved", "part"), ("unobserved", "part")];
        let named: BTreeSet<String> =
            named.iter().flat_map(|(list, member)| set(&line[list], member)).collect();
        assert_eq!(named, files, "{commit}");
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    let who = ["user.name=a", "user.email=a@localhost", "commit.gpgsign=false"];
    who.iter().for_each(|setting| {
        command.args(["-c", setting]);
    });
    command
        .args(["-c", "protocol.file.allow=always", "-c", "core.autocrlf=false", "-C"])
        .arg(folder);
    command
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    run(command(folder).args(arguments))
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    replay: Replay,
}

fn replay(repository: &Path, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let git = ["replay", "--verify", "--git", repository.to_str().unwrap()];
    let replay = Arguments::parse_from(git.iter().chain(arguments)).replay;
    let mut printed = Vec::new();
    replay.print(Output::Ndjson, &mut printed)?;
    let text = String::from_utf8(printed).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    Ok(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn set(list: &Value, member: &str) -> BTreeSet<String> {
    let elements = list.as_array().unwrap().iter();
    let text = |element: &Value| {
        if member.is_empty() { element.clone() } else { element[member].clone() }
    };
    elements.map(|element| text(element).as_str().unwrap().to_owned()).collect()
}

/// Kind, key and values of every change, in one line each.
fn said(line: &Value) -> Vec<String> {
    let rows = line["changes"].as_array().unwrap().iter().chain(line["moved"].as_array().unwrap());
    let value = |item: &Value| match item["value"].as_object() {
        Some(value) => value.values().next().unwrap().to_string(),
        None => "-".to_owned(),
    };
    rows.map(|row| {
        let (kind, part) = (row["kind"].as_str().unwrap(), row["part"].as_str().unwrap());
        let key = row["key"].as_str().unwrap_or("*");
        format!("{kind} {part} {key} {} {}", value(&row["before"]), value(&row["after"]))
    })
    .collect()
}

#[test]
fn each_commit_is_a_line_in_the_form_of_the_contract() {
    let made = Made::new();
    made.commit(1_000_000_000, &[("app.ini", "[a]\nx = 1\n")]);
    made.commit(1_000_000_060, &[("app.ini", "[a]\nx = 2\n")]);
    made.commit(1_000_000_120, &[("app.ini", "# c\n[a]\nx =  2\n")]);
    made.commit(1_000_000_180, &[]);
    let lines = made.replay(&[]);
    let ids = made.git(&["rev-list", "--first-parent", "--reverse", "HEAD"]);
    let ids: Vec<&str> = ids.lines().collect();
    assert_eq!(
        said(&lines[0]),
        [
            r#"added app.ini @mode - "0644""#,
            r#"added app.ini @type - "file""#,
            "added app.ini a/x - 1",
        ]
    );
    let row = json!({
        "section": "files", "part": "app.ini", "key": "a/x", "kind": "modified",
        "before": {"value": {"integer": 1}}, "after": {"value": {"integer": 2}}, "class": null,
    });
    assert_eq!(
        lines[1],
        json!({
            "commit": ids[1], "time": "2001-09-09T01:47:40Z", "files": ["app.ini"],
            "changes": [row], "cosmetic": [], "moved": [], "unobserved": [],
        })
    );
    assert_eq!((said(&lines[2]).len(), &lines[2]["cosmetic"]), (0, &json!(["app.ini"])));
    assert_eq!((said(&lines[3]).len(), &lines[3]["files"]), (0, &json!([])));
    assert_eq!(lines.len(), 4);
}

#[test]
fn whatever_git_keeps_is_accounted_for() {
    let made = Made::new();
    made.commit(
        1,
        &[("a", "x\n"), ("b.json", "{}"), ("empty", ""), ("d/e", "1\n"), ("secret", "1")],
    );
    made.write("blob", b"\0\x01");
    made.write("key.pem", b"-----BEGIN PRIVATE KEY-----\n");
    symlink("a", made.path().join("link")).unwrap();
    made.write("quote\"\t'\\.ini", b"[a]\nb=1\n");
    made.write("C x 1", b"1\n");
    fs::write(made.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "1\n").unwrap();
    made.keep(2);
    made.write("blob", b"\0\x02");
    made.write("key.pem", b"-----BEGIN PRIVATE KEY-----\n2\n");
    made.write("b.json", b"{");
    made.write("secret", b"2");
    fs::remove_file(made.path().join("link")).unwrap();
    symlink("b.json", made.path().join("link")).unwrap();
    fs::set_permissions(made.path().join("a"), fs::Permissions::from_mode(0o755)).unwrap();
    made.keep(3);
    made.git(&["mv", "a", "moved"]);
    made.git(&["rm", "-q", "-r", "d", "empty"]);
    made.write("d", b"now a file\n");
    made.write("b.json", b"{\"a\":1}");
    let id = made.git(&["rev-parse", "HEAD"]);
    let module = format!("160000,{},module", id.trim());
    made.git(&["add", "-A", "."]);
    made.git(&["update-index", "--add", "--cacheinfo", &module]);
    made.commit_staged(4);
    let lines = replay(made.path(), &[]).unwrap();
    for (line, files) in lines.iter().zip([5, 6, 6, 7]) {
        assert_eq!(set(&line["files"], "").len(), files, "{line}");
        let named =
            [("changes", "part"), ("cosmetic", ""), ("moved", "part"), ("unobserved", "part")];
        let named: BTreeSet<String> =
            named.iter().flat_map(|(list, member)| set(&line[list], member)).collect();
        assert_eq!(named, set(&line["files"], ""), "{line}");
    }
    let unobserved = json!([
        {"part": "b.json", "reason": "malformed"},
        {"part": "key.pem", "reason": "withheld"},
        {"part": "secret", "reason": "withheld"},
    ]);
    assert_eq!(lines[2]["unobserved"], unobserved);
    let said = said(&lines[3]);
    for expected in [
        "removed a @mode \"0755\" -",
        "added moved @mode - \"0755\"",
        "added module @type - \"submodule\"",
        "removed empty @type \"file\" -",
        "removed d/e @type \"file\" -",
        "added b.json a - 1",
    ] {
        assert!(said.iter().any(|said| said == expected), "no {expected:?} in {said:?}");
    }
    let odd = set(&lines[1]["files"], "");
    assert!(odd.contains("quote\"\\x09'\\x5c.ini") && odd.contains("\\xff"), "{odd:?}");
}

#[test]
fn the_way_back_is_the_mirror_of_the_way_there() {
    let made = Made::new();
    let (one, other) = ("[a]\nx=1\ny=1\n", "[a]\nx=2\n[b]\nz=1\n");
    made.commit(1, &[("a.ini", one), ("s.json", "[1]")]);
    made.commit(2, &[("a.ini", other), ("s.json", "[2]")]);
    made.commit(3, &[("a.ini", one), ("s.json", "[1]")]);
    let lines = made.replay(&[]);
    let mirrored = |row: &Value| {
        let kind = match row["kind"].as_str().unwrap() {
            "added" => "removed",
            "removed" => "added",
            kind => kind,
        };
        json!([row["part"], row["key"], kind, row["after"], row["before"]])
    };
    let plain =
        |row: &Value| json!([row["part"], row["key"], row["kind"], row["before"], row["after"]]);
    let rows = |line: &Value| line["changes"].as_array().unwrap().clone();
    let back: Vec<Value> = rows(&lines[2]).iter().map(mirrored).collect();
    let there: Vec<Value> = rows(&lines[1]).iter().map(plain).collect();
    assert_eq!((back, there.len()), (there, 4));
}

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
    assert!(error.contains("neither a repository nor a bundle"), "{error}");
    let error = replay(&folder.path().join("gone"), &[]).unwrap_err().to_string();
    assert!(error.contains("gone"), "{error}");
    let empty = Made::new();
    let error = replay(empty.path(), &[]).unwrap_err().to_string();
    assert_eq!(error, "there is no commit yet");
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
fn a_file_that_becomes_another_says_what_it_held_and_holds() {
    let made = Made::new();
    symlink("x.conf", made.path().join("b.conf")).unwrap();
    made.commit(1, &[("a.conf", "x\n")]);
    fs::remove_file(made.path().join("b.conf")).unwrap();
    made.commit(2, &[("a.conf", "[s]\nk=v\n"), ("b.conf", "now a file\n")]);
    let lines = made.replay(&[]);
    let expected = [
        "removed a.conf lines [\"x\"] -",
        "added a.conf s/k - \"v\"",
        "added b.conf lines - [\"now a file\"]",
        "modified b.conf @mode \"0777\" \"0644\"",
        "removed b.conf @target \"x.conf\" -",
        "modified b.conf @type \"link\" \"file\"",
    ];
    assert_eq!(said(&lines[1]), expected);
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

#[test]
fn a_person_may_say_what_format_files_are_in() {
    let made = Made::new();
    made.commit(1, &[("x.rules", "a = 1\nb = 2\n")]);
    made.commit(2, &[("x.rules", "b = 2\na = 1\n")]);
    let said_of = |arguments: &[&str]| said(&made.replay(arguments)[1]).len();
    assert_eq!(said_of(&[]), 1);
    assert_eq!(said_of(&["--format", "*.txt=json", "--format", "*.rules=ini"]), 0);
}

#[test]
fn secrets_of_a_history_are_not_printed() {
    let made = Made::new();
    let secret = "hunter2canary";
    let texts = [("a.ini", "[a]\npassword = "), ("b", "x https://u:"), ("c.json", "{\"token\":\"")];
    let ends = ["\n", "@h/\n", "\"}"];
    for number in [1, 2] {
        let files = texts.iter().zip(ends);
        let files: Vec<(&str, String)> = files
            .map(|((name, begin), end)| (*name, format!("{begin}{secret}{number}{end}")))
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (*n, t.as_str())).collect();
        made.commit(number, &files);
    }
    let lines = made.replay(&[]);
    assert_eq!(said(&lines[1]).len(), 3);
    assert!(!json!(lines).to_string().contains(secret));
    assert_eq!(lines, made.replay(&[]));
}

#[test]
fn huge_files_are_known_by_their_digest() {
    let made = Made::new();
    for (at, byte) in [(1, b'a'), (2, b'b')] {
        made.write("huge.txt", &vec![byte; 5 * 1024 * 1024]);
        made.keep(at);
    }
    let lines = made.replay(&[]);
    assert_eq!(lines[1]["unobserved"], json!([{"part": "huge.txt", "reason": "too_large"}]));
    assert!(said(&lines[1])[0].starts_with("modified huge.txt"), "{:?}", said(&lines[1]));
}

#[test]
fn json_is_one_array_and_a_table_is_read_by_people() {
    let made = Made::new();
    made.commit(1, &[("a.ini", "[a]\nx=1\n")]);
    made.commit(2, &[("a.ini", "[a]\nx=2\n")]);
    let print = |output: Output| {
        let git = ["replay", "--git", made.path().to_str().unwrap()];
        let mut printed = Vec::new();
        Arguments::parse_from(git).replay.print(output, &mut printed).unwrap();
        String::from_utf8(printed).unwrap()
    };
    let array: Vec<Value> = serde_json::from_str(&print(Output::Json)).unwrap();
    assert_eq!(array, made.replay(&[]));
    assert!(print(Output::Table).ends_with("\n  modified  a.ini  a/x  1  2\n"));
}

#[test]
fn a_change_that_is_felt_elsewhere_says_where() {
    let made = Made::new();
    let phones = |codec: &str| {
        format!(
            "[base](!)\ntype=endpoint\ndtmf_mode={codec}\n[desk](!,base)\n[alice](desk)\n\
             [bob](desk)\n[carol](base)\ndtmf_mode=auto\n[dave]\ntype=endpoint\n"
        )
    };
    let script = |address: &str| {
        format!(
            "#!KAMAILIO\n#!define DBURL \"{address}\"\n#!define DBURLS \"x\"\n\
             modparam(\"usrloc\", \"db_url\", DBURL)\nmodparam(\"acc\", \"db_url\", DBURL)\n\
             request_route {{ xlog(\"DBURL\"); exit; }}\n"
        )
    };
    let vars = |domain: &str| {
        format!("<include><X-PRE-PROCESS cmd=\"set\" data=\"domain={domain}\"/></include>")
    };
    let profile = "<profile name=\"a\"><settings><param name=\"realm\" value=\"$${domain}\"/>\
                   <param name=\"presence\" value=\"x.$${domain}\"/></settings></profile>";
    made.commit(
        1,
        &[
            ("etc/asterisk/pjsip.conf", &phones("rfc4733")),
            ("etc/kamailio/kamailio.cfg", &script("text:///a")),
            ("etc/freeswitch/vars.xml", &vars("a.example")),
            ("etc/freeswitch/sip_profiles/a.xml", profile),
        ],
    );
    made.commit(2, &[("etc/asterisk/pjsip.conf", &phones("inband"))]);
    made.commit(3, &[("etc/kamailio/kamailio.cfg", &script("text:///b"))]);
    made.commit(4, &[("etc/freeswitch/vars.xml", &vars("b.example"))]);
    let lines = made.replay(&[]);
    let reach = |n: usize| {
        let changes = lines[n]["changes"].as_array().unwrap();
        assert_eq!(changes.len(), 1, "{changes:#?}");
        let first = changes[0]["reach"]["first"].as_array().unwrap().clone();
        let keys: Vec<String> =
            first.iter().map(|place| place["key"].as_str().unwrap().to_owned()).collect();
        (changes[0]["reach"]["places"].clone(), keys)
    };
    let keys = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    let phones = keys(&["alice/type=endpoint", "bob/type=endpoint"]);
    assert_eq!(reach(1), (json!(2), phones), "carol says it herself, dave takes from nobody");
    let script = keys(&["modparam/acc/db_url", "modparam/usrloc/db_url", "request_route"]);
    assert_eq!(reach(2), (json!(3), script));
    assert_eq!(reach(3).0, json!(2));
    let first = &lines[0]["changes"].as_array().unwrap()[0];
    assert!(first.get("reach").is_none(), "{first}");
}
