//! Who is asked, and what the answer says.
//!
//! The program is run as a person runs it: files in, NDJSON out. Reads only the fields that the
//! contract of `driftline correlate` names; `null` is "could not be computed" and stays so.

#![allow(clippy::disallowed_types, reason = "the judge starts the program it judges")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::plan::Trial;
use super::stream::changes_csv;
use crate::programs;

/// What is said about one change.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Of which change.
    pub id: String,
    /// How likely such a rise is without the change.
    pub p_value: Option<f64>,
    /// The same, beside all changes of the file.
    pub q_value: Option<f64>,
    /// Ranks changes; larger is more.
    pub score: Option<f64>,
    /// How many times the cases that were expected.
    pub rate_ratio: Option<f64>,
    /// The interval of the ratio.
    pub interval: Option<(f64, f64)>,
    /// The tier, one of the contract's five.
    pub tier: String,
}

impl Answer {
    /// Reads one object.
    ///
    /// # Errors
    /// When a field is missing or of another type.
    pub fn read(value: &Value) -> anyhow::Result<Self> {
        let number = |name: &str| -> anyhow::Result<Option<f64>> {
            match value.get(name) {
                Some(Value::Null) => Ok(None),
                Some(number) => {
                    let read = number.as_f64().with_context(|| format!("{name}: {number}"))?;
                    Ok(Some(read))
                }
                None => anyhow::bail!("no field {name} in {value}"),
            }
        };
        let text = |name: &str| -> anyhow::Result<String> {
            let text = value.get(name).and_then(Value::as_str);
            Ok(text.with_context(|| format!("no text {name} in {value}"))?.to_string())
        };
        Ok(Self {
            id: text("id")?,
            p_value: number("p_value")?,
            q_value: number("q_value")?,
            score: number("score")?,
            rate_ratio: number("rate_ratio")?,
            interval: number("ci_low")?.zip(number("ci_high")?),
            tier: text("tier")?,
        })
    }
}

/// Answers a trial.
pub trait Respond: Sync {
    /// What it is called in tables.
    fn name(&self) -> String;

    /// What it says about the changes of `trial`, best first.
    ///
    /// # Errors
    /// When it does not answer.
    fn respond(&self, trial: &Trial) -> anyhow::Result<Vec<Answer>>;
}

/// The program `driftline`.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
}

/// How the program ended and what it printed.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its exit code; none when it was killed.
    pub code: Option<i32>,
    /// Its output.
    pub stdout: String,
    /// Its messages.
    pub stderr: String,
}

impl Ran {
    /// The objects it printed, one a line.
    ///
    /// # Errors
    /// When it did not end well, or when a line is no JSON.
    pub fn objects(&self) -> anyhow::Result<Vec<Value>> {
        ensure!(self.code == Some(0), "exit {:?}: {}", self.code, self.stderr);
        let lines = self.stdout.lines();
        lines.map(|line| serde_json::from_str(line).with_context(|| line.to_string())).collect()
    }
}

impl Program {
    /// The program at `path`.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The program beside this test, or where the environment says.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn built() -> anyhow::Result<Self> {
        Ok(Self::at(programs::program(programs::ADMIN)?))
    }

    /// Runs it in `folder`.
    ///
    /// # Errors
    /// When it cannot be started or prints what is not UTF-8.
    pub fn run(&self, folder: &Path, arguments: &[&str]) -> anyhow::Result<Ran> {
        let mut command = Command::new(&self.path);
        match programs::mutant_of(programs::ADMIN) {
            Some(name) => command.env(programs::MUTANT, name),
            None => command.env_remove(programs::MUTANT),
        };
        let output = command
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("starting {}", self.path.display()))?;
        Ok(Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).context("its output")?,
            stderr: String::from_utf8(output.stderr).context("its messages")?,
        })
    }

    /// Correlates two files with these contents; `more` are further arguments.
    ///
    /// # Errors
    /// As [`Self::run`], or when the files cannot be written.
    pub fn correlate(&self, cases: &str, changes: &str, more: &[&str]) -> anyhow::Result<Ran> {
        let folder = tempfile::tempdir().context("making a folder")?;
        std::fs::write(folder.path().join("cases.csv"), cases).context("writing cases")?;
        std::fs::write(folder.path().join("changes.csv"), changes).context("writing changes")?;
        let mut arguments = programs::correlate("cases.csv", "changes.csv").to_vec();
        arguments.extend(more);
        self.run(folder.path(), &arguments)
    }
}

impl Respond for Program {
    fn name(&self) -> String {
        "driftline correlate".into()
    }

    fn respond(&self, trial: &Trial) -> anyhow::Result<Vec<Answer>> {
        let changes: Vec<_> = trial.planted.iter().map(|p| p.change.clone()).collect();
        let changes = changes_csv(&trial.stream, &changes);
        let ran = self.correlate(&trial.stream.csv(), &changes, &[])?;
        ran.objects()?.iter().map(Answer::read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_kept_and_a_missing_field_is_an_error() {
        let mut value = serde_json::json!({
            "id": "a", "p_value": 0.5, "q_value": null, "score": 1, "rate_ratio": null,
            "ci_low": null, "ci_high": 2.0, "tier": "undetermined",
        });
        let answer = Answer::read(&value).unwrap();
        assert_eq!((answer.p_value, answer.q_value), (Some(0.5), None));
        assert_eq!((answer.score, answer.interval), (Some(1.0), None));
        value["p_value"] = "NaN".into();
        assert!(Answer::read(&value).is_err());
        value.as_object_mut().unwrap().remove("p_value");
        assert!(Answer::read(&value).is_err());
    }
}
