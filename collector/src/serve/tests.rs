//! One collector in the test process, spoken to over loopback as agents, people and foreign pages
//! do.

mod agents;
mod cases;
mod intake;
mod operation;
mod people;

use std::time::Duration;

use driftline_protocol::canonical;
use driftline_protocol::ids::{Digest, Generation, HostId, Incarnation, KeyId, SessionId};
use driftline_protocol::item::{Item, ItemKey, ItemValue, Items};
use driftline_protocol::ledger::{Account, Chain};
use driftline_protocol::manifest::{Manifest, ManifestDelta};
use driftline_protocol::snapshot::{Content, Domain, Observed, Part, Reading};
use driftline_protocol::wire::{
    AgentStatus, EnrolAnswer, EnrolRequest, Heartbeat, HostKind, PROTOCOL_VERSION, PartsUpload,
    Report, SectionStatus, SectionVersion, SourceReading,
};
use reqwest::{Client, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::{Running, Start, Stores, start};
use crate::config::Config;
use crate::store::Append;
use crate::store::memory::Memory;

/// The enrolment secret of every test.
const SECRET: &str = "a secret of sixteen or more";

/// Compares a generated page with the file at `path`; with `UPDATE_PAGES` set, writes it instead.
pub(crate) fn compare(path: &str, text: &str) {
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == text, "{path} is old; run the tests once with UPDATE_PAGES=1 and look at it");
}

/// A collector under test and a client that speaks to it.
struct World {
    url: String,
    client: Client,
    folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    running: Option<Running>,
}

impl World {
    async fn new() -> Self {
        let memory = Memory::new();
        Self::with(memory.clone(), || memory, |_| {}).await
    }

    /// A collector over `memory`; `append` may stand in the way of its write half.
    async fn with<A: Append + 'static>(
        memory: Memory,
        append: impl FnOnce() -> A,
        set: impl FnOnce(&mut Config),
    ) -> Self {
        let stores = Stores {
            append: Box::new(append()),
            read: std::sync::Arc::new(memory),
            epoch: 1,
            checkpoint: None,
            lock: None,
        };
        Self::over(stores, tempfile::tempdir().unwrap(), set).await
    }

    /// A collector over `stores`, with its files in `folder`.
    async fn over(
        stores: Stores,
        folder: tempfile::TempDir,
        set: impl FnOnce(&mut Config),
    ) -> Self {
        let secret = folder.path().join("secret");
        std::fs::write(&secret, SECRET).unwrap();
        let mut config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            enrolment_secret_file: Some(secret),
            ..Config::default()
        };
        set(&mut config);
        let file = folder.path().join("collector.toml");
        let (stop, stopped) = oneshot::channel();
        let begin = Start { config, config_file: Some(file), stores };
        let running = start(begin, async { stopped.await.unwrap_or(()) }).await.unwrap();
        let url = format!("http://{}", running.address);
        // `reqwest` is built without a provider of its own.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Self { url, client, folder, stop: Some(stop), running: Some(running) }
    }

    async fn post<T: Serialize>(&self, path: &str, token: &str, body: &T) -> Response {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(token);
        let json = serde_json::to_vec(body).unwrap();
        request.header("content-type", "application/json").body(json).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    /// The value of one series of `/metrics`.
    async fn metric(&self, series: &str) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
    }

    /// Waits until a page says what it should, with a limit.
    async fn until(&self, path: &str, wanted: &str) -> String {
        let mut last = String::new();
        for _ in 0..200 {
            last = self.get(path).await.1;
            if last.contains(wanted) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} never said {wanted}: {last}");
    }

    async fn agent(&self, name: &str, seed: u8) -> Agent {
        let request = EnrolRequest {
            version: PROTOCOL_VERSION,
            secret: Some(SECRET.into()),
            replaces: None,
            proposed: name.parse().unwrap(),
            kind: HostKind::Uc,
            incarnation: Incarnation([seed; 16]),
            agent_version: "0.1.0".into(),
        };
        let answer = self.post("/api/v1/enrol", "", &request).await;
        let EnrolAnswer { host, token, .. } = read(answer).await;
        let chain = Chain::start(&"files".parse().unwrap());
        let manifest = Manifest::default();
        Agent { host, token, seed, generation: 0, chain, manifest }
    }

    /// Sends the next version of `agent`, in which its one file says `value`.
    async fn report(&self, agent: &mut Agent, value: &str) -> Response {
        let report = agent.report(value);
        self.post("/api/v1/report", &agent.token, &report).await
    }

    /// Stops the collector and gives back the folder of its files.
    async fn stop(mut self) -> tempfile::TempDir {
        self.stop.take().unwrap().send(()).unwrap();
        self.running.take().unwrap().finished().await.unwrap();
        self.folder
    }
}

/// Reads an answer that must be fine.
async fn read<T: DeserializeOwned>(response: Response) -> T {
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// An agent as small as can be: one section of one part.
struct Agent {
    host: HostId,
    token: String,
    seed: u8,
    generation: u64,
    chain: Chain,
    manifest: Manifest,
}

fn part(value: &str) -> Part {
    let item = Item { value: ItemValue::text(value), rank: None };
    Part::Observed(Observed {
        reading: Reading { parser: "ini".into(), version: 1, scope: Digest([0; 32]) },
        raw: None,
        size: Some(1),
        content: Content::Read,
        items: Items::from([(ItemKey::of(["codec"]), item)]),
    })
}

impl Agent {
    fn heartbeat(&self) -> Heartbeat {
        let status = SectionStatus {
            generation: Generation(self.generation),
            digest: self.manifest.digest(),
            chain: self.chain,
            account: Account {
                observed: self.generation,
                delivered: self.generation,
                ..Account::default()
            },
            unobserved: [].into(),
            last_read: SourceReading { micros: 1_500, bytes: 10, success: true },
        };
        Heartbeat {
            version: PROTOCOL_VERSION,
            host: self.host.clone(),
            incarnation: Incarnation([self.seed; 16]),
            session: SessionId([self.seed; 16]),
            generation: Generation(self.generation),
            wall: jiff::Timestamp::now(),
            monotonic_ms: 1_000,
            epoch: 1,
            key: KeyId([1; 8]),
            site_key: true,
            sections: [("files".parse().unwrap(), status)].into(),
            status: AgentStatus::default(),
        }
    }

    /// The next version, in which the one file says `value`.
    fn report(&mut self, value: &str) -> Report {
        let part = part(value);
        let name = "/etc/sip.conf".parse().unwrap();
        let next = Manifest([(name, canonical::digest(&part))].into());
        let delta = match self.generation {
            0 => next.whole(),
            _ => self.manifest.delta_to(&next),
        };
        self.versions(next, delta, vec![part])
    }

    fn versions(&mut self, next: Manifest, delta: ManifestDelta, parts: Vec<Part>) -> Report {
        self.generation += 1;
        let (before, digest) = (self.chain, next.digest());
        self.chain = before.after(Generation(self.generation), &digest);
        self.manifest = next;
        let version = SectionVersion {
            source: "files".parse().unwrap(),
            domain: Domain::Config,
            generation: Generation(self.generation),
            chain_before: before,
            chain: self.chain,
            coalesced: 0,
            expired: 0,
            observed_at: jiff::Timestamp::now(),
            observed_monotonic_ms: Some(900),
            delta,
            digest,
        };
        Report {
            version: PROTOCOL_VERSION,
            host: self.host.clone(),
            incarnation: Incarnation([self.seed; 16]),
            session: SessionId([self.seed; 16]),
            monotonic_ms: 1_000,
            wall: jiff::Timestamp::now(),
            versions: vec![version],
            parts,
        }
    }
}

fn upload(parts: Vec<Part>) -> PartsUpload {
    PartsUpload { version: PROTOCOL_VERSION, parts }
}
