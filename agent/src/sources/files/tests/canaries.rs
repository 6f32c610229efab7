//! What servers keep below `/etc` with a secret in it, through the whole source: none leaves.
//!
//! Data in `fixtures/secret_files.txt`, whose head says how it is written. Each file is tried with
//! each form that people give their secrets, and each secret is one of its own, so that a failure
//! names its line.

use driftline_protocol::canonical;

use super::*;

const FILES: &str = include_str!("../../../../fixtures/secret_files.txt");

/// What secrets look like: with signs, a word, digits alone; a number in letters follows.
const FORMS: [&str; 3] = ["kAn4ry-Tw33t", "swordfish", "83920174"];

/// One file of the fixture, with its secrets written in.
struct Planted {
    path: String,
    text: String,
    /// Each secret, with the line of the fixture that holds it.
    secrets: Vec<(String, String)>,
}

/// The files of the fixture with their secrets in this form.
fn planted(form: &str) -> Vec<Planted> {
    let mut files: Vec<Planted> = Vec::new();
    for line in FILES.lines().filter(|line| !line.starts_with("## ")) {
        if let Some(path) = line.strip_prefix("== ") {
            let path = path.to_owned();
            files.push(Planted { path, text: String::new(), secrets: Vec::new() });
        } else if let Some(file) = files.last_mut() {
            let written = file.written(line, form);
            file.text.push_str(&written);
            file.text.push('\n');
        }
    }
    files
}

impl Planted {
    /// The line with its secrets, which are noted.
    fn written(&mut self, line: &str, form: &str) -> String {
        let mut written = String::new();
        for (at, piece) in line.split('§').enumerate() {
            if at > 0 {
                let secret = format!("{form}{}", numbered(form, self.secrets.len()));
                written.push_str(&secret);
                self.secrets.push((secret, line.to_owned()));
            }
            written.push_str(piece);
        }
        while let Some((before, rest)) = written.split_once('«') {
            let (secret, after) = rest.split_once('»').unwrap_or_else(|| panic!("{line} lacks »"));
            self.secrets.push((secret.to_owned(), line.to_owned()));
            written = format!("{before}{secret}{after}");
        }
        written
    }
}

/// The number of a secret, of which none is the beginning of another.
fn numbered(form: &str, number: usize) -> String {
    let digits = format!("{number:03}");
    if form.bytes().all(|byte| byte.is_ascii_digit()) {
        return digits;
    }
    digits.bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

#[test]
fn no_secret_of_a_file_that_servers_keep_leaves() {
    let mut leaks = BTreeMap::new();
    for form in FORMS {
        let mut tree = Tree::new();
        let files: Vec<Planted> =
            planted(form).into_iter().filter(|file| file.path.starts_with("/etc")).collect();
        for file in &files {
            tree.write(&file.path, &file.text);
        }
        tree.pass();
        for file in &files {
            let part = tree.seen.parts.get(&file.path);
            let part = part.unwrap_or_else(|| panic!("{} is not looked at", file.path));
            let told = String::from_utf8(canonical::encode(part)).unwrap();
            for (secret, line) in &file.secrets {
                if told.contains(secret) {
                    let parser = part.observed().map(|seen| seen.reading.parser.clone());
                    let parser = parser.unwrap_or_default();
                    leaks
                        .entry((file.path.clone(), line.clone()))
                        .or_insert(format!("{} ({parser}): {line} [{form}]", file.path));
                }
            }
        }
    }
    let leaks: Vec<String> = leaks.into_values().collect();
    assert!(leaks.is_empty(), "{} secrets leave:\n{}", leaks.len(), leaks.join("\n"));
}
