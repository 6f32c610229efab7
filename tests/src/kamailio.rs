//! A real Kamailio on free ports of this host, and something that answers its pings.
//!
//! Knows Kamailio's files and commands and nothing of Driftline.

#![allow(clippy::print_stderr, reason = "what goes wrong while a test ends is for the terminal")]

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

use crate::http;
use crate::process::{self, Process};
use crate::wait;

/// How long it may take to start.
const STARTING: Duration = Duration::from_secs(30);

/// Where Debian has the server's modules.
const MODULES: &str = "/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/kamailio/modules/";

/// A running Kamailio with its files in a folder of its own.
#[derive(Debug)]
pub struct Kamailio {
    etc: PathBuf,
    run: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it speaks TLS.
    pub tls: SocketAddr,
    process: Option<Process>,
}

impl Kamailio {
    /// Writes a script and these destinations to `etc`, and starts.
    ///
    /// # Errors
    /// When it cannot be started, with what it said.
    pub fn start(etc: &Path, run: &Path, destinations: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(etc)?;
        std::fs::create_dir_all(run)?;
        let (address, tls) = (http::free_address()?, http::free_address()?);
        let mut server =
            Self { etc: etc.to_path_buf(), run: run.to_path_buf(), address, tls, process: None };
        std::fs::write(server.script(), server.text())?;
        std::fs::write(server.list(), destinations)?;
        let (certificate, key) = (server.certificate(), server.key());
        std::fs::write(
            etc.join("tls.cfg"),
            format!(
                "[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\n\
                 require_certificate = no\nprivate_key = {}\ncertificate = {}\n",
                key.display(),
                certificate.display()
            ),
        )?;
        server.certify(365)?;
        server.start_again()?;
        Ok(server)
    }

    /// Its script.
    pub fn script(&self) -> PathBuf {
        self.etc.join("kamailio.cfg")
    }

    /// The file of its destinations.
    pub fn list(&self) -> PathBuf {
        self.etc.join("dispatcher.list")
    }

    /// The file of its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.etc.join("server.crt")
    }

    fn key(&self) -> PathBuf {
        self.run.join("server.key")
    }

    /// Writes a certificate of its own that ends in so many days, or ended so many days ago; it is
    /// in force with the next start or `tls.reload`.
    ///
    /// # Errors
    /// When openssl refuses.
    pub fn certify(&self, days: i64) -> anyhow::Result<()> {
        let (key, request) = (self.key().display().to_string(), self.run.join("server.csr"));
        let request = request.display().to_string();
        let new = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=sip.example.org"];
        let to = ["-keyout", &key, "-out", &request];
        process::run("openssl", &[new.as_slice(), to.as_slice()].concat())?;
        let (certificate, days) = (self.certificate().display().to_string(), days.to_string());
        let sign = ["x509", "-req", "-in", &request, "-signkey", &key, "-days", &days];
        process::run("openssl", &[sign.as_slice(), &["-out", &certificate]].concat())?;
        Ok(())
    }

    /// The socket it answers questions at.
    pub fn socket(&self) -> PathBuf {
        self.run.join("rpc.sock")
    }

    /// Starts it on the files as they are.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let run = self.run.display().to_string();
        let arguments =
            ["-f", &self.script().display().to_string(), "-DD", "-E", "-m", "32", "-M", "4"]
                .map(String::from);
        let more = ["-Y", &run, "-P", &format!("{run}/kamailio.pid")].map(String::from);
        let log = self.run.join("kamailio.log");
        let arguments: Vec<String> = arguments.into_iter().chain(more).collect();
        let program = Path::new("/usr/sbin/kamailio");
        let mut process = Process::start(program, &arguments, &log)
            .context("Debian's package kamailio is needed")?;
        wait::until("kamailio answers", STARTING, || {
            process.check_alive()?;
            Ok(self.command(&["core.version"]).ok())
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.process.take().map_or(Ok(()), Process::stop)
    }

    /// Says something at its console.
    ///
    /// # Errors
    /// When it refuses.
    pub fn command(&self, words: &[&str]) -> anyhow::Result<String> {
        let console = format!("unix:{}", self.run.join("ctl.sock").display());
        let words: Vec<&str> = ["-s", &console].into_iter().chain(words.iter().copied()).collect();
        process::run("kamcmd", &words)
    }

    fn text(&self) -> String {
        let (run, list, address) = (self.run.display(), self.list(), self.address);
        let (tls, config) = (self.tls, self.etc.join("tls.cfg"));
        let config = config.display();
        let list = list.display();
        let modules: String = [
            "kex",
            "corex",
            "tm",
            "tmx",
            "sl",
            "pv",
            "usrloc",
            "registrar",
            "cfg_rpc",
            "ctl",
            "jsonrpcs",
            "dispatcher",
            "siputils",
            "textops",
            "tls",
        ]
        .iter()
        .map(|module| format!("loadmodule \"{module}.so\"\n"))
        .collect();
        format!(
            "#!KAMAILIO\n#!define WITH_TESTS\ndebug=1\nlog_stderror=yes\nchildren=1\n\
             tcp_children=1\nauto_aliases=no\nlisten=udp:{address}\nlisten=tcp:{address}\n\
             enable_tls=yes\nlisten=tls:{tls}\n\
             mpath=\"{MODULES}\"\n{modules}\
             modparam(\"jsonrpcs\", \"transport\", 4)\n\
             modparam(\"jsonrpcs\", \"dgram_socket\", \"{run}/rpc.sock\")\n\
             modparam(\"ctl\", \"binrpc\", \"unix:{run}/ctl.sock\")\n\
             modparam(\"tls\", \"config\", \"{config}\")\n\
             modparam(\"tm\", \"fr_timer\", 500)\n\
             modparam(\"registrar\", \"max_contacts\", 4)\n\
             modparam(\"dispatcher\", \"list_file\", \"{list}\")\n\
             modparam(\"dispatcher\", \"ds_ping_interval\", 1)\n\
             modparam(\"dispatcher\", \"ds_probing_mode\", 1)\n\
             modparam(\"dispatcher\", \"ds_probing_threshold\", 1)\n\
             request_route {{\n\
             \tif (is_method(\"OPTIONS\")) {{ sl_send_reply(\"200\", \"Keepalive\"); exit; }}\n\
             \tif (is_method(\"REGISTER\")) {{ save(\"location\"); exit; }}\n\
             \tsl_send_reply(\"404\", \"Not here\");\n}}\n"
        )
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its children would outlive a parent that is killed.
        if let Err(error) = self.stop() {
            eprintln!("kamailio: {error:#}");
        }
    }
}

/// Answers every request with 200, while it is told to.
#[derive(Debug)]
pub struct Answering {
    /// Where.
    pub address: SocketAddr,
    answers: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Answering {
    /// Begins to answer.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start() -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let address = socket.local_addr()?;
        let (answers, ends) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let (speaks, ended) = (Arc::clone(&answers), Arc::clone(&ends));
        let thread = std::thread::Builder::new().spawn(move || {
            let mut piece = [0; 4_096];
            while !ended.load(Ordering::Acquire) {
                let Ok((length, from)) = socket.recv_from(&mut piece) else { continue };
                let request = String::from_utf8_lossy(piece.get(..length).unwrap_or_default());
                if speaks.load(Ordering::Acquire)
                    && let Err(error) = socket.send_to(answer(&request).as_bytes(), from)
                {
                    eprintln!("answering {from}: {error}");
                }
            }
        })?;
        Ok(Self { address, answers, ends, thread: Some(thread) })
    }

    /// Whether it answers from now on.
    pub fn answers(&self, answers: bool) {
        self.answers.store(answers, Ordering::Release);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("what answered pings broke off");
        }
    }
}

fn answer(request: &str) -> String {
    let kept = ["via", "from", "to", "call-id", "cseq", "v", "f", "t", "i"];
    let headers = request.lines().skip(1).filter(|line| {
        line.split_once(':')
            .is_some_and(|(name, _)| kept.contains(&name.trim().to_lowercase().as_str()))
    });
    let headers: Vec<&str> = headers.collect();
    format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", headers.join("\r\n"))
}
