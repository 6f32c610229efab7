//! Kamailio and OpenSIPS: what a person would call the thing that changed.

use proptest::prelude::*;

use super::super::claiming;
use std::path::Path;

use super::super::kamailio::{DISPATCHER, FORMAT, OPENSIPS, PERMISSIONS, TLS, domains};
use super::{check, check_differs, check_same, leaks, render};

const SCRIPT: &str = "\
#!KAMAILIO
#!define DBURL \"mysql://u:kAn4ry@db/k\"
#!define FLT_ACC 1
# #!trydef OFF
#!trydef ON
debug=2
listen=udp:10.0.0.1:5060 advertise 1.2.3.4:5060
listen=tcp:10.0.0.1:5060
alias=\"a.example\"
loadmodule \"tm.so\"
modparam(\"tm\", \"fr_timer\", 30000)
modparam(\"acc|usrloc\", \"db_url\", DBURL) // both
#!ifdef WITH_TLS
enable_tls=yes
#!else
enable_tls=no
#!endif
include_file \"more.cfg\"
route {
  if (is_method(\"INVITE\") && $rU != $null) { // new
    t_relay();
  }
#!ifdef WITH_NAT
  route(NAT);
#!endif
  exit;
}
event_route[dialog:start] { xlog(\"$(var(x){s.len})\\n\"); }
";

#[test]
fn everything_has_the_name_it_has_in_the_script() {
    check(
        &FORMAT,
        SCRIPT,
        &[
            r#"define/DBURL = "mysql://u:kAn4ry@db/k""#,
            "define/FLT_ACC = 1",
            r#"dialect = "KAMAILIO""#,
            r#"event_route/dialog:start = lines ["xlog(\"$(var(x){s.len})\\n\")"]"#,
            r#"global/alias = {"a.example"}"#,
            "global/debug = 2",
            r#"ifdef WITH_TLS/global/enable_tls = "yes""#,
            r#"ifndef WITH_TLS/global/enable_tls = "no""#,
            "include_file/more.cfg = nothing [0]",
            "listen/tcp:10.0.0.1:5060 = nothing [2]",
            r#"listen/udp:10.0.0.1:5060 = "advertise 1.2.3.4:5060" [1]"#,
            "loadmodule/tm = nothing [3]",
            r#"modparam/acc/db_url = "{DBURL}""#,
            "modparam/tm/fr_timer = 30000",
            r#"modparam/usrloc/db_url = "{DBURL}""#,
            "request_route = lines [\"if(is_method(\\\"INVITE\\\") && $rU != $null) {\", \
             \"t_relay()\", \"}\", \"#!ifdef WITH_NAT\", \"route(NAT)\", \"#!endif\", \"exit\"]",
            "trydef/ON = nothing",
        ],
    );
}

#[test]
fn a_comment_mark_switches_a_role() {
    check_same(&FORMAT, "# #!trydef A\nx=1", "x=1 # #!define A");
    check_differs(&FORMAT, "# #!trydef A\nx=1", "#!trydef A\nx=1");
    check(&FORMAT, "!!define A", &["define/A = nothing"]);
    check_same(&OPENSIPS, "#!trydef A\nx=1", "x=1");
    check_differs(&OPENSIPS, "x=1 // y", "x=1");
    check_same(&FORMAT, "x=1 // y", "x=1");
}

#[test]
fn layout_and_comments_mean_nothing_and_statements_do() {
    let route = "route[A] {\n if ($x==1) { a(); } /* c */\n b(\"x  y\",1);\n}";
    check_same(&FORMAT, route, "route[A]{if($x == 1){a();}b( \"x  y\" , 1 );} # d");
    check_differs(&FORMAT, route, &route.replace("x  y", "x y"));
    let branches = "route[A]{\n#!ifdef X\nif(a){\n#!else\nif(b){\n#!endif\nc();}\n}\nx=1";
    check(
        &FORMAT,
        branches,
        &[
            "global/x = 1",
            "route/A = lines [\"#!ifdef X\", \"if(a) {\", \"#!else\", \"if(b) {\", \"#!endif\", \
             \"c()\", \"}\"]",
        ],
    );
    check_differs(&FORMAT, "route[A]{a();b();}", "route[A]{b();a();}");
    check_same(&FORMAT, "route[A]{a();}\nroute[B]{b();}", "route[B]{b();}\nroute[A]{a();}");
    let (a, b) = ("loadmodule \"a\"\n", "loadmodule \"b\"\n");
    check_differs(&FORMAT, &[a, b].concat(), &[b, a].concat());
    check_same(
        &FORMAT,
        "modparam(\"a\",\"b\",\n  1)\nmodparam(\"a\",\"c\",2);",
        "modparam('a', \"c\", 2)\nmodparam(\"a\", \"b\", 1)",
    );
    check_same(&FORMAT, "loadmodule \"a.so\"", "loadmodule \"a\"");
}

#[test]
fn a_parameter_that_repeats_keeps_its_values_in_order() {
    let tables = |first, second| {
        format!("modparam(\"ht\",\"t\",\"{first}\")\nmodparam(\"ht\",\"t\",\"{second}\")")
    };
    check(&FORMAT, &tables("a", "b"), &[r#"modparam/ht/t = ["a", "b"]"#]);
    check_differs(&FORMAT, &tables("a", "b"), &tables("b", "a"));
    check(&FORMAT, "modparam(\"a\",\"b\",\"c\"\n\"d\")", &[r#"modparam/a/b = "cd""#]);
    check_differs(&FORMAT, "modparam(\"a\",\"b\",1)", "modparam(\"a\",\"b\",\"1\")");
    check_differs(&FORMAT, "modparam(\"a\",\"b\",X)", "modparam(\"a\",\"b\",\"X\")");
}

#[test]
fn defines_and_substitutions_are_items_of_their_own() {
    check(
        &FORMAT,
        "#!substdef \"!MY_IP!10.0.0.1!g\"\n#!define A \"x\" y\n#!redefine B a \\\n b\n\
         #!ifexp A==1\n#!defenv HOME\n#!endif\nimport_file 'x.cfg'\n\
         pbx.ip = \"1.2.3.4\" desc \"the PBX\"\n",
        &[
            r#"define/A = "\"x\" y""#,
            r#"global/pbx.ip = "1.2.3.4""#,
            "ifexp A==1/defenv/HOME = nothing",
            "import_file/x.cfg = nothing [0]",
            r#"redefine/B = "a  b""#,
            r#"substdef/MY_IP = "10.0.0.1""#,
            r#"substdef/MY_IP/flags = "g""#,
        ],
    );
}

#[test]
fn what_the_server_refuses_names_its_line() {
    check(&FORMAT, "a=1\nroute {\n", &["error: line 2: a block has no end"]);
    check(&FORMAT, "\n/* a", &["error: line 2: a comment has no end"]);
    check(&FORMAT, "a=\"b", &["error: line 1: a string has no end"]);
    let needs = "error: line 2: a destination needs a set and an address";
    check(&DISPATCHER, "# c\nsip:a\n", &[needs]);
    check(&TLS, "[a", &["error: line 1: a domain needs `]`"]);
}

#[test]
fn a_destination_is_named_by_its_set_and_address() {
    check(
        &DISPATCHER,
        "# set\n1 sip:sbc1:5060 0 10 duid=a;weight=50 # main\n1 sip:sbc2\n1 sip:sbc2 8\n",
        &[
            "1/sip:sbc1:5060 = nothing",
            r#"1/sip:sbc1:5060/duid = "a""#,
            "1/sip:sbc1:5060/flags = 0",
            "1/sip:sbc1:5060/priority = 10",
            "1/sip:sbc1:5060/weight = 50",
            "1/sip:sbc2 = nothing",
            "1/sip:sbc2/#2 = nothing",
            "1/sip:sbc2/#2/flags = 8",
            "1/sip:sbc2/#2/priority = 0",
            "1/sip:sbc2/flags = 0",
            "1/sip:sbc2/priority = 0",
        ],
    );
    check_same(
        &DISPATCHER,
        "1 sip:a 0 0 weight=1;duid=x\n2 sip:b",
        "2 sip:b 0 0\n\n1  sip:a\t0 0 duid=x; weight=1;",
    );
}

#[test]
fn domains_and_permissions_are_read() {
    check(
        &TLS,
        "# c\n[server:default]\nmethod = TLSv1.2+ # d\ncertificate = \"/etc/a b.pem\"\n\
         [client:default]\n",
        &[
            "client:default = nothing",
            "server:default = nothing",
            r#"server:default/certificate = "/etc/a b.pem""#,
            r#"server:default/method = "TLSv1.2+""#,
        ],
    );
    check(&PERMISSIONS, "ALL :  \"^sip:a\" # c\n\n", &[r#"ALL : "^sip:a" = nothing [0]"#]);
    check_differs(&PERMISSIONS, "ALL : a\nALL : b", "ALL : b\nALL : a");
}

#[test]
fn opensips_is_read_by_its_own_words() {
    check(
        &OPENSIPS,
        "# c\nlog_level=3\nsocket=udp:10.0.0.1:5060 as 1.2.3.4\nmpath=\"/lib/\"\n\
         loadmodule \"tm.so\"\nmodparam(\"tm\", \"fr_timeout\", 5)\n\
         startup_route { xlog(\"//\"); }\ntimer_route[gw, 30] { a(); }\n",
        &[
            "global/log_level = 3",
            r#"global/mpath = "/lib/""#,
            "loadmodule/tm = nothing [1]",
            "modparam/tm/fr_timeout = 5",
            r#"socket/udp:10.0.0.1:5060 = "as 1.2.3.4" [0]"#,
            r#"startup_route = lines ["xlog(\"//\")"]"#,
            r#"timer_route/gw, 30 = lines ["a()"]"#,
        ],
    );
}

#[test]
fn domains_of_one_address_are_told_apart_by_their_names() {
    let text = "[server:any]\nserver_name = a.example\ncertificate = a.pem\n\
                [server:any]\nserver_name = b.example\ncertificate = /b.pem\n\
                [server:[::1]:5061]\nmethod = TLSv1.3\n[client:default]\n";
    check(
        &TLS,
        text,
        &[
            "client:default = nothing",
            "server:[::1]:5061 = nothing",
            r#"server:[::1]:5061/method = "TLSv1.3""#,
            "server:any/a.example = nothing",
            r#"server:any/a.example/certificate = "a.pem""#,
            r#"server:any/a.example/server_name = "a.example""#,
            "server:any/b.example = nothing",
            r#"server:any/b.example/certificate = "/b.pem""#,
            r#"server:any/b.example/server_name = "b.example""#,
        ],
    );
    let found = domains(text.as_bytes(), Path::new("/etc/kamailio")).unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|domain| {
            (domain.place.as_str(), domain.name.as_deref(), domain.certificate.as_deref())
        })
        .collect();
    let (a, b) = (Path::new("/etc/kamailio/a.pem"), Path::new("/b.pem"));
    assert_eq!(
        told,
        [
            ("any", Some("a.example"), Some(a)),
            ("any", Some("b.example"), Some(b)),
            ("[::1]:5061", None, None),
        ]
    );
}

#[test]
fn no_secret_of_any_shape_leaves() {
    for (format, text) in [
        (&FORMAT, SCRIPT),
        (&FORMAT, "#!define DB_PASSWORD kAn4ry\n#!define PASS \"kAn4ry\""),
        (
            &FORMAT,
            "#!substdef \"!AMQP!amqp://guest:kAn4ry@h:5672!g\"\n#!trydef P amqp://a:kAn4ry@h",
        ),
        (&FORMAT, "#!substdef '/DBPASS/kAn4ry/'"),
        (&FORMAT, "modparam(\"auth\", \"secret\", \"kAn4ry\")"),
        (&FORMAT, "modparam(\"uac\", \"auth_password\", \"kAn4ry\")"),
        (&FORMAT, "modparam(\"uac\", \"credential\", \"u:realm:kAn4ry\")"),
        (&FORMAT, "modparam(\"sqlops\", \"sqlcon\", \"ca=>mysql://u:kAn4ry@h/db\")"),
        (&FORMAT, "route { $avp(password) = \"kAn4ry\"; sql(\"mysql://u:kAn4ry@h/db\"); }"),
        (&FORMAT, "#!ifdef A\nsip.password = \"kAn4ry\" desc \"kAn4ry\"\n#!endif"),
        (&OPENSIPS, "modparam(\"uac_auth\", \"credential\", \"u:realm:kAn4ry\")"),
        (&OPENSIPS, "db_default_url=\"mysql://u:kAn4ry@h/db\""),
        (&TLS, "[server:default]\nprivate_key_password = kAn4ry"),
        (&DISPATCHER, "1 sip:a 0 0 password=kAn4ry;auth_password=kAn4ry"),
    ] {
        leaks(format, text, "kAn4ry");
    }
}

#[test]
fn a_file_is_claimed_by_its_place_its_name_and_its_first_lines() {
    for (path, head, name) in [
        ("/etc/kamailio/kamailio.cfg", "", "kamailio"),
        ("/etc/kamailio/local.cfg", "# c\n", "kamailio"),
        ("/etc/kamailio/tls.cfg", "", "kamailio_tls"),
        ("/etc/kamailio/dispatcher.list", "", "kamailio_dispatcher"),
        ("/etc/kamailio/permissions.allow", "", "kamailio_permissions"),
        ("/etc/opensips/opensips.cfg", "", "opensips"),
        ("/srv/sip/proxy.cfg", "#!define A\n", "kamailio"),
        ("/srv/sip/proxy.cfg", "# c\nloadmodule \"tm.so\"\n", "kamailio"),
        ("/srv/sip/proxy.cfg", "# OpenSIPS\nloadmodule \"tm.so\"\n", "opensips"),
        ("/srv/sip/routes.inc", "# c\nroute[RELAY] {\n", "kamailio"),
        ("/srv/sip/relay.cfg", "failure_route[A]\n{\n", "kamailio"),
        ("/srv/www/a.inc", "$route['x'] = 1;\n", "text"),
        ("/srv/sip/kamailio.cfg.dist", "", "kamailio"),
        ("/srv/sip/dispatcher.list.example", "", "kamailio_dispatcher"),
        ("/srv/sip/tls.cfg", "[server:default]\n", "kamailio_tls"),
        ("/etc/haproxy/haproxy.cfg", "global\n", "commented"),
        ("/etc/a.cfg", "[a]\n", "ini"),
    ] {
        assert_eq!(claiming(path, head.as_bytes()).unwrap().name, name, "{path} {head:?}");
    }
}

/// A comment on lines of its own.
const NOTE: &str = "( {0,3}(# |//)[ -~]{0,20}|[ \t]{0,3}|/\\* [a-z ;\n\"#]{0,12} \\*/)";

/// Lines that mean something, and some that ought to.
const PIECES: &[&str] = &[
    "#!ifdef A",
    "#!else",
    "#!endif",
    "#!define",
    "!!subst \"\"",
    "modparam(",
    "modparam(,,)",
    "loadmodule",
    "route[é] {",
    "}",
    "listen=",
    "=x",
    "\\",
    "a\\",
    "/*",
    "*/",
    "\"",
    "( { ) ;",
    "#!define X \\",
    "include_file",
    "alias=a",
    "é",
    "1 sip:a 0 0 ;=;",
    "[a]",
];

proptest! {
    #[test]
    fn comments_mean_nothing_between_lines(
        notes in proptest::collection::vec(
            (0usize..28, NOTE), 0..5),
    ) {
        let mut lines: Vec<&str> = SCRIPT.lines().collect();
        for (at, note) in &notes {
            lines.insert((*at).min(lines.len()), note);
        }
        let edited = lines.join("\n");
        prop_assert_eq!(
            render(&FORMAT, edited.as_bytes()),
            render(&FORMAT, SCRIPT.as_bytes()),
            "reading {:?}", edited
        );
    }

    #[test]
    fn any_lines_give_items_or_an_error(
        lines in proptest::collection::vec(proptest::sample::select(PIECES), 0..30),
    ) {
        let text = lines.join("\n");
        for format in [&FORMAT, &OPENSIPS, &DISPATCHER, &PERMISSIONS, &TLS] {
            let items = render(format, text.as_bytes());
            prop_assert_eq!(items, render(format, text.as_bytes()));
        }
    }
}
