//! Files of one key and its value a line.

use super::super::key_value::{ASSIGNMENTS, LD_SO_CONF, LOGIN_DEFS, NSSWITCH, RESOLV, SYSCTL};
use super::{check, check_differs, check_same};

#[test]
fn an_assignment_is_read_as_the_shell_does() {
    for (input, expected) in [
        ("A=b\n", r#"A = "b""#),
        ("export A='b c' # why\n", r#"A = "b c""#),
        ("A=\"b # c\"", r##"A = "b # c""##),
        ("A=b#c", r##"A = "b#c""##),
        ("A=", r#"A = """#),
        ("A=1\nA=22", "A = 22"),
        ("A=022", r#"A = "022""#),
        ("A = b", r#"A = "b""#),
        ("A=\"b\nc\"\n", r#"A = "b\nc""#),
        ("A='$b'", r#"A = "'$b'""#),
        ("A=x\nA=\"$A y\"", r#"A = ["x", "\"$A y\""]"#),
        ("A=x\nA+=y", r#"A = ["x", "y"]"#),
        ("A='b", "error: line 1: a quote is not closed"),
        ("\n#\nA=b\nB=\"", "error: line 4: a quote is not closed"),
    ] {
        check(&ASSIGNMENTS, input, &[expected]);
    }
}

#[test]
fn comments_order_and_quotes_mean_nothing_to_assignments() {
    check_same(&ASSIGNMENTS, "A=b\nB=c\n", "# note\n\nB='c'\n  A=\"b\" # why\n");
    check_differs(&ASSIGNMENTS, "A='$b'", "A=\"$b\"");
}

#[test]
fn commands_keep_their_order_and_the_places_of_assignments() {
    check(
        &ASSIGNMENTS,
        "if x; then # why not\n  A=1\nelse\n  A=2\nfi\n",
        &["A = [1, 2]", r#"command lines = lines ["if x; then", "A=…", "else", "A=…", "fi"]"#],
    );
}

#[test]
fn a_kernel_parameter_has_one_name() {
    check(
        &SYSCTL,
        "; old\nnet/ipv4/conf/eth0.1/rp_filter=1\n\
         net.ipv4.tcp_rmem = 4096\t87380  6291456\n-net.x\n",
        &[
            "-net.x = nothing",
            "net.ipv4.conf.eth0~11.rp_filter = 1",
            r#"net.ipv4.tcp_rmem = "4096 87380 6291456""#,
        ],
    );
    check_same(&SYSCTL, "a.b=1\na.b=2", "#\na/b = 2");
    check(&SYSCTL, "a.b\n", &["error: line 1: a setting needs `=`"]);
}

#[test]
fn login_defaults_are_typed() {
    check(
        &LOGIN_DEFS,
        "# x\nPASS_MAX_DAYS\t99999\nUMASK 022\nENV_PATH PATH=/bin:/usr/bin\nFAKE_SHELL\n",
        &[
            r#"ENV_PATH = "PATH=/bin:/usr/bin""#,
            "FAKE_SHELL = nothing",
            "PASS_MAX_DAYS = 99999",
            r#"UMASK = "022""#,
        ],
    );
}

#[test]
fn name_servers_keep_their_order_and_options_do_not() {
    check(
        &RESOLV,
        "search a.example b.example\nnameserver 10.0.0.1\n\
         nameserver 10.0.0.2\noptions ndots:2 rotate\n",
        &[
            r#"nameserver = ["10.0.0.1", "10.0.0.2"]"#,
            "options/ndots = 2",
            "options/rotate = nothing",
            r#"search = ["a.example", "b.example"]"#,
        ],
    );
    check_same(&RESOLV, "options rotate ndots:2", "; c\noptions ndots:2\noptions rotate");
    check_differs(&RESOLV, "nameserver ::1\nnameserver ::2", "nameserver ::2\nnameserver ::1");
}

#[test]
fn look_ups_keep_their_order() {
    check(
        &NSSWITCH,
        "passwd: files systemd # c\nhosts:\tfiles mdns4 [ NOTFOUND=return  SUCCESS=merge ] dns\n",
        &[
            r#"hosts = ["files", "mdns4", "[NOTFOUND=return SUCCESS=merge]", "dns"]"#,
            r#"passwd = ["files", "systemd"]"#,
        ],
    );
    check_same(&NSSWITCH, "a: b[x=y]c", "a:   b [x=y]  c # d");
    check_differs(&NSSWITCH, "hosts: files dns", "hosts: dns files");
}

#[test]
fn library_directories_keep_their_order() {
    check(
        &LD_SO_CONF,
        "include /etc/ld.so.conf.d/*.conf\n/usr/local/lib # local\n/usr/local/lib\n",
        &[
            "directory/~1usr~1local~1lib = nothing [1]",
            "directory/~1usr~1local~1lib/2 = nothing [2]",
            "include/~1etc~1ld.so.conf.d~1*.conf = nothing [0]",
        ],
    );
    check_differs(&LD_SO_CONF, "/a\n/b", "/b\n/a");
}
