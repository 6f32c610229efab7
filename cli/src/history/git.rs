//! The `git` program, asked with constant arguments.
//!
//! A repository is data of somebody else: its configuration may name programs. Nothing that it
//! names is run: no hook, no filter, no external difference, no signature check, no fetch of what
//! is missing. Whatever could change the answer (renames, order, replaced objects) is set here.
//! Paths and revisions reach git only behind `--end-of-options` or as literal pathspecs.

#![allow(
    clippy::disallowed_types,
    reason = "reading a history asks git; only this command does, the agent starts nothing"
)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail, ensure};

use super::log::{Log, Version};
use crate::eprintln_message;

/// Settings that a repository may not decide.
const SETTINGS: [&str; 6] = [
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "log.follow=false",
    "log.showRoot=true",
    "log.showSignature=false",
    "protocol.allow=never",
];

/// What an enclosing git (a hook, an alias) may have set, and what would show secrets or change
/// answers.
const ENVIRONMENT: [&str; 17] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_DIFF_OPTS",
    "GIT_EXTERNAL_DIFF",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// How a bundle begins; see gitformat-bundle(5).
const BUNDLE: [&[u8]; 2] = [b"# v2 git bundle\n", b"# v3 git bundle\n"];

/// A repository, or the copy of a bundle.
pub(crate) struct Repository {
    path: PathBuf,
    /// Holds the copy; it goes when this does.
    _copy: Option<tempfile::TempDir>,
}

impl Repository {
    /// The repository at `path`: a working tree, a bare repository, or a bundle, which is copied to
    /// a temporary folder.
    ///
    /// # Errors
    /// When there is none, with what to do.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let wanted = || {
            format!(
                "looking for the history {} (name a git repository, or a bundle that `git bundle \
                 create` wrote)",
                path.display()
            )
        };
        let path = path.canonicalize().with_context(wanted)?;
        if path.is_dir() {
            let repository = Self { path, _copy: None };
            let shallow =
                repository.ask(&["rev-parse", "--is-shallow-repository"]).with_context(|| {
                    format!(
                        "opening {} (name a git repository, or a bundle)",
                        repository.path.display()
                    )
                })?;
            if shallow.trim() == "true" {
                eprintln_message(
                    "this is a shallow clone: its history begins where it was cut off, with all \
                    files `added`; `git fetch --unshallow` gets the rest",
                );
            }
            return Ok(repository);
        }
        ensure!(
            is_bundle(&path)?,
            "{} is neither a git repository nor a bundle; `git bundle create` writes one",
            path.display()
        );
        Self::unpack(&path)
    }

    fn unpack(bundle: &Path) -> anyhow::Result<Self> {
        let copy = tempfile::tempdir().context("making a folder for the bundle")?;
        let path = copy.path().join("history.git");
        let mut clone = git(copy.path());
        clone.env("GIT_ALLOW_PROTOCOL", "file").args(["clone", "--quiet", "--bare"]);
        clone.args(["--template=", "--"]).arg(bundle).arg(&path);
        run(clone).with_context(|| format!("unpacking {}", bundle.display()))?;
        Ok(Self { path, _copy: Some(copy) })
    }

    /// The commit to end at where nobody says so: `HEAD`, or the one branch of a bundle without it.
    ///
    /// # Errors
    /// When there is no such commit.
    pub(crate) fn head(&self) -> anyhow::Result<String> {
        let verify = ["rev-parse", "--verify", "--quiet", "--end-of-options", "HEAD^{commit}"];
        if let Ok(head) = self.ask(&verify) {
            return Ok(head.trim().to_owned());
        }
        let branches = self.ask(&["for-each-ref", "--format=%(refname)", "refs/heads"])?;
        let branches: Vec<&str> = branches.lines().collect();
        match branches.as_slice() {
            [] => bail!("{} has no commit yet: nothing to read", self.path.display()),
            [branch] => Ok((*branch).to_owned()),
            several => bail!("HEAD names no commit; choose with --rev: {}", several.join(", ")),
        }
    }

    /// The name of the commit that all others come from, following first parents.
    ///
    /// # Errors
    /// When there is no commit.
    pub(crate) fn first(&self) -> anyhow::Result<String> {
        let head = self.head()?;
        let roots = ["rev-list", "--first-parent", "--max-parents=0", "--end-of-options"];
        let roots = self.ask(&[roots.as_slice(), &[&head, "--"]].concat())?;
        let root = roots.lines().next().context("git names no first commit")?;
        Ok(root.to_owned())
    }

    /// How many first-parent commits `range` has.
    ///
    /// # Errors
    /// When git does not understand the range.
    pub(crate) fn count(&self, range: &str) -> anyhow::Result<u64> {
        let arguments = ["rev-list", "--count", "--first-parent", "--end-of-options", range, "--"];
        let count = self.ask(&arguments).with_context(|| format!("looking for {range:?}"))?;
        count.trim().parse().with_context(|| format!("counting the commits of {range:?}"))
    }

    /// The first-parent commits of `range`, oldest first, each with the files below `prefix` that
    /// differ from its first parent.
    ///
    /// # Errors
    /// When git does not start.
    pub(crate) fn log(
        &self,
        range: &str,
        prefix: Option<&str>,
    ) -> anyhow::Result<Log<Output<BufReader<ChildStdout>>>> {
        let mut log = self.git();
        log.args(["log", "--first-parent", "--reverse", "--sparse", "--root", "--raw", "-z"]);
        log.args(["--diff-merges=first-parent", "--no-renames", "--no-abbrev", "--no-color"]);
        log.args(["--no-ext-diff", "--no-textconv", "--no-relative", "--no-show-signature"]);
        log.args(["--ignore-submodules=none", "--no-notes", "--no-mailmap", "-O/dev/null"]);
        log.args(["--format=tformat:C %H %ct %P", "--end-of-options", range, "--"]);
        log.args(prefix.map(pathspec));
        Ok(Log::new(Output::of(log, "git log")?))
    }

    /// Every file of `commit` below `prefix`.
    ///
    /// # Errors
    /// When git does not know the commit.
    pub(crate) fn tree(
        &self,
        commit: &str,
        prefix: Option<&str>,
    ) -> anyhow::Result<Vec<(Vec<u8>, Version)>> {
        let mut tree = self.git();
        tree.args(["ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit]);
        tree.args(prefix.map(pathspec));
        let listed = run(tree)?;
        let entries = listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
        entries
            .map(|entry| Version::of_tree(entry).context("git ls-tree gave an unknown line"))
            .collect()
    }

    /// The contents of files, one at a time.
    ///
    /// # Errors
    /// When git does not start.
    pub(crate) fn blobs(&self) -> anyhow::Result<Blobs> {
        let mut cat = self.git();
        cat.args(["cat-file", "--batch"]).stdin(Stdio::piped());
        let mut output = Output::of(cat, "git cat-file")?;
        let requests = output.child.stdin.take().context("git cat-file takes no requests")?;
        Ok(Blobs { requests, output })
    }

    fn ask(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.git();
        command.args(arguments);
        String::from_utf8(run(command)?).context("git gave no text")
    }

    fn git(&self) -> Command {
        git(&self.path)
    }
}

/// The path and all below it, whatever characters it has.
fn pathspec(path: &str) -> String {
    format!(":(top,literal){path}")
}

fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    for name in ENVIRONMENT {
        command.env_remove(name);
    }
    command.env("GIT_ALLOW_PROTOCOL", "").env("GIT_NO_LAZY_FETCH", "1");
    command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
    command.args(["--no-pager", "--no-replace-objects", "--no-optional-locks"]);
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command.arg("-C").arg(folder).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Runs to the end; what git says on stderr becomes the error.
fn run(mut command: Command) -> anyhow::Result<Vec<u8>> {
    let output =
        command.stderr(Stdio::piped()).output().context("starting git, which must be in PATH")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git says: {}", crate::output::printable(&essence(&said)));
    Ok(output.stdout)
}

/// What went wrong of all that git says, without its hints and its usage.
fn essence(said: &str) -> String {
    let marks = ["fatal: ", "error: "];
    let wrong = said.lines().filter_map(|line| marks.iter().find_map(|m| line.strip_prefix(m)));
    let wrong: Vec<&str> = wrong.collect();
    match said.lines().next() {
        Some(first) if wrong.is_empty() => first.to_owned(),
        _ => wrong.join("; "),
    }
}

fn is_bundle(path: &Path) -> anyhow::Result<bool> {
    let mut head = Vec::new();
    let longest = BUNDLE.iter().map(|line| line.len()).max().unwrap_or_default() as u64;
    File::open(path)
        .and_then(|file| file.take(longest).read_to_end(&mut head))
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(BUNDLE.iter().any(|line| head.starts_with(line)))
}

/// What a running git says; it is ended when this is dropped.
pub(crate) struct Output<R> {
    child: Child,
    reader: R,
    what: &'static str,
}

impl Output<BufReader<ChildStdout>> {
    fn of(mut command: Command, what: &'static str) -> anyhow::Result<Self> {
        let mut child = command.spawn().with_context(|| format!("starting {what}"))?;
        let stdout = child.stdout.take().with_context(|| format!("{what} has no output"))?;
        Ok(Self { child, reader: BufReader::with_capacity(128 * 1024, stdout), what })
    }
}

impl<R: BufRead> super::log::Said for Output<R> {
    type Reader = R;

    fn reader(&mut self) -> &mut R {
        &mut self.reader
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait().with_context(|| format!("waiting for {}", self.what))?;
        ensure!(status.success(), "{} failed; what it said stands above", self.what);
        Ok(())
    }
}

impl<R> Drop for Output<R> {
    fn drop(&mut self) {
        // Both fail only for a child that has ended already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What git has under an object's name.
pub(crate) enum Blob {
    /// All of it.
    Whole(Vec<u8>),
    /// It passes the bound; it was given piece by piece.
    Pieces {
        /// How many bytes it has.
        size: u64,
    },
    /// The object is not here.
    Missing,
}

/// One `git cat-file` that answers one request after the other.
pub(crate) struct Blobs {
    requests: ChildStdin,
    output: Output<BufReader<ChildStdout>>,
}

impl Blobs {
    /// The blob of this name; one of more than `bound` bytes goes to `piece`, piece by piece.
    ///
    /// # Errors
    /// When git ends or answers something else.
    pub(crate) fn get(
        &mut self,
        id: &str,
        bound: u64,
        piece: &mut dyn FnMut(&[u8]),
    ) -> anyhow::Result<Blob> {
        writeln!(self.requests, "{id}").context("asking git cat-file")?;
        let reader = &mut self.output.reader;
        let mut header = String::new();
        reader.read_line(&mut header).context("reading from git cat-file")?;
        let mut words = header.trim_end().split(' ').skip(1);
        let size = match (words.next(), words.next()) {
            (Some("blob"), Some(size)) => size.parse::<u64>().ok(),
            (Some("missing"), None) => return Ok(Blob::Missing),
            _ => None,
        };
        let size = size.with_context(|| format!("git cat-file knows no file {id}"))?;
        let mut content = reader.take(size);
        let blob = if size > bound {
            pieces(&mut content, piece)?;
            Blob::Pieces { size }
        } else {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            content.read_to_end(&mut bytes).context("reading a blob")?;
            ensure!(bytes.len() as u64 == size, "git cat-file ended inside {id}");
            Blob::Whole(bytes)
        };
        let mut end = [0];
        reader.read_exact(&mut end).context("reading the end of a blob")?;
        Ok(blob)
    }
}

fn pieces(content: &mut impl BufRead, piece: &mut dyn FnMut(&[u8])) -> anyhow::Result<()> {
    loop {
        let bytes = content.fill_buf().context("reading a blob")?;
        if bytes.is_empty() {
            return Ok(());
        }
        piece(bytes);
        let length = bytes.len();
        content.consume(length);
    }
}
