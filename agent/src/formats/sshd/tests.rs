//! What an sshd_config says, one file at a time.

use super::*;

#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let items = items(text.as_bytes()).unwrap();
    let shown: Vec<String> = items
        .iter()
        .map(|(key, item)| match item.rank {
            Some(rank) => format!("{key} [{rank}]"),
            None => format!("{key} = {}", serde_json::to_string(&item.value).unwrap()),
        })
        .collect();
    assert_eq!(shown, expect, "{text}");
}

#[test]
fn the_first_value_wins_and_some_add_up() {
    check(
        "PermitRootLogin no\npermitrootlogin yes\nPort 22\nPORT=2222\nAcceptEnv LANG LC_*\n\
         AcceptEnv TZ\n",
        &[
            r#"global/acceptenv = {"set":[{"text":"LANG"},{"text":"LC_*"},{"text":"TZ"}]}"#,
            r#"global/permitrootlogin = {"flag":false}"#,
            r#"global/port = {"set":[{"integer":22},{"integer":2222}]}"#,
        ],
    );
}

#[test]
fn comments_blanks_quotes_and_case_mean_nothing() {
    let plain = "LoginGraceTime 90\nLogLevel VERBOSE\nBanner /etc/issue\n";
    let dressed =
        "\t# hello\n  logingracetime = 1m30s # soon\r\n\nLOGLEVEL verbose\nBanner \"/etc/issue\"";
    assert_eq!(items(plain.as_bytes()), items(dressed.as_bytes()));
}

#[test]
fn match_blocks_are_ranked_and_named_by_what_they_ask() {
    check(
        "Match Group ops User bob,alice\n X11Forwarding no\nMatch User eve\n\
         Match all\nX11Forwarding yes\nMatch user alice,bob group ops\nBanner none\n",
        &[
            "match all [1]",
            r#"match all/x11forwarding = {"flag":true}"#,
            "match group ops user alice,bob [0]",
            "match group ops user alice,bob #2 [2]",
            r#"match group ops user alice,bob #2/banner = {"text":"none"}"#,
            r#"match group ops user alice,bob/x11forwarding = {"flag":false}"#,
        ],
    );
}

#[test]
fn an_include_says_what_wins_over_it() {
    check(
        "UsePAM yes\nInclude /etc/ssh/sshd_config.d/*.conf\nUseDNS no\n",
        &[
            r#"global/include/~1etc~1ssh~1sshd_config.d~1*.conf = {"set":[{"text":"usepam"}]}"#,
            r#"global/usedns = {"flag":false}"#,
            r#"global/usepam = {"flag":true}"#,
        ],
    );
}

#[test]
fn a_command_keeps_its_quotes_and_an_environment_its_names() {
    check(
        "ForceCommand /bin/sh -c \"a b\" # c\nSetEnv A=1 B=2\n\
         Subsystem sftp internal-sftp -f AUTH\n",
        &[
            r#"global/forcecommand = {"text":"/bin/sh -c \"a b\" # c"}"#,
            r#"global/setenv/A = {"text":"1"}"#,
            r#"global/setenv/B = {"text":"2"}"#,
            r#"global/subsystem/sftp = {"text":"internal-sftp -f AUTH"}"#,
        ],
    );
}

#[test]
fn what_sshd_refuses_is_malformed() {
    for (text, line) in [
        ("PermitRootLogin\n", 1),
        ("UsePAM yes\nBanner \"open\n", 2),
        ("UsePAM # comment\n", 1),
        ("Match User\n", 1),
        ("Match all User x\n", 1),
        ("A\u{0} b\n", 1),
    ] {
        assert_eq!(
            items(text.as_bytes()).map_err(|malformed| malformed.line),
            Err(line),
            "{text:?}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_items_or_malformed(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        text in "((Match|Include|Port|SetEnv|x)[ =](user|a|\"|'|=|#|,|all| ){0,6}\n){0,8}",
    ) {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            if let Err(malformed) = items(bytes) {
                proptest::prop_assert!(malformed.line > 0);
            }
        }
    }
}
