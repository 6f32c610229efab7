//! What certificates say, compared with `openssl x509`, and the row of the shared check.

use std::collections::BTreeMap;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItems, Redactor};

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};

const ROOT: &str = include_str!("samples/root.pem");
const MID: &str = include_str!("samples/mid.pem");
const LEAF: &str = include_str!("samples/leaf.pem");

/// Certificate, issuer and a key in one file, as HAProxy wants it.
const COMBINED: &str = concat!(
    include_str!("samples/leaf.pem"),
    include_str!("samples/mid.pem"),
    "-----BEGIN PRIVATE KEY-----\ncanary0d1b6f2e\n-----END PRIVATE KEY-----\n"
);

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Certificates::new(&[]).unwrap()),
        recast: || {
            Box::new(Certificates { version: VERSION + 1, ..Certificates::new(&[]).unwrap() })
        },
        tree: vec![
            (BUNDLES[0], 0o644, ROOT),
            ("/etc/haproxy/site.pem", 0o600, COMBINED),
            ("/etc/nginx/tls/site.crt", 0o644, LEAF),
            ("/usr/local/share/ca-certificates/own.crt", 0o644, ROOT),
            ("/etc/ssl/certs/own.pem", 0o644, "-> /usr/local/share/ca-certificates/own.crt"),
            // None of these is a certificate.
            ("/etc/ssl/dhparam.pem", 0o644, "-----BEGIN DH PARAMETERS-----\nAA==\n-----END x\n"),
            ("/etc/ssl/private/a.pem", 0o600, "never opened"),
            ("/etc/letsencrypt/archive/a/cert1.pem", 0o644, LEAF),
        ],
        malformed: Some(Broken {
            path: "/etc/nginx/tls/site.crt",
            content: "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            part: "/etc/nginx/tls/site.crt",
        }),
        denied: Denied { path: "/etc/nginx/tls", part: "/etc/nginx/tls/site.crt" },
        edit: ("/etc/nginx/tls/site.crt", MID),
        canary: Some("canary0d1b6f2e"),
    }
}

/// The items of a file on a host that trusts `bundle`.
fn read(file: &[u8], bundle: Option<&str>) -> Result<RawItems, Trouble> {
    let root = tempfile::tempdir().unwrap();
    if let Some(bundle) = bundle {
        let path = root.path().join(BUNDLES[0].trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bundle).unwrap();
    }
    let machine = Machine::open(root.path(), Redactor::new([1; 32])).unwrap();
    let mut trust = Trust::of(bundle.map(|_| BUNDLES[0]));
    match pem::certificates(file)? {
        Found::SomethingElse => panic!("no certificate"),
        Found::Certificates(found) => facts::items(&found, &mut trust, &mut Look::new(&machine)),
    }
}

fn text_of(value: &ItemValue) -> String {
    if let ItemValue::Text(text) = value { text.clone() } else { format!("{value:?}") }
}

fn shown(items: &RawItems) -> Vec<String> {
    let line = |(key, item): (&ItemKey, &driftline_protocol::redact::RawItem)| match item.rank {
        Some(rank) => format!("{key} [{rank}]"),
        None => format!("{key} = {:?}", item.value),
    };
    items.iter().map(line).collect()
}

#[test]
fn a_certificate_says_what_openssl_says_of_it() {
    let items = read(LEAF.as_bytes(), None).unwrap();
    let names = "Set({Text(\"192.0.2.1\"), Text(\"2001:db8::1\"), Text(\"noc@example.org\"), \
                 Text(\"sbc1.example.org\"), Text(\"sip.example.org\"), \
                 Text(\"sip:sbc1.example.org\")})";
    let expect = [
        "CN=sbc1.example.org [0]",
        "CN=sbc1.example.org/authority = Flag(false)",
        "CN=sbc1.example.org/issuer = Text(\"O=Example, CN=Example Issuing\")",
        "CN=sbc1.example.org/key = Text(\"ed25519\")",
        &format!("CN=sbc1.example.org/names = {names}"),
        "CN=sbc1.example.org/not_after = Text(\"2126-10-29T20:15:47Z\")",
        "CN=sbc1.example.org/not_before = Text(\"2026-11-22T20:15:47Z\")",
        "CN=sbc1.example.org/self_signed = Flag(false)",
        "CN=sbc1.example.org/serial = Text(\"74e76f52e5ef850624ce98e6c13440daaf37c5c0\")",
        "CN=sbc1.example.org/signature = Text(\"sha256WithRSAEncryption\")",
        "chain = Text(\"lacks O=Example, CN=Example Issuing\")",
    ];
    assert_eq!(shown(&items), expect);
}

#[test]
fn a_chain_is_complete_when_it_ends_in_a_root_of_the_host_or_its_own() {
    let chain = |file: &str, bundle| {
        let items = read(file.as_bytes(), bundle).unwrap();
        text_of(&items[&ItemKey::of(["chain"])].value)
    };
    let (two, all) = (format!("{LEAF}{MID}"), format!("{LEAF}{MID}{ROOT}"));
    for (file, bundle, expect) in [
        (LEAF, None, "lacks O=Example, CN=Example Issuing"),
        (LEAF, Some(ROOT), "lacks O=Example, CN=Example Issuing"),
        (&two, None, "lacks O=Example, CN=Example Root"),
        (&two, Some(ROOT), "complete"),
        (&two, Some(LEAF), "lacks O=Example, CN=Example Root"),
        (&all, None, "complete"),
        (ROOT, None, "complete"),
    ] {
        assert_eq!(chain(file, bundle), expect);
    }
    let unread = read(LEAF.as_bytes(), Some("no bundle"));
    assert_eq!(unread, Err(Trouble::Unread(Reason::Malformed)), "nobody knows the roots");
}

#[test]
fn a_subject_that_comes_twice_stays_two() {
    let items = read(format!("{ROOT}{ROOT}").as_bytes(), None).unwrap();
    let ranked: Vec<_> = shown(&items).into_iter().filter(|line| line.ends_with(']')).collect();
    assert_eq!(ranked, ["O=Example, CN=Example Root [0]", "O=Example, CN=Example Root #2 [1]"]);
}

#[test]
fn a_file_that_is_no_certificate_says_why_and_nothing_that_stands_in_it() {
    let block = "-----BEGIN CERTIFICATE-----\n";
    for (text, expect) in [
        // What postgresql-common installs as root.crt begins so.
        (
            "This is a dummy root certificate file for PostgreSQL.\n".to_owned(),
            "there is no certificate in it, neither as PEM nor as DER",
        ),
        (format!("x\n{block}AA==\n"), "line 2: the certificate that begins here has no end"),
        (
            format!("{block}secret!\n-----END CERTIFICATE-----\n"),
            "line 1: the certificate that begins here is no base64",
        ),
        (
            format!("{block}AAAA\n-----END CERTIFICATE-----\n"),
            "a block or the file is no X.509 certificate in DER",
        ),
    ] {
        let Err(Trouble::Malformed(malformed)) = read(text.as_bytes(), None) else {
            panic!("{text:?} is a certificate")
        };
        let (key, item) = malformed.item();
        assert_eq!(key, ItemKey::momentary(["malformed"]));
        assert_eq!(text_of(&item.value), expect);
    }
}

#[test]
fn a_file_holds_certificates_or_something_else_or_is_malformed() {
    let der = match pem::certificates(ROOT.as_bytes()).unwrap() {
        Found::Certificates(found) => found.into_iter().next().unwrap(),
        Found::SomethingElse => panic!("no certificate"),
    };
    assert_eq!(pem::certificates(&der), Ok(Found::Certificates(vec![der])));
    let block = |label: &str| format!("-----BEGIN {label}-----\nAA==\n-----END {label}-----\n");
    for (text, expect) in [
        (block("TRUSTED CERTIFICATE"), Some(1)),
        (format!("a comment\r\n{}", block("X509 CERTIFICATE").replace('\n', "\r\n")), Some(1)),
        (format!("{}{}", block("PRIVATE KEY"), block("CERTIFICATE").repeat(2)), Some(2)),
        (block("CERTIFICATE REQUEST"), Some(0)),
    ] {
        let count = match pem::certificates(text.as_bytes()).unwrap() {
            Found::Certificates(found) => found.len(),
            Found::SomethingElse => 0,
        };
        assert_eq!(Some(count), expect, "{text}");
    }
    for text in ["", "x", "-----BEGIN CERTIFICATE-----\nAA==\n", "-----BEGIN CERTIFICATE-----"] {
        assert!(pem::certificates(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn a_host_that_loses_its_roots_reads_every_chain_again() {
    let root = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = root.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("/etc/ssl/site.pem", &format!("{LEAF}{MID}"));
    put(BUNDLES[0], ROOT);
    let seam = crate::machine::Seam {
        clock_ahead: std::time::Duration::from_secs(3_600),
        ..Default::default()
    };
    let machine = Machine::open(root.path(), Redactor::new([1; 32])).unwrap().with_seam(seam);
    let mut source = Certificates::new(&[]).unwrap();
    let mut pass = || {
        let mut kept = Kept::default();
        source.read(&machine, &mut kept).unwrap();
        kept.chains.get("/etc/ssl/site.pem").cloned()
    };
    assert_eq!(pass().as_deref(), Some("complete"));
    assert_eq!(pass(), None, "nothing changed and it is read again");
    put(BUNDLES[0], LEAF);
    assert_eq!(pass().as_deref(), Some("lacks O=Example, CN=Example Root"));
}

/// Keeps what each part says of its chain.
#[derive(Default)]
struct Kept {
    chains: BTreeMap<String, String>,
}

impl Sink for Kept {
    fn seen(&mut self, part: PartName, raw: RawPart) -> crate::sources::Receipt {
        if let RawPart::Observed(observed) = raw
            && let Some(item) = observed.items.get(&ItemKey::of(["chain"]))
            && let ItemValue::Text(text) = &item.value
        {
            self.chains.insert(part.to_string(), text.clone());
        }
        let digest = driftline_protocol::ids::Digest([0; 32]);
        crate::sources::Receipt::of(digest, None)
    }

    fn same(&mut self, _: &PartName, _: &crate::sources::Receipt) -> Carry {
        Carry::Carried
    }

    fn blind(&mut self, _: &PartName, _: Reason) {}
}

/// Every root this machine trusts reads as `openssl x509` reads it, but for how names are written:
/// OpenSSL escapes and spaces them by options of its own, and other words for
/// 2.5.4.97 and e-mail.
#[test]
#[allow(clippy::disallowed_types, reason = "a test may ask openssl itself")]
fn openssl_reads_every_root_as_we_do() {
    let Ok(bundle) = std::fs::read(BUNDLES[0]) else { return };
    let Found::Certificates(found) = pem::certificates(&bundle).unwrap() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.der");
    for der in found {
        std::fs::write(&file, &der).unwrap();
        let asked = std::process::Command::new("openssl")
            .args(["x509", "-inform", "DER", "-noout", "-subject", "-issuer", "-serial"])
            .args(["-dates", "-dateopt", "iso_8601", "-fingerprint", "-sha256", "-text"])
            .args(["-nameopt", "sep_comma_plus_space,sname,utf8", "-in"])
            .arg(&file)
            .output();
        let Ok(output) = asked else { return };
        let theirs = String::from_utf8_lossy(&output.stdout).into_owned();
        let items = read(&der, None).unwrap();
        agrees(&items, &theirs);
    }
}

fn agrees(items: &RawItems, theirs: &str) {
    let line = |begin: &str| {
        let found = theirs.lines().find_map(|line| line.trim().strip_prefix(begin));
        found.unwrap_or_else(|| panic!("no {begin} in {theirs}")).trim().to_owned()
    };
    let (subject, fingerprint) = items
        .iter()
        .find(|(_, item)| item.rank == Some(0))
        .map(|(key, item)| (key.segments().next().unwrap(), item.value.clone()))
        .unwrap();
    let ours = |field: &str| text_of(&items[&ItemKey::of([subject.as_str(), field])].value);
    let plain = |text: &str| -> String {
        let text = text.replace("OID(2.5.4.97)", "organizationIdentifier");
        text.replace("emailAddress=", "Email=").replace([' ', '"', '\\'], "")
    };
    assert_eq!(plain(&subject), plain(&line("subject=")));
    assert_eq!(plain(&ours("issuer")), plain(&line("issuer=")), "{subject}");
    let digest = line("sha256 Fingerprint=").replace(':', "").to_lowercase();
    assert_eq!(fingerprint, ItemValue::Text(format!("SHA256:{digest}")), "{subject}");
    let serial = ours("serial");
    assert_eq!(
        serial.trim_start_matches('0'),
        line("serial=").to_lowercase().trim_start_matches('0')
    );
    assert_eq!(ours("not_before"), line("notBefore=").replace(' ', "T"), "{subject}");
    assert_eq!(ours("not_after"), line("notAfter=").replace(' ', "T"), "{subject}");
    assert_eq!(ours("signature"), line("Signature Algorithm:"), "{subject}");
    let bits = line("Public-Key: (").replace(" bit)", "");
    let key = ours("key");
    let curve = || line("ASN1 OID:");
    assert!(key == format!("RSA {bits}") || key == format!("EC {}", curve()), "{key} of {subject}");
    assert_eq!(ours("authority") == "Flag(true)", theirs.contains("CA:TRUE"), "{subject}");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_certificates_or_malformed(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        at in 0..500_usize,
        byte in proptest::prelude::any::<u8>(),
    ) {
        let Ok(Found::Certificates(found)) = pem::certificates(LEAF.as_bytes()) else { panic!() };
        let mut der = found[0].clone();
        let at = at % der.len();
        der[at] = byte;
        for bytes in [bytes, der] {
            let _items = read_any(&bytes);
        }
    }
}

fn read_any(bytes: &[u8]) -> Option<RawItems> {
    match pem::certificates(bytes) {
        Ok(Found::Certificates(_)) => read(bytes, None).ok(),
        Ok(Found::SomethingElse) | Err(_) => None,
    }
}

#[test]
fn a_site_names_more_places_and_a_place_no_longer_named_is_not_gone() {
    let more = ["/opt/pbx/tls/*.pem".to_owned()];
    let source = Certificates::new(&more).unwrap();
    let part: PartName = "/opt/pbx/tls/sip.pem".parse().unwrap();
    assert!(source.covers(&part) && source.covers(&part_name("trust_store")));
    assert!(!Certificates::new(&[]).unwrap().covers(&part));
    assert!(Certificates::new(&["[".to_owned()]).is_err());
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("opt/pbx/tls");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("sip.pem"), include_str!("samples/leaf.pem")).unwrap();
    let machine = Machine::open(root.path(), Redactor::new([1; 32])).unwrap();
    let found = |source: &Certificates| source.files(&machine, &mut Deaf);
    assert_eq!(found(&source).len(), 1);
    assert!(found(&Certificates::new(&[]).unwrap()).is_empty());
}

/// A sink for looks that are not about what is said.
struct Deaf;

impl Sink for Deaf {
    fn seen(&mut self, part: PartName, _raw: RawPart) -> crate::sources::Receipt {
        panic!("{part} is said")
    }

    fn same(&mut self, part: &PartName, _receipt: &crate::sources::Receipt) -> Carry {
        panic!("{part} is said to be the same")
    }

    fn blind(&mut self, place: &PartName, reason: Reason) {
        panic!("{place} is blind: {reason}")
    }
}
