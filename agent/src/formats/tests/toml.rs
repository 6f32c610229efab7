//! TOML.

use super::super::{FormatError, claiming, toml::FORMAT};
use super::{check, check_differs, check_same, leaks};

#[test]
fn every_scalar_has_the_names_on_the_way_to_it() {
    check(
        &FORMAT,
        "top = 1\n[a.b]\nx = [1, 'y']\nwhen = 2024-05-01T08:00:00Z\nday = 2024-05-01\n\
         [[route]]\nname = 'b'\nto = '::1'\n[[route]]\nname = 'a'\nto = '::2'\n[empty]\n",
        &[
            r#"a/b/day = "2024-05-01""#,
            r#"a/b/when = "2024-05-01T08:00:00Z""#,
            r#"a/b/x = [1, "y"]"#,
            "empty = {}",
            r#"route/(order) = ["b", "a"]"#,
            r#"route/a/name = "a""#,
            r#"route/a/to = "::2""#,
            r#"route/b/name = "b""#,
            r#"route/b/to = "::1""#,
            "top = 1",
        ],
    );
}

#[test]
fn comments_layout_and_the_order_of_keys_mean_nothing() {
    check_same(
        &FORMAT,
        "[a]\nx = 1\ny.z = 'q'\n",
        "# note\na = { y = { z = \"q\" }, x=1 } # end\n",
    );
    check_same(&FORMAT, "x = [1, 2]\n", "x = [\n  1, # one\n  2,\n]\n");
    check_differs(&FORMAT, "x = [1, 2]", "x = [2, 1]");
    check_differs(&FORMAT, "x = 1", "x = '1'");
}

#[test]
fn what_is_no_toml_says_where_and_never_what() {
    for (input, expected) in [
        ("a = 1\na = 2\n", "error: line 2: this is no TOML"),
        ("a = 1\n[b\n", "error: line 2: this is no TOML"),
        ("a = hunter2\n", "error: line 1: this is no TOML"),
    ] {
        check(&FORMAT, input, &[expected]);
    }
    let many: String = (0..100_000).map(|key| format!("k{key} = 1\n")).collect();
    assert_eq!((FORMAT.read)(many.as_bytes()), Err(FormatError::TooLarge));
    let deep = format!("a = {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!((FORMAT.read)(deep.as_bytes()).is_err());
}

#[test]
fn no_secret_leaves_by_any_way_toml_writes_it() {
    let canary = "kAn4ry-Tw33t";
    for input in [
        "password = '§'\n",
        "db.password = \"§\"\n",
        "[auth]\nsecret = \"\"\"\n§\"\"\"\n",
        "users = [ { name = 'bob', password = '§' } ]\n",
        "url = 'amqp://guest:§@mq/'\n",
        "tokens = ['§', 'x']\n",
        "\"pass\\u0077ord\" = '§'\n",
    ] {
        leaks(&FORMAT, &input.replace('§', canary), canary);
    }
    assert_eq!(claiming("/etc/driftline/agent.toml", b"").unwrap().name, "toml");
}
