//! Sections of keys.

use super::super::{claiming, ini::FORMAT};
use super::{check, check_differs, check_same};

#[test]
fn a_key_stands_in_its_section() {
    check(
        &FORMAT,
        "top = 1\n[a b]\nkey = x ; kept\nbare\n[c]\nkey=\"q\"\n[a b]\nkey = y\n",
        &[r#"/top = 1"#, "a b/bare = nothing", r#"a b/key = ["x ; kept", "y"]"#, r#"c/key = "q""#],
    );
    check(&FORMAT, "[a]\n1000 => 12,Bob\nx = > y\n", &[r#"a/1000 = "12,Bob""#, r#"a/x = "> y""#]);
    check(&FORMAT, "[a\n", &["error: line 1: a section needs `]`"]);
}

#[test]
fn comments_and_the_order_of_sections_mean_nothing() {
    check_same(&FORMAT, "[a]\nx=1\n[b]\ny=2\n", "# c\n[b]\n; d\n y = 2\n\n[a]\nx = 1");
    check_differs(&FORMAT, "[a]\nx=1\nx=2", "[a]\nx=2\nx=1");
    check_differs(&FORMAT, "[a]\nx=1", "[b]\nx=1");
}

#[test]
fn a_file_that_begins_with_a_section_is_claimed() {
    for (path, head, name) in [
        ("/etc/NetworkManager/NetworkManager.conf", "# c\n\n[main]\n", "ini"),
        ("/etc/gitconfig", "[user]\n", "ini"),
        ("/etc/x.conf", "key = [1]\n", "commented"),
        ("/etc/x.ini", "; c\nkey = 1\n[a]\nb=2\n", "ini"),
        ("/etc/x.ini", "some words\n", "text"),
        ("/etc/x.conf", "[\"a\", 1]\n", "commented"),
        ("/etc/x.conf", "[[table]]\n", "commented"),
    ] {
        assert_eq!(claiming(path, head.as_bytes()).unwrap().name, name, "{path} {head:?}");
    }
}

#[test]
fn only_in_couchdb_an_admin_has_a_password_as_value() {
    let text = "[admins]\nbob = kAn4ry\n[log]\nlevel = info\n";
    for (path, shown) in [
        ("/etc/couchdb/local.ini", r#"admins/bob = "kAn4ry" secret"#),
        ("/opt/couchdb/etc/local.d/10-admins.ini", r#"admins/bob = "kAn4ry" secret"#),
        ("/etc/app/app.ini", r#"admins/bob = "kAn4ry""#),
    ] {
        let format = claiming(path, text.as_bytes()).unwrap();
        check(format, text, &[shown, r#"log/level = "info""#]);
    }
}
