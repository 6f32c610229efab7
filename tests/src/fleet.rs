//! A collector and its agents: the real programs, each with its own state folder under one that
//! vanishes.
//!
//! Knows how to start, kill and ask them; judges nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;
use tempfile::TempDir;

use crate::http;
use crate::process::Process;
use crate::programs::{self, AgentSettings};
use crate::wait::{self, PATIENCE};

/// The enrolment secret of every test fleet.
pub const SECRET: &str = "test-fleet-enrolment-secret-0123456789abcdef";

/// One agent, running or not.
#[derive(Debug)]
struct Agent {
    settings: AgentSettings,
    process: Option<Process>,
}

/// A collector and its agents.
#[derive(Debug)]
pub struct Fleet {
    folder: TempDir,
    address: SocketAddr,
    collector: Option<Process>,
    agents: BTreeMap<String, Agent>,
}

impl Fleet {
    /// A fleet with a running collector and no agents.
    ///
    /// # Errors
    /// When the collector does not come up.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with("")
    }

    /// The same with `more` lines of configuration of the collector's own.
    ///
    /// # Errors
    /// When the collector does not come up.
    pub fn start_with(more: &str) -> anyhow::Result<Self> {
        let folder = TempDir::new().context("making a folder")?;
        let own = folder.path().join("collector.d");
        std::fs::create_dir(&own).context("making the folder of the collector's own")?;
        std::fs::write(own.join("test.toml"), more).context("writing what it holds")?;
        programs::keep_secret(&folder.path().join("secret"), SECRET)?;
        let address = http::free_address()?;
        let mut fleet = Self { folder, address, collector: None, agents: BTreeMap::new() };
        fleet.start_collector()?;
        Ok(fleet)
    }

    /// The folder all state is under.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the collector listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The state folder of the collector, or of an agent by host name.
    pub fn state(&self, of: &str) -> PathBuf {
        self.folder.path().join("state").join(of)
    }

    /// Starts the collector and waits until it answers.
    ///
    /// # Errors
    /// When it ends or does not answer in time.
    pub fn start_collector(&mut self) -> anyhow::Result<()> {
        let state = self.state(programs::COLLECTOR);
        std::fs::create_dir_all(&state).context("making the collector's state folder")?;
        let config = self.folder.path().join("collector.toml");
        let secret = self.folder.path().join("secret");
        let text = programs::collector_config(&state, self.address, &secret);
        std::fs::write(&config, text).context("writing the collector's configuration")?;
        let arguments = programs::collector_serve(&config);
        let mut process = self.spawn(programs::COLLECTOR, arguments, programs::COLLECTOR)?;
        wait::until("the collector answers", PATIENCE, || {
            if let Err(error) = process.check_alive() {
                return Ok(Some(Err(error)));
            }
            Ok(http::get_ok(self.address, programs::HEALTHY).ok().map(|_| Ok(())))
        })??;
        self.collector = Some(process);
        Ok(())
    }

    /// Adds an agent that reads `root`, with every file below `include`, and starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn add_agent(&mut self, host: &str, root: &Path, include: &[&str]) -> anyhow::Result<()> {
        let settings = AgentSettings {
            root: root.to_path_buf(),
            include: include.iter().map(ToString::to_string).collect(),
            spool_bytes: 64 * 1024 * 1024,
            host: host.to_string(),
            kamailio: None,
            probes: String::new(),
        };
        self.add_agent_with(settings)
    }

    /// Adds an agent with these settings and starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn add_agent_with(&mut self, settings: AgentSettings) -> anyhow::Result<()> {
        let host = settings.host.clone();
        self.agents.insert(host.clone(), Agent { settings, process: None });
        self.start_agent(&host)
    }

    /// Starts a known agent on the state it has.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_agent(&mut self, host: &str) -> anyhow::Result<()> {
        let state = self.state(host);
        std::fs::create_dir_all(&state).context("making an agent's state folder")?;
        let config = self.folder.path().join(format!("{host}.toml"));
        let secret = self.folder.path().join("secret");
        let agent = self.agents.get(host).with_context(|| format!("no agent {host}"))?;
        let text = programs::agent_config(&agent.settings, &state, self.address, &secret);
        std::fs::write(&config, text).context("writing an agent's configuration")?;
        let process = self.spawn(programs::AGENT, programs::agent_run(&config), host)?;
        self.agents.get_mut(host).context("no agent")?.process = Some(process);
        Ok(())
    }

    fn spawn(&self, name: &str, args: Vec<String>, of: &str) -> anyhow::Result<Process> {
        let mutant = programs::mutant_of(name);
        Process::start_mutant(&programs::program(name)?, &args, &self.log(of), mutant.as_deref())
    }

    /// Where the collector, or an agent by host name, says what it does.
    pub fn log(&self, of: &str) -> PathBuf {
        self.folder.path().join(format!("{of}.log"))
    }

    /// How many versions the agent of `host` has said to have kept, over all its runs.
    ///
    /// # Errors
    /// When it has said nothing yet.
    pub fn kept(&self, host: &str) -> anyhow::Result<usize> {
        let said = std::fs::read(self.log(host)).context("reading a log")?;
        Ok(String::from_utf8_lossy(&said).matches(programs::KEPT).count())
    }

    /// Takes the process of the collector or of an agent by host name, to kill or stop it.
    ///
    /// # Errors
    /// When it does not run.
    pub fn take(&mut self, of: &str) -> anyhow::Result<Process> {
        let slot = match of {
            programs::COLLECTOR => &mut self.collector,
            host => &mut self.agents.get_mut(host).context("no such agent")?.process,
        };
        slot.take().with_context(|| format!("{of} does not run"))
    }

    /// Starts what [`Self::take`] took.
    ///
    /// # Errors
    /// As the two starts.
    pub fn start_again(&mut self, of: &str) -> anyhow::Result<()> {
        if of == programs::COLLECTOR { self.start_collector() } else { self.start_agent(of) }
    }

    /// Checks that everything still runs.
    ///
    /// # Errors
    /// When something ended, with what it said.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        let agents = self.agents.values_mut().filter_map(|agent| agent.process.as_mut());
        self.collector.iter_mut().chain(agents).try_for_each(Process::check_alive)
    }

    /// The most memory the collector, or an agent by host name, ever held.
    ///
    /// # Errors
    /// When it does not run.
    pub fn peak_bytes(&self, of: &str) -> anyhow::Result<u64> {
        let process = match of {
            programs::COLLECTOR => self.collector.as_ref(),
            host => self.agents.get(host).and_then(|agent| agent.process.as_ref()),
        };
        process.with_context(|| format!("{of} does not run"))?.peak_bytes()
    }

    /// The sum of a metric over the series whose labels contain every one of `labels`
    /// (`kind="moved"`).
    ///
    /// # Errors
    /// When the collector does not answer; a metric without such series is 0.
    pub fn metric(&self, name: &str, labels: &[&str]) -> anyhow::Result<f64> {
        let text = http::get_ok(self.address, programs::METRICS)?.text();
        Ok(sum(&text, name, labels))
    }

    /// The newest `limit` changes of a host, newest first.
    ///
    /// # Errors
    /// When the collector does not answer with a list.
    pub fn changes(&self, host: &str, limit: u32) -> anyhow::Result<Vec<Value>> {
        let page = http::get_ok(self.address, &programs::changes(host, limit))?.json()?;
        let rows = page.get("changes").unwrap_or(&page).as_array();
        Ok(rows.with_context(|| format!("no list of changes: {page}"))?.clone())
    }

    /// The newest changes of one file, as text.
    ///
    /// # Errors
    /// When the collector does not answer.
    pub fn changes_of(&self, host: &str, file: &Path) -> anyhow::Result<String> {
        Ok(http::get_ok(self.address, &programs::changes_of(host, file))?.text())
    }

    /// A page of the portal.
    ///
    /// # Errors
    /// When the collector does not answer with it.
    pub fn page(&self, path: &str) -> anyhow::Result<String> {
        Ok(http::get_ok(self.address, path)?.text())
    }

    /// The parts of a host that cannot be read now.
    ///
    /// # Errors
    /// When the collector does not answer.
    pub fn unread(&self, host: &str) -> anyhow::Result<Vec<String>> {
        let page = http::get_ok(self.address, &programs::sections(host))?.json()?;
        let sections = page.get("sections").and_then(Value::as_array);
        let sections = sections.context("no list of sections")?;
        let unread = sections.iter().filter_map(|section| section.get("unread")?.as_object());
        Ok(unread.flat_map(|parts| parts.keys().cloned()).collect())
    }

    /// Everything the collector knows of a host now, as text: for markers and canaries.
    ///
    /// # Errors
    /// When the collector does not answer.
    pub fn snapshot(&self, host: &str) -> anyhow::Result<String> {
        Ok(http::get_ok(self.address, &programs::snapshot(host))?.text())
    }

    /// Waits until the collector knows `text` to stand on `host`.
    ///
    /// # Errors
    /// When it does not in time, or a program ended meanwhile.
    pub fn wait_for(&mut self, host: &str, text: &str) -> anyhow::Result<()> {
        let what = format!("{text} of {host} reaches the collector");
        wait::until(&what, PATIENCE, || {
            if let Err(error) = self.check_alive() {
                return Ok(Some(Err(error)));
            }
            Ok(self.snapshot(host)?.contains(text).then_some(Ok(())))
        })?
    }

    /// The same under a supervisor: what ended by itself is started again, as the service manager
    /// would do. Gives how often that was necessary.
    ///
    /// # Errors
    /// When the text does not arrive in time, however often something was started again.
    pub fn wait_for_supervised(&mut self, host: &str, text: &str) -> anyhow::Result<u32> {
        let what = format!("{text} of {host} reaches the collector, whatever ends");
        let mut restarts = 0;
        wait::until(&what, PATIENCE, || {
            for ended in self.ended() {
                restarts += 1;
                drop(self.take(&ended)?);
                // One that ends again at once is found in the next round.
                self.start_again(&ended).ok();
            }
            let seen = self.collector.is_some().then(|| self.snapshot(host));
            Ok(seen.is_some_and(|seen| seen.is_ok_and(|seen| seen.contains(text))).then_some(()))
        })?;
        Ok(restarts)
    }

    /// Who ran and ended by itself.
    fn ended(&mut self) -> Vec<String> {
        let gone = |process: &mut Option<Process>| {
            process.as_mut().is_some_and(|process| process.check_alive().is_err())
        };
        let collector = gone(&mut self.collector).then(|| programs::COLLECTOR.to_owned());
        let agents = self.agents.iter_mut();
        let agents = agents.filter_map(|(host, agent)| gone(&mut agent.process).then_some(host));
        agents.cloned().chain(collector).collect()
    }
}

/// The sum of the samples of `name` in an exposition whose label text contains each of `labels`.
pub fn sum(exposition: &str, name: &str, labels: &[&str]) -> f64 {
    exposition
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
            let (set, value) = rest.rsplit_once(' ')?;
            labels.iter().all(|label| set.contains(label)).then(|| value.parse::<f64>().ok())?
        })
        .sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn samples_are_summed_by_name_and_labels() {
        let text = "# HELP a x\na{k=\"1\",l=\"x\"} 2\na{k=\"2\",l=\"x\"} 3\nab 7\na_total 9\n";
        assert!((super::sum(text, "a", &["l=\"x\""]) - 5.0).abs() < f64::EPSILON);
        assert!((super::sum(text, "a", &["k=\"1\""]) - 2.0).abs() < f64::EPSILON);
        assert!((super::sum(text, "ab", &[]) - 7.0).abs() < f64::EPSILON);
    }
}
