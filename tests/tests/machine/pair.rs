//! One collector and one agent in a folder that vanishes, under wrappers a test may choose.
//!
//! Knows how programs are configured, started, killed and asked; judges nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use driftline_tests::http;
use driftline_tests::process::{Process, run};
use driftline_tests::programs;
use driftline_tests::wait::{self, PATIENCE};
use serde_json::Value;
use tempfile::TempDir;

/// The name the host asks for.
pub(crate) const HOST: &str = "second";
/// The enrolment secret; a canary too: it must show nowhere.
pub(crate) const SECRET: &str = "enrolment-Zq7canary-0123456789abcdef";

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Agent,
    Collector,
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::Agent => programs::AGENT,
            Self::Collector => programs::COLLECTOR,
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Agent => "run",
            Self::Collector => "serve",
        }
    }
}

/// A collector and an agent over one tree.
pub(crate) struct Pair {
    folder: TempDir,
    /// Where the collector listens.
    pub(crate) address: SocketAddr,
    /// Folders of the tree that stand in the agent's namespace in place of the machine's.
    pub(crate) binds: Vec<&'static str>,
    /// Variables of the environment, by program.
    pub(crate) environment: BTreeMap<Who, Vec<String>>,
    running: BTreeMap<Who, Process>,
}

impl Pair {
    /// Configured, with an empty `etc` in its tree; nothing runs yet.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = TempDir::new().context("making a folder")?;
        let address = http::free_address()?;
        let pair = Self {
            folder,
            address,
            binds: vec!["etc"],
            environment: BTreeMap::new(),
            running: BTreeMap::new(),
        };
        std::fs::create_dir_all(pair.tree().join("etc"))?;
        programs::keep_secret(&pair.path("enrolment"), SECRET)?;
        pair.configure_collector(&format!("listen = \"{address}\"\n"), "")?;
        pair.configure_agent("\"files\"")?;
        Ok(pair)
    }

    /// The same with both running and the first snapshot arrived.
    pub(crate) fn started(tree: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let mut pair = Self::new()?;
        std::fs::write(pair.tree().join("etc/first.conf"), "first = marker-first\n")?;
        tree(&pair.tree())?;
        pair.start(Who::Collector)?;
        pair.start(Who::Agent)?;
        pair.wait_for("marker-first")?;
        Ok(pair)
    }

    /// Something below the folder of this pair.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The tree the agent sees in place of the machine.
    pub(crate) fn tree(&self) -> PathBuf {
        self.path("tree")
    }

    /// The state folder of one of the two.
    pub(crate) fn state(&self, who: Who) -> PathBuf {
        self.path(&format!("state-{}", who.name()))
    }

    /// What a program said so far.
    pub(crate) fn log(&self, who: Who) -> String {
        let bytes = std::fs::read(self.path(&format!("{}.log", who.name())));
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }

    /// Writes the collector's configuration: `keys` before its tables, `tables` at its end.
    pub(crate) fn configure_collector(&self, keys: &str, tables: &str) -> anyhow::Result<()> {
        let text = format!(
            "{keys}state_dir = {:?}\nenrolment_secret_file = {:?}\nheartbeat_seconds = 5\n{tables}",
            self.state(Who::Collector),
            self.path("enrolment"),
        );
        std::fs::write(self.config(Who::Collector), text).context("configuring the collector")
    }

    /// Writes the agent's configuration with these sources.
    pub(crate) fn configure_agent(&self, sources: &str) -> anyhow::Result<()> {
        let text = format!(
            "collector = \"http://{}\"\nhost_name = {HOST:?}\nstate_dir = {:?}\n\
             enrolment_secret_file = {:?}\nheartbeat_seconds = 5\n\
             [sources]\nenable = [{sources}]\nrescan_seconds = 60\n",
            self.address,
            self.state(Who::Agent),
            self.path("enrolment"),
        );
        std::fs::write(self.config(Who::Agent), text).context("configuring the agent")
    }

    /// The configuration file of one of the two.
    pub(crate) fn config(&self, who: Who) -> PathBuf {
        self.path(&format!("{}.toml", who.name()))
    }

    /// Starts one of the two on the state it has; waits for the collector to answer.
    pub(crate) fn start(&mut self, who: Who) -> anyhow::Result<()> {
        let mut process = self.spawn(who)?;
        if who == Who::Collector {
            let address = self.address;
            wait::until("the collector answers", PATIENCE, || {
                if let Err(error) = process.check_alive() {
                    return Ok(Some(Err(error)));
                }
                Ok(http::get_ok(address, programs::HEALTHY).ok().map(|_| Ok(())))
            })??;
        }
        self.running.insert(who, process);
        Ok(())
    }

    /// Starts one of the two and waits for nothing: a program under test may well end at once.
    pub(crate) fn spawn(&self, who: Who) -> anyhow::Result<Process> {
        let program = programs::program(who.name())?.display().to_string();
        let mut words = vec!["env".to_string()];
        words.extend(self.environment.get(&who).into_iter().flatten().cloned());
        let mutant = programs::mutant_of(who.name());
        words.extend(mutant.map(|name| format!("{}={name}", programs::MUTANT)));
        words.extend([program, who.verb().into(), "--config".into()]);
        words.push(self.config(who).display().to_string());
        let log = self.path(&format!("{}.log", who.name()));
        self.spawn_words(who, &words, &log)
    }

    /// What the agent writes for `snapshot`, in its namespace.
    pub(crate) fn agent_snapshot(&self) -> anyhow::Result<String> {
        let program = programs::program(programs::AGENT)?.display().to_string();
        let config = self.config(Who::Agent).display().to_string();
        let mutant = programs::mutant_of(programs::AGENT)
            .map_or_else(String::new, |name| format!("{}={name}", programs::MUTANT));
        let etc = self.tree().join("etc");
        let script = format!(
            "mount --bind '{}' /etc && exec env {mutant} '{program}' snapshot --config '{config}'",
            etc.display(),
        );
        run("unshare", &["-m", "sh", "-c", &script])
    }

    /// Every step ends in `exec`, so the process is the program and its id the one written down.
    fn spawn_words(&self, who: Who, words: &[String], log: &Path) -> anyhow::Result<Process> {
        let mut script = format!("echo $$ > '{}'; ", self.pid_file(who).display());
        if who == Who::Agent {
            for place in &self.binds {
                let inside = self.tree().join(place);
                script.push_str(&format!("mount --bind '{}' '/{place}' && ", inside.display()));
            }
        }
        script.push_str("exec \"$@\"");
        let mut arguments: Vec<String> =
            ["-m", "sh", "-c"].iter().map(ToString::to_string).collect();
        arguments.extend([script, "sh".into()]);
        arguments.extend(words.iter().cloned());
        Process::start(Path::new("/usr/bin/unshare"), &arguments, log)
    }

    fn pid_file(&self, who: Who) -> PathBuf {
        self.path(&format!("{}.pid", who.name()))
    }

    fn take(&mut self, who: Who) -> anyhow::Result<Process> {
        self.running.remove(&who).with_context(|| format!("{who:?} does not run"))
    }

    /// Kills one of the two as a power cut would.
    pub(crate) fn kill9(&mut self, who: Who) -> anyhow::Result<()> {
        self.take(who)?.kill9()
    }

    /// Asks one of the two to stop, and waits for a clean end.
    pub(crate) fn stop(&mut self, who: Who) -> anyhow::Result<()> {
        self.take(who)?.stop()
    }

    /// Asks the collector to read its configuration again.
    pub(crate) fn hang_up(&self) -> anyhow::Result<()> {
        run("kill", &["-HUP", &self.pid(Who::Collector)?]).map(drop)
    }

    /// The process id of one of the two.
    pub(crate) fn pid(&self, who: Who) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.pid_file(who))?.trim().to_string())
    }

    /// Starts again what has ended by itself; says how many had.
    pub(crate) fn supervise(&mut self) -> anyhow::Result<u32> {
        let mut ended = Vec::new();
        for (who, process) in &mut self.running {
            if process.check_alive().is_err() {
                ended.push(*who);
            }
        }
        for who in &ended {
            drop(self.take(*who)?);
            self.start(*who)?;
        }
        Ok(u32::try_from(ended.len())?)
    }

    /// Fails if one of the two has ended.
    pub(crate) fn check_alive(&mut self) -> anyhow::Result<()> {
        self.running.values_mut().try_for_each(Process::check_alive)
    }

    /// An answer of the API, which must be 200.
    pub(crate) fn json(&self, path: &str) -> anyhow::Result<Value> {
        http::get_ok(self.address, path)?.json()
    }

    /// Every change there is, oldest first.
    pub(crate) fn changes(&self) -> anyhow::Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut next = Some(format!("/api/v1/changes?host={HOST}&limit=1000"));
        while let Some(path) = next {
            let page = self.json(&path)?;
            all.extend(page["changes"].as_array().context("a list")?.iter().cloned());
            next = page["next"].as_str().map(ToOwned::to_owned);
        }
        all.reverse();
        Ok(all)
    }

    /// What the collector knows of the host now.
    pub(crate) fn snapshot(&self) -> anyhow::Result<Value> {
        self.json(&format!("/api/v1/hosts/{HOST}/snapshot"))
    }

    /// The sum of a metric over the series whose labels contain each of `labels`.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> anyhow::Result<f64> {
        let text = http::get_ok(self.address, programs::METRICS)?.text();
        let mut sum = 0.0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let (own, rest) = series.split_once('{').unwrap_or((series, ""));
            if own == name && labels.iter().all(|label| rest.contains(label)) {
                sum += value.parse::<f64>().with_context(|| format!("no number in {line}"))?;
            }
        }
        Ok(sum)
    }

    /// How many changes of meaning there were so far.
    pub(crate) fn semantic(&self) -> anyhow::Result<f64> {
        let kinds =
            ["added", "removed", "modified", "moved"].map(|kind| format!("kind=\"{kind}\""));
        kinds.iter().map(|kind| self.metric("driftline_changes_total", &[kind])).sum()
    }

    /// Waits until the collector knows `text` to stand on the host.
    pub(crate) fn wait_for(&mut self, text: &str) -> anyhow::Result<()> {
        self.wait_for_within(text, PATIENCE)
    }

    /// Waits as [`Pair::wait_for`], at most for `limit`.
    pub(crate) fn wait_for_within(&mut self, text: &str, limit: Duration) -> anyhow::Result<()> {
        wait::until(&format!("{text} reaches the collector"), limit, || {
            if let Err(error) = self.check_alive() {
                return Ok(Some(Err(error)));
            }
            Ok(self.snapshot()?.to_string().contains(text).then_some(Ok(())))
        })?
    }

    /// Waits until the change log names `text`.
    pub(crate) fn wait_for_change(&mut self, text: &str) -> anyhow::Result<()> {
        wait::until(&format!("{text} is in the change log"), PATIENCE, || {
            Ok(serde_json::to_string(&self.changes()?)?.contains(text).then_some(()))
        })
    }

    /// Waits until agent and collector agree on what was observed.
    pub(crate) fn balanced(&self) -> anyhow::Result<()> {
        wait::until("the ledger balances", PATIENCE, || {
            Ok((self.metric("driftline_hosts_imbalanced", &[])? == 0.0).then_some(()))
        })
    }

    /// Runs a program of ours to its end and gives what it said on standard output.
    pub(crate) fn tool(&self, name: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let program = programs::program(name)?.display().to_string();
        let output = driftline_tests::process::run_any(&program, arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name} {arguments:?}: {}\n{said}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
