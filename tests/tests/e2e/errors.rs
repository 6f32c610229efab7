//! What a person reads when something is wrong, from the programs themselves: what was being done,
//! to what, and what to do next.
//!
//! `errors.txt` beside this page is the table: a line with `$` is a command, what follows is what
//! it says on standard error and the code it ends with. `UPDATE_PAGES=1` writes it anew; read the
//! difference as somebody who has never seen the program.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context as _, ensure};
use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use driftline_tests::process::{Process, run, run_any};
use driftline_tests::programs::{self, ADMIN, AGENT, COLLECTOR, workspace};
use driftline_tests::wait::{self, PATIENCE};

/// The table, below the source tree.
const TABLE: &str = "tests/tests/e2e/errors.txt";

/// Files with a mistake each, and those around them that are fine.
const FILES: [(&str, &str); 23] = [
    ("agent-unknown.toml", "state_dir = 'DIR/agent'\ncolector = 'http://ADDRESS'\n"),
    ("agent-value.toml", "heartbeat_seconds = 1\n"),
    ("agent-source.toml", "[sources]\nenable = ['file']\n"),
    ("agent-alone.toml", "state_dir = 'DIR/agent'\n"),
    ("agent-plain.toml", "collector = 'http://192.0.2.1:9470'\n"),
    ("agent-ca.toml", "collector = 'https://127.0.0.1:1'\nca_file = 'DIR/none.pem'\n"),
    (
        "agent-nobody.toml",
        "collector = 'http://NOBODY'\nstate_dir = 'DIR/agent'\nenrolment_secret_file = 'DIR/key'\n",
    ),
    (
        "agent-untrusted.toml",
        "collector = 'https://TLS'\nstate_dir = 'DIR/agent'\nenrolment_secret_file = 'DIR/key'\n",
    ),
    (
        "agent-authority.toml",
        "collector = 'https://AUTHORITY'\nstate_dir = 'DIR/agent'\n\
         enrolment_secret_file = 'DIR/key'\n",
    ),
    ("agent-state.toml", "state_dir = 'DIR/key/state'\n"),
    ("collector-unknown.toml", "state_dir = 'DIR/collector'\nretention_day = 3\n"),
    ("collector-listen.toml", "listen = 'localhost'\n"),
    ("collector-open.toml", "listen = '0.0.0.0:0'\nstate_dir = 'DIR/collector'\n"),
    ("collector-fine.toml", "state_dir = 'DIR/collector'\n"),
    ("collector-tls.toml", "[tls]\ncert_file = 'none.pem'\nkey_file = 'none.key'\n"),
    ("collector-pem.toml", "[tls]\ncert_file = 'key'\nkey_file = 'key'\n"),
    ("collector-secret.toml", "enrolment_secret_file = 'none.secret'\n"),
    ("collector-state.toml", "state_dir = 'DIR/key/state'\n"),
    ("collector-port.toml", "listen = 'ADDRESS'\nstate_dir = 'DIR/collector'\n"),
    ("collector-held.toml", "state_dir = 'HELD'\n"),
    ("collector-damaged.toml", "state_dir = 'DIR/damaged'\n"),
    ("damaged/collector.sqlite", "this is no database\n"),
    ("key", "0123456789abcdef0123456789abcdef\n"),
];

/// Where the commands of the table run, and what its words in capitals stand for.
struct World {
    fleet: Fleet,
    tls: SocketAddr,
    authority: SocketAddr,
    nobody: SocketAddr,
    _encrypted: [Process; 2],
}

impl World {
    fn new() -> anyhow::Result<Self> {
        let fleet = Fleet::start()?;
        let tls = http::free_address()?;
        let first = encrypted(&fleet.folder().join("tls"), tls, "CA:FALSE")?;
        let authority = http::free_address()?;
        let second = encrypted(&fleet.folder().join("authority"), authority, "CA:TRUE")?;
        std::fs::create_dir(fleet.folder().join("damaged"))?;
        // Asked for when the others are taken, so that it is none of theirs.
        let nobody = http::free_address()?;
        let world = Self { fleet, tls, authority, nobody, _encrypted: [first, second] };
        for (name, text) in FILES {
            programs::keep_secret(&world.fleet.folder().join(name), &world.filled_in(text))?;
        }
        // A folder that the agent of somebody else cannot enter has no file for him.
        let folder = world.fleet.folder();
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755))?;
        Ok(world)
    }

    fn words(&self) -> [(&'static str, String); 6] {
        [
            ("HELD", self.fleet.state(COLLECTOR).display().to_string()),
            ("DIR", self.fleet.folder().display().to_string()),
            ("ADDRESS", self.fleet.address().to_string()),
            ("AUTHORITY", self.authority.to_string()),
            ("TLS", self.tls.to_string()),
            ("NOBODY", self.nobody.to_string()),
        ]
    }

    fn filled_in(&self, text: &str) -> String {
        self.words().iter().fold(text.to_owned(), |text, (word, is)| text.replace(word, is))
    }

    fn taken_out(&self, text: &str) -> String {
        self.words().iter().fold(text.to_owned(), |text, (word, is)| text.replace(is, word))
    }

    /// What a command of the table says and ends with.
    fn says(&self, command: &str) -> anyhow::Result<String> {
        let filled = self.filled_in(command);
        let mut words: Vec<&str> = filled.split_whitespace().collect();
        let as_somebody = words.first() == Some(&"somebody:");
        if as_somebody {
            words.remove(0);
        }
        let name = *words.first().context("an empty command")?;
        let program = programs::program(name)?.display().to_string();
        words.remove(0);
        let at = ["--collector".to_owned(), format!("http://{}", self.fleet.address())];
        let asks = name == ADMIN && !words.contains(&"--collector");
        let mut all: Vec<&str> = match as_somebody {
            true => vec!["--reuid=65534", "--regid=65534", "--clear-groups", &program],
            false => Vec::new(),
        };
        all.extend(words);
        if asks {
            all.extend(at.iter().map(String::as_str));
        }
        let output = run_any(if as_somebody { "setpriv" } else { &program }, &all)?;
        let said = String::from_utf8_lossy(&output.stderr);
        let lines = said.lines().filter(|line| !line.trim().is_empty());
        let lines = lines.map(|line| without_time(line).to_owned() + "\n");
        let code = output.status.code().context("it was killed")?;
        Ok(self.taken_out(&lines.collect::<String>()) + &format!("exit {code}\n"))
    }
}

/// A collector with a certificate of its own, which nobody trusts; `is` says whether that may sign
/// others, as `openssl req` makes it unless it is told.
fn encrypted(folder: &Path, address: SocketAddr, is: &str) -> anyhow::Result<Process> {
    std::fs::create_dir(folder)?;
    let of = |name: &str| folder.join(name).display().to_string();
    let (key, certificate) = (of("tls.key"), of("tls.pem"));
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
    let to = ["-nodes", "-keyout", &key, "-out", &certificate, "-days", "2", "-subj", "/CN=here"];
    let extension = format!("basicConstraints=critical,{is}");
    run("openssl", &[new.as_slice(), &to, &["-addext", &extension]].concat())?;
    let text = format!(
        "listen = '{address}'\nstate_dir = '{}'\n[tls]\ncert_file = '{certificate}'\n\
         key_file = '{key}'\n",
        of("state")
    );
    let config = folder.join("collector.toml");
    std::fs::write(&config, text)?;
    let (program, log) = (programs::program(COLLECTOR)?, folder.join("log"));
    let mut process = Process::start(&program, &programs::collector_serve(&config), &log)?;
    wait::until("the collector listens", PATIENCE, || {
        process.check_alive()?;
        Ok(std::net::TcpStream::connect(address).ok().map(drop))
    })?;
    Ok(process)
}

/// A line of a log without the time it begins with.
fn without_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest)) if time.parse::<jiff::Timestamp>().is_ok() => rest.trim_start(),
        _ => line,
    }
}

#[test]
fn an_error_says_what_was_done_to_what_and_what_to_do_next() -> anyhow::Result<()> {
    let path = workspace().join(TABLE);
    let table = std::fs::read_to_string(&path).context("reading the table")?;
    let world = World::new()?;
    let is_root = run("id", &["-u"])?.trim() == "0";
    let mut said = String::new();
    for entry in table.split("\n\n").map(str::trim).filter(|entry| !entry.is_empty()) {
        let command = entry.lines().next().and_then(|line| line.strip_prefix("$ "));
        let command = command.with_context(|| format!("no command begins {entry:?}"))?;
        // Only root can be somebody else, and what is kept from root himself is nothing.
        let told = match command.starts_with("somebody: ") && !is_root {
            true => entry.lines().skip(1).map(|line| format!("{line}\n")).collect(),
            false => world.says(command)?,
        };
        said += &format!("$ {command}\n{told}\n");
    }
    let said = said.trim_end().to_owned() + "\n";
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write(&path, &said)?;
        return Ok(());
    }
    let (table, said): (Vec<&str>, Vec<&str>) = (table.lines().collect(), said.lines().collect());
    let differ = table.iter().zip(&said).find(|(expected, told)| expected != told);
    ensure!(
        table == said,
        "{TABLE} and the programs differ: {differ:?}; with UPDATE_PAGES=1 it \
        is written anew"
    );
    for program in [AGENT, COLLECTOR, ADMIN] {
        let of = format!("$ {program} ");
        ensure!(table.iter().any(|line| line.starts_with(&of)), "{program} has no line there");
    }
    Ok(())
}
