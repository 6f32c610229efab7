//! One walk through a history: each commit of it, with the files that differ as parts.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use driftline_protocol::ids::PartName;
use driftline_protocol::redact::Redactor;
use driftline_protocol::snapshot::Part;
use jiff::Timestamp;

use super::git::Repository;
use super::log::Commit;
use super::parts::{Claim, Parts};
use super::timeline::Touched;
use crate::eprintln_message;

/// Which history is read, and how.
#[derive(clap::Args)]
pub(crate) struct History {
    /// A git repository, bare or with a working tree, or a bundle.
    #[arg(long, value_name = "REPO")]
    git: PathBuf,
    /// Only files below this path, counted from the top of the repository.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Only these commits, such as `v1..main`: up to the second, beginning after the first.
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    rev: Option<String>,
    /// Read files by this format whatever they look like, such as `*.rules=ini`; may repeat.
    #[arg(long, value_name = "GLOB=NAME")]
    format: Vec<Claim>,
}

/// Under which key secrets become fingerprints.
pub(crate) enum Keyed {
    /// Under this one's.
    With(Redactor),
    /// Under one made of the name of the first commit. Whoever knows that name has the history and
    /// its secrets; whoever has the fingerprints alone does not.
    ByFirstCommit,
}

/// Hears of one commit after the other, and of each file before its commit.
pub(crate) trait Witness {
    /// A file as it was before the first commit.
    ///
    /// # Errors
    /// What ends the walk.
    fn known(&mut self, name: PartName, part: Part) -> anyhow::Result<()>;

    /// A file that the next commit made another.
    ///
    /// # Errors
    /// What ends the walk.
    fn touched(&mut self, touched: Touched) -> anyhow::Result<()>;

    /// All files of this commit were told.
    ///
    /// # Errors
    /// What ends the walk.
    fn committed(&mut self, id: String, time: Option<Timestamp>) -> anyhow::Result<()>;
}

/// A history being read.
pub(crate) struct Walk {
    repository: Repository,
    range: String,
    prefix: Option<String>,
    parts: Parts,
    total: u64,
}

impl History {
    /// Opens the repository.
    ///
    /// # Errors
    /// When there is no such repository or commit.
    pub(crate) fn open(self, key: Keyed) -> anyhow::Result<Walk> {
        let repository = Repository::open(&self.git)?;
        let redactor = match key {
            Keyed::With(redactor) => redactor,
            Keyed::ByFirstCommit => Redactor::from_key_file(repository.first()?.as_bytes()),
        };
        let range = match self.rev {
            Some(range) => {
                ensure!(
                    !range.starts_with('-'),
                    "--rev takes commits such as `v1..main`, no option"
                );
                range
            }
            None => repository.head()?,
        };
        let total = repository.count(&range)?;
        let parts = Parts::new(redactor, self.format, repository.blobs()?)?;
        let prefix = self.path.map(|path| below_the_top(&path)).filter(|path| !path.is_empty());
        Ok(Walk { repository, range, prefix, parts, total })
    }
}

/// A path as git writes it, from `/etc`, `./etc/` or `etc//`.
fn below_the_top(path: &str) -> String {
    let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
    names.collect::<Vec<_>>().join("/")
}

impl Walk {
    /// How many commits there are.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Tells `witness` every commit, oldest first.
    ///
    /// # Errors
    /// When git breaks off, when the range is not one line of commits, and what `witness` gives.
    pub(crate) fn run(&mut self, witness: &mut dyn Witness) -> anyhow::Result<()> {
        let mut log = self.repository.log(&self.range, self.prefix.as_deref())?;
        let mut last: Option<String> = None;
        let mut none_touched = true;
        while let Some(commit) = log.next_commit()? {
            let Commit { id, time, parent, touched } = commit;
            match (last, parent) {
                (None, Some(parent)) => self.begin(&parent, witness)?,
                (None, None) => {}
                (last, parent) => ensure!(
                    parent == last,
                    "{:?} is not one line of first parents: {id} follows no commit before it",
                    self.range,
                ),
            }
            none_touched &= touched.is_empty();
            for (path, version) in touched {
                let name = PartName::from_bytes(&path);
                let now = version.map(|version| self.parts.read(&name, &version)).transpose()?;
                witness.touched(Touched { name, now })?;
            }
            witness.committed(id.clone(), time)?;
            last = Some(id);
        }
        if let (true, Some(prefix)) = (none_touched && last.is_some(), &self.prefix) {
            eprintln_message(&format!("no commit touches a file below {prefix:?}"));
        }
        Ok(())
    }

    /// A range that does not begin at a root begins with what its first commit's parent had.
    fn begin(&mut self, parent: &str, witness: &mut dyn Witness) -> anyhow::Result<()> {
        let files = self.repository.tree(parent, self.prefix.as_deref());
        for (path, version) in files.with_context(|| format!("reading the files of {parent}"))? {
            let name = PartName::from_bytes(&path);
            let part = self.parts.read(&name, &version)?;
            witness.known(name, part)?;
        }
        Ok(())
    }
}
