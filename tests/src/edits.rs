//! Random edits of a tree, and the judge's own journal of what was done.
//!
//! Everything follows from a seed, which the test prints. Edits are done as editors do them: in
//! place, or by a new file renamed over the old one.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Numbers that look random and follow from a seed (xorshift64*).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound.max(1)
    }
}

/// What kind of edit was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A new file.
    Add,
    /// A file removed.
    Delete,
    /// A line of meaning added, in place.
    Modify,
    /// The same, by a new file renamed over the old one.
    ModifyByRename,
    /// Another name for a file.
    Rename,
    /// A symbolic link made, or pointed elsewhere.
    Link,
    /// A comment added.
    Comment,
    /// The mode changed, nothing else.
    Mode,
}

impl Kind {
    /// Every kind, in the order of the dice.
    pub const ALL: [Self; 8] = [
        Self::Add,
        Self::Delete,
        Self::Modify,
        Self::ModifyByRename,
        Self::Rename,
        Self::Link,
        Self::Comment,
        Self::Mode,
    ];
}

/// One edit as it was done.
#[derive(Debug, Clone)]
pub struct Edit {
    /// What was done.
    pub kind: Kind,
    /// To which paths, beginning with `/`; a rename has two.
    pub paths: Vec<String>,
}

/// Edits one tree and remembers.
#[derive(Debug)]
pub struct Editor {
    root: PathBuf,
    dice: Dice,
    done: u64,
}

impl Editor {
    /// An editor of the tree at `root`.
    pub fn new(root: &Path, seed: u64) -> Self {
        Self { root: root.to_path_buf(), dice: Dice::new(seed), done: 0 }
    }

    /// Does one edit somewhere in the folder `within`, leaving alone what `avoid` names.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn edit(&mut self, within: &str, avoid: &dyn Fn(&str) -> bool) -> anyhow::Result<Edit> {
        self.done += 1;
        let mut files = Vec::new();
        list(&self.root.join(within), &mut files)?;
        files.sort();
        files.retain(|file| !avoid(&self.name(file)));
        let kind = Kind::ALL.get(usize::try_from(self.dice.below(8))?).copied();
        let kind = kind.context("eight kinds")?;
        let kind = if files.is_empty() { Kind::Add } else { kind };
        let at = usize::try_from(self.dice.below(files.len() as u64))?;
        let fresh = self.root.join(within).join(format!("judge-{}.conf", self.done));
        let file = files.get(at).cloned().unwrap_or_else(|| fresh.clone());
        let touched = self.apply(kind, &file, &fresh)?;
        Ok(Edit { kind, paths: touched.iter().map(|path| self.name(path)).collect() })
    }

    fn apply(&self, kind: Kind, file: &Path, fresh: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let marker = format!("judge_{} = marker-{}\n", self.done, self.done);
        let context = || format!("{kind:?} of {}", file.display());
        match kind {
            Kind::Add => std::fs::write(fresh, marker).with_context(context)?,
            Kind::Delete => std::fs::remove_file(file).with_context(context)?,
            Kind::Modify => append(file, &marker).with_context(context)?,
            Kind::Comment => {
                append(file, &format!("# judge {}\n", self.done)).with_context(context)?;
            }
            Kind::ModifyByRename => {
                let mut bytes = std::fs::read(file).with_context(context)?;
                bytes.extend(marker.bytes());
                std::fs::write(fresh, bytes).with_context(context)?;
                let mode = std::fs::metadata(file).with_context(context)?.permissions();
                std::fs::set_permissions(fresh, mode).with_context(context)?;
                std::fs::rename(fresh, file).with_context(context)?;
            }
            Kind::Rename => {
                std::fs::rename(file, fresh).with_context(context)?;
                return Ok(vec![file.to_path_buf(), fresh.to_path_buf()]);
            }
            Kind::Link => symlink(format!("target-{}", self.done), fresh).with_context(context)?,
            Kind::Mode => {
                let mode = std::fs::metadata(file).with_context(context)?.permissions().mode();
                let other = std::fs::Permissions::from_mode(mode ^ 0o011);
                std::fs::set_permissions(file, other).with_context(context)?;
            }
        }
        let new = matches!(kind, Kind::Add | Kind::Link);
        Ok(vec![if new { fresh } else { file }.to_path_buf()])
    }

    fn name(&self, path: &Path) -> String {
        format!("/{}", path.strip_prefix(&self.root).unwrap_or(path).display())
    }
}

fn append(file: &Path, text: &str) -> anyhow::Result<()> {
    let mut bytes = std::fs::read(file)?;
    if !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes.extend(text.bytes());
    Ok(std::fs::write(file, bytes)?)
}

/// Regular files below `folder`, links not followed.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_does_the_same_edits() -> anyhow::Result<()> {
        let mut journals = Vec::new();
        for _ in 0..2 {
            let root = tempfile::tempdir()?;
            std::fs::create_dir(root.path().join("etc"))?;
            std::fs::write(root.path().join("etc/a"), "x = 1")?;
            let mut editor = Editor::new(root.path(), 7);
            let edits: anyhow::Result<Vec<Edit>> =
                (0..50).map(|_| editor.edit("etc", &|_| false)).collect();
            journals.push(edits?.into_iter().map(|e| (e.kind, e.paths)).collect::<Vec<_>>());
        }
        assert_eq!(journals.first(), journals.last());
        Ok(())
    }
}
