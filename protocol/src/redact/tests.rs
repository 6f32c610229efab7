//! The five shapes of secret, in every position; what is no secret stays readable.

mod keys;

use proptest::prelude::*;

use super::*;
use crate::ids::Digest;

const CANARY: &str = "kAn4ry-Tw33t";

fn redactor() -> Redactor {
    Redactor::new([7; 32])
}

fn part(items: RawItems) -> RawPart {
    RawPart::Observed(RawObserved {
        reading: Reading { parser: "text".into(), version: 1, scope: Digest([0; 32]) },
        raw: None,
        size: None,
        content: Content::Read,
        items,
    })
}

fn encoded(items: RawItems) -> String {
    String::from_utf8(canonical::encode(redactor().redact(part(items)).get())).unwrap()
}

/// Redacts `text` with `S` for the secret; the marker is shown as `*`.
#[track_caller]
fn check(text: &str, expected: &str) {
    let redactor = redactor();
    let redacted = redactor.redact_text(&text.replace('§', CANARY)).into_owned();
    let again = redactor.redact_text(&redacted).into_owned();
    assert_eq!(redacted, again, "redacting twice changes {text:?}");
    let marker = redactor.fingerprint(CANARY.as_bytes()).to_string();
    assert_eq!(redacted.replace(&marker, "*"), expected, "in {text:?}");
}

/// Nothing in `text` is a secret.
#[track_caller]
fn check_kept(text: &str) {
    assert_eq!(redactor().redact_text(text), text);
}

#[test]
fn a_name_with_a_value_hides_the_value() {
    for text in [
        "password=§",
        "password = §",
        "Password: §",
        "export DB_PASSWORD='§'",
        "{\"password\": \"§\", \"user\": \"bob\"}",
        "{\\\"password\\\": \\\"§\\\", \\\"user\\\": \\\"bob\\\"}",
        "$config['db']['password'] = '§';",
        "'password' => '§',",
        "host=h password=§ user=bob",
        "Server=h;Password=§;User=bob",
        "https://h/path?token=§&x=1",
        "Environment=\"FOO_TOKEN=§\" \"BAR=baz\"",
        "ExecStart=/bin/x --password § --verbose",
        "ExecStart=/bin/x --password=§ --verbose",
        "<X-PRE-PROCESS cmd=\"set\" data=\"default_password=§\"/>",
        "modparam(\"auth\", \"secret\", \"§\")",
        "requirepass §",
        "machine h login bob password §",
        "password |\n",
        "password: |\n  §\nuser: bob",
        "password=\\\n  §\nuser=bob",
        "rocommunity: §",
        "[db]\npassword = §\nhost = h",
        "secret=§ # note",
    ] {
        let expected = text.replace('§', "*");
        check(text, &expected);
    }
}

#[test]
fn a_value_with_blanks_is_hidden_to_the_end_of_its_line() {
    check("password = §", "password = *");
    let redacted = redactor().redact_text("password = correct horse\nuser = bob").into_owned();
    assert!(!redacted.contains("horse") && redacted.ends_with("\nuser = bob"), "{redacted}");
    let redacted = redactor().redact_text("password = \"correct\nhorse\"\nuser = bob").into_owned();
    assert!(!redacted.contains("horse") && redacted.ends_with("\"\nuser = bob"), "{redacted}");
}

#[test]
fn a_name_attribute_hides_the_value_beside_it() {
    for text in [
        "<param name=\"password\" value=\"§\"/>",
        "<param value=\"§\" name=\"password\"/>",
        "<param name=\"user\" value=\"bob\"/><param name=\"vm-password\" value=\"§\"/>",
        "<variable name='a1-hash' value='§'/>",
        "{\"name\": \"DB_PASSWORD\", \"value\": \"§\"}",
        "- name: DB_PASSWORD\n  value: §\n- name: X\n  value: bob",
        "<password>§</password>",
        "<password type=\"plain\">§</password>",
    ] {
        let expected = text.replace('§', "*");
        check(text, &expected);
    }
}

#[test]
fn an_address_keeps_its_user_and_hides_the_password() {
    for text in [
        "mysql://bob:§@db/x",
        "amqp://bob:§@h1,amqp://bob:§@h2",
        "#!substdef \"!X!amqp://guest:§@localhost:5672!g\"",
        "bob:§@tcp(db:3306)/x",
        "register => sip:1000:§@h",
        "odbc-dsn=name:bob:§",
    ] {
        let expected = text.replace('§', "*");
        check(text, &expected);
    }
    check_kept("http://proxy:3128/a@b");
    check_kept("deb https://deb.debian.org/debian bookworm main");
    check_kept("ssh://git@host/x");
}

#[test]
fn headers_options_and_tokens_are_known_by_their_form() {
    for text in [
        "Authorization: Bearer §",
        "curl -H 'Authorization: Basic §' h",
        "curl -u bob:§ h",
        "mysqldump -u root -p§ db",
        "redis-cli -a § ping",
        "enable secret 5 §",
        "X-Api-Key: §",
    ] {
        let expected = text.replace('§', "*");
        check(text, &expected);
    }
    for secret in [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "xoxb-17653672481-19874698323",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
        "$6$rounds=5000$saltsalt$abcdefghijklmnop.QRSTUVWXYZ/0123456789",
        "$y$j9T$abcdefghijklmnop$QRSTUVWXYZ0123456789abcdefghi",
        "{SSHA}0123456789abcdefABCDEF0123456789",
        "dGhpcyBpc0EgcmFuZG9tMTIzNDU2Nzg5MGFiY2RlZg==",
    ] {
        let text = format!("a {secret} b");
        let redacted = redactor().redact_text(&text).into_owned();
        let marker = redactor().fingerprint(secret.as_bytes()).to_string();
        assert_eq!(redacted, format!("a {marker} b"));
    }
}

#[test]
fn a_key_block_becomes_one_line() {
    let lines = [
        "a",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU=",
        "-----END OPENSSH PRIVATE KEY-----",
        "b",
        "-----BEGIN CERTIFICATE-----",
        "MIIB0zCCAX2gAwIBAgIJAI/M7BYjwB+uMA0GCSqGSIb3DQEBBQUAMEUxCzAJBgNV",
        "-----END CERTIFICATE-----",
        "private_key: -----BEGIN PRIVATE KEY-----",
        "unended",
    ];
    let redactor = redactor();
    let redacted = text::redact_lines(&redactor, lines.map(str::to_owned).to_vec());
    assert_eq!(redacted.len(), 7, "{redacted:?}");
    assert!(
        redacted[1].starts_with("{secret:") && redacted[6].starts_with("private_key: {secret:")
    );
    assert_eq!(redacted[4], lines[6], "a certificate is public");
    assert_eq!(text::redact_lines(&redactor, redacted.clone()), redacted);
}

#[test]
fn what_is_no_secret_stays_readable() {
    for text in [
        "PasswordAuthentication yes",
        "PermitEmptyPasswords no",
        "passwd: files systemd",
        "PASS_MAX_DAYS 99999",
        "password-store = gnome",
        "pinning: on",
        "Pin: release a=stable",
        "token_ttl = 3600",
        "password\trequisite\tpam_pwquality.so retry=3",
        "-password optional pam_gnome_keyring.so",
        "password_file = /etc/x",
        "machine-id 0123456789abcdef0123456789abcdef",
        "sha256 = 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "uuid: 123e4567-e89b-12d3-a456-426614174000",
        "/usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgstPulseAudio2.so",
        "SHA256:uNiVztksCsDhcc0u9e8BrqJXLMhVLkQyNiVztksCsDh",
        "don't forget: the 'quoted' text",
        "export PWD=/root",
        "use the password below",
        "password = ${DB_PASSWORD}",
    ] {
        check_kept(text);
    }
}

#[test]
fn a_value_only_its_format_knows_is_hidden() {
    for value in [
        ItemValue::text(CANARY),
        ItemValue::List(vec![ItemValue::text(CANARY)]),
        ItemValue::Set([ItemValue::text(CANARY)].into()),
        ItemValue::Lines(vec![CANARY.into()]),
    ] {
        let shown = encoded([(ItemKey::of(["1234"]), RawItem::secret(value))].into());
        assert!(!shown.contains(CANARY), "{shown}");
    }
    let pin = encoded([(ItemKey::of(["pin"]), RawItem::plain(ItemValue::Integer(4242)))].into());
    assert!(!pin.contains("4242"), "{pin}");
}

#[test]
fn what_passes_a_bound_becomes_a_fingerprint_or_unread() {
    let long = format!("{CANARY}{}", "x".repeat(limits::ITEM_TEXT_BYTES));
    let lines = ItemValue::Lines(vec![long.clone(), "short".into()]);
    for value in [ItemValue::Text(long), lines] {
        let shown = encoded([(ItemKey::of(["a"]), RawItem::plain(value))].into());
        assert!(!shown.contains(CANARY) && shown.len() < 500, "{shown}");
    }
    let wide = vec!["\u{1}".repeat(10_000); 200];
    let items = [(ItemKey::of(["lines"]), RawItem::plain(ItemValue::Lines(wide)))].into();
    let redacted = redactor().redact(part(items));
    assert_eq!(redacted.get().unobserved_reason(), Some(Reason::TooLarge));
    assert!(canonical::decode(&canonical::encode(redacted.get())).is_ok());
}

#[test]
fn equal_secrets_have_equal_fingerprints_under_one_key_only() {
    let (one, other) = (redactor(), Redactor::new([8; 32]));
    assert_eq!(one.redact_text("password=x1 secret='x1'").matches("{secret:").count(), 2);
    assert_eq!(one.fingerprint(b"x"), one.fingerprint(b"x"));
    assert_ne!(one.fingerprint(b"x"), one.fingerprint(b"y"));
    assert_ne!(one.fingerprint(b"x").key, other.fingerprint(b"x").key);
    assert_ne!(one.fingerprint(b"x").digest, one.raw_digest(b"x").digest);
}

#[test]
fn hostile_text_costs_no_more_than_its_length() {
    for piece in [
        "value=",
        "pin=\"\\\"\n",
        "dsn=",
        "-----BEGIN A-----",
        "http://a:",
        "{{$1$",
        "<pin ",
        "name='",
    ] {
        let text = piece.repeat(100_000 / piece.len());
        let redacted = redactor().redact_text(&text);
        assert!(!redacted.is_empty());
    }
}

#[test]
fn long_lines_cost_no_more_than_their_length() {
    for piece in ["a.", "password=,", "passwd=,", "://", "a:@", "@tcp(", "- pin ", " "] {
        let line = format!("password=a {}", piece.repeat(16_000 / piece.len()));
        assert!(!redactor().redact_text(&[line.as_str(); 8].join("\n")).is_empty());
    }
    for (piece, bytes) in [
        ("a.", 3_000_000),
        ("password=,", 3_000_000),
        ("://", 3_000_000),
        ("@tcp(", 3_000_000),
        // Values that reach over each other.
        ("set pw:${A} ", 500_000),
        ("set \"pw\":a ", 500_000),
        ("export pw: a an the x set ", 500_000),
    ] {
        let text = piece.repeat(bytes / piece.len());
        assert!(!redactor().redact_text(&text).is_empty());
    }
}

/// Each of these values is harmless, and each reaches over all behind it.
#[test]
fn long_values_on_one_line_are_left_in_the_clear_only_so_often() {
    for (times, hidden) in [(20, false), (4_000, true)] {
        let line = "set pw: a an the x ".repeat(times);
        let redacted = redactor().redact_text(&line).into_owned();
        assert_eq!(redacted.contains("{secret:"), hidden, "{times} times");
        assert_eq!(redactor().redact_text(&redacted), redacted, "{times} times");
    }
}

#[test]
fn a_marker_from_elsewhere_hides_nothing_and_passes_for_nothing() {
    let foreign = Redactor::new([8; 32]).fingerprint(b"x").to_string();
    let own = redactor().fingerprint(b"x").to_string();
    for form in [
        "PASSWORD=§",
        "PASSWORD=§REAL",
        "PASSWORD=§ REAL",
        "password: \"§REAL\"",
        "<password>§REAL</password>",
        "curl -u §REAL h",
        "mysql -p§REAL",
        "--secret §REAL",
        "Authorization: Basic §REAL",
        "note §",
        "u://a:§REAL@h",
        "dsn=a:b:§REAL",
    ] {
        for marker in [&foreign, &own] {
            let redacted = redactor().redact_text(&form.replace('§', marker)).into_owned();
            assert!(!redacted.contains("REAL"), "{form}: {redacted}");
            assert!(!redacted.contains(&foreign), "{form}: {redacted}");
            assert_eq!(redactor().redact_text(&redacted), redacted, "{form}");
        }
    }
}

/// Text as configuration has it, with secrets' names, quotes and separators in every order.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("password"),
        Just("token"),
        Just("name"),
        Just("value"),
        Just("="),
        Just(": "),
        Just(" "),
        Just("\""),
        Just("'"),
        Just("\\"),
        Just("\n"),
        Just("://"),
        Just("a:b@"),
        Just("|\n  "),
        Just("<"),
        Just(">"),
        Just("{"),
        Just("}"),
        Just("&"),
        Just(";"),
        Just("-----BEGIN PRIVATE KEY-----"),
        Just("-----END PRIVATE KEY-----"),
        Just("$6$"),
        Just("mysql -p"),
        Just("Authorization: Basic "),
        Just("x1"),
        Just("é"),
        Just("sip:"),
        Just("dsn="),
        Just("--secret "),
        Just("0123456789abcdef"),
        Just("{secret:"),
        Just("{secret:0123456789abcdef:0123456789abcdef0123456789abcdef}"),
    ];
    proptest::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

/// Forms in which a secret is written, `S` standing for it.
const FORMS: &[&str] = &[
    "password=S",
    "token: \"S\"",
    "u://a:S@h",
    "<param name=\"pin\" value=\"S\"/>",
    "--secret S",
    "Authorization: Bearer S",
    "db_pass='S'",
    "mysql -pS",
];

proptest! {
    #[test]
    fn redacting_twice_changes_nothing(text in hostile()) {
        let once = redactor().redact_text(&text).into_owned();
        let twice = redactor().redact_text(&once).into_owned();
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn a_planted_secret_never_shows(
        secret in "[A-Za-z0-9!%^*+_.]{0,6}Xq7Zt[A-Za-z0-9!%^*+_.-]{0,6}[a-z]",
        form in proptest::sample::select(FORMS),
        before in "([a-z]{1,8} ?[a-z0-9=]{0,4}\n){0,3}",
        after in "(\n[a-z]{1,8} [a-z]{1,8}){0,3}",
    ) {
        let text = format!("{before}{}{after}", form.replace('S', &secret));
        let lines = text.split('\n').map(str::to_owned).collect();
        for value in [ItemValue::Text(text.clone()), ItemValue::Lines(lines)] {
            let shown = encoded([(ItemKey::of(["text"]), RawItem::plain(value))].into());
            prop_assert!(!shown.contains("Xq7Zt"), "{text:?} gives {shown}");
        }
        let in_key = encoded([(ItemKey::of([&text]), RawItem::plain(ItemValue::Nothing))].into());
        prop_assert!(!in_key.contains("Xq7Zt"), "{text:?} gives {in_key}");
    }

    #[test]
    fn a_redacted_part_always_fits_and_stays(text in hostile(), key in hostile()) {
        let items = [(ItemKey::of([&key]), RawItem::plain(ItemValue::text(text)))].into();
        let redacted = redactor().redact(part(items));
        let bytes = canonical::encode(redacted.get());
        prop_assert!(canonical::decode(&bytes).is_ok());
        let observed = redacted.get().observed().unwrap();
        let again = observed.items.iter().map(|(key, item)| {
            (key.clone(), RawItem { value: item.value.clone(), rank: item.rank, sensitive: false })
        });
        prop_assert_eq!(canonical::encode(redactor().redact(part(again.collect())).get()), bytes);
    }
}

#[test]
fn a_sealed_part_is_sent_as_it_was_sealed_and_only_under_its_seal() {
    let redactor = Redactor::new([7; 32]);
    let part = redactor.redact(RawPart::Unobserved(Reason::Denied));
    let (digest, sealed) = redactor.seal(&part);
    let sent = redactor.to_send(sealed.as_bytes()).unwrap();
    assert_eq!(serde_json::to_vec(&sent).unwrap(), canonical::encode(part.get()));
    assert_eq!(sent.digest(), digest);
    for at in 0..sealed.as_bytes().len() {
        let mut bent = sealed.as_bytes().to_vec();
        bent[at] ^= 1;
        assert!(matches!(redactor.to_send(&bent), Err(SealError::Mismatch)), "byte {at}");
    }
    assert!(Redactor::new([8; 32]).to_send(sealed.as_bytes()).is_err());
}
