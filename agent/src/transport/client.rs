//! One HTTP client for one collector: HTTPS always, plain HTTP to this machine only, every body
//! bounded.
//!
//! It knows how a request travels and nothing of what is said.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::printable::is_invisible;
use driftline_protocol::wire::{self, Problem, ProblemCode, WireError};
use reqwest::{Certificate, Client, Response, Url, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long a connection may take; a collector that is farther away than this is down.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a request may take from its first byte to the last of its answer.
const TOTAL: Duration = Duration::from_secs(60);

/// How long an idle connection is kept: longer than the usual heartbeat, so that TLS is set up
/// once.
const IDLE: Duration = Duration::from_secs(90);

/// How much of what a collector says for people is kept, in characters: it goes into the log.
const WORDS_CHARS: usize = 300;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not one.
    #[error("collector {0:?} is no URL such as https://collector.example.org:9470")]
    Url(String),
    /// Tokens and reports would be readable on the way.
    #[error(
        "collector {0:?} must be https; plain http is for this machine (127.0.0.1, [::1]) only"
    )]
    Plain(String),
    /// The CA file cannot be read, or holds no certificate.
    #[error(
        "reading certificates from {} (`ca_file` names a file in PEM form with the authority that \
         signed the collector's certificate)",
        path.display()
    )]
    Ca {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The TLS stack refused its settings.
    #[error("setting up TLS")]
    Tls(#[source] reqwest::Error),
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The collector could not be reached, or broke off.
    #[error("asking the collector{}", advice(.0))]
    Network(#[source] reqwest::Error),
    /// The answer passes its bound or is not what it should be.
    #[error("the collector's answer: {0}")]
    Answer(&'static str),
    /// The collector refused.
    #[error("the collector refused ({}): {}", problem.code.as_str(), problem.detail)]
    Refused {
        /// Why.
        problem: Problem,
        /// From `Retry-After`, in milliseconds.
        retry_after_ms: Option<u64>,
    },
}

/// A client of one collector.
#[derive(Clone)]
pub struct Collector {
    /// Replaced where the authorities to be trusted are read again.
    client: Arc<Mutex<Client>>,
    base: Url,
    ca_file: Option<PathBuf>,
}

impl Collector {
    /// A client of the collector at `address`, which is trusted by the certificates in `ca_file`,
    /// or by the platform's where there is none. They are read again when it is not trusted, so
    /// that an authority may be replaced below a running agent. A rustls provider must be
    /// installed.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(address: &str, ca_file: Option<&Path>) -> Result<Self, ClientError> {
        let base = Url::parse(address).map_err(|_| ClientError::Url(address.to_owned()))?;
        match base.scheme() {
            "https" => (),
            "http" if is_loopback(&base) => (),
            "http" => return Err(ClientError::Plain(address.to_owned())),
            _ => return Err(ClientError::Url(address.to_owned())),
        }
        let client = client(&base, ca_file)?;
        let ca_file = ca_file.map(Path::to_path_buf);
        Ok(Self { client: Arc::new(Mutex::new(client)), base, ca_file })
    }

    /// Whether anybody on this machine may answer in the collector's place while it is down.
    pub fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }

    fn client(&self) -> Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next request trusts whom the file, or the platform, names now. One that cannot be read
    /// changes nothing: it may be being written.
    fn renew(&self) {
        if let Ok(client) = client(&self.base, self.ca_file.as_deref()) {
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
        }
    }

    /// Sends `message` to a path with a token, and reads the answer, which may have `bound` bytes.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn post<A: DeserializeOwned>(
        &self,
        (path, token): (&str, Option<&str>),
        message: &impl Serialize,
        bound: usize,
    ) -> Result<A, RequestError> {
        let json = serde_json::to_vec(message).map_err(|_| RequestError::Answer("not sendable"))?;
        let (body, compressed) = wire::compress(json);
        let url = self.base.join(path).map_err(|_| RequestError::Answer("no such path"))?;
        let mut request = self.client().post(url).header(header::CONTENT_TYPE, "application/json");
        if compressed {
            request = request.header(header::CONTENT_ENCODING, "zstd");
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let sent = request.body(body).send().await;
        if sent.as_ref().is_err_and(|error| says(error, DISTRUST)) {
            self.renew();
        }
        let response = sent.map_err(RequestError::Network)?;
        let success = response.status().is_success();
        let busy = matches!(response.status().as_u16(), 429 | 503);
        let retry_after_ms = retry_after_ms(&response);
        let body = match read(response, bound).await {
            // That it is a refusal stands in its head.
            Err(RequestError::Answer(_)) if !success => Vec::new(),
            other => other?,
        };
        if success {
            return serde_json::from_slice(&body)
                .map_err(|_| RequestError::Answer("not understood"));
        }
        // A proxy in between refuses in words of its own.
        let code = if busy { ProblemCode::Busy } else { ProblemCode::Failed };
        let detail = "an answer that is not the collector's".to_owned();
        let Problem { code, detail } =
            serde_json::from_slice(&body).unwrap_or(Problem { code, detail });
        let problem = Problem { code, detail: words(&detail) };
        Err(RequestError::Refused { problem, retry_after_ms })
    }
}

/// What a collector says for people, as it may stand in a log: cut, and on one line that shows
/// every character.
pub(super) fn words(said: &str) -> String {
    if mutant::active(Mutant::CollectorsWriteTheLog) {
        return said.to_owned();
    }
    let mut words = String::new();
    for (count, c) in said.chars().enumerate() {
        if count == WORDS_CHARS {
            words.push('…');
            break;
        }
        match c {
            c if c.is_control() || is_invisible(c) => words.extend(c.escape_unicode()),
            c => words.push(c),
        }
    }
    words
}

/// A client of the collector at `base` that trusts those of `ca_file`.
fn client(base: &Url, ca_file: Option<&Path>) -> Result<Client, ClientError> {
    let mut builder = Client::builder()
        .connect_timeout(CONNECT)
        .timeout(TOTAL)
        .pool_idle_timeout(IDLE)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("driftline-agent/", env!("CARGO_PKG_VERSION")));
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    if let Some(path) = ca_file {
        builder = builder.tls_certs_only(certificates(path)?);
    } else if base.scheme() == "http" {
        // Nothing is encrypted on the loopback, so no certificate of the platform needs to be read.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(ClientError::Tls)
}

/// What to look at, where the error tells: what TLS and HTTP say of themselves helps nobody who
/// does not know both.
fn advice(error: &reqwest::Error) -> &'static str {
    ADVICE.iter().find(|(word, _)| says(error, word)).map_or("", |(_, advice)| *advice)
}

/// Whether an error, or what it comes of, has `word` in its text: libraries tell it no other way.
fn says(error: &reqwest::Error, word: &str) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains(word) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What rustls says of a certificate that it does not take.
const DISTRUST: &str = "invalid peer certificate";

/// What libraries say, and what somebody can do about it.
const ADVICE: [(&str, &str); 11] = [
    (
        "UnknownIssuer",
        " (its certificate is signed by nobody this host trusts; `ca_file` names the authority)",
    ),
    // An authority of the same name, such as that of a quick start before it was made anew.
    ("BadSignature", " (its certificate is of another authority of the same name as in `ca_file`)"),
    ("not valid for name", " (its certificate is for another name; use one that is in it)"),
    ("certificate expired", " (its certificate has expired, or this host's clock is wrong)"),
    (
        "CaUsedAsEndEntity",
        " (it shows the certificate of an authority as its own; make it one with \
         basicConstraints=CA:FALSE)",
    ),
    (DISTRUST, " (this host does not trust its certificate; `ca_file` names the authority)"),
    ("corrupt message", " (no TLS is spoken there; does the collector speak TLS on this port?)"),
    ("invalid HTTP version", " (no HTTP is spoken there; does the collector want https?)"),
    ("Connection refused", " (nothing listens there; does the collector run, on this port?)"),
    ("dns error", " (its name cannot be looked up; is `collector` written right?)"),
    ("timed out", " (nobody answers there; does a firewall stand in between?)"),
];

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let failed = |source| ClientError::Ca { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    let mut certificates = Vec::new();
    for found in rustls_pemfile::certs(&mut BufReader::new(file)) {
        let der = found.map_err(failed)?;
        certificates.push(Certificate::from_der(&der).map_err(ClientError::Tls)?);
    }
    if certificates.is_empty() {
        return Err(failed(std::io::Error::other("no certificate in PEM form")));
    }
    Ok(certificates)
}

fn retry_after_ms(response: &Response) -> Option<u64> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse::<u64>().ok().map(|seconds| seconds.saturating_mul(1_000))
}

/// The body as it was before it was packed, at most `bound` bytes of it.
async fn read(mut response: Response, bound: usize) -> Result<Vec<u8>, RequestError> {
    let packed = response.headers().get(header::CONTENT_ENCODING).is_some_and(|v| v == "zstd");
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(RequestError::Network)? {
        if body.len() + chunk.len() > bound.min(limits::BODY_BYTES) {
            return Err(RequestError::Answer("too large"));
        }
        body.extend_from_slice(&chunk);
    }
    if !packed {
        return Ok(body);
    }
    wire::decompress_within(&body, bound).map_err(|error| {
        RequestError::Answer(match error {
            WireError::TooLarge => "too large",
            WireError::Zstd(_) => "not decompressible",
        })
    })
}
