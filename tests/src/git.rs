//! git as a second opinion: which files differ between two moments of a tree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::process::run;

/// A history kept beside a tree, never in it.
#[derive(Debug)]
pub struct Oracle {
    history: PathBuf,
    tree: PathBuf,
}

impl Oracle {
    /// Begins a history of `tree` in the folder `history`.
    ///
    /// # Errors
    /// When git refuses.
    pub fn begin(history: &Path, tree: &Path) -> anyhow::Result<Self> {
        let oracle = Self { history: history.to_path_buf(), tree: tree.to_path_buf() };
        oracle.git(&["init", "-q"])?;
        oracle.commit()?;
        Ok(oracle)
    }

    /// Notes the tree as it is, and gives the paths that differ from the note before, beginning
    /// with `/`. Contents, kinds, link targets and the executable bit count; renames are a removal
    /// and an addition.
    ///
    /// # Errors
    /// When git refuses.
    pub fn commit(&self) -> anyhow::Result<BTreeSet<String>> {
        self.git(&["add", "-A", "-f", "."])?;
        let differing = self.git(&["diff", "--cached", "--no-renames", "--name-only", "-z"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "step"])?;
        let names = differing.unwrap_or_default();
        let paths = names.split('\0').filter(|name| !name.is_empty());
        Ok(paths.map(|name| format!("/{name}")).collect())
    }

    fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let history = format!("--git-dir={}", self.history.display());
        let tree = format!("--work-tree={}", self.tree.display());
        let folder = self.tree.display().to_string();
        let who = ["user.name=judge", "user.email=judge@localhost", "core.autocrlf=false"];
        let mut all = vec!["-C", &folder, &history, &tree];
        for setting in &who {
            all.extend(["-c", setting]);
        }
        all.extend(["-c", "core.quotepath=false", "-c", "commit.gpgsign=false"]);
        all.extend(arguments);
        run("git", &all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_names_what_was_added_changed_and_removed() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let tree = folder.path().join("tree");
        std::fs::create_dir(&tree)?;
        std::fs::write(tree.join("a"), "1")?;
        std::fs::write(tree.join("b"), "1")?;
        let oracle = Oracle::begin(&folder.path().join("git"), &tree)?;
        std::fs::write(tree.join("a"), "2")?;
        std::fs::rename(tree.join("b"), tree.join("c"))?;
        let expected: BTreeSet<String> = ["/a", "/b", "/c"].map(String::from).into();
        assert_eq!(oracle.commit()?, expected);
        assert_eq!(oracle.commit()?, BTreeSet::new());
        Ok(())
    }
}
