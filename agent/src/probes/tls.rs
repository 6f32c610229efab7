//! A TLS handshake that is brought to its end whatever the certificate, so that what is wrong with
//! it can be said. Nothing secret is ever sent through it.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, StreamOwned,
};
use x509_parser::parse_x509_certificate;

use super::{Answer, Certificate, PATIENCE, Target, dial, failure};

/// The largest file of certificates, in bytes: a system's whole trust store has a quarter of it.
const ROOTS_BYTES: u64 = 1024 * 1024;

/// How long a whole handshake may take: a peer that sends a byte now and then is silent.
const HANDSHAKE: Duration = PATIENCE.saturating_mul(3);

/// Shakes hands, and says what is to be said of the certificate.
pub(super) fn shake_hands(
    target: &Target,
    stream: TcpStream,
) -> Result<(StreamOwned<ClientConnection, TcpStream>, Certificate), Answer> {
    let host = target.name.as_deref().unwrap_or_else(|| target.host());
    let (shaken, stream, seen) = tried(host, target.ca_file.as_deref(), stream)?;
    shaken?;
    Ok((stream, seen.ok_or(Answer::Refused)?))
}

/// The certificate that whoever listens at `address` shows to callers that ask for `name`; also
/// where the handshake fails after that, as it does where callers must show one too.
///
/// # Errors
/// Why none was seen.
pub fn shown(address: SocketAddr, name: Option<&str>) -> Result<Certificate, Answer> {
    let host = name.map_or_else(|| address.ip().to_string(), str::to_owned);
    let (shaken, _, seen) = tried(&host, None, dial(address)?)?;
    seen.ok_or(shaken.err().unwrap_or(Answer::Refused))
}

/// What became of a handshake, with the certificate where one was seen.
type Tried = (Result<(), Answer>, StreamOwned<ClientConnection, TcpStream>, Option<Certificate>);

fn tried(host: &str, ca_file: Option<&Path>, mut stream: TcpStream) -> Result<Tried, Answer> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Answer::Unknown)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let judge = Arc::new(Judge {
        strict: ca_file.and_then(|path| strict(path, &provider)),
        wanted: ca_file.is_some(),
        provider: Arc::clone(&provider),
        seen: Mutex::new(None),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Answer::Refused)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&judge) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let mut connection =
        ClientConnection::new(Arc::new(config), name).map_err(|_| Answer::Refused)?;
    let shaken = carry(&mut connection, &mut stream);
    let seen = judge.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok((shaken, StreamOwned::new(connection, stream), seen))
}

/// Carries messages there and back until the handshake is over.
fn carry(connection: &mut ClientConnection, stream: &mut TcpStream) -> Result<(), Answer> {
    let began = Instant::now();
    while connection.is_handshaking() || connection.wants_write() {
        if began.elapsed() > HANDSHAKE {
            return Err(Answer::Silent);
        }
        if connection.wants_write() {
            connection.write_tls(stream).map_err(|e| failure(&e))?;
        } else if connection.read_tls(stream).map_err(|e| failure(&e))? == 0 {
            return Err(Answer::Refused);
        } else {
            connection.process_new_packets().map_err(|_| Answer::Refused)?;
        }
    }
    Ok(())
}

/// What judges a chain, where the configuration says what it must lead to.
fn strict(path: &Path, provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    // Opening a FIFO would wait for whoever writes to it.
    let is_file = std::fs::metadata(path).is_ok_and(|found| found.is_file());
    let mut file = is_file.then(|| File::open(path).ok()).flatten()?;
    let bytes = limits::read_bounded(&mut file, ROOTS_BYTES).ok()?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_pemfile::certs(&mut &*bytes).flatten());
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()
}

/// Takes every certificate, and notes what is wrong with it.
#[derive(Debug)]
struct Judge {
    strict: Option<Arc<WebPkiServerVerifier>>,
    /// Whether the configuration says what a chain must lead to.
    wanted: bool,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<Certificate>>,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (_, parsed) = parse_x509_certificate(end)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let (from, expires) =
            (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let judged = self
            .strict
            .as_ref()
            .map(|strict| strict.verify_server_cert(end, between, name, ocsp, now));
        let verdict = match judged {
            _ if seconds > expires && !mutant::active(Mutant::CertificatesNeverEnd) => "expired",
            _ if seconds < from => "not_yet_valid",
            // What cannot be read proves nothing, least of all that all is well.
            None if self.wanted => "unjudged",
            None | Some(Ok(_)) => "valid",
            Some(Err(Error::InvalidCertificate(error))) => of(&error),
            Some(Err(_)) => "refused",
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some(Certificate { verdict, expires, der: end.to_vec() });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let all = &self.provider.signature_verification_algorithms;
        unless_unreadable(verify_tls12_signature(message, end, signed, all))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let all = &self.provider.signature_verification_algorithms;
        unless_unreadable(verify_tls13_signature(message, end, signed, all))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A certificate of the first version, as old servers made them for themselves, is one that rustls
/// does not read and others take. The handshake goes on, and what is to be said of it was said.
fn unless_unreadable(
    verified: Result<HandshakeSignatureValid, Error>,
) -> Result<HandshakeSignatureValid, Error> {
    match verified {
        Err(Error::InvalidCertificate(error)) if error != CertificateError::BadSignature => {
            Ok(HandshakeSignatureValid::assertion())
        }
        verified => verified,
    }
}

/// What is wrong, in one word.
#[allow(clippy::wildcard_enum_match_arm, reason = "what rustls learns to say later is refused too")]
fn of(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "not_yet_valid"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "wrong_name"
        }
        // Not signed by whom we trust under that name is not signed by whom we trust.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => "untrusted",
        _ => "refused",
    }
}
