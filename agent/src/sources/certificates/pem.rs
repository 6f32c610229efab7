//! From the bytes of a file to the certificates in it: PEM blocks (RFC 7468) or one DER value.
//!
//! Pure. It knows the three labels OpenSSL takes for a certificate, and that text between blocks is
//! commentary. It does not look into a certificate.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::formats::Malformed;

/// The most certificates of one file; the largest bundle of roots has under 500.
const CERTIFICATES: usize = 2_000;

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Certificates in DER form, in their order, at least one.
    Certificates(Vec<Vec<u8>>),
    /// Another kind of PEM block, such as parameters or a key.
    SomethingElse,
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

/// The certificates in a file.
///
/// # Errors
/// [`Malformed`] for a block that does not end or is no base64, for too many certificates, and for
/// a file that is neither PEM nor begins like a DER sequence.
pub(super) fn certificates(bytes: &[u8]) -> Result<Found, Malformed> {
    const SEQUENCE: u8 = 0x30;
    if bytes.first() == Some(&SEQUENCE) {
        return Ok(Found::Certificates(vec![bytes.to_vec()]));
    }
    let text = String::from_utf8_lossy(bytes);
    let (mut found, mut others) = (Vec::new(), false);
    let mut lines = text.lines().zip(1_u32..);
    while let Some((line, number)) = lines.next() {
        let Some(label) = label(line, BEGIN) else { continue };
        let mut body = String::new();
        let ended = lines.by_ref().map(|(line, _)| line.trim()).any(|line| {
            let end = line.starts_with(END);
            if !end {
                body.push_str(line);
            }
            end
        });
        if !LABELS.contains(&label) {
            others = true;
            continue;
        }
        let malformed = |what| Malformed { line: number, what };
        if !ended {
            return Err(malformed("the certificate that begins here has no end"));
        }
        if found.len() >= CERTIFICATES {
            return Err(malformed("there are more certificates than are read of one file"));
        }
        let der = STANDARD
            .decode(&body)
            .map_err(|_| malformed("the certificate that begins here is no base64"))?;
        found.push(der);
    }
    match (found.is_empty(), others) {
        (false, _) => Ok(Found::Certificates(found)),
        (true, true) => Ok(Found::SomethingElse),
        (true, false) => Err(Malformed {
            line: 0,
            what: "there is no certificate in it, neither as PEM nor as DER",
        }),
    }
}

fn label<'a>(line: &'a str, begin: &str) -> Option<&'a str> {
    line.trim().strip_prefix(begin)?.strip_suffix("-----")
}
