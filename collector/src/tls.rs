//! The collector's certificate: read, checked, ready to serve. One crypto provider, chosen here and
//! nowhere else.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftline_protocol::limits;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Tls;

/// The largest certificate chain or key file, in bytes.
const PEM_BYTES: u64 = 256 * 1024;

/// Why the collector cannot encrypt.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(
        "reading {} for [tls] (`cert_file` and `key_file` name it, relative to the configuration; \
         the user of the service must be able to read it)",
        file.display()
    )]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is not PEM with what it should hold.
    #[error(
        "{} holds no {what} in PEM form, as [tls] needs; `openssl x509` and `openssl pkey` write \
         it",
        file.display()
    )]
    Pem {
        /// Which.
        file: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key cannot be used.
    #[error(
        "using {} with {} (the key must be the one the certificate was made for)",
        cert.display(), key.display()
    )]
    Unusable {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// Reads certificate and key and makes sure that they belong together.
///
/// # Errors
/// [`TlsError`].
pub fn load(tls: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let Tls { cert_file, key_file } = tls;
    let certs = read(cert_file)?;
    let certs: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&certs).filter_map(Result::ok).collect();
    if certs.is_empty() {
        return Err(TlsError::Pem { file: cert_file.clone(), what: "certificate" });
    }
    let key = PrivateKeyDer::from_pem_slice(&read(key_file)?)
        .map_err(|_| TlsError::Pem { file: key_file.clone(), what: "private key" })?;
    let unusable =
        |source| TlsError::Unusable { cert: cert_file.clone(), key: key_file.clone(), source };
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// When the certificate of `tls` ends; `None` where that cannot be read.
pub fn ends(tls: &Tls) -> Option<Timestamp> {
    let pem = read(&tls.cert_file).ok()?;
    let der = CertificateDer::pem_slice_iter(&pem).find_map(Result::ok)?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { file: file.to_path_buf(), source };
    let mut opened = File::open(file).map_err(failed)?;
    limits::read_bounded(&mut opened, PEM_BYTES).map_err(failed)
}
