//! What the quick start makes for itself: secrets, and beyond loopback an own certificate
//! authority.
//!
//! Each file is made once, readable by its owner only, and kept. In production certificates come
//! from any authority the agents trust; this one is for a person trying the product.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use driftline_collector::auth;
use driftline_collector::auth::tokens::{self, Namesake};
use driftline_collector::config::{Config, Tls};
use driftline_collector::serve::upkeep;
use driftline_collector::store::Scope;
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// How long the admin token of the quick start lives, in days.
const TOKEN_DAYS: u32 = 365;

/// What it takes to listen beyond loopback.
pub(super) struct OpenDoor {
    /// Certificate and key of the collector.
    pub(super) tls: Tls,
    /// The certificate authority to trust.
    pub(super) ca_file: PathBuf,
    /// The file with the admin token.
    pub(super) token_file: PathBuf,
}

/// Makes a folder only its owner may enter, if it is not there.
///
/// # Errors
/// Any error of making it, with the way out.
pub(super) fn private_dir(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(|| {
        format!("making {}; say --data DIR for a folder you may write to", path.display())
    })
}

/// The file with a random secret, made on first use.
///
/// # Errors
/// Any error of drawing or writing it.
pub(super) fn secret_file(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.exists() {
        keep(path, auth::draw()?.as_bytes())?;
    }
    Ok(path.to_path_buf())
}

/// Everything for an address beyond loopback, made on first use.
///
/// # Errors
/// Any error of making or writing it.
pub(super) fn open_door(data: &Path, config: &Config) -> anyhow::Result<OpenDoor> {
    let folder = data.join("tls");
    private_dir(&folder)?;
    let door = OpenDoor {
        tls: Tls {
            cert_file: folder.join("collector.pem"),
            key_file: folder.join("collector.key"),
        },
        ca_file: folder.join("ca.pem"),
        token_file: data.join("admin-token"),
    };
    if !door.tls.key_file.exists() {
        certificates(&door, config.listen)?;
    }
    if !door.token_file.exists() {
        let mut stores = upkeep::open(config)?;
        let user = std::env::var("SUDO_USER").ok();
        let who = auth::on_this_machine(rustix::process::getuid().as_raw(), user.as_deref());
        let by = (who.as_str(), Timestamp::now());
        // Whoever removed the file wants a new token; nobody can read the old one any more.
        let named = ("admin", Namesake::Replaced);
        let (append, read) = (&mut *stores.append, &*stores.read);
        let token = tokens::create((append, read), by, named, (Scope::Admin, TOKEN_DAYS))?;
        keep(&door.token_file, token.as_bytes())?;
    }
    Ok(door)
}

fn certificates(door: &OpenDoor, listen: SocketAddr) -> anyhow::Result<()> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    ca.distinguished_name.push(rcgen::DnType::CommonName, "Driftline quick start");
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !listen.ip().is_unspecified() {
        names.push(listen.ip().to_string());
    }
    names.extend(host_name());
    let key = KeyPair::generate()?;
    let certificate =
        CertificateParams::new(names)?.signed_by(&key, &Issuer::from_params(&ca, &ca_key))?;
    keep(&door.ca_file, ca_pem.as_bytes())?;
    keep(&door.tls.cert_file, certificate.pem().as_bytes())?;
    // The key last: its presence says that everything else is there.
    keep(&door.tls.key_file, key.serialize_pem().as_bytes())
}

/// What this machine calls itself; the certificate holds it too.
pub(super) fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
    (!name.is_empty()).then_some(name)
}

/// Writes a new file that only its owner may read; one that is there already stays.
fn keep(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let writing = || format!("writing {}", path.display());
    let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match open {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        other => other.with_context(writing)?,
    };
    file.write_all(content).with_context(writing)?;
    file.sync_all().with_context(writing)
}

/// The address at which this machine reaches its own portal.
pub(super) fn reachable(url: &str, address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => format!("https://127.0.0.1:{}", address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => format!("https://[::1]:{}", address.port()),
        IpAddr::V4(_) | IpAddr::V6(_) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_the_quick_start_is_an_event_of_whoever_started_it() {
        let data = tempfile::tempdir().unwrap();
        let config = Config { state_dir: data.path().join("state"), ..Config::default() };
        for start in ["the first", "the second"] {
            let door = open_door(data.path(), &config).unwrap();
            assert!(door.token_file.exists());
            let events = upkeep::open(&config).unwrap().read.events(None, 10).unwrap();
            let told: Vec<&str> = events.iter().map(|event| event.detail.as_str()).collect();
            assert_eq!(told.len(), 1, "{start} start: {told:?}");
            let uid = format!("uid {} of this machine", rustix::process::getuid().as_raw());
            assert!(told[0].starts_with(&uid), "{told:?}");
            assert!(told[0].ends_with(" made the token admin with the scope admin"), "{told:?}");
        }
    }
}
