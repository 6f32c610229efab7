//! What a sudoers file says.

use super::*;

#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let items = items(text.as_bytes()).unwrap();
    let shown: Vec<String> = items
        .iter()
        .map(|(key, item)| {
            let value = serde_json::to_string(&item.value).unwrap();
            let key = key.segments().collect::<Vec<_>>().join(" | ");
            match item.rank {
                Some(rank) => format!("{rank}: {key} = {value}"),
                None => format!("{key} = {value}"),
            }
        })
        .collect();
    assert_eq!(shown, expect, "{text}");
}

#[test]
fn a_rule_is_who_where_as_whom_and_what() {
    check(
        "root ALL=(ALL:ALL) ALL\n\
         %s,al w1 , w2 = (www) NOPASSWD: /bin/a  x, PASSWD:/bin/b : db = /bin/c\n",
        &[
            r#"3: rule | %s,al | db | (default) | /bin/c | tags = {"set":[]}"#,
            r#"1: rule | %s,al | w1,w2 | (www) | /bin/a x | tags = {"set":[{"text":"NOPASSWD"}]}"#,
            r#"2: rule | %s,al | w1,w2 | (www) | /bin/b | tags = {"set":[{"text":"PASSWD"}]}"#,
            r#"0: rule | root | ALL | (ALL:ALL) | ALL | tags = {"set":[]}"#,
        ],
    );
}

#[test]
fn a_rule_given_twice_stays_two_rules() {
    check(
        "a ALL=/b\na ALL=!/b\na ALL=/b\n",
        &[
            r#"1: rule | a | ALL | (default) | !/b | tags = {"set":[]}"#,
            r#"0: rule | a | ALL | (default) | /b | tags = {"set":[]}"#,
            r#"2: rule | a | ALL | (default) | /b | tags #2 = {"set":[]}"#,
        ],
    );
}

#[test]
fn order_in_a_list_means_nothing_until_a_member_is_negated() {
    check(
        "User_Alias A = bob, alice : B = ALL, !eve\n",
        &[
            r#"alias | user | A | members = {"set":[{"text":"alice"},{"text":"bob"}]}"#,
            r#"alias | user | B | members = {"list":[{"text":"ALL"},{"text":"!eve"}]}"#,
        ],
    );
}

#[test]
fn the_last_defaults_wins_and_lists_add_up() {
    check(
        "Defaults env_reset, passwd_tries=3\nDefaults !env_reset\nDefaults:alice,bob umask=0022\n\
         Defaults env_keep += \"A B\", env_keep -= A\nDefaults env_check = \"C D\"\n\
         Defaults env_check+=E\n",
        &[
            r#"defaults | env_check = {"set":[{"text":"C"},{"text":"D"},{"text":"E"}]}"#,
            r#"defaults | env_keep | + = {"set":[{"text":"B"}]}"#,
            r#"defaults | env_keep | - = {"set":[{"text":"A"}]}"#,
            r#"defaults | env_reset = {"flag":false}"#,
            r#"defaults | passwd_tries = {"integer":3}"#,
            r#"defaults | user alice,bob | umask = {"text":"0022"}"#,
        ],
    );
}

#[test]
fn an_include_keeps_its_place_among_the_rules() {
    check(
        "a ALL=/b\n#includedir /etc/sudoers.d\n@include local # a comment\n# include nothing\n\
         #0 ALL=/c\n",
        &[
            "2: include | local = \"nothing\"",
            "1: includedir | /etc/sudoers.d = \"nothing\"",
            r##"3: rule | #0 | ALL | (default) | /c | tags = {"set":[]}"##,
            r#"0: rule | a | ALL | (default) | /b | tags = {"set":[]}"#,
        ],
    );
}

#[test]
fn addresses_escapes_options_and_digests_are_one_word_each() {
    check(
        "a ::1,10.1.1.0/8 = CWD=/ NOEXEC: sha256:ERERERERERERERERERERERERERERERERERERERERERE= \\\n\
         /x a\\,b\\:c, /y\n",
        &[
            concat!(
                r#"0: rule | a | 10.1.1.0/8,::1 | (default) | "#,
                r#"sha256:ERERERERERERERERERERERERERERERERERERERERERE= /x a\,b\:c | tags = "#,
                r#"{"set":[{"text":"CWD=/"},{"text":"NOEXEC"}]}"#
            ),
            concat!(
                r#"1: rule | a | 10.1.1.0/8,::1 | (default) | /y | tags = "#,
                r#"{"set":[{"text":"CWD=/"},{"text":"NOEXEC"}]}"#
            ),
        ],
    );
}

#[test]
fn comments_blanks_and_continued_lines_mean_nothing() {
    let plain = "Cmnd_Alias C = /bin/a, /bin/b\nalice ALL = (root) C\n";
    let dressed = "# hello\nCmnd_Alias C=/bin/b,\\\n  /bin/a # two\n\n\talice\tALL=(root)C";
    assert_eq!(items(plain.as_bytes()), items(dressed.as_bytes()));
}

#[test]
fn what_sudo_refuses_is_malformed() {
    for (text, line) in [
        ("alice\n", 1),
        ("alice ALL\n", 1),
        ("\nalice ALL=(root /bin/a\n", 2),
        ("alice ALL=\n", 1),
        ("User_Alias A\n", 1),
        ("Defaults \"x\n", 1),
        ("Defaults env_keep += \"x\n", 1),
        ("@include  \n", 1),
        ("alice ALL=/b \\", 0),
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
        text in "((Defaults|User_Alias|@include|a|%:b|\"c|#1)[ :!>@]\
            (A|=|,|:|!|\\(|\\)|\\\\|NOPASSWD:|sha256:| |\n){0,9}){0,6}",
    ) {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let items = items(bytes);
            if let Ok(items) = items {
                let mut ranks: Vec<u32> = items.values().filter_map(|item| item.rank).collect();
                ranks.sort();
                proptest::prop_assert!(ranks.iter().copied().eq(0..ranks.len() as u32));
            }
        }
    }
}
