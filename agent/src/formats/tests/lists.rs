//! Line lists.

use super::super::lists::{EXPORTS, FSTAB, HOSTS, LIMITS, RULES, SERVICES, WORDS};
use super::{check, check_differs, check_same};

#[test]
fn names_of_an_address_keep_their_order_and_add_up() {
    check(
        &HOSTS,
        "127.0.0.1\tlocalhost # self\n::1 localhost ip6\n127.0.0.1 loop\n",
        &[r#"127.0.0.1 = ["localhost", "loop"]"#, r#"::1 = ["localhost", "ip6"]"#],
    );
    check_same(&HOSTS, "1.1.1.1 a\n2.2.2.2 b", "# c\n2.2.2.2   b\n1.1.1.1 a # d");
    check_differs(&HOSTS, "1.1.1.1 a b", "1.1.1.1 b a");
}

#[test]
fn a_mount_is_known_by_its_place() {
    check(
        &FSTAB,
        "/dev/sda1 / ext4 defaults 0 1\nUUID=x none swap sw 0 0\nUUID=y none swap sw 0 0\n",
        &[
            r#"none = ["UUID=x", "swap", "sw", 0, 0] [1]"#,
            r#"none/2 = ["UUID=y", "swap", "sw", 0, 0] [2]"#,
            r#"~1 = ["/dev/sda1", "ext4", "defaults", 0, 1] [0]"#,
        ],
    );
}

#[test]
fn services_and_shells_have_no_order() {
    check(
        &SERVICES,
        "domain 53/udp\ndomain 53/tcp dns # name\n",
        &[r#"domain/53~1tcp = "dns""#, "domain/53~1udp = nothing"],
    );
    check_same(&SERVICES, "a 1/tcp\nb 2/tcp", "b 2/tcp # x\n# y\na 1/tcp");
    check_same(&WORDS, "/bin/sh\n/bin/bash", "/bin/bash\n/bin/sh");
    check(&EXPORTS, "/srv a(rw) b(ro)", &[r#"~1srv = ["a(rw)", "b(ro)"]"#]);
}

#[test]
fn rules_and_limits_keep_their_order() {
    check(
        &RULES,
        "sshd:  10.0.0.0/8 \\\n  192.168.0.0/16\nALL: ALL\n",
        &["ALL: ALL = nothing [1]", "sshd: 10.0.0.0~18 192.168.0.0~116 = nothing [0]"],
    );
    check_same(&RULES, "a\nb", "# c\n a # d\n\nb");
    check_differs(&RULES, "a\nb", "b\na");
    check(&LIMITS, "@staff - nofile 1024", &["~2staff/-/nofile = 1024 [0]"]);
    check_differs(&LIMITS, "a - b 1\nc - d 2", "c - d 2\na - b 1");
}
