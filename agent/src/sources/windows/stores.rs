//! The stores of certificates that count for the whole host, a part each.
//!
//! A certificate stands as a list of properties: number, 1, length, data, each number in four
//! bytes; property 32 is the certificate itself. Of private keys nothing is in the registry.

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::{Domain, Reason};

use super::{Look, Product, Trouble, blank, kept, key, manual, say};
use crate::formats::Malformed;
use crate::registry::Key;
use crate::sources::certificates::facts;

pub(super) const CERTIFICATES: Product = Product {
    name: "certificates",
    domain: Domain::Config,
    manual: manual(
        "`root`, `root/policy`, `root/enterprise`, `auth_root`, `intermediate`, \
         `personal`, `trusted_publisher`, `disallowed`",
    ),
    tables: &[
        kept("root", |look| store(look, r"SOFTWARE\Microsoft\SystemCertificates\ROOT")),
        kept("root/policy", |look| {
            store(look, r"SOFTWARE\Policies\Microsoft\SystemCertificates\Root")
        }),
        kept("root/enterprise", |look| {
            store(look, r"SOFTWARE\Microsoft\EnterpriseCertificates\Root")
        }),
        kept("auth_root", |look| store(look, r"SOFTWARE\Microsoft\SystemCertificates\AuthRoot")),
        kept("intermediate", |look| store(look, r"SOFTWARE\Microsoft\SystemCertificates\CA")),
        kept("personal", |look| store(look, r"SOFTWARE\Microsoft\SystemCertificates\MY")),
        kept("trusted_publisher", |look| {
            store(look, r"SOFTWARE\Microsoft\SystemCertificates\TrustedPublisher")
        }),
        kept("disallowed", |look| store(look, r"SOFTWARE\Microsoft\SystemCertificates\Disallowed")),
    ],
};

/// The number of the property that is the certificate.
const CERTIFICATE: u32 = 32;

/// How much of a certificate's SHA-256 tells it from others of the same subject.
const DIGITS: usize = 16;

fn store(look: &mut Look<'_>, path: &str) -> Result<Option<RawItems>, Trouble> {
    let Some(store) = key(look, path, 2)? else { return Ok(None) };
    let mut items = RawItems::new();
    let certificates = store.below(&["Certificates"]).map(|key| &key.keys);
    for (name, key) in certificates.into_iter().flatten() {
        if certificate(&mut items, key).is_err() {
            blank(look, path, &format!("Certificates/{name}"), Reason::Malformed)?;
        }
    }
    Ok(Some(items))
}

fn certificate(items: &mut RawItems, key: &Key) -> Result<(), Malformed> {
    let der = key.bytes("Blob").and_then(encoded);
    let der = der.ok_or(Malformed { line: 0, what: "no certificate" })?;
    let certificate = facts::parse(der)?;
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    let fingerprint = facts::hexadecimal(digest.as_ref());
    let short = fingerprint.get(..DIGITS).unwrap_or_default().to_owned();
    let subject = facts::name(certificate.subject());
    let path = [subject.as_str(), short.as_str()];
    say(items, path, ItemValue::Text(format!("SHA256:{fingerprint}")));
    for (field, value) in facts::facts(&certificate) {
        say(items, path.into_iter().chain([field]), value);
    }
    Ok(())
}

/// The certificate in a list of properties.
fn encoded(mut blob: &[u8]) -> Option<&[u8]> {
    const HEADER: usize = 12;
    loop {
        let (header, rest) = blob.split_at_checked(HEADER)?;
        let number = |at: usize| {
            header.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes))
        };
        let length = usize::try_from(number(8)?).ok()?;
        let (data, next) = rest.split_at_checked(length)?;
        if number(0)? == CERTIFICATE {
            return Some(data);
        }
        blob = next;
    }
}
