//! Small histories made here, and what is said of them; git itself says which files differ.

#![allow(clippy::disallowed_types, reason = "histories are made with git")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Parser;
use serde_json::Value;

use super::*;

mod changes;
mod form;
mod repositories;

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
