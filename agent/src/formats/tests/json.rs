//! JSON.

use super::super::{FormatError, json::FORMAT};
use super::{check, check_differs, check_same};

#[test]
fn every_scalar_has_the_names_on_the_way_to_it() {
    check(
        &FORMAT,
        r#"{"a": {"b/c": 1, "d": [1, "x", null]}, "e": true, "f": {}, "g": 1.5,
           "h": 18446744073709551615}"#,
        &[
            r#"a/b~1c = 1"#,
            r#"a/d = [1, "x", nothing]"#,
            "e = true",
            "f = {}",
            r#"g = "1.5""#,
            r#"h = "18446744073709551615""#,
        ],
    );
    check(&FORMAT, "1", &["~3 = 1"]);
}

#[test]
fn elements_are_known_by_their_own_names_where_they_have_them() {
    check(
        &FORMAT,
        r#"[{"name": "b", "x": 1}, {"name": "a", "x": 2}]"#,
        &[r#"(order) = ["b", "a"]"#, r#"a/name = "a""#, "a/x = 2", r#"b/name = "b""#, "b/x = 1"],
    );
    check(&FORMAT, r#"[{"x": 1}, [2]]"#, &["0/x = 1", "1 = [2]"]);
}

#[test]
fn white_space_and_the_order_of_members_mean_nothing() {
    check_same(&FORMAT, r#"{"a":1,"b":[1,2]}"#, "{\n \"b\" : [1, 2],\n \"a\" : 1\n}\n");
    check_differs(&FORMAT, "[1,2]", "[2,1]");
    check_differs(&FORMAT, "{}", "[]");
}

#[test]
fn what_is_no_json_says_where_and_never_what() {
    for (input, expected) in [
        ("{\"a\":1,\n\"a\":2}", "error: line 2: a member of an object repeats"),
        ("{\"a\":hunter2}", "error: line 1: this is no JSON"),
        ("{\"a\":", "error: line 1: the text ends too early"),
    ] {
        check(&FORMAT, input, &[expected]);
    }
}

#[test]
fn a_million_keys_and_deep_nesting_are_too_large() {
    let many: String = (0..1_000_000).map(|key| format!("\"k{key}\":1,")).collect();
    assert_eq!((FORMAT.read)(format!("{{{many}\"z\":1}}").as_bytes()), Err(FormatError::TooLarge));
    let deep = "[".repeat(100);
    assert_eq!((FORMAT.read)(deep.as_bytes()), Err(FormatError::TooLarge));
}

#[test]
fn a_member_says_what_its_value_is() {
    // Two of one name, so that no element has a key of its own.
    check(
        &FORMAT,
        r#"[{"name": "DB_PASS", "value": "x7"}, {"name": "DB_PASS", "value": "x8"}, 1,
            {"key": "token", "val": "x9"}, {"name": "token", "value": false},
            {"name": "size", "value": "x"}]"#,
        &[
            r#"0/name = "DB_PASS""#,
            r#"0/value = "x7" secret"#,
            r#"1/name = "DB_PASS""#,
            r#"1/value = "x8" secret"#,
            "2 = 1",
            r#"3/key = "token""#,
            r#"3/val = "x9" secret"#,
            r#"4/name = "token""#,
            "4/value = false",
            r#"5/name = "size""#,
            r#"5/value = "x""#,
        ],
    );
}
