//! What every format must keep, and the one way in which formats are tested.

use driftline_protocol::canonical;
use driftline_protocol::ids::Digest;
use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::redact::{RawObserved, RawPart, Redactor};
use driftline_protocol::snapshot::{Content, Reading};
use proptest::prelude::*;

use super::*;

mod asterisk;
mod canaries;
mod crontab;
mod documents;
mod ini;
mod json;
mod kamailio;
mod key_value;
mod lists;
mod nftables;
mod pam;
mod prosody;
mod relays;
mod text;
mod toml;
#[cfg(debug_assertions)]
mod work;
mod written;
mod xml;
mod yaml;

/// Reads `input` with `format` and compares its items, one line each: `key = value`, `[rank]` where
/// order has meaning, `secret` where the format knows it is one.
#[track_caller]
pub(super) fn check(format: &Format, input: &str, expected: &[&str]) {
    assert_eq!(render(format, input.as_bytes()), expected, "{} reading {input:?}", format.name);
}

/// Both texts mean the same to `format`.
#[track_caller]
pub(super) fn check_same(format: &Format, one: &str, other: &str) {
    let (first, second) = (render(format, one.as_bytes()), render(format, other.as_bytes()));
    assert_eq!(first, second, "{} tells {one:?} from {other:?}", format.name);
}

/// The texts mean different things to `format`.
#[track_caller]
pub(super) fn check_differs(format: &Format, one: &str, other: &str) {
    let (first, second) = (render(format, one.as_bytes()), render(format, other.as_bytes()));
    assert_ne!(first, second, "{} takes {one:?} for {other:?}", format.name);
}

fn render(format: &Format, bytes: &[u8]) -> Vec<String> {
    let items = match (format.read)(bytes) {
        Ok(items) => items,
        Err(error) => return vec![format!("error: {error}")],
    };
    let line = |(key, item): (_, driftline_protocol::redact::RawItem)| {
        let rank = item.rank.map(|rank| format!(" [{rank}]")).unwrap_or_default();
        let secret = if item.sensitive { " secret" } else { "" };
        format!("{key} = {}{rank}{secret}", show(&item.value))
    };
    items.into_iter().map(line).collect()
}

fn show(value: &ItemValue) -> String {
    let all = |values: Vec<&ItemValue>| values.into_iter().map(show).collect::<Vec<_>>().join(", ");
    match value {
        ItemValue::Nothing => "nothing".to_owned(),
        ItemValue::Flag(flag) => flag.to_string(),
        ItemValue::Integer(number) => number.to_string(),
        ItemValue::Text(text) => format!("{text:?}"),
        ItemValue::Fingerprint(fingerprint) => fingerprint.to_string(),
        ItemValue::List(values) => format!("[{}]", all(values.iter().collect())),
        ItemValue::Set(values) => format!("{{{}}}", all(values.iter().collect())),
        ItemValue::Lines(lines) => format!("lines {lines:?}"),
    }
}

/// Nothing that leaves the host holds the secret, however `format` reads `input`.
#[track_caller]
fn leaks(format: &Format, input: &str, secret: &str) {
    let items = (format.read)(input.as_bytes()).expect("a canary stands in a file that is read");
    let reading = Reading { parser: format.name.into(), version: 1, scope: Digest([0; 32]) };
    let content = Content::Read;
    let part = RawPart::Observed(RawObserved { reading, raw: None, size: None, content, items });
    let part = Redactor::new([7; 32]).redact(part);
    let text = String::from_utf8(canonical::encode(part.get())).unwrap();
    assert!(!text.contains(secret), "{} of {input:?} tells: {text}", format.name);
    assert!(text.contains("secret") || text.contains("fingerprint"), "{text} hides nothing");
}

#[test]
fn each_format_has_a_name_of_its_own() {
    for (index, format) in ALL.iter().enumerate() {
        assert!(ALL.iter().skip(index + 1).all(|other| other.name != format.name));
        assert!(format.version > 0 && !format.ordered.is_empty(), "{}", format.name);
    }
}

#[test]
fn a_path_and_a_head_choose_the_format() {
    for (path, head, name) in [
        ("/etc/resolv.conf", &b"nameserver ::1"[..], Some("resolv")),
        ("/etc/nsswitch.conf", b"", Some("nsswitch")),
        ("/etc/sysctl.d/10-net.conf", b"", Some("sysctl")),
        ("/etc/default/grub", b"", Some("key_value")),
        ("/etc/motd", b"Welcome", Some("text")),
        ("/etc/motd", b"Gr\xfc\xdfe aus Z\xfcrich, und noch etwas Text dazu", Some("text")),
        ("/etc/motd", b"half a character \xe2\x82", Some("text")),
        ("/etc/ld.so.cache", b"glibc\0", None),
        ("/etc/default/blob", b"\x7fELF\0", None),
        ("/etc/keymap", &[0xff; 100], None),
    ] {
        assert_eq!(claiming(path, head).map(|format| format.name), name, "{path}");
    }
}

/// A file of each format of lines, to which comments are added.
const SAMPLES: &[(&Format, &str)] = &[
    (&super::key_value::ASSIGNMENTS, "A=1\nB='x y'\n"),
    (&super::key_value::SYSCTL, "a.b = 1\nc.d = 2\n"),
    (&super::key_value::LOGIN_DEFS, "UMASK 022\nPASS_MAX_DAYS 9\n"),
    (&super::key_value::RESOLV, "nameserver ::1\nnameserver ::2\n"),
    (&super::key_value::NSSWITCH, "passwd: files\nhosts: files dns\n"),
    (&super::key_value::LD_SO_CONF, "/a\n/b\n"),
    (&super::ini::FORMAT, "[a]\nx = 1\nx = 2\n[b]\ny = 3\n"),
    (&super::lists::HOSTS, "::1 a\n::2 b\n"),
    (&super::lists::FSTAB, "a / b c 0 0\nd /e f g 0 0\n"),
    (&super::lists::CRYPTTAB, "a b none\nc d none\n"),
    (&super::lists::EXPORTS, "/a b(rw)\n/c d(ro)\n"),
    (&super::lists::SERVICES, "a 1/tcp\nb 2/udp\n"),
    (&super::lists::LIMITS, "a - b 1\nc - d 2\n"),
    (&super::lists::RULES, "a: b\nc: d\n"),
    (&super::lists::WORDS, "/bin/sh\n/bin/bash\n"),
    (&super::crontab::SYSTEM, "A=1\n@daily root x\n1 2 3 4 5 root y\n"),
    (&super::crontab::USER, "@daily x\nA=1\n1 2 3 4 5 y\n"),
    (&super::crontab::ANACRON, "1 2 x y\n3 4 z a\n"),
    (&super::pam::FORMAT, "auth required a.so b\n@include c\n"),
    (&super::relays::RTPENGINE, "[a]\nx = 1;2\n[b]\ny = 3\n"),
    (&super::relays::COTURN, "x=1\nuser=a:b\n"),
    (&super::toml::FORMAT, "[a]\nx = 1\n[[b]]\ny = 3\n"),
    (&super::hocon::FORMAT, "a = 1\nb { c = x }\nd = [1, 2]\n"),
    (&super::hocon::PIPEWIRE, "a = 1\nb = {\n c = x\n}\n"),
    (&super::nftables::NFT, "table ip t {\n chain c {\n a\n }\n}\n"),
    (&super::nftables::IPTABLES, "*a\n:b ACCEPT [0:0]\n-A b -j c\nCOMMIT\n"),
    (&super::properties::FORMAT, "a=1\nb : 2\n"),
    (&super::yaml::FORMAT, "a:\n  - x\n  - y: 1\nb: 2\n"),
];

/// Bytes as configuration has them: lines of pieces that mean something to one format or another.
fn configuration() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("key".to_owned()),
        Just("[section]".to_owned()),
        Just("=".to_owned()),
        Just(": ".to_owned()),
        Just("\"".to_owned()),
        Just("'".to_owned()),
        Just("\\".to_owned()),
        Just("\\\n".to_owned()),
        Just("{\"id\":[1,{}]}".to_owned()),
        Just("- &a [*a, *b]".to_owned()),
        Just("- &b x\n".to_owned()),
        Just("[[x]]".to_owned()),
        Just("127.0.0.1 localhost".to_owned()),
        Just("# note".to_owned()),
        Just("\t".to_owned()),
        Just(" ".to_owned()),
        Just("\r\n".to_owned()),
        Just("\n".to_owned()),
        "[ -~]{0,12}",
        "\\PC{0,4}",
    ];
    let text = proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat());
    prop_oneof![text.prop_map(String::into_bytes), proptest::collection::vec(any::<u8>(), 0..400),]
}

proptest! {
    #[test]
    fn any_bytes_give_items_within_bounds_or_an_error(bytes in configuration()) {
        for format in ALL {
            let first = (format.read)(&bytes);
            prop_assert_eq!(&first, &(format.read)(&bytes), "{} is not deterministic", format.name);
            let Ok(items) = first else { continue };
            prop_assert!(items.len() <= limits::ITEMS_PER_PART, "{}", format.name);
            prop_assert!(items.keys().all(|key| !key.is_attribute()), "{}", format.name);
            let mut ranks: Vec<u32> = items.values().filter_map(|item| item.rank).collect();
            ranks.sort_unstable();
            prop_assert!(ranks.iter().zip(0..).all(|(rank, expected)| *rank == expected));
        }
    }

    #[test]
    fn comments_mean_nothing_wherever_they_stand(
        notes in proptest::collection::vec((0usize..6, "( {0,3}#[ -~]{0,20}|[ \t]{0,3})"), 0..4),
    ) {
        for (format, sample) in SAMPLES {
            let mut lines: Vec<&str> = sample.lines().collect();
            for (at, note) in &notes {
                lines.insert((*at).min(lines.len()), note);
            }
            let edited = lines.join("\n");
            prop_assert_eq!(
                render(format, edited.as_bytes()),
                render(format, sample.as_bytes()),
                "{} reading {:?}", format.name, edited
            );
        }
    }

    #[test]
    fn a_byte_order_mark_and_line_ends_mean_nothing(text in "[a-z=:#\\[\\] \n]{0,80}") {
        let dos = text.replace('\n', "\r\n");
        let marked = format!("\u{feff}{text}");
        for format in ALL {
            // A reader may count the lines of an error otherwise; the items are what must agree.
            let items = |text: &str| (format.read)(text.as_bytes()).ok();
            prop_assert_eq!(items(&dos), items(&text), "{}", format.name);
            // sshd and sudo take no mark: their files are malformed with one.
            let refuses = matches!(format.name, "sshd" | "sudoers");
            let expect = if refuses { None } else { items(&text) };
            prop_assert_eq!(items(&marked), expect, "{}", format.name);
        }
    }
}
