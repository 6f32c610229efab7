//! What is told of a host's directory, and the row of the shared check.

mod by_libkrb5;
mod by_sssd;

use driftline_protocol::redact::Redactor;

use super::*;
use crate::sources::check::{Broken, Denied, Fixture, Planted};

const SSSD_CONF: &str = "\
[sssd]
domains = example.org, corp.example
services = nss, pam

[domain/example.org]
id_provider = ldap
ldap_default_authtok = canary-0d1c
";

const KRB5: &str = "\
includedir /etc/krb5.conf.d/
[libdefaults]
    default_realm = EXAMPLE.ORG
[realms]
    EXAMPLE.ORG = {
        kdc = kdc1.example.org
        kdc = kdc2.example.org
        admin_server = kdc1.example.org
    }
";

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Directory::new()),
        recast: || Box::new(Directory { version: VERSION + 1, ..Directory::new() }),
        tree: vec![
            ("/etc/sssd/sssd.conf", 0o600, SSSD_CONF),
            ("/etc/sssd/conf.d/10-pam.conf", 0o600, "[pam]\noffline_credentials_expiration = 2\n"),
            ("/etc/krb5.conf", 0o644, KRB5),
            ("/etc/krb5.conf.d/dns", 0o644, "[libdefaults]\ndns_lookup_kdc = true\n"),
            ("/etc/realmd.conf", 0o644, "[service]\nautomatic-install = no\n"),
            ("/etc/samba/smb.conf", 0o644, "[global]\nrealm = EXAMPLE.ORG\n[homes]\nx = y\n"),
            ("/etc/nsswitch.conf", 0o644, "passwd: files sss\nhosts: files dns\n"),
            ("/etc/krb5.keytab", 0o600, "\u{5}"),
        ],
        malformed: Some(Broken { path: "/etc/realmd.conf", content: "[service\n", part: "realmd" }),
        denied: Denied { path: "/etc/realmd.conf", part: "realmd" },
        edit: ("/etc/realmd.conf", "[service]\nautomatic-install = yes\n"),
        canary: Some("canary-0d1c"),
    }
}

type Reader = fn(&mut Look<'_>) -> Result<Option<RawItems>, Trouble>;

fn shown(files: &[(&str, &str)], read: Reader) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let machine = Machine::open(root.path(), Redactor::new([1; 32])).unwrap();
    let items = read(&mut Look::new(&machine)).unwrap().unwrap_or_default();
    items.iter().map(|(key, item)| format!("{key} = {:?}", item.value)).collect()
}

#[test]
fn kerberos_is_read_with_its_includes_and_lists_repeat() {
    let files = [
        ("/etc/krb5.conf", KRB5),
        ("/etc/krb5.conf.d/dns", "[libdefaults]\ndns_lookup_kdc = true\n"),
        ("/etc/krb5.conf.d/left~", "[libdefaults]\nleft = true\n"),
    ];
    assert_eq!(
        shown(&files, kerberos::configured),
        [
            "libdefaults/default_realm = Text(\"EXAMPLE.ORG\")",
            "libdefaults/dns_lookup_kdc = Text(\"true\")",
            "realms/EXAMPLE.ORG/admin_server = Text(\"kdc1.example.org\")",
            "realms/EXAMPLE.ORG/kdc = List([Text(\"kdc1.example.org\"), \
                Text(\"kdc2.example.org\")])",
        ]
    );
}

#[test]
fn a_host_belongs_where_its_files_say() {
    let files = [
        ("/etc/sssd/sssd.conf", SSSD_CONF),
        ("/etc/sssd/conf.d/20.conf", "[sssd]\ndomains = other.example\n"),
        ("/etc/krb5.conf", KRB5),
        ("/etc/samba/smb.conf", "[global]\nWorkgroup = CORP\n[homes]\nrealm = x\n"),
        ("/etc/nsswitch.conf", "passwd: files sss\nhosts: files dns\n"),
    ];
    assert_eq!(
        shown(&files, membership),
        [
            "asks/passwd = Set({Text(\"sss\")})",
            "domains = Set({Text(\"other.example\")})",
            "has_key = Flag(false)",
            "realm = Text(\"EXAMPLE.ORG\")",
            "samba/workgroup = Text(\"CORP\")",
        ]
    );
    let alone = shown(&[("/etc/nsswitch.conf", "passwd: files\n")], membership);
    assert!(alone.is_empty(), "a host of its own belongs nowhere: {alone:?}");
}

#[test]
fn braces_of_kerberos_end_somewhere() {
    let nested = |depth: usize| {
        let braces: String = (0..depth).map(|n| format!("a{n} = {{\n")).collect();
        let text = format!("[realms]\n{braces}kdc = x\n");
        let planted = Planted::new(&[("/etc/krb5.conf", 0o644, &text)]);
        kerberos::configured(&mut Look::new(&planted.machine)).is_ok()
    };
    assert!(nested(limits::NESTING - 1) && !nested(limits::NESTING));
}
