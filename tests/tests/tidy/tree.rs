//! The tree as checks see it: text by path, and what an offence is. Keeps nothing of the disk.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Folders that hold what programs made, not what people wrote.
const SKIPPED: [&str; 6] = ["target", ".git", "node_modules", "corpus", "artifacts", "__pycache__"];

/// The largest file that is read as text; anything longer is data, and nobody wrote it by hand.
const TEXT_BYTES: u64 = 2 * 1024 * 1024;

/// Something that must not stay.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Offence {
    /// Which check found it.
    pub(crate) check: &'static str,
    /// Where: a path, with a line where there is one.
    pub(crate) place: String,
    /// What is there.
    pub(crate) what: String,
    /// Why that is bad.
    pub(crate) why: &'static str,
    /// What to do.
    pub(crate) cure: &'static str,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, place, what, why, cure } = self;
        write!(f, "{place}: {what} [{check}]\n  why:  {why}\n  cure: {cure}")
    }
}

/// Text files by path from the root, with `/` between folders. What is not UTF-8 is there, but
/// empty.
#[derive(Clone, Default)]
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Reads the tree at `root`.
    pub(crate) fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        tree.walk(root, "");
        tree
    }

    fn walk(&mut self, folder: &Path, prefix: &str) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let kind = entry.file_type().unwrap();
            let path = format!("{prefix}{name}");
            if SKIPPED.contains(&name.as_str()) {
                continue; // `.git` is a file in a worktree
            }
            if kind.is_dir() {
                self.walk(&entry.path(), &format!("{path}/"));
            } else if kind.is_file() && name != "Cargo.lock" {
                let small = entry.metadata().unwrap().len() <= TEXT_BYTES;
                let text = small.then(|| std::fs::read_to_string(entry.path()).ok()).flatten();
                self.0.insert(path, text.unwrap_or_default());
            }
        }
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes or replaces a file, to build trees for tests.
    pub(crate) fn put(&mut self, path: &str, text: impl Into<String>) {
        self.0.insert(path.into(), text.into());
    }

    /// Takes a file away, to build trees for tests.
    pub(crate) fn remove(&mut self, path: &str) {
        assert!(self.0.remove(path).is_some(), "{path} is not in the tree");
    }

    /// The text of one file.
    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Whether a file or folder is there.
    pub(crate) fn has(&self, path: &str) -> bool {
        let below = format!("{}/", path.trim_end_matches('/'));
        self.0.contains_key(path) || self.0.keys().any(|file| file.starts_with(&below))
    }

    /// Every file whose path begins and ends like this.
    pub(crate) fn files<'a>(
        &'a self,
        begin: &'a str,
        end: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter(move |(path, _)| path.starts_with(begin) && path.ends_with(end))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every line of every file whose path begins and ends like this, with `path:line`.
    pub(crate) fn lines<'a>(
        &'a self,
        begin: &'a str,
        end: &'a str,
    ) -> impl Iterator<Item = (String, &'a str)> {
        self.files(begin, end).flat_map(|(path, text)| {
            text.lines().zip(1..).map(move |(line, number)| (format!("{path}:{number}"), line))
        })
    }
}

/// The file name without folders and extension.
pub(crate) fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name)
}

/// Every `driftline_…` name in `text` that is a metric and not a crate, without a histogram's
/// suffix.
pub(crate) fn metric_names(text: &str) -> Vec<&str> {
    const CRATES: [&str; 6] = ["protocol", "agent", "collector", "tests", "benches", "cli"];
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.split(|c: char| !word(c))
        .filter_map(|name| {
            let rest = name.strip_prefix("driftline_")?;
            let foreign = CRATES.contains(&rest) || rest.contains(':') || rest.is_empty();
            (!foreign).then_some(name)
        })
        .map(|name| {
            ["_bucket", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
        })
        .collect()
}
