//! A folder with everything a run needs: certificate, secret, configuration of our programs, logs.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::http::Target;
use crate::programs::{self, Running};

/// The secret simulated and real agents enrol with.
pub const SECRET: &str = "bench-enrolment-secret-0123456789abcdef";

/// Certificate and key of a server on loopback.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, PEM.
    pub chain: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// The folder of a run, and where our programs are.
pub struct Site {
    folder: tempfile::TempDir,
    programs: PathBuf,
}

/// How a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Plain HTTP.
    Plain,
    /// TLS with the certificate of the run.
    Tls,
}

/// How often an agent reads everything anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// As often as it may be told to.
    EachMinute,
    /// As often as it does unless told otherwise: once an hour.
    AsShipped,
}

impl Site {
    /// A fresh folder; our programs are in `programs`.
    ///
    /// # Errors
    /// Any error of writing.
    pub fn new(programs: &Path) -> anyhow::Result<Self> {
        let site = Self { folder: tempfile::tempdir()?, programs: programs.to_path_buf() };
        let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
        let Certificate { chain, key } = site.certificate();
        fs::write(chain, signed.cert.pem())?;
        fs::write(key, signed.signing_key.serialize_pem())?;
        fs::write(site.path("secret"), SECRET)?;
        fs::set_permissions(site.path("secret"), fs::Permissions::from_mode(0o600))?;
        Ok(site)
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command of one of our programs.
    pub fn program(&self, name: &str) -> String {
        self.programs.join(name).display().to_string()
    }

    /// Certificate and key of the run.
    pub fn certificate(&self) -> Certificate {
        Certificate { chain: self.path("server.pem"), key: self.path("server.key") }
    }

    /// Starts a collector with an empty store of its own.
    ///
    /// # Errors
    /// When it does not start; the text holds what it said.
    pub fn collector(&self, name: &str, how: Transport) -> anyhow::Result<(Running, Target)> {
        self.collector_with(name, how, "")
    }

    /// The same with `more` lines of configuration.
    ///
    /// # Errors
    /// As [`Site::collector`].
    pub fn collector_with(
        &self,
        name: &str,
        how: Transport,
        more: &str,
    ) -> anyhow::Result<(Running, Target)> {
        let address = programs::free_address()?;
        let Certificate { chain, key } = self.certificate();
        let mut config = format!(
            "listen = \"{address}\"\nstate_dir = {:?}\nenrolment_secret_file = {:?}\n",
            self.path(&format!("{name}-state")),
            self.path("secret"),
        );
        if how == Transport::Tls {
            config.push_str(&format!("[tls]\ncert_file = {chain:?}\nkey_file = {key:?}\n"));
        }
        config.push_str(more);
        let folder = self.path(name);
        fs::create_dir_all(&folder)?;
        let file = folder.join("collector.toml");
        fs::write(&file, config)?;
        let command = [self.program("driftline-collector"), "serve".into(), "--config".into()];
        let command = [&command[..], &[file.display().to_string()]].concat();
        let running = Running::serving(&command, address, &self.path(&format!("{name}.log")))?;
        Ok((running, self.target(address, how)?))
    }

    /// Starts the bare server, over TLS.
    ///
    /// # Errors
    /// When it does not start.
    pub fn bare(&self) -> anyhow::Result<(Running, Target)> {
        let address = programs::free_address()?;
        let Certificate { chain, key } = self.certificate();
        let own = std::env::current_exe().context("finding this program")?;
        let command = [own.display().to_string(), "bare".into(), address.to_string()];
        let files = [chain.display().to_string(), key.display().to_string()];
        let command = [&command[..], &files[..]].concat();
        let running = Running::serving(&command, address, &self.path("bare.log"))?;
        Ok((running, self.target(address, Transport::Tls)?))
    }

    /// Starts an agent called `name` that reads `include` and reports to `collector`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn agent(
        &self,
        name: &str,
        (collector, include): (SocketAddr, &str),
        passes: Passes,
    ) -> anyhow::Result<Running> {
        let rescan = match passes {
            Passes::EachMinute => "rescan_seconds = 60\n",
            Passes::AsShipped => "",
        };
        let folder = self.path(name);
        fs::create_dir_all(&folder)?;
        let file = folder.join("agent.toml");
        let config = format!(
            "collector = \"http://{collector}\"\nstate_dir = {:?}\nenrolment_secret_file = {:?}\n\
             host_name = {name:?}\n[sources]\n{rescan}\
             [files]\ninclude = [{include:?}]\n",
            self.path(&format!("{name}-state")),
            self.path("secret"),
        );
        fs::write(&file, config)?;
        let run = [self.program("driftline-agent"), "run".into(), "--config".into()];
        let command = [&run[..], &[file.display().to_string()]].concat();
        Running::start(&command, &self.path(&format!("{name}.log")))
    }

    fn target(&self, address: SocketAddr, how: Transport) -> anyhow::Result<Target> {
        match how {
            Transport::Plain => Ok(Target::plain(address)),
            Transport::Tls => Target::trusting(address, &self.certificate().chain),
        }
    }
}
