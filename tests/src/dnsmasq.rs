//! Debian's dnsmasq as a name server of this host that knows what it is given and asks nobody.
//!
//! Knows dnsmasq's flags and nothing of Driftline.

#![allow(clippy::print_stderr, reason = "what goes wrong while a test ends is for the terminal")]

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::process::Process;
use crate::wait;

/// How long it may take to start.
const STARTING: Duration = Duration::from_secs(30);

/// A running dnsmasq.
#[derive(Debug)]
pub struct Dnsmasq {
    /// Where it answers.
    pub address: SocketAddr,
    folder: PathBuf,
    process: Option<Process>,
}

impl Dnsmasq {
    /// Starts one that knows these lines of its configuration.
    ///
    /// # Errors
    /// When it cannot be started, with what it said.
    pub fn start(folder: &Path, known: &[String]) -> anyhow::Result<Self> {
        let address = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        let mut server = Self { address, folder: folder.to_path_buf(), process: None };
        server.knows(known)?;
        Ok(server)
    }

    /// Starts anew and knows these lines from now on.
    ///
    /// # Errors
    /// When it cannot be started, with what it said.
    pub fn knows(&mut self, known: &[String]) -> anyhow::Result<()> {
        self.stop();
        let (config, port) = (self.folder.join("dnsmasq.conf"), self.address.port());
        let text = format!(
            "keep-in-foreground\nno-resolv\nno-hosts\nno-poll\nlisten-address=127.0.0.1\n\
             bind-interfaces\nport={port}\nlocal=/test/\nuser=root\n{}\n",
            known.join("\n")
        );
        std::fs::write(&config, text)?;
        let arguments = [
            format!("--conf-file={}", config.display()),
            format!("--pid-file={}", self.folder.join("dnsmasq.pid").display()),
        ];
        let log = self.folder.join("dnsmasq.log");
        let mut process = Process::start(Path::new("/usr/sbin/dnsmasq"), &arguments, &log)
            .context("Debian's package dnsmasq-base is needed")?;
        let address = self.address;
        wait::until("dnsmasq listens", STARTING, || {
            process.check_alive()?;
            Ok(UdpSocket::bind(address).is_err().then_some(()))
        })?;
        self.process = Some(process);
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(process) = self.process.take()
            && let Err(error) = process.kill9()
        {
            eprintln!("dnsmasq: {error:#}");
        }
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        self.stop();
    }
}
