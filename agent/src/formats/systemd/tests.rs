//! What a unit file says.

use super::*;

#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let items = items(text.as_bytes()).unwrap();
    let show = |(key, item): (&ItemKey, &RawItem)| {
        format!("{key} = {}", serde_json::to_string(&item.value).unwrap())
    };
    assert_eq!(items.iter().map(show).collect::<Vec<_>>(), expect, "{text}");
}

#[test]
fn lists_add_up_and_an_empty_assignment_resets_them() {
    check(
        "[Service]\nExecStart=/bin/a\nExecStart=\nExecStart=/bin/b x\nExecStartPre=/1\n\
         ExecStartPre=/2\nType=simple\nType=notify\nUser=x\nUser=\n",
        &[
            r#"Service/ExecStart = {"list":[{"text":"/bin/b x"}]}"#,
            r#"Service/ExecStartPre = {"list":[{"text":"/1"},{"text":"/2"}]}"#,
            r#"Service/Type = {"text":"notify"}"#,
        ],
    );
}

#[test]
fn dependencies_are_words_in_any_order_that_cannot_be_reset() {
    check(
        "[Unit]\nAfter=b.target a.target\nAfter=\nAfter=c.target\n",
        &[r#"Unit/After = {"set":[{"text":"a.target"},{"text":"b.target"},{"text":"c.target"}]}"#],
    );
}

#[test]
fn the_rights_of_a_device_stay_with_it() {
    check(
        "[Service]\nDeviceAllow=/dev/b  r\nDeviceAllow=/dev/a rw\n",
        &[r#"Service/DeviceAllow = {"set":[{"text":"/dev/a rw"},{"text":"/dev/b r"}]}"#],
    );
}

#[test]
fn comments_blanks_continuations_and_spellings_of_yes_mean_nothing() {
    let plain = "[Service]\nExecStart=/bin/a  b\nRemainAfterExit=yes\n";
    let dressed = "# x\n\n [Service]\r\n; y\nExecStart = /bin/a \\\n# inside\n\
    b\n\tRemainAfterExit = on\nnonsense\n";
    assert_eq!(items(plain.as_bytes()), items(dressed.as_bytes()));
    let plain = "[Service]\nExecStart=/bin/a -f x 'b  c' \"d  e\" f\\  g\n";
    let dressed = "[Service]\nExecStart=/bin/a \\\n    -f\tx 'b  c'   \"d  e\" f\\  g\n";
    assert_eq!(items(plain.as_bytes()), items(dressed.as_bytes()));
    check(
        plain,
        &[r#"Service/ExecStart = {"list":[{"text":"/bin/a -f x 'b  c' \"d  e\" f\\  g"}]}"#],
    );
}

#[test]
fn an_environment_is_its_variables_and_the_last_wins() {
    check(
        "[Service]\nEnvironment=A=1 \"B=two words\"\nEnvironment=A=3\n",
        &[
            r#"Service/Environment/A = {"text":"3"}"#,
            r#"Service/Environment/B = {"text":"two words"}"#,
        ],
    );
}

#[test]
fn a_credential_is_a_secret() {
    let items = items(b"[Service]\nSetCredential=db:hunter2\n").unwrap();
    assert!(items.get(&ItemKey::of(["Service", "SetCredential", "db"])).unwrap().sensitive);
}

#[test]
fn what_systemd_refuses_is_malformed() {
    for (text, line) in [("[Unit\n", 1), ("[Unit]\nA=\u{0}\n", 2)] {
        assert_eq!(items(text.as_bytes()).map_err(|malformed| malformed.line), Err(line));
    }
    assert!(items(b"[Unit]\nA=\xff\n").is_err());
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_items_or_malformed(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        text in "((\\[|Unit|\\]|ExecStart|Environment|After|=|\\\\|\"|'| |#|;|:|\n){0,8}\n){0,6}",
    ) {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            if let Err(malformed) = items(bytes) {
                proptest::prop_assert!(malformed.line > 0);
            }
        }
    }
}
