//! `check-rules`: says what is wrong with packs of rules, before a collector has to.

use std::path::PathBuf;
use std::sync::Arc;

use driftline_protocol::ids::SourceName;
use driftline_protocol::wire::is_imported;

use crate::analysis::rules::reading::Mistake;
use crate::analysis::rules::{Pack, Rule, shipped};
use crate::config::Config;
use crate::metrics::table::SOURCES;
use crate::standards::{RulesError, Standards, read_pack};
use crate::words::{counted, either, nearest};

/// What checking came to.
#[derive(Debug, Default)]
pub struct Checked {
    /// One line for each pack without a mistake.
    pub fine: Vec<String>,
    /// Every mistake.
    pub mistakes: Vec<Mistake>,
    /// What can be so and is hardly meant, each in a sentence.
    pub doubts: Vec<String>,
}

fn fine(name: &str, pack: &Pack) -> String {
    let rules = counted(pack.rules.len(), "rule");
    format!("{name}: {rules} {} fine", either(pack.rules.len(), "is", "are"))
}

/// The rules of a pack that look at a source no agent has.
fn doubts(pack: &Pack) -> Vec<String> {
    let unknown = |rule: &&Rule| !is_source(&rule.target.source);
    pack.rules.iter().filter(unknown).map(doubt).collect()
}

fn doubt(rule: &Rule) -> String {
    let Rule { name, target, .. } = rule;
    let source = target.source.as_str();
    let meant = nearest(source, &SOURCES).map(|near| format!("; is {near:?} meant?"));
    format!(
        "{name} looks at the source {source:?}, which no agent has, so it finds nothing{}",
        meant.unwrap_or_default()
    )
}

/// Whether an agent has such a source, or a history may be imported as it.
fn is_source(source: &SourceName) -> bool {
    SOURCES.contains(&source.as_str()) || is_imported(source)
}

/// Checks these files, with their examples.
///
/// # Errors
/// [`RulesError::Read`] for a file that cannot be read.
pub fn files(files: &[PathBuf]) -> Result<Checked, RulesError> {
    let mut checked = Checked::default();
    for file in files {
        match read_pack(file)? {
            Ok(pack) => {
                checked.fine.push(fine(&file.display().to_string(), &pack));
                checked.doubts.extend(doubts(&pack));
            }
            Err(mut mistakes) => checked.mistakes.append(&mut mistakes),
        }
    }
    Ok(checked)
}

/// Checks everything a collector of `config` would use, and every pack that comes with it.
///
/// # Errors
/// [`RulesError`]: a file cannot be read, or the configuration names what is not there.
pub fn everything(config: Config) -> Result<Checked, RulesError> {
    let mut checked = Checked::default();
    for (name, text) in shipped::PACKS {
        match shipped::pack(name, text) {
            Ok(pack) => {
                checked.fine.push(fine(name, &pack));
            }
            Err(mut mistakes) => checked.mistakes.append(&mut mistakes),
        }
    }
    match Standards::load(&Arc::new(config)) {
        Ok(standards) => {
            let on = standards.rules.all().count();
            let are = either(on, "is", "are");
            checked.fine.push(format!("{} {are} on", counted(on, "rule")));
            let unknown = |rule: &&Rule| !is_source(&rule.target.source);
            checked.doubts.extend(standards.rules.all().filter(unknown).map(doubt));
        }
        Err(RulesError::Mistakes(mut mistakes)) => checked.mistakes.append(&mut mistakes),
        Err(other) => return Err(other),
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a pack with one rule that looks at `source`.
    fn checked(source: &str) -> Checked {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.toml");
        let text = format!(
            "title = 'Our own'\n[[rule]]\nname = 'own-motd'\ntitle = 'There is a motd'\n\
             severity = 'info'\nreason = 'We say hello.'\nreference = 'motd(5)'\n\
             source = '{source}'\npart = '/etc/motd'\noperator = 'present'\n\
             [[rule.example]]\nfires = true\n[[rule.example]]\nfires = false\nitems = {{}}\n"
        );
        std::fs::write(&file, text).unwrap();
        files(&[file]).unwrap()
    }

    #[test]
    fn a_rule_of_a_source_that_no_agent_has_is_told_with_the_nearest() {
        let told = checked("file");
        assert!(told.mistakes.is_empty(), "{:?}", told.mistakes);
        let expect = "own-motd looks at the source \"file\", which no agent has, so it finds \
                      nothing; is \"files\" meant?";
        assert_eq!(told.doubts, [expect]);
        assert!(told.fine[0].ends_with(": 1 rule is fine"), "{:?}", told.fine);
        for known in ["files", "imported_etc"] {
            assert_eq!(checked(known).doubts, Vec::<String>::new(), "{known}");
        }
        assert!(checked("quite_another").doubts[0].ends_with("finds nothing"));
    }
}
