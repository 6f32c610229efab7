//! What a certificate says of itself (RFC 5280), as items.
//!
//! Keys begin with the subject, so that a renewed certificate is the same one with another
//! validity, and not one gone and one come. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawItems};
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2sn};
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use super::chain::{self, Trust};
use crate::formats::Malformed;
use crate::sources::look::Look;
use crate::sources::table::{Trouble, say};

/// The items of a file of certificates in DER form.
pub(super) fn items(
    found: &[Vec<u8>],
    trust: &mut Trust,
    look: &mut Look<'_>,
) -> Result<RawItems, Trouble> {
    let parsed: Vec<_> = found.iter().map(|der| parse(der)).collect::<Result<_, _>>()?;
    let mut items = RawItems::new();
    for ((der, certificate), rank) in found.iter().zip(&parsed).zip(0..) {
        let subject = unused(&items, name(certificate.subject()));
        let fingerprint = RawItem::plain(ItemValue::Text(fingerprint(der))).at(rank);
        items.insert(ItemKey::of([&subject]), fingerprint);
        for (field, value) in facts(certificate) {
            say(&mut items, [subject.as_str(), field], value);
        }
    }
    say(&mut items, ["chain"], chain::end(&parsed, trust, look)?);
    Ok(items)
}

/// A subject that comes again in one file, as in a cross-signed chain, gets its number.
fn unused(items: &RawItems, subject: String) -> String {
    let is_free = |name: &str| !items.contains_key(&ItemKey::of([name]));
    if is_free(&subject) {
        return subject;
    }
    let numbered = (2..).map(|number: u32| format!("{subject} #{number}"));
    numbered.take(items.len() + 1).find(|name| is_free(name)).unwrap_or(subject)
}

/// The certificate at the beginning of `der`; OpenSSL's trusted form has settings behind it.
pub(in crate::sources) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Malformed> {
    let malformed =
        Malformed { line: 0, what: "a block or the file is no X.509 certificate in DER" };
    X509Certificate::from_der(der).map(|(_, certificate)| certificate).map_err(|_| malformed)
}

/// The SHA-256 of the whole, in hexadecimal digits, as `openssl x509 -fingerprint` has it.
pub(in crate::sources) fn fingerprint(der: &[u8]) -> String {
    // Settings behind a trusted certificate are not part of it.
    let whole =
        X509Certificate::from_der(der).ok().and_then(|(rest, _)| der.get(..der.len() - rest.len()));
    let digest = ring::digest::digest(&ring::digest::SHA256, whole.unwrap_or(der));
    format!("SHA256:{}", hexadecimal(digest.as_ref()))
}

/// Hexadecimal digits.
pub(in crate::sources) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A name as people write it: `CN=sbc1.example.org, O=Example`.
pub(in crate::sources) fn name(name: &X509Name<'_>) -> String {
    let text = name.to_string();
    if text.is_empty() { "(no name)".to_owned() } else { text }
}

/// What a certificate says, by the names of its facts.
pub(in crate::sources) fn facts(
    certificate: &X509Certificate<'_>,
) -> Vec<(&'static str, ItemValue)> {
    let text = ItemValue::Text;
    let validity = certificate.validity();
    let late = if mutant::active(Mutant::CertificatesEndADayLater) { 86_400 } else { 0 };
    let mut facts = vec![
        ("issuer", text(name(certificate.issuer()))),
        ("serial", text(hexadecimal(certificate.raw_serial()))),
        ("not_before", moment(validity.not_before.timestamp())),
        ("not_after", moment(validity.not_after.timestamp() + late)),
        ("key", text(key(certificate.public_key()))),
        ("signature", text(algorithm(&certificate.signature_algorithm.algorithm))),
        ("self_signed", ItemValue::Flag(chain::is_self_signed(certificate))),
        ("authority", ItemValue::Flag(certificate.is_ca())),
    ];
    if let Ok(Some(names)) = certificate.subject_alternative_name() {
        let names: BTreeSet<_> =
            names.value.general_names.iter().map(general_name).map(ItemValue::Text).collect();
        facts.push(("names", ItemValue::Set(names)));
    }
    facts
}

/// A moment in UTC, as RFC 3339 writes it.
fn moment(seconds: i64) -> ItemValue {
    match jiff::Timestamp::from_second(seconds) {
        Ok(timestamp) => ItemValue::Text(timestamp.to_string()),
        Err(_) => ItemValue::Integer(seconds),
    }
}

/// The kind and size of a key: `RSA 2048`, `EC prime256v1`, `ed25519`.
fn key(key: &SubjectPublicKeyInfo<'_>) -> String {
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let modulus = rsa.modulus.iter().position(|byte| *byte != 0);
            let modulus = modulus.and_then(|at| rsa.modulus.get(at..)).unwrap_or_default();
            let leading = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
            format!("RSA {}", (modulus.len() * 8).saturating_sub(leading))
        }
        Ok(PublicKey::EC(point)) => {
            let curve = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
            match curve {
                Some(curve) => format!("EC {}", algorithm(&curve)),
                None => format!("EC {}", point.key_size()),
            }
        }
        Ok(PublicKey::DSA(_)) => "DSA".to_owned(),
        Ok(PublicKey::GostR3410(_) | PublicKey::GostR3410_2012(_) | PublicKey::Unknown(_))
        | Err(_) => algorithm(&key.algorithm.algorithm),
    }
}

/// The short name of an object, or its numbers where nobody named it.
fn algorithm(oid: &Oid<'_>) -> String {
    oid2sn(oid, oid_registry()).map_or_else(|_| oid.to_id_string(), str::to_owned)
}

/// A name as `openssl x509 -ext subjectAltName` has it, without its kind where that shows.
fn general_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            (*text).to_owned()
        }
        GeneralName::IPAddress(bytes) => match (bytes.first_chunk::<4>(), bytes.len()) {
            (Some(four), 4) => IpAddr::from(*four).to_string(),
            _ => match bytes.first_chunk::<16>() {
                Some(sixteen) if bytes.len() == 16 => IpAddr::from(*sixteen).to_string(),
                Some(_) | None => hexadecimal(bytes),
            },
        },
        GeneralName::DirectoryName(inner) => self::name(inner),
        GeneralName::RegisteredID(oid) => oid.to_id_string(),
        GeneralName::OtherName(oid, value) => {
            format!("{}:{}", oid.to_id_string(), hexadecimal(value))
        }
        GeneralName::X400Address(any) | GeneralName::EDIPartyName(any) => hexadecimal(any.data),
        GeneralName::Invalid(_, value) => format!("invalid:{}", hexadecimal(value)),
    }
}
