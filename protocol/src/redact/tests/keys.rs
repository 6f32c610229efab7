//! Names of secrets, and keys of items that are or hold one.

use super::*;

#[test]
fn names_are_judged_by_their_last_words() {
    for name in [
        "turnpassword",
        "ssl_keypasswd",
        "md5_cred",
        "auth_password",
        "dbpass",
        "client_secret",
        "x-api-key",
        "vm-password",
        "a1-hash",
        "password_digest",
        "oauth_secret",
        "refresh_token",
        "FOO_TOKEN",
        "dbPassword",
        "tls-passphrase",
        "moderator-pin",
        "imappassword",
        "capture_password",
        "PASSWORD2",
        "secret_key_base",
        "AWS_SECRET_ACCESS_KEY",
        "PresharedKey",
        "PrivateKey",
        "wpa_psk",
        "bindpw",
        "_authToken",
        "Admin Password",
        "WiFi network password",
        "PROXY_PASS",
    ] {
        assert!(key_names::word_names_secret(name), "{name}");
    }
    for name in [
        "PasswordAuthentication",
        "PermitEmptyPasswords",
        "PASS_MAX_DAYS",
        "password-store",
        "pinning",
        "token_ttl",
        "bypass",
        "PublicKey",
        "key",
        "HostKey",
        "secret_file",
        "ServerTokens",
        "spin",
        "password authentication",
        "where to put the password",
        "proxy_pass",
        "compass",
        "tokenizer",
        "keyboard",
    ] {
        assert!(!key_names::word_names_secret(name), "{name}");
    }
}

#[test]
fn keys_values_and_pairs_of_items_are_redacted() {
    let text = || RawItem::plain(ItemValue::text(CANARY));
    for segments in [
        vec!["db", "password"],
        vec!["param", "password", "value"],
        vec!["secrets", "mount"],
        vec!["password", "2"],
        vec!["tokens", "0"],
        vec!["token", "access"],
        vec!["db", "password", "1", "x"],
        vec!["secret", "inner", "foo"],
        vec!["credentials", "nested", "x"],
    ] {
        let shown = encoded([(ItemKey::of(&segments), text())].into());
        assert!(!shown.contains(CANARY), "{segments:?}: {shown}");
    }
    for segments in [["token", "ttl"], ["password", "min_length"], ["PasswordPolicy", "foo"]] {
        let shown = encoded([(ItemKey::of(segments), text())].into());
        assert!(shown.contains(CANARY), "{segments:?}: {shown}");
    }
    for arguments in [["--password", CANARY], ["-x", "--token"], ["--pin", "kAn4ry-Tw33t b"]] {
        let list = ItemValue::List(arguments.map(ItemValue::text).to_vec());
        let shown = encoded([(ItemKey::of(["args"]), RawItem::plain(list))].into());
        assert!(!shown.contains(CANARY), "{arguments:?}: {shown}");
        assert_eq!(shown.contains("{secret:"), arguments.concat().contains(CANARY), "{shown}");
    }
    let words = ["wpa_passphrase", "net", CANARY].map(ItemValue::text).to_vec();
    let list = RawItem::plain(ItemValue::List(words));
    let shown = encoded([(ItemKey::of(["command"]), list)].into());
    assert!(!shown.contains(CANARY), "{shown}");
    for key in [
        format!("http://bob:{CANARY}@host/path"),
        format!("password={CANARY}"),
        format!("allow bob password={CANARY}"),
    ] {
        let shown =
            encoded([(ItemKey::of(["rule", &key]), RawItem::plain(ItemValue::Nothing))].into());
        assert!(!shown.contains(CANARY) && shown.contains("rule/"), "{shown}");
    }
    let kept = encoded([(ItemKey::of(["PASS_MAX_DAYS"]), text())].into());
    assert!(kept.contains(CANARY), "{kept}");
}

/// The digest at the end of a key that was too long is of its raw text: keyed, it is no oracle.
#[test]
fn a_key_that_was_too_long_ends_in_a_keyed_digest() {
    let long = format!("0 3 * * * backup {} --pin 4711", "x".repeat(2_000));
    let key = ItemKey::of(["job", long.as_str()]);
    let plain = key.as_str().rsplit_once('…').unwrap().1.to_owned();
    let shown = |redactor: &Redactor| {
        let items = RawItems::from([(key.clone(), RawItem::plain(ItemValue::Nothing))]);
        let reading = Reading { parser: "text".into(), version: 1, scope: Digest([0; 32]) };
        let content = Content::Read;
        let raw = RawObserved { reading, raw: None, size: None, content, items };
        let redacted = redactor.redact(RawPart::Observed(raw)).into_inner();
        redacted.observed().unwrap().items.keys().next().unwrap().clone()
    };
    let (one, other) = (shown(&Redactor::new([1; 32])), shown(&Redactor::new([2; 32])));
    assert!(!one.as_str().contains(&plain), "{one} holds the plain digest");
    assert_ne!(one, other, "the digest does not depend on the key");
    assert_eq!(one, shown(&Redactor::new([1; 32])));
}

/// What told that it was one (an `@`, a quote) stood behind the cut.
#[test]
fn a_key_that_was_too_long_does_not_end_within_a_secret() {
    for at in 900..1_000 {
        let command =
            format!("curl {} https://bob:{CANARY}{CANARY}{CANARY}@h", "x".repeat(at - 20));
        for segments in [vec!["job", &command], vec!["job", "a b", command.split_at(5).1]] {
            let long = format!("{}{}", segments.join("/"), "y".repeat(500));
            let key = ItemKey::of([long.as_str()]);
            let shown = encoded([(key, RawItem::plain(ItemValue::Nothing))].into());
            let leaks = CANARY.get(..4).is_some_and(|begin| shown.contains(begin));
            assert!(!leaks, "{at}: {shown}");
        }
    }
}
