//! YAML, and what ejabberd makes of it.

use super::super::{FormatError, claiming, yaml::EJABBERD, yaml::FORMAT};
use super::{check, check_differs, check_same, leaks};

#[test]
fn every_scalar_has_the_names_on_the_way_to_it() {
    check(
        &FORMAT,
        "a:\n  b/c: 1\n  d: [1, x, ~]\ne: true\nf: {}\ng: 1.50\nh: \"5060\"\ni: |\n  one\n  two\n",
        &[
            "a/b~1c = 1",
            r#"a/d = [1, "x", nothing]"#,
            "e = true",
            "f = {}",
            r#"g = "1.50""#,
            r#"h = "5060""#,
            r#"i = "one\ntwo\n""#,
        ],
    );
    check(&FORMAT, "", &["~3 = {}"]);
    check(&FORMAT, "# only a note\n", &["~3 = {}"]);
}

#[test]
fn what_readers_disagree_on_stays_as_written() {
    check(
        &FORMAT,
        "a: yes\nb: 0777\nc: 1_000\nd: 0o17\ne: -0\nf: 99999999999999999999\ng: -5\n",
        &[
            r#"a = "yes""#,
            r#"b = "0777""#,
            r#"c = "1_000""#,
            r#"d = "0o17""#,
            r#"e = "-0""#,
            r#"f = "99999999999999999999""#,
            "g = -5",
        ],
    );
    check_differs(&FORMAT, "a: 5060", "a: '5060'");
    check_same(&FORMAT, "a: '5060'", "a: !!str 5060");
}

#[test]
fn elements_are_known_by_their_own_names_where_they_have_them() {
    check(
        &FORMAT,
        "- name: b\n  x: 1\n- name: a\n  x: 2\n",
        &[r#"(order) = ["b", "a"]"#, r#"a/name = "a""#, "a/x = 2", r#"b/name = "b""#, "b/x = 1"],
    );
    check(
        &EJABBERD,
        "listen:\n  -\n    port: 5222\n    ip: \"::\"\n    module: ejabberd_c2s\n",
        &[
            r#"listen/(order) = ["5222 :: ejabberd_c2s"]"#,
            r#"listen/5222 :: ejabberd_c2s/ip = "::""#,
            r#"listen/5222 :: ejabberd_c2s/module = "ejabberd_c2s""#,
            "listen/5222 :: ejabberd_c2s/port = 5222",
        ],
    );
}

#[test]
fn comments_layout_and_the_order_of_keys_mean_nothing() {
    check_same(&FORMAT, "a: 1\nb: [1, 2]\n", "# note\nb:\n- 1 # one\n- 2\n\na:   1\n");
    check_same(&FORMAT, "a: {x: 1, y: 'z'}\n", "---\na:\n    y: \"z\"\n    x: 1\n...\n");
    check_same(&FORMAT, "a: one two\n", "a: one\n  two\n");
    check_differs(&FORMAT, "[1, 2]", "[2, 1]");
    check_differs(&FORMAT, "{}", "[]");
}

#[test]
fn an_alias_is_what_its_anchor_names() {
    check_same(&FORMAT, "a: &x {p: 1}\nb: *x\n", "a: {p: 1}\nb: {p: 1}\n");
    check_same(
        &FORMAT,
        "base: &base {p: 1, q: 2}\nmore: &more {q: 9, r: 3}\nuse:\n  <<: [*base, *more]\n  p: 7\n",
        "base: {p: 1, q: 2}\nmore: {q: 9, r: 3}\nuse: {p: 7, q: 2, r: 3}\n",
    );
    check(&FORMAT, "a: &x [1, *x]\n", &["error: line 1: an alias stands inside what it names"]);
    check(&FORMAT, "a: *nobody\n", &["error: line 1: this is no YAML"]);
}

#[test]
fn a_tag_of_the_file_stands_before_its_value() {
    check(
        &FORMAT,
        "a: !secret db_password\nb: !include other.yml\nc: !Sub [x]\nd: !env\n",
        &[
            r#"a = "!secret db_password""#,
            r#"b = "!include other.yml""#,
            r#"c/!Sub = ["x"]"#,
            r#"d = "!env""#,
        ],
    );
}

#[test]
fn the_documents_of_a_stream_are_numbered() {
    check(&FORMAT, "a: 1\n---\na: 2\n", &["0/a = 1", "1/a = 2"]);
    check(&FORMAT, "---\na: 1\n", &["a = 1"]);
}

#[test]
fn what_is_no_yaml_says_where_and_never_what() {
    for (input, expected) in [
        ("a: 1\na: 2\n", "error: line 2: a key repeats"),
        ("a: [1,\nb: hunter2\n", "error: line 2: this is no YAML"),
        ("a: 1\n\tb: hunter2\n", "error: line 1: this is no YAML"),
        ("? [a, b]\n: c\n", "error: line 1: a key is no scalar"),
        ("{{ password }}\n", "error: line 1: a key is no scalar"),
    ] {
        check(&FORMAT, input, &[expected]);
    }
}

#[test]
fn no_file_makes_more_of_itself_than_the_bounds() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert_eq!((FORMAT.read)(laughs.as_bytes()), Err(FormatError::TooLarge));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 5_000].join(", "));
    assert_eq!((FORMAT.read)(long.as_bytes()), Err(FormatError::TooLarge));
    let many: String = (0..100_000).map(|key| format!("k{key}: 1\n")).collect();
    assert_eq!((FORMAT.read)(many.as_bytes()), Err(FormatError::TooLarge));
    for deep in ["[".repeat(100_000), "- ".repeat(10_000), "{a: ".repeat(200)] {
        assert!((FORMAT.read)(deep.as_bytes()).is_err());
    }
}

#[test]
fn no_secret_leaves_by_any_way_yaml_writes_it() {
    let canary = "kAn4ry-Tw33t";
    for input in [
        "sql_password: \"§\"\n",
        "auth:\n  password: '§'\n",
        "token: &p §\npassword: *p\nx:\n  secret: *p\n",
        "db: postgres://ejabberd:§@db/prosody\n",
        "password: |\n  §\n",
        "password: >-\n  §\n",
        "users:\n  - {name: bob, password: §}\n",
        "base: &b {secret: §}\nuse:\n  <<: *b\n",
        "\"pass\\u0077ord\": §\n",
        "password: !vault §\n",
    ] {
        leaks(&FORMAT, &input.replace('§', canary), canary);
        leaks(&EJABBERD, &input.replace('§', canary), canary);
    }
}

#[test]
fn files_are_claimed_by_their_names() {
    for (path, name) in [
        ("/etc/ejabberd/ejabberd.yml", "ejabberd"),
        ("/opt/ejabberd/conf/ejabberd.yml.example", "ejabberd"),
        ("/etc/netplan/50-cloud-init.yaml", "yaml"),
        ("/etc/matrix-synapse/homeserver.yaml", "yaml"),
        ("/etc/cloud/cloud.cfg", "yaml"),
        ("/etc/app/settings.yml.sample", "yaml"),
    ] {
        assert_eq!(claiming(path, b"a: 1\n").unwrap().name, name, "{path}");
    }
}
