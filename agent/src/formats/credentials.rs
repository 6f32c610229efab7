//! Files of logins: accounts, and tables that say of each name what proves it.
//!
//! Who is named in such a file is worth telling, and that a proof changed; what it is, is not. The
//! place says what is a secret, whatever it looks like: passwd(5), group(5), htpasswd(1),
//! pgbouncer's `userlist.txt`, the tables of hostapd, RADIUS, Postfix, Jetty, and so on. What lies
//! under a name such as `password` or, of OpenVPN, `auth.txt` (`auth-user-pass`) is one secret.
//!
//! Only the path chooses among these formats, with one exception: a format chosen by content flips
//! when a line is added, and what another format reads is no drift.

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawItems};

use super::build::Builder;
use super::lines::{BLANKS, decode, meaningful, original, scalar};
use super::{Format, FormatError, HEAD_BYTES};

/// Accounts and groups, with whatever copies of them lie beside.
pub static ACCOUNTS: Format = Format {
    name: "account_lines",
    version: 1,
    ordered: "the fields of a line keep their order; lines have none",
    claims: |path, _| is_of_accounts(path) && !mutant::active(Mutant::PasswordsOfAccountsAreTold),
    read: read_accounts,
};

/// A name a line, and behind a colon or an equals sign what proves it.
pub static LOGINS: Format = Format {
    name: "login_lines",
    version: 1,
    ordered: "nothing",
    claims: |path, head| {
        let listed = separator(path) == Some(Separator::Sign);
        listed || (!has_ending(path) && is_of_hashes(&decode(head), head.len() >= HEAD_BYTES))
    },
    read: |bytes| read_logins(bytes, &[':', '=']),
};

/// The same, where a blank ends the name.
pub static BLANK_LOGINS: Format = Format {
    name: "blank_login_lines",
    version: 1,
    ordered: "nothing",
    claims: |path, _| separator(path) == Some(Separator::Blank),
    read: |bytes| read_logins(bytes, &BLANKS),
};

/// One secret, with or without the user it is of.
pub static WORDS: Format = Format {
    name: "secret_words",
    version: 1,
    ordered: "`words` and `lines` keep their order",
    claims: |path, _| is_named_for_secrets(path),
    read: read_words,
};

/// What ends the name at the beginning of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    /// A colon, or an equals sign, whichever is first.
    Sign,
    /// A blank.
    Blank,
}

/// Endings of names of copies beside those of [`original`].
const COPIES: &[&str] = &[".bak", ".old", ".rpmnew", ".rpmsave", ".rpmorig", ".save"];

/// Names of files whose lines are a name and, behind a sign, its proof; a star stands for any text.
const SIGNED: &[&str] = &[
    "*htpasswd*",
    "*htdigest*",
    "*.passwd",
    "conserver.passwd",
    "smbpasswd",
    "ocpasswd",
    "pwfile",
    "pool_passwd",
    "pcp.conf",
    "turnuserdb.conf",
    "lighttpd.user",
    "master-users",
    "hosts.hfaxd",
    "passwd.nntp",
    "*realm.properties",
    "mgmt-users.properties",
    "application-users.properties",
    "passwd.md5",
    "pgpass",
    "pgpass.conf",
    "psk_list",
    "router.db",
];

/// The same, where a blank ends the name.
const BLANK: &[&str] = &[
    "*.wpa_psk",
    "hostapd.eap_user",
    "hostapd.radius_clients",
    "pam_radius_auth.conf",
    "siproxd_passwd.cfg",
    "amandapass",
    "authkeys",
    "jmxremote.password",
    "userlist.txt",
    "users.oath",
    "smtp_auth",
    "relay_passwd",
];

/// Files of names that mean something else elsewhere, by the end of their path.
const PATHS: &[(&str, Separator)] = &[
    ("/activemq/users.properties", Separator::Sign),
    ("/collectd/auth_file", Separator::Sign),
    ("/dma/auth.conf", Separator::Sign),
    ("/dovecot/users", Separator::Sign),
    ("/exim4/passwd.client", Separator::Sign),
    ("/httpd/conf/password.conf", Separator::Sign),
    ("/kamailio/dbtext/subscriber", Separator::Sign),
    ("/kamailio/dbtext/uacreg", Separator::Sign),
    ("/pki-tomcat/password.conf", Separator::Sign),
    ("/reTurn/users.txt", Separator::Sign),
    ("/repro/users.txt", Separator::Sign),
    ("/flexisip/passwd", Separator::Blank),
    ("/ossec/client.keys", Separator::Blank),
    ("/postfix/sasl/passwd", Separator::Blank),
    ("/postfix/sasl_passwords", Separator::Blank),
    ("/postfix/saslpass", Separator::Blank),
    ("/raddb/server", Separator::Blank),
    ("/radcli/servers", Separator::Blank),
    ("/radiusclient/servers", Separator::Blank),
    ("/radiusclient-ng/servers", Separator::Blank),
    ("/uucp/call", Separator::Blank),
    ("/uucp/passwd", Separator::Blank),
];

/// Folders in which a file `passwd`, `passwords` or `basic_auth` is a table of logins: elsewhere it
/// may configure how passwords are changed (`/etc/pam.d/passwd`).
const FOLDERS: &[&str] = &[
    "/apache2/",
    "/dovecot/",
    "/exim4/",
    "/httpd/",
    "/lighttpd/",
    "/mosquitto/",
    "/nginx/",
    "/proftpd/",
    "/squid/",
    "/subversion/",
    "/vsftpd/",
];

/// Names of such tables.
const TABLES: &[&str] = &["passwd", "passwords", "basic_auth", "users"];

/// Last words of the names of files that hold one secret, alone or behind its user.
const NAMED: &[&str] = &[
    "authkey",
    "authtoken",
    "cred",
    "credentials",
    "creds",
    "keyfile",
    "pass",
    "passfile",
    "passphrase",
    "passwdfile",
    "passwordfile",
    "passwords",
    "pin",
    "pwd",
    "pwdfile",
    "secret",
    "token",
    "userpass",
];

/// Ends of such words.
const NAMED_ENDS: &[&str] = &["passwd", "password"];

/// The same by the end of the path, where the last word says too little.
const NAMED_PATHS: &[&str] = &[
    "/default-auth-info",
    "/erlang.cookie",
    "/.erlang.cookie",
    "/openvpn/client/login.conf",
    "/openvpn/login.conf",
    "/openvpn/server/login.conf",
    "/vsftpd/logins.txt",
    "/vsftpd/virtual_users.txt",
];

/// Last words of such names below the folders of OpenVPN.
const NAMED_OF_OPENVPN: &[&str] = &["auth", "login", "management", "mgmt", "proxy", "up"];

/// Folders whose files are named after the program they configure, `passwd` as well.
const OF_PROGRAMS: &[&str] = &[
    "/.aws/",
    "/alternatives/",
    "/apparmor.d/",
    "/bash_completion.d/",
    "/default/",
    "/init.d/",
    "/logrotate.d/",
    "/pam.d/",
    "/sudoers.d/",
    "/sysconfig/",
    "/xinetd.d/",
];

/// Endings of files that have a format of their own, whatever hashes stand in them.
const ENDINGS: &[&str] =
    &["conf", "env", "ini", "json", "properties", "rules", "toml", "xml", "yaml", "yml"];

fn name(path: &str) -> &str {
    let path = original(path);
    let path = COPIES.iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
    path.rsplit('/').next().unwrap_or_default()
}

fn is_of_accounts(path: &str) -> bool {
    let Some((folder, file)) = path.rsplit_once('/') else { return false };
    let copied = |rest: &str| rest.is_empty() || rest.starts_with(['.', '-', '~']);
    let table = |table: &str| file.strip_prefix(table).is_some_and(copied);
    folder.ends_with("/etc") && ["passwd", "group", "master.passwd"].into_iter().any(table)
}

/// What ends the name in the lines of the file at `path`, where that is a table of logins.
fn separator(path: &str) -> Option<Separator> {
    let name = name(path);
    let like = |pattern: &&str| match pattern.split_once('*') {
        None => name == *pattern,
        Some((_, rest)) => match rest.strip_suffix('*') {
            Some(inner) => name.contains(inner),
            None => name.ends_with(rest),
        },
    };
    if let Some((_, known)) = PATHS.iter().find(|(end, _)| original(path).ends_with(end)) {
        return Some(*known);
    }
    if BLANK.iter().any(like) {
        return Some(Separator::Blank);
    }
    let table = TABLES.contains(&name) && FOLDERS.iter().any(|folder| path.contains(folder));
    (table || SIGNED.iter().any(like)).then_some(Separator::Sign)
}

/// Whether the name of the file at `path` has the ending of another format.
fn has_ending(path: &str) -> bool {
    name(path).rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

/// Whether each line is a name with a hash of a password behind its colon. The last line is
/// excused where the head is `cut` in it. A form without a scheme looks like any word, so that
/// it takes two.
fn is_of_hashes(head: &str, cut: bool) -> bool {
    let whole = if cut { head.rsplit_once('\n').map_or("", |(whole, _)| whole) } else { head };
    let (mut schemes, mut plain) = (0, 0);
    for (_, line) in meaningful(whole, &['#']) {
        let Some((name, rest)) = line.split_once(':') else { return false };
        let hash = rest.split(':').next().unwrap_or_default();
        if name.is_empty() || name.contains(BLANKS) {
            return false;
        }
        if has_scheme(hash) {
            schemes += 1;
        } else if is_des(hash) {
            plain += 1;
        } else {
            return false;
        }
    }
    schemes > 0 || plain > 1
}

/// The length of a hash of crypt(3) in its first form.
const DES_CHARACTERS: usize = 13;

/// Whether a text may be a hash of crypt(3) in its first form, which has no scheme.
fn is_des(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"./".contains(&byte);
    let has = |kind: fn(&u8) -> bool| text.as_bytes().iter().any(kind);
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    text.len() == DES_CHARACTERS && mixed && text.bytes().all(letter)
}

/// Whether a text is a hash of crypt(3), of a form with a scheme, or of LDAP.
fn has_scheme(text: &str) -> bool {
    let named = |scheme: &str| {
        let part = |byte: u8| byte.is_ascii_uppercase() || b"0123456789-.".contains(&byte);
        !scheme.is_empty() && scheme.bytes().all(part)
    };
    let ldap = text.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    (text.starts_with('$') && text.matches('$').count() >= 2)
        || ldap.is_some_and(|(scheme, _)| named(scheme))
}

/// Whether the path says that all there is in the file is one secret.
fn is_named_for_secrets(path: &str) -> bool {
    if NAMED_PATHS.iter().any(|end| original(path).ends_with(end)) {
        return true;
    }
    if OF_PROGRAMS.iter().any(|folder| path.contains(folder)) {
        return false;
    }
    let name = name(path).to_ascii_lowercase();
    let name = name.strip_suffix(".txt").unwrap_or(&name);
    let last = name.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let of_openvpn = path.contains("/openvpn/") && NAMED_OF_OPENVPN.contains(&last);
    of_openvpn || NAMED.contains(&last) || NAMED_ENDS.iter().any(|end| last.ends_with(end))
}

/// Whether a line is `NAME=value`; a secret in base64 ends in an equals sign.
fn is_assignment(line: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    line.split_once('=').is_some_and(|(name, value)| {
        let name = name.trim_end_matches(BLANKS);
        let valued = !value.is_empty() && !value.starts_with('=');
        valued && !name.is_empty() && name.bytes().all(part)
    })
}

fn read_accounts(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let mut items = Builder::default();
    for (_, line) in meaningful(&text, &['#']) {
        let mut fields = line.split(':');
        let name = fields.next().unwrap_or_default();
        let Some(password) = fields.next() else {
            items.set_each(&["(no account)"], ItemValue::text(line))?;
            continue;
        };
        let told = matches!(password, "" | "x" | "*" | "!" | "!!" | "*LK*" | "NP");
        let value = ItemValue::text(password);
        let password = if told { RawItem::plain(value) } else { RawItem::secret(value) };
        // Of two lines of one name libc takes the first, so that neither may cover the other.
        items.each_item(&[name, "password"], password)?;
        let rest = fields.map(scalar).collect();
        items.set_each(&[name], ItemValue::List(rest))?;
    }
    Ok(items.finish())
}

fn read_logins(bytes: &[u8], ends: &[char]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let mut items = Builder::default();
    for (_, line) in meaningful(&text, &['#']) {
        // What names nobody may be a password alone.
        let end = line.find(ends);
        let (name, proof) = end.map_or(("(unnamed)", line), |end| line.split_at(end));
        let name = name.trim_end_matches(BLANKS);
        let proof = proof.trim_start_matches([':', '=']).trim_matches(BLANKS);
        items.each_item(&[name], RawItem::secret(ItemValue::text(proof)))?;
    }
    Ok(items.finish())
}

fn read_words(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let is_comment = |line: &str| line == "#" || line.starts_with("# ");
    let (mut lines, words): (Vec<&str>, Vec<&str>) =
        meaningful(&text, &[]).map(|(_, line)| line).partition(|line| is_comment(line));
    // The names of several assignments say what is a secret.
    let assigned = words.len() > 1 && words.iter().all(|line| is_assignment(line));
    let mut items = Builder::default();
    if assigned {
        lines = meaningful(&text, &[]).map(|(_, line)| line).collect();
    } else {
        let words = RawItem::secret(ItemValue::text(words.join("\n")));
        items.insert(ItemKey::of(["words"]), words)?;
    }
    if lines.len() > limits::VALUES_PER_ITEM {
        return Err(FormatError::TooLarge);
    }
    if !lines.is_empty() {
        let lines = lines.into_iter().map(str::to_owned).collect();
        items.set(ItemKey::of(["lines"]), ItemValue::Lines(lines))?;
    }
    Ok(items.finish())
}

#[cfg(test)]
mod tests {
    use super::super::claiming;
    use super::super::tests::{check, check_differs, check_same};
    use super::{ACCOUNTS, BLANK_LOGINS, LOGINS, WORDS};

    #[test]
    fn of_an_account_only_what_stands_for_no_password_is_told() {
        let text = "root:x:0:0:root:/root:/bin/sh\nold:abJnggxhB/yWI:7:7::/:/bin/sh\n\
                    locked:!abJnggxhB/yWI:8:8::/:/bin/sh\n";
        check(
            &ACCOUNTS,
            text,
            &[
                r#"locked = [8, 8, "", "/", "/bin/sh"]"#,
                r#"locked/password = "!abJnggxhB/yWI" secret"#,
                r#"old = [7, 7, "", "/", "/bin/sh"]"#,
                r#"old/password = "abJnggxhB/yWI" secret"#,
                r#"root = [0, 0, "root", "/root", "/bin/sh"]"#,
                r#"root/password = "x""#,
            ],
        );
        let twice =
            ["root = [0]", "root/2 = [0]", r#"root/password = """#, r#"root/password/2 = "x""#];
        check(&ACCOUNTS, "root::0\nroot:x:0\n", &twice);
        check_same(&ACCOUNTS, "a:x:1:b\nc:x:2:\n", "c:x:2:\n# by hand\na:x:1:b\n");
        check_differs(&ACCOUNTS, "a:x:1:b\n", "a:x:1:c\n");
    }

    #[test]
    fn a_login_is_its_name_and_a_secret() {
        let expected = [r#"alice = "kAn4ry:more" secret"#, r#"bob = "x y" secret"#];
        check(&LOGINS, "# who\nalice:kAn4ry:more\nbob = x y\n", &expected);
        let expected = [r#"10.0.0.1:1812 = "kAn4ry 3" secret"#, r#"10.0.0.1:1812/2 = "x" secret"#];
        check(&BLANK_LOGINS, "10.0.0.1:1812\tkAn4ry 3\n10.0.0.1:1812 x\n", &expected);
        for format in [&LOGINS, &BLANK_LOGINS] {
            check(format, "kAn4ry\n", &[r#"(unnamed) = "kAn4ry" secret"#]);
        }
        check(&WORDS, "user\nkAn4ry\n\n", &[r#"words = "user\nkAn4ry" secret"#]);
    }

    #[test]
    fn a_line_more_is_read_by_the_same_format() {
        for (path, line) in [
            ("/etc/login.group.allowed", "admins"),
            ("/etc/restic/password", "kAn4ry"),
            ("/etc/openvpn/auth.txt", "kAn4ry"),
            ("/etc/app/credentials", "user=joe"),
        ] {
            let by = |text: &str| claiming(path, text.as_bytes()).unwrap().name;
            let four = format!("{line}\n").repeat(4);
            let name = by(&four);
            for edited in [format!("{four}{line}\n"), format!("# us\n{four}"), format!("{line}\n")]
            {
                assert_eq!(by(&edited), name, "{path}: {edited:?}");
            }
        }
        let comment = [r##"lines = lines ["# us"]"##, r#"words = "kAn4ry x" secret"#];
        check(&WORDS, "# us\nkAn4ry x\n", &comment);
        let assigned = [r#"lines = lines ["user=joe", "pass=kAn4ry"]"#];
        check(&WORDS, "user=joe\npass=kAn4ry\n", &assigned);
        check(&WORDS, "kAn4ry=x\n", &[r#"words = "kAn4ry=x" secret"#]);
    }

    #[test]
    fn what_only_has_such_a_name_is_left_to_others() {
        for (path, head, name) in [
            ("/etc/passwd", "root:x:0:0::/:/bin/sh\n", "account_lines"),
            ("/srv/jail/etc/group.bak", "root:x:0:\n", "account_lines"),
            ("/etc/squid/passwd", "alice:x\n", "login_lines"),
            ("/etc/app/people", "# us\nalice:abJnggxhB/yWI\nbob:$apr1$a$b\n", "login_lines"),
            ("/etc/app/people", "alice:{SSHA}abc:1:1\n", "login_lines"),
            ("/etc/app/people", "alice:{SSHA}abc:1:1\nbo", "text"),
            ("/etc/app/people", "alice:abJnggxhB/yWI\nbob:abJnggxhB/yWI\n", "login_lines"),
            ("/etc/app/zone", "tz:Europe/Berlin\n", "text"),
            ("/etc/app/zone", "tz:Europe/Berlin\nlang:de\n", "text"),
            ("/etc/app/people.conf", "alice:$6$a$b\n", "commented"),
            ("/etc/login.group.allowed", "a\nb\nc\nd\n", "text"),
            ("/etc/vault.d/vault.env", "VAULT_SKIP_VERIFY=true\n", "key_value"),
            ("/etc/default/passenger", "ENABLED=yes\n", "key_value"),
            ("/etc/udev/rules.d/99-passthrough.rules", "A==\"b\",C=\"d\"\n", "commented"),
            ("/etc/app/credentials.json", "{\"a\":{\"b\":1}}\n", "json"),
            ("/etc/openvpn/server/ipp.txt", "alice,10.8.0.4,\n", "text"),
            ("/etc/postfix/sasl/passwd", "[h]:587 u:x\n", "blank_login_lines"),
            ("/etc/pam_radius_auth.conf", "127.0.0.1 x 1\n", "blank_login_lines"),
            ("/etc/openvpn/client/up", "u\nx\n", "secret_words"),
            ("/etc/restic/password", "x\n", "secret_words"),
            ("/etc/pam.d/passwd", "@include common-password\n", "pam"),
            ("/etc/group_vars", "a: b\n", "text"),
            ("/etc/passwdqc.conf", "min=disabled,24,11,8,7\n", "commented"),
            ("/etc/authselect/authselect.conf", "sssd\nwith-mkhomedir\n", "commented"),
            ("/etc/openvpn/server/server.conf", "float\n", "commented"),
            ("/etc/app/password-policy", "min = 8\nmax = 20\n", "text"),
            ("/etc/app/colours", "red:ffeeddccbbaa9\n", "text"),
            ("/etc/app/colours", "red:{{ colour }}\n", "text"),
        ] {
            assert_eq!(claiming(path, head.as_bytes()).unwrap().name, name, "{path}");
        }
    }
}
