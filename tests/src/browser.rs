//! A real Chromium, looked through page by page: what it loads, what it complains of, what it
//! would show.
//!
//! Spoken to in the DevTools protocol over two pipes, messages ended by a zero byte
//! (`--remote-debugging-pipe`), so that no port is opened and no library is needed. What is
//! evaluated in a page runs beside its content security policy, which the page itself has to obey.

#![allow(clippy::disallowed_types, reason = "the judge starts the programs it judges")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::wait::PATIENCE;

/// How the browser is started: headless, with nothing of its own on the network. As root it cannot
/// have its sandbox; what it sees are our own pages.
const FLAGS: &str = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --disable-extensions \
    --remote-debugging-pipe";

/// Chromium's name for the two pipes are descriptors 3 and 4.
const START: &str = "exec chromium \"$@\" 3<&0 4>&1 0</dev/null 1>&2";

/// The same where only it sees a folder of ours in the place of `/etc/chromium`.
const START_CONFIGURED: &str = "folder=$1; shift; exec unshare -m sh -c \
    'mount --bind \"$0\" /etc/chromium && exec chromium \"$@\"' \"$folder\" \"$@\" \
    3<&0 4>&1 0</dev/null 1>&2";

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Eyes {
    /// The window's width, in pixels of the page.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// Whether it is a phone's.
    pub mobile: bool,
    /// Whether the person prefers a dark page.
    pub dark: bool,
}

/// A desktop's window by day.
pub const DESKTOP: Eyes = Eyes { width: 1280, height: 900, mobile: false, dark: false };

/// A phone by night.
pub const PHONE: Eyes = Eyes { width: 360, height: 740, mobile: true, dark: true };

/// What loading one page came to.
#[derive(Debug)]
pub struct Loaded {
    /// The status of the page itself.
    pub status: i64,
    /// Everything it asked for, itself included.
    pub requests: BTreeSet<String>,
    /// What the browser complained of: errors, what the page's policy forbade, what threw.
    pub complaints: Vec<String>,
}

/// A running browser with one page.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    number: u64,
    session: Option<String>,
    events: Vec<Value>,
}

impl Browser {
    /// Starts with an empty profile in `folder`.
    ///
    /// # Errors
    /// When it is not installed or does not answer.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        Self::begin(folder, &["-c", START, "sh"])
    }

    /// As [`Self::start`], by root, configured by the folder `etc` and not by the machine's.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn configured(folder: &Path, etc: &Path) -> anyhow::Result<Self> {
        let etc = etc.to_str().context("a folder with a plain name")?;
        Self::begin(folder, &["-c", START_CONFIGURED, "sh", etc])
    }

    fn begin(folder: &Path, shell: &[&str]) -> anyhow::Result<Self> {
        let profile = format!("--user-data-dir={}", folder.join("chromium").display());
        let log = std::fs::File::create(folder.join("chromium.log")).context("making a log")?;
        let mut child = Command::new("sh")
            .args(shell)
            .arg(&profile)
            .args(FLAGS.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("starting Chromium")?;
        let input = child.stdin.take().context("no pipe to Chromium")?;
        let messages = listen(child.stdout.take().context("no pipe from Chromium")?);
        let mut browser =
            Self { child, input, messages, number: 0, session: None, events: Vec::new() };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.ask("Target.attachToTarget", attach)?;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Network", "Log", "Runtime"] {
            browser.ask(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Looks with these eyes from now on.
    ///
    /// # Errors
    /// When the browser refuses.
    pub fn look(&mut self, eyes: Eyes) -> anyhow::Result<()> {
        let Eyes { width, height, mobile, dark } = eyes;
        let metrics = json!({
            "width": width, "height": height, "mobile": mobile, "deviceScaleFactor": 1,
        });
        self.ask("Emulation.setDeviceMetricsOverride", metrics)?;
        let scheme = if dark { "dark" } else { "light" };
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.ask("Emulation.setEmulatedMedia", json!({"features": [feature]}))?;
        Ok(())
    }

    /// Loads `url` to its end.
    ///
    /// # Errors
    /// When it cannot be loaded, or not in time.
    pub fn open(&mut self, url: &str) -> anyhow::Result<Loaded> {
        self.events.clear();
        let answer = self.ask("Page.navigate", json!({"url": url}))?;
        ensure!(answer.get("errorText").is_none(), "{url}: {}", answer["errorText"]);
        self.wait_for("Page.loadEventFired").with_context(|| format!("loading {url}"))?;
        // What was said before this is answered has arrived.
        self.ask("Page.getLayoutMetrics", json!({}))?;
        let mut loaded = Loaded { status: 0, requests: BTreeSet::new(), complaints: Vec::new() };
        for event in &self.events {
            let parameters = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Network.requestWillBeSent" => {
                    let asked = parameters["request"]["url"].as_str().unwrap_or_default();
                    loaded.requests.insert(asked.to_owned());
                }
                "Network.responseReceived" if parameters["type"] == "Document" => {
                    loaded.status = parameters["response"]["status"].as_i64().unwrap_or_default();
                }
                "Log.entryAdded" => {
                    let entry = &parameters["entry"];
                    if entry["level"] != "info" && entry["level"] != "verbose" {
                        loaded.complaints.push(entry["text"].to_string());
                    }
                }
                "Runtime.exceptionThrown" => loaded.complaints.push(parameters.to_string()),
                _ => {}
            }
        }
        Ok(loaded)
    }

    /// What `expression` (JavaScript) comes to in the page, once a promise is kept.
    ///
    /// # Errors
    /// When it throws.
    pub fn evaluate(&mut self, expression: &str) -> anyhow::Result<Value> {
        let parameters =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.ask("Runtime.evaluate", parameters)?;
        ensure!(answer.get("exceptionDetails").is_none(), "{}", answer["exceptionDetails"]);
        Ok(answer["result"]["value"].clone())
    }

    /// The answer to one command.
    fn ask(&mut self, method: &str, parameters: Value) -> anyhow::Result<Value> {
        self.number += 1;
        let number = self.number;
        let mut message = json!({"id": number, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        self.input.write_all(&bytes).with_context(|| format!("asking {method}"))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.next(deadline, method)?;
            if message["id"] == number {
                ensure!(message.get("error").is_none(), "{method}: {}", message["error"]);
                return Ok(message["result"].clone());
            }
            self.events.push(message);
        }
    }

    fn wait_for(&mut self, event: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.events.iter().any(|seen| seen["method"] == event) {
            let message = self.next(deadline, event)?;
            self.events.push(message);
        }
        Ok(())
    }

    fn next(&mut self, deadline: Instant, what: &str) -> anyhow::Result<Value> {
        match self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(message) => Ok(message),
            Err(error) => bail!("Chromium does not say {what}: {error}"),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads messages on a thread of its own, until the browser ends.
fn listen(output: ChildStdout) -> Receiver<Value> {
    let (sender, messages) = mpsc::channel();
    std::thread::spawn(move || {
        for message in BufReader::new(output).split(0) {
            let Ok(bytes) = message else { return };
            let Ok(value) = serde_json::from_slice(&bytes) else { continue };
            if sender.send(value).is_err() {
                return;
            }
        }
    });
    messages
}
