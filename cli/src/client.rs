//! Asks a collector's query API.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use driftline_protocol::limits;
use driftline_protocol::wire::{self, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long one answer may take: a query reads at most a few thousand rows.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer, in bytes: the snapshot of a host with a hundred thousand files.
const ANSWER_BYTES: usize = 512 * 1024 * 1024;

/// What stands above the options that every command takes.
pub(crate) const EVERY_COMMAND: &str = "Options of every command";

/// Where the collector is, and how to be let in.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Address {
    /// The collector's address.
    #[arg(
        long,
        global = true,
        env = "DRIFTLINE_COLLECTOR",
        default_value = "http://127.0.0.1:9470",
        help_heading = EVERY_COMMAND
    )]
    collector: String,
    /// A file that holds a token with the scope `read`, or `admin` for commands that change
    /// something.
    #[arg(
        long,
        global = true,
        env = "DRIFTLINE_TOKEN_FILE",
        help_heading = EVERY_COMMAND
    )]
    token_file: Option<PathBuf>,
    /// A file with the certificate authority of the collector, where the system does not know it.
    #[arg(
        long,
        global = true,
        env = "DRIFTLINE_CA_FILE",
        help_heading = EVERY_COMMAND
    )]
    ca_file: Option<PathBuf>,
}

impl Default for Address {
    fn default() -> Self {
        Self { collector: "http://127.0.0.1:9470".to_owned(), token_file: None, ca_file: None }
    }
}

impl Address {
    /// The same access at another address.
    pub(crate) fn at(self, url: &str) -> Self {
        Self { collector: url.to_owned(), ..self }
    }

    /// The same address with a token and an authority.
    pub(crate) fn with(self, token_file: PathBuf, ca_file: PathBuf) -> Self {
        Self { token_file: Some(token_file), ca_file: Some(ca_file), ..self }
    }
}

/// A collector has refused, and this is why, in its own words.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the collector refused: {}", self.0)
    }
}

impl std::error::Error for Refused {}

/// A connection to one collector.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    /// A client for the collector at `address`.
    ///
    /// # Errors
    /// When a file cannot be read or holds no certificate.
    pub(crate) fn new(address: &Address) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder().timeout(TIMEOUT).no_proxy();
        if let Some(path) = &address.ca_file {
            let reading = || {
                let file = path.display();
                format!(
                    "reading the authority in {file} (--ca-file or DRIFTLINE_CA_FILE names a file \
                     in PEM form)"
                )
            };
            let pem = std::fs::read(path).with_context(reading)?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).unwrap_or_default();
            let none = || {
                format!(
                    "{} holds no certificate in PEM form; --ca-file or DRIFTLINE_CA_FILE names a \
                     file with the authority of the collector",
                    path.display()
                )
            };
            anyhow::ensure!(!certificates.is_empty(), none());
            builder = builder.tls_certs_only(certificates);
        }
        let token = match &address.token_file {
            None => None,
            Some(path) => {
                let reading = || {
                    let file = path.display();
                    format!(
                        "reading the token in {file} (--token-file or DRIFTLINE_TOKEN_FILE names a \
                         file you may read; `driftline-collector token create` prints a token)"
                    )
                };
                let text = std::fs::read_to_string(path).with_context(reading)?;
                Some(text.trim().to_owned())
            }
        };
        let base = address.collector.trim_end_matches('/').to_owned();
        anyhow::ensure!(
            base.starts_with("http://") || base.starts_with("https://"),
            "the collector's address {base:?} must begin with http:// or https://, such as \
             https://collector.example.org:9470; --collector or DRIFTLINE_COLLECTOR says it"
        );
        Ok(Self { http: builder.build()?, base, token })
    }

    /// Where a person finds `path`.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What the API says at `path`.
    ///
    /// # Errors
    /// When the collector cannot be reached or refuses; its own words are in the error.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        let query = query.iter().filter(|(_, value)| !value.is_empty());
        let mut url =
            reqwest::Url::parse(&format!("{}{path}", self.base)).with_context(|| self.no_url())?;
        if query.clone().next().is_some() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.http.get(url)).await
    }

    /// One page of a list; `name` is what the API calls its rows.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        name: &str,
        query: &[(&str, &str)],
    ) -> anyhow::Result<Vec<T>> {
        let path = format!("/api/v1/{name}");
        let mut page: serde_json::Value = self.get(&path, query).await?;
        let rows = page.get_mut(name.rsplit('/').next().unwrap_or(name));
        let rows = rows.context("the collector's answer holds no list")?.take();
        serde_json::from_value(rows).context("reading the collector's list")
    }

    /// A list page by page, at most `pages` of them; says whether there is more.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn pages<T: DeserializeOwned>(
        &self,
        name: &str,
        query: &[(&str, &str)],
        pages: usize,
    ) -> anyhow::Result<(Vec<T>, bool)> {
        let mut all = Vec::new();
        let mut page: serde_json::Value = self.get(&format!("/api/v1/{name}"), query).await?;
        for left in (0..pages).rev() {
            let rows = page.get_mut(name.rsplit('/').next().unwrap_or(name));
            let rows = rows.context("the collector's answer holds no list")?.take();
            let rows: Vec<T> = serde_json::from_value(rows).context("reading a list")?;
            all.extend(rows);
            let next = page.get("next").and_then(serde_json::Value::as_str).map(str::to_owned);
            match next {
                Some(_) if left == 0 => return Ok((all, true)),
                Some(next) => page = self.get(&next, &[]).await?,
                None => break,
            }
        }
        Ok((all, false))
    }

    /// Asks the API to change something.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> anyhow::Result<T> {
        let request = self.http.post(format!("{}{path}", self.base));
        let request = request.header("content-type", "application/json").body(body.to_string());
        self.send(request).await
    }

    /// Sends the API bytes of a kind it takes.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn post_bytes(
        &self,
        path: &str,
        (kind, body): (&str, Vec<u8>),
    ) -> anyhow::Result<serde_json::Value> {
        let request = self.http.post(format!("{}{path}", self.base));
        self.send(request.header("content-type", kind).body(body)).await
    }

    /// Sends the API a message of the wire, compressed where that pays.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn deliver<M: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        message: &M,
    ) -> anyhow::Result<T> {
        let (body, compressed) = wire::compress(serde_json::to_vec(message)?);
        let request = self.http.post(format!("{}{path}", self.base));
        let request = request.header("content-type", "application/json");
        let request = if compressed { request.header("content-encoding", "zstd") } else { request };
        self.send(request.body(body)).await
    }

    /// Asks the API to remove one of `kind`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn delete(&self, kind: &str, name: &str) -> anyhow::Result<()> {
        let mut url = reqwest::Url::parse(&self.base).with_context(|| self.no_url())?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1", kind, name]);
        }
        let request = self.http.delete(url).header("content-type", "application/json");
        let _: serde_json::Value = self.send(request).await?;
        Ok(())
    }

    fn no_url(&self) -> String {
        format!(
            "the collector's address {:?} is no URL such as https://collector.example.org:9470; \
             --collector or DRIFTLINE_COLLECTOR says it",
            self.base
        )
    }

    /// What to do about a collector whose certificate this machine does not trust.
    fn untrusted(&self) -> String {
        format!(
            "the collector at {} has a certificate this machine does not trust; give the authority \
             that signed it, or the certificate itself if it signed itself, with --ca-file FILE or \
             DRIFTLINE_CA_FILE, and ask under a name that is in it",
            self.base
        )
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> anyhow::Result<T> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let asking = || {
            format!(
                "asking the collector at {} (is it running? --collector or DRIFTLINE_COLLECTOR \
                 names another address)",
                self.base
            )
        };
        let sent = request.send().await;
        let mut answer = match sent {
            Err(error) if mentions(&error, &["CaUsedAsEndEntity"]) => {
                let text = format!(
                    "the collector at {} shows the certificate of an authority as its own, which \
                     no file given here mends; make it one with basicConstraints=CA:FALSE",
                    self.base
                );
                return Err(error).context(text);
            }
            Err(error) if is_of_a_certificate(&error) => {
                return Err(error).with_context(|| self.untrusted());
            }
            Err(error) if mentions(&error, &["corrupt message", "InvalidContentType"]) => {
                let text = format!("no TLS is spoken at {}; try http://", self.base);
                return Err(error).context(text);
            }
            Err(error) if mentions(&error, &["invalid HTTP version", "message is incomplete"]) => {
                let text = format!("no HTTP is spoken at {}; try https://", self.base);
                return Err(error).context(text);
            }
            sent => sent.with_context(asking)?,
        };
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.with_context(asking)? {
            body.extend_from_slice(&chunk);
            anyhow::ensure!(body.len() <= ANSWER_BYTES, "the answer passes {ANSWER_BYTES} bytes");
        }
        if status.is_success() {
            return serde_json::from_slice(&body).context("reading the collector's answer");
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(Refused(problem.detail).into()),
            Err(_) => anyhow::bail!("the collector refused with status {status}"),
        }
    }
}

fn is_of_a_certificate(error: &reqwest::Error) -> bool {
    mentions(error, &["invalid peer certificate"])
}

/// Whether an error or one of its causes has one of `words`; TLS and HTTP tell no other way.
fn mentions(error: &reqwest::Error, words: &[&str]) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if words.iter().any(|word| text.contains(word)) {
            return true;
        }
        cause = error.source();
    }
    false
}

const _: () = assert!(ANSWER_BYTES > limits::BODY_BYTES);
