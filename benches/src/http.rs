//! The smallest HTTP/1.1 client that can keep a connection: one request at a time, lengths known.
//!
//! A load generator shares the cores with what it measures, so it must cost little: no runtime, no
//! pool, one thread a connection. TLS where there is a certificate to trust.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// How long an answer may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The largest answer, in bytes.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Where a server is and whom it must prove to be.
#[derive(Clone)]
pub struct Target {
    /// Where.
    pub address: SocketAddr,
    /// Trusts the server's certificate; plain HTTP where there is none.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Target {
    /// A server that speaks plain HTTP.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// A server with the certificate in the PEM file `trusted`.
    ///
    /// # Errors
    /// When the file holds no certificate.
    pub fn trusting(address: SocketAddr, trusted: &Path) -> anyhow::Result<Self> {
        let pem = std::fs::read(trusted).context("reading a certificate")?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).context("no certificate")?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { address, tls: Some(Arc::new(config)) })
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// One kept connection.
pub struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
}

/// What came back.
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body as it was sent.
    pub body: &'a [u8],
}

impl Connection {
    /// Connects to `target`; the TLS handshake waits for the first request.
    ///
    /// # Errors
    /// When nobody answers there.
    pub fn open(target: &Target) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(target.address).context("connecting")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let stream = match &target.tls {
            None => Stream::Plain(stream),
            Some(config) => {
                let name = ServerName::from(target.address.ip());
                let session = ClientConnection::new(Arc::clone(config), name)?;
                Stream::Tls(Box::new(StreamOwned::new(session, stream)))
            }
        };
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends one request, made by [`post`] or [`get`], and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks or the answer is not HTTP/1.1 with a length.
    pub fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(request)?,
            Stream::Tls(stream) => stream.write_all(request).and_then(|()| stream.flush())?,
        }
        self.buffer.clear();
        let mut head = None;
        loop {
            if head.is_none() {
                head = Head::read(&self.buffer)?;
            }
            if let Some(Head { status, body, length }) = head
                && self.buffer.len() >= body + length
            {
                let body = self.buffer.get(body..body + length).unwrap_or_default();
                return Ok(Answer { status, body });
            }
            self.receive()?;
        }
    }

    fn receive(&mut self) -> anyhow::Result<()> {
        let mut piece = [0; 16 * 1024];
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut piece),
            Stream::Tls(stream) => stream.read(&mut piece),
        };
        let read = read.context("reading an answer")?;
        if read == 0 || self.buffer.len() > ANSWER_BYTES {
            bail!("the server broke off");
        }
        self.buffer.extend_from_slice(piece.get(..read).unwrap_or_default());
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Where the body begins.
    body: usize,
    length: usize,
}

impl Head {
    /// The head of the answer in `bytes`, once it is complete.
    fn read(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = std::str::from_utf8(bytes.get(..end).unwrap_or_default())?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status.and_then(|status| status.parse().ok()).context("no HTTP answer")?;
        let length = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse())
        });
        let length = length.context("an answer without a length")??;
        Ok(Some(Self { status, body: end + 4, length }))
    }
}

/// A request that sends `body`, which is zstd when `packed`; without a `token` it names nobody.
pub fn post(path: &str, token: &str, (body, packed): (&[u8], bool)) -> Vec<u8> {
    let encoding = if packed { "content-encoding: zstd\r\n" } else { "" };
    let holder = match token {
        "" => String::new(),
        token => format!("authorization: Bearer {token}\r\n"),
    };
    let length = body.len();
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{encoding}\
         {holder}content-length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// A request for `path`.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_only_when_it_is_complete() {
        let whole = b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nok";
        for cut in 0..whole.len() - 2 {
            assert_eq!(Head::read(&whole[..cut]).unwrap(), None, "{cut}");
        }
        let head = Head::read(whole).unwrap().unwrap();
        assert_eq!(head, Head { status: 503, body: whole.len() - 2, length: 2 });
        assert!(Head::read(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(Head::read(b"nonsense\r\n\r\n").is_err());
    }
}
