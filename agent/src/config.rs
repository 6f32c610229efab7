//! The agent's configuration: one file, more files beside it, and what may stand in them.
//!
//! `agent.toml` is read first, then `conf.d/*.toml` and `agent.d/*.toml` beside it in the order of
//! their names; a later file wins key by key. Unknown keys are refused, and an error names the
//! file, the line and the way out. Nothing here reads the environment.

mod sample;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::{HostId, SourceName};
use driftline_protocol::limits;
use driftline_protocol::wire::HostKind;
use serde::{Deserialize, Serialize};

use crate::{control, platform, probes};

pub use sample::sample;

use crate::budget::Budgets;

/// The largest configuration file, in bytes.
const FILE_BYTES: u64 = 1024 * 1024;

/// Beside the file: one folder for everything on this machine, and one of the agent's own, since a
/// collector on the same machine reads the first as well.
pub const FOLDERS: [&str; 2] = ["conf.d", "agent.d"];

/// The most files in such a folder.
const FILES: usize = 1_000;

/// The shortest spool bound, in bytes: room for one part of the largest size and the tables.
const SPOOL_BYTES_LEAST: u64 = 16 * 1024 * 1024;

/// The least memory and reading of a pass, in bytes: one file of the largest size.
const BUDGET_BYTES_LEAST: u64 = 4 * 1024 * 1024;

/// Everything an agent can be told. Each field is explained in [`sample`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The collector's address; https, or http on this machine.
    pub collector: Option<String>,
    /// Certificates the collector's must lead to, in PEM form; the platform's where there is none.
    pub ca_file: Option<PathBuf>,
    /// What the host calls itself when it enrols; the kernel's host name where there is none.
    pub host_name: Option<String>,
    /// What kind of host it says it is.
    pub kind: HostKind,
    /// Where the agent keeps its state; nothing is written anywhere else.
    pub state_dir: PathBuf,
    /// The site's fingerprint key; the host's own where there is none.
    pub fingerprint_key_file: Option<PathBuf>,
    /// The enrolment secret; needed once, and again when the collector has lost its store.
    pub enrolment_secret_file: Option<PathBuf>,
    /// How often a heartbeat is sent until the collector says otherwise, in seconds.
    pub heartbeat_seconds: u64,
    /// Bytes the spool may use before old versions are merged.
    pub spool_limit_bytes: u64,
    /// Which sources run, and how often.
    pub sources: Sources,
    /// Which files are read.
    pub files: Files,
    /// Which servers are asked what is running.
    pub runtime: control::Config,
    /// What this host depends on and is asked whether it answers.
    pub probes: probes::Config,
    /// Where certificates are looked for.
    pub certificates: Certificates,
    /// What one pass of one source may use up.
    pub budget: Budgets,
}

/// Which sources run, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sources {
    /// The sources that run; all where nothing is said.
    pub enable: Option<Vec<SourceName>>,
    /// How often each is read although nothing has changed, in seconds.
    pub rescan_seconds: u64,
}

/// Which files are read; patterns as in `/etc/**/*.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// Files that are reported; the built-in list where nothing is said.
    pub include: Option<Vec<String>>,
    /// Files that are not.
    pub exclude: Option<Vec<String>>,
    /// Files that are secrets as a whole and never opened, beside the built-in ones.
    pub withhold: Option<Vec<String>>,
}

/// Where certificates are looked for; patterns as in `/opt/pbx/tls/**/*.pem`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Certificates {
    /// Files beside those of the built-in list.
    pub include: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            collector: None,
            ca_file: None,
            host_name: None,
            kind: HostKind::Endpoint,
            state_dir: platform::STATE_FOLDER.into(),
            fingerprint_key_file: None,
            enrolment_secret_file: None,
            heartbeat_seconds: 60,
            spool_limit_bytes: 256 * 1024 * 1024,
            sources: Sources::default(),
            files: Files::default(),
            runtime: control::Config::default(),
            probes: probes::Config::default(),
            certificates: Certificates::default(),
            budget: Budgets::default(),
        }
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self { enable: None, rescan_seconds: 3_600 }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or folder cannot be read.
    #[error("reading the configuration {} ({})", path.display(), way_out(source))]
    Read {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A file says something that is not understood.
    #[error(
        "{}, line {line}: {what}\n  hint: compare with `driftline-agent check-config --sample`",
        path.display()
    )]
    Content {
        /// Which file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A value is out of its range.
    #[error("{key}: {what}\n  hint: {hint}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What is wrong.
        what: String,
        /// What to write instead.
        hint: &'static str,
    },
}

/// What to do about a file of the configuration that cannot be read.
fn way_out(error: &io::Error) -> &'static str {
    let known = WAYS_OUT.iter().find(|(kind, _)| *kind == error.kind());
    known.map_or("it must be a file of text of up to 1 MiB", |(_, way)| way)
}

const WAYS_OUT: [(io::ErrorKind, &str); 2] = [
    (
        io::ErrorKind::NotFound,
        "`driftline-agent check-config --sample` prints one to begin with, --config FILE names \
         another",
    ),
    (
        io::ErrorKind::PermissionDenied,
        "read it as root or as the user of the service, or let that user read it",
    ),
];

impl Config {
    /// Reads `path` and the files of `conf.d` and `agent.d` beside it.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut merged = toml::Table::new();
        let mut files = vec![path.to_path_buf()];
        files.extend(Self::drop_ins(path)?);
        for file in files {
            merge(&mut merged, read(&file)?);
        }
        // Each file was read as a configuration of its own, and merging replaces whole values.
        let config: Self = merged.try_into().map_err(|error: toml::de::Error| {
            let what = error.message().to_owned();
            ConfigError::Content { path: path.to_path_buf(), line: 1, what }
        })?;
        config.check()?;
        Ok(config)
    }

    /// The files that are read after `path`, in their order.
    ///
    /// # Errors
    /// [`ConfigError::Read`].
    pub fn drop_ins(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
        let mut files = Vec::new();
        for folder in FOLDERS {
            files.append(&mut drop_ins(&path.with_file_name(folder))?);
        }
        Ok(files)
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for the first value out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let out = |key, what: String, hint| Err(ConfigError::Value { key, what, hint });
        if !(5..=3_600).contains(&self.heartbeat_seconds) {
            let what = format!("{} seconds", self.heartbeat_seconds);
            return out("heartbeat_seconds", what, "from 5 to 3600");
        }
        if self.spool_limit_bytes < SPOOL_BYTES_LEAST {
            let what = format!("{} bytes", self.spool_limit_bytes);
            return out("spool_limit_bytes", what, "at least 16777216 (16 MiB)");
        }
        if !(60..=86_400).contains(&self.sources.rescan_seconds) {
            let what = format!("{} seconds", self.sources.rescan_seconds);
            return out("sources.rescan_seconds", what, "from 60 to 86400");
        }
        if let Some((key, what, hint)) = self.runtime.mistake().or_else(|| self.probes.mistake()) {
            return out(key, what, hint);
        }
        self.check_budget()?;
        if !self.state_dir.is_absolute() {
            let what = format!("{}", self.state_dir.display());
            return out("state_dir", what, "an absolute path, such as /var/lib/driftline");
        }
        Ok(())
    }

    /// A budget that no source can keep would blind the host.
    fn check_budget(&self) -> Result<(), ConfigError> {
        let Budgets { cpu_seconds, memory_bytes, read_bytes } = self.budget;
        for (key, value, least, hint) in [
            ("budget.cpu_seconds", cpu_seconds, 1, "at least 1"),
            ("budget.memory_bytes", memory_bytes, BUDGET_BYTES_LEAST, "at least 4194304 (4 MiB)"),
            ("budget.read_bytes", read_bytes, BUDGET_BYTES_LEAST, "at least 4194304 (4 MiB)"),
        ] {
            if value < least {
                return Err(ConfigError::Value { key, what: value.to_string(), hint });
            }
        }
        Ok(())
    }

    /// What the host calls itself.
    pub fn proposed_host(&self) -> HostId {
        match &self.host_name {
            Some(name) => HostId::nearest(name),
            None => HostId::nearest(&platform::host_name()),
        }
    }
}

/// The files of one folder, in the order of their names. No folder is no files.
fn drop_ins(folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let failed = |source| ConfigError::Read { path: folder.to_path_buf(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries.take(FILES) {
        let path = entry.map_err(failed)?.path();
        // Editors leave hidden files beside the real ones.
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<toml::Table, ConfigError> {
    let bytes = File::open(path)
        .and_then(|mut file| limits::read_bounded(&mut file, FILE_BYTES))
        .map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
    let text = String::from_utf8_lossy(&bytes);
    let content = |error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        ConfigError::Content { path: path.to_path_buf(), line, what: error.message().to_owned() }
    };
    toml::from_str::<Config>(&text).map_err(content)?;
    toml::from_str(&text).map_err(content)
}

/// Puts `later` over `earlier`, table by table and key by key.
fn merge(earlier: &mut toml::Table, later: toml::Table) {
    for (key, value) in later {
        match (earlier.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => merge(under, over),
            (_, value) => {
                earlier.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(files: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        for more in FOLDERS {
            fs::create_dir(folder.path().join(more)).unwrap();
        }
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let place = format!("{}{}", folder.path().display(), std::path::MAIN_SEPARATOR);
        Config::load(&folder.path().join("agent.toml"))
            .map_err(|error| error.to_string().replace(&place, ""))
    }

    #[test]
    fn a_later_file_wins_key_by_key() {
        let config = load(&[
            ("agent.toml", "heartbeat_seconds = 10\n[sources]\nrescan_seconds = 60\n"),
            ("agent.d/10.toml", "heartbeat_seconds = 30\n"),
            ("conf.d/20.toml", "[sources]\nrescan_seconds = 90\n"),
            ("conf.d/10.toml", "[sources]\nrescan_seconds = 80\nenable = ['files']\n"),
            ("conf.d/30.toml.bak", "nonsense"),
        ])
        .unwrap();
        assert_eq!(config.heartbeat_seconds, 30);
        assert_eq!(config.sources.rescan_seconds, 90);
        assert_eq!(config.sources.enable.unwrap().len(), 1);
    }

    #[test]
    fn an_error_names_the_file_the_line_and_the_way_out() {
        for (text, expected) in [
            ("\nheartbeet_seconds = 1\n", "agent.toml, line 2: unknown field"),
            ("[files]\n\ninclude = 3\n", "agent.toml, line 3: invalid type"),
            ("kind = 'toaster'\n", "agent.toml, line 1: unknown variant"),
            ("heartbeat_seconds = 1\n", "heartbeat_seconds: 1 seconds"),
            ("state_dir = 'here'\n", "state_dir: here"),
            ("[runtime]\nevery_seconds = 0\n", "runtime.every_seconds: 0 seconds"),
            (
                "[runtime]\nkamailio = { http = { address = '192.0.2.1:80', path = '/RPC' } }\n",
                "runtime.kamailio: 192.0.2.1:80",
            ),
            ("[budget]\nread_bytes = 1\n", "budget.read_bytes: 1"),
        ] {
            let error = load(&[("agent.toml", text)]).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
            assert!(error.contains("hint: "), "{error}");
        }
    }
}
