//! Prosody's configuration.

use super::super::{claiming, prosody::FORMAT};
use super::{check, check_differs, check_same, leaks};

const SAMPLE: &str = r#"
-- who may do everything
admins = { "ann@example.com" }
modules_enabled = {
    "roster"; -- everybody wants one
    "tls";
}
c2s_require_encryption = true
limits = { c2s = { rate = "10kb/s"; burst = "2s" }; }
ports = { 5222, 5223 }
Include "conf.d/*.cfg.lua"
VirtualHost "example.com"
    enabled = false
    ssl = { key = "certs/example.key"; ["certificate"] = "certs/example.crt" }
Component "conference.example.com" "muc"
    restrict_room_creation = true
Component "proxy.example.com"
"#;

#[test]
fn an_option_stands_under_its_host() {
    check(
        &FORMAT,
        SAMPLE,
        &[
            r#"Component conference.example.com = "muc""#,
            "Component conference.example.com/restrict_room_creation = true",
            "Component proxy.example.com = nothing",
            "Include/conf.d~1*.cfg.lua = nothing [0]",
            "VirtualHost example.com = nothing",
            "VirtualHost example.com/enabled = false",
            r#"VirtualHost example.com/ssl/certificate = "certs/example.crt""#,
            r#"VirtualHost example.com/ssl/key = "certs/example.key""#,
            r#"admins = {"ann@example.com"}"#,
            "c2s_require_encryption = true",
            r#"limits/c2s/burst = "2s""#,
            r#"limits/c2s/rate = "10kb/s""#,
            r#"modules_enabled = {"roster", "tls"}"#,
            "ports = [5222, 5223]",
        ],
    );
}

#[test]
fn comments_layout_and_the_order_of_modules_mean_nothing() {
    let edited = "--[[ a\nlong note ]]\n".to_owned() + &SAMPLE.replace("true", "true;");
    check_same(&FORMAT, SAMPLE, &edited);
    check_same(
        &FORMAT,
        SAMPLE,
        &SAMPLE.replace("{ \"ann@example.com\" }", "{\n[[ann@example.com]],\n}"),
    );
    check_same(&FORMAT, "modules_enabled = {'a', 'b'}", "modules_enabled = {'b'; 'a'}");
    check_same(&FORMAT, "VirtualHost 'x'\na=1", "VirtualHost(\"x\") a = 1");
    check_differs(&FORMAT, "ports = {1, 2}", "ports = {2, 1}");
    check_differs(&FORMAT, "VirtualHost 'x'\na=1", "a=1\nVirtualHost 'x'");
    check_differs(&FORMAT, "a = '1'", "a = 1");
}

#[test]
fn what_only_lua_works_out_is_kept_as_written() {
    check(
        &FORMAT,
        "a = os.getenv(\"X\") or  \"y\"\nb = 60 * 60\nlocal n = 3\nif n > 2 then\n  c = 1\nend\n",
        &[
            r#"(code) = lines ["local n = 3", "if n > 2 then", "end"]"#,
            r#"a = "os.getenv ( \"X\" ) or \"y\"""#,
            r#"b = "60 * 60""#,
            "c = 1",
        ],
    );
    for (input, expected) in [
        ("a = \"hunter2\n", "error: line 1: a string does not end"),
        ("\na = { 1, 2\n", "error: line 2: a table needs `}`"),
        ("a = [[ x\n", "error: line 1: a long bracket does not end"),
    ] {
        check(&FORMAT, input, &[expected]);
    }
    let deep = format!("a = {}", "{".repeat(10_000));
    check(&FORMAT, &deep, &["error: content passes a bound of number or depth"]);
}

#[test]
fn no_secret_leaves_by_any_way_prosody_writes_it() {
    let canary = "kAn4ry-Tw33t";
    for input in [
        "component_secret = \"§\"\n",
        "VirtualHost \"x\"\n  ldap_password = '§'\n",
        "sql = { driver = \"MySQL\", username = \"prosody\", password = \"§\" }\n",
        "sql = { [\"password\"] = [[§]] }\n",
        "turn_external_secret = \"§\";\n",
        "local password = \"§\"\n",
        "password = \"§\" .. \"\"\n",
    ] {
        leaks(&FORMAT, &input.replace('§', canary), canary);
    }
    assert_eq!(claiming("/etc/prosody/prosody.cfg.lua", b"").unwrap().name, "prosody");
    assert_eq!(claiming("/etc/prosody/conf.d/x.cfg.lua", b"").unwrap().name, "prosody");
    assert_eq!(claiming("/etc/asterisk/extensions.lua", b"").unwrap().name, "lua");
}
