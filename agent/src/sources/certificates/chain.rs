//! The roots the host trusts, and whether a file's certificates lead to one.

use std::collections::BTreeSet;
use std::path::Path;

use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::Reason;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::X509Certificate;

use super::facts::{fingerprint, name, parse};
use super::pem::{self, Found};
use crate::formats::Malformed;
use crate::sources::look::Look;
use crate::sources::table::{Trouble, say};

/// The subjects of the trusted roots, read when they are first asked for.
pub(super) struct Trust {
    path: Option<&'static str>,
    subjects: Option<Result<BTreeSet<Vec<u8>>, Reason>>,
}

impl Trust {
    /// The trust store at `path`, if the host has one.
    pub(super) fn of(path: Option<&'static str>) -> Self {
        Self { path, subjects: None }
    }

    pub(super) fn path(&self) -> Option<&'static str> {
        self.path
    }

    /// Whether a root of this subject is trusted.
    fn holds(&mut self, subject: &[u8], look: &mut Look<'_>) -> Result<bool, Reason> {
        let Some(path) = self.path else { return Ok(false) };
        // Whatever is said now must be read again when the trust store is another.
        look.rely(Path::new(path))?;
        let subjects = self.subjects.get_or_insert_with(|| subjects(look, path));
        match subjects {
            Ok(subjects) => Ok(subjects.contains(subject)),
            Err(reason) => Err(*reason),
        }
    }
}

fn subjects(look: &Look<'_>, path: &str) -> Result<BTreeSet<Vec<u8>>, Reason> {
    let content = look.machine().read(Path::new(path), limits::FILE_BYTES)?;
    let Some(content) = content else { return Ok(BTreeSet::new()) };
    let Ok(Found::Certificates(found)) = pem::certificates(&content.bytes) else {
        return Err(Reason::Malformed);
    };
    found
        .iter()
        .map(|der| parse(der).map(|found| found.subject().as_raw().to_vec()))
        .collect::<Result<_, Malformed>>()
        .map_err(|_| Reason::Malformed)
}

/// The items of the trust store: `count`, and each root's subject under its fingerprint.
pub(super) fn roots(look: &mut Look<'_>, path: &str) -> Result<RawItems, Trouble> {
    let mut items = RawItems::new();
    let Some(content) = look.read(Path::new(path), limits::FILE_BYTES)? else { return Ok(items) };
    let found = match pem::certificates(&content.bytes)? {
        Found::Certificates(found) => found,
        Found::SomethingElse => Vec::new(),
    };
    for der in &found {
        let root = parse(der)?;
        let subject = ItemValue::Text(name(root.subject()));
        say(&mut items, ["root", &fingerprint(der)], subject);
    }
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    say(&mut items, ["count"], ItemValue::Integer(count));
    Ok(items)
}

/// How a file's chain ends, from its first certificate up through its others.
pub(super) fn end(
    found: &[X509Certificate<'_>],
    trust: &mut Trust,
    look: &mut Look<'_>,
) -> Result<ItemValue, Reason> {
    let Some(mut at) = found.first() else { return Ok(ItemValue::Nothing) };
    // Each step goes to another certificate of the file, so there are at most as many.
    for _ in found {
        if is_self_signed(at) || trust.holds(at.issuer().as_raw(), look)? {
            return Ok(ItemValue::text("complete"));
        }
        match found.iter().find(|above| above.subject().as_raw() == at.issuer().as_raw()) {
            Some(above) => at = above,
            None => break,
        }
    }
    Ok(ItemValue::Text(format!("lacks {}", name(at.issuer()))))
}

/// Whether a certificate names itself as its issuer and no other key.
pub(super) fn is_self_signed(certificate: &X509Certificate<'_>) -> bool {
    if certificate.subject().as_raw() != certificate.issuer().as_raw() {
        return false;
    }
    let (mut own, mut issuers) = (None, None);
    for extension in certificate.extensions() {
        let extension = extension.parsed_extension();
        if let ParsedExtension::SubjectKeyIdentifier(id) = extension {
            own = Some(id.0);
        } else if let ParsedExtension::AuthorityKeyIdentifier(id) = extension {
            issuers = id.key_identifier.as_ref().map(|id| id.0);
        }
    }
    own.is_none() || issuers.is_none() || own == issuers
}
