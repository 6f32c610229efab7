//! `check-rules`: says what is wrong with packs of rules, before a collector has to.

use std::path::PathBuf;
use std::sync::Arc;

use crate::analysis::rules::reading::Mistake;
use crate::analysis::rules::shipped;
use crate::config::Config;
use crate::standards::{RulesError, Standards, read_pack};
use crate::words::{counted, either};

/// What checking came to.
#[derive(Debug, Default)]
pub struct Checked {
    /// One line for each pack without a mistake.
    pub fine: Vec<String>,
    /// Every mistake.
    pub mistakes: Vec<Mistake>,
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
                let rules = pack.rules.len();
                checked.fine.push(format!("{}: {rules} rules are fine", file.display()));
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
                let rules = counted(pack.rules.len(), "rule");
                let are = either(pack.rules.len(), "is", "are");
                checked.fine.push(format!("{name}: {rules} {are} fine"));
            }
            Err(mut mistakes) => checked.mistakes.append(&mut mistakes),
        }
    }
    match Standards::load(&Arc::new(config)) {
        Ok(standards) => {
            let on = standards.rules.all().count();
            let are = either(on, "is", "are");
            checked.fine.push(format!("{} {are} on", counted(on, "rule")));
        }
        Err(RulesError::Mistakes(mut mistakes)) => checked.mistakes.append(&mut mistakes),
        Err(other) => return Err(other),
    }
    Ok(checked)
}
