//! rtpengine and coturn.

use super::super::{claiming, relays::COTURN, relays::RTPENGINE};
use super::{check, check_differs, check_same, leaks};

#[test]
fn the_last_of_a_key_counts_and_its_values_are_parted() {
    check(
        &RTPENGINE,
        "[rtpengine]\ninterface = internal/192.0.2.1;external/198.51.100.1!203.0.113.9\n\
         port-min = 30000\nport-min = 31000\nno-fallback = true\n[other]\ntable=-1\n",
        &[
            "other/table = -1",
            r#"rtpengine/interface = ["internal/192.0.2.1", "external/198.51.100.1!203.0.113.9"]"#,
            r#"rtpengine/no-fallback = "true""#,
            "rtpengine/port-min = 31000",
        ],
    );
    check_same(&RTPENGINE, "[a]\nx=1\ny=2;3\n", "# note\n\n[a]\ny = 2;3;\n x  =  1\n");
    check_differs(&RTPENGINE, "[a]\nx=1;2\n", "[a]\nx=2;1\n");
    check(&RTPENGINE, "[a\n", &["error: line 1: a section needs `]`"]);
    check(&RTPENGINE, "[a]\nhunter2\n", &["error: line 2: a key needs `=`"]);
}

#[test]
fn options_of_coturn_add_up() {
    check(
        &COTURN,
        "listening-port=3478\nlistening-ip=192.0.2.1\nlistening-ip=192.0.2.2\nno-tls\n\
         realm example.com\nuser=ann:0xabc\nalternate-server=192.0.2.9\n\
         alternate-server=192.0.2.8\n\
         cert=\"/etc/turn/a.pem\"\n",
        &[
            "alternate-server/192.0.2.8 = nothing [1]",
            "alternate-server/192.0.2.9 = nothing [0]",
            r#"cert = "/etc/turn/a.pem""#,
            r#"listening-ip = {"192.0.2.1", "192.0.2.2"}"#,
            "listening-port = 3478",
            "no-tls = nothing",
            r#"realm = "example.com""#,
            r#"user/ann = "0xabc" secret"#,
        ],
    );
    check_same(&COTURN, "a=1\nb=2\n", "# note\nb 2\n\n  a = 1\n");
    check_differs(
        &COTURN,
        "alternate-server=a\nalternate-server=b\n",
        "alternate-server=b\nalternate-server=a\n",
    );
}

#[test]
fn no_secret_of_a_relay_leaves() {
    let canary = "kAn4ry-Tw33t";
    for (format, input) in [
        (&COTURN, "user=ann:§\n"),
        (&COTURN, "user = ann:§\n"),
        (&COTURN, "static-auth-secret=§\n"),
        (&COTURN, "static-auth-secret=§\nstatic-auth-secret=other\n"),
        (&COTURN, "cli-password=§\n"),
        (&COTURN, "pkey-pwd=§\n"),
        (&COTURN, "mysql-userdb=\"host=db dbname=turn user=turn password=§ port=3306\"\n"),
        (&COTURN, "psql-userdb=\"postgresql://turn:§@db/turn\"\n"),
        (&COTURN, "redis-userdb=\"ip=127.0.0.1 dbname=2 password=§\"\n"),
        (&RTPENGINE, "[rtpengine]\nredis = §@127.0.0.1:6379/2\n"),
        (&RTPENGINE, "[rtpengine]\nredis = a@§@127.0.0.1:6379/2\n"),
        (&RTPENGINE, "[rtpengine]\nredis-write = §@127.0.0.1:6379/2\n"),
        (&RTPENGINE, "[rtpengine]\nmysql-pass = §\n"),
        (&RTPENGINE, "[rtpengine]\njanus-secret = §\n"),
    ] {
        leaks(format, &input.replace('§', canary), canary);
    }
    for (path, name) in [
        ("/etc/rtpengine/rtpengine.conf", "rtpengine"),
        ("/etc/turnserver.conf", "coturn"),
        ("/etc/coturn/turnserver.conf", "coturn"),
    ] {
        assert_eq!(claiming(path, b"[rtpengine]\n").unwrap().name, name, "{path}");
    }
}
