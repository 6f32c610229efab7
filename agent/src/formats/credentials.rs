//! Files of logins: accounts, and tables that say of each name what proves it.
//!
//! Who is named in such a file is worth telling, and that a proof changed; what it is, is not. The
//! place says what is a secret, whatever it looks like: passwd(5), group(5), htpasswd(1),
//! pgbouncer's `userlist.txt`, the tables of hostapd, RADIUS, Postfix, Jetty, and so on. A file of
//! one or two bare words under a name such as `password` or `auth.txt` (OpenVPN's
//! `auth-user-pass`) is one secret.

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawItems};

use super::build::Builder;
use super::lines::{BLANKS, decode, meaningful, original, scalar};
use super::{Format, FormatError};

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
    claims: |path, head| separator(path) == Some(Separator::Sign) || is_of_hashes(&decode(head)),
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
    ordered: "`words` keeps its order",
    claims: |path, head| is_named_for_secrets(path) && is_of_words(&decode(head)),
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

/// Parts of names under which one or two bare words are a secret.
const NAMED: &[&str] = &[
    "auth-info",
    "auth.txt",
    "authkey",
    "authtoken",
    "cookie",
    "cred",
    "keyfile",
    "login",
    "pass",
    "pin.txt",
    "pwd",
    "token",
    "vault",
    "virtual_users",
];

/// The most words of such a file: a user and its password, twice.
const WORDS_OF_SECRET: usize = 4;

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

/// Whether each line is a name with a hash of a password behind its colon.
fn is_of_hashes(head: &str) -> bool {
    // The last line may be cut.
    let mut lines = meaningful(head, &['#']).map(|(_, line)| line).peekable();
    let mut seen = 0;
    while let Some(line) = lines.next() {
        let hashed = line.split_once(':').is_some_and(|(name, rest)| {
            let hash = rest.split(':').next().unwrap_or_default();
            !name.is_empty() && !name.contains(BLANKS) && is_hash(hash)
        });
        if !hashed && (lines.peek().is_some() || seen == 0) {
            return false;
        }
        seen += 1;
    }
    seen > 0
}

/// The length of a hash of crypt(3) in its first form.
const DES_CHARACTERS: usize = 13;

/// Whether a text is a hash of crypt(3), of a form with a scheme, or of LDAP.
fn is_hash(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"./".contains(&byte);
    let has = |kind: fn(&u8) -> bool| text.as_bytes().iter().any(kind);
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let des = text.len() == DES_CHARACTERS && mixed && text.bytes().all(letter);
    let scheme = text.starts_with('$') && text.matches('$').count() >= 2;
    let named = |scheme: &str| {
        let part = |byte: u8| byte.is_ascii_uppercase() || b"0123456789-.".contains(&byte);
        !scheme.is_empty() && scheme.bytes().all(part)
    };
    let ldap = text.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    des || scheme || ldap.is_some_and(|(scheme, _)| named(scheme))
}

fn is_named_for_secrets(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let named = NAMED.iter().any(|part| name.contains(part));
    if path.contains("/openvpn/") {
        return named || !name.ends_with(".conf");
    }
    // What configures passwords or authentication may have a word a line as well.
    named && ![".conf", ".pub", ".crt", ".pem"].iter().any(|end| name.ends_with(end))
}

/// Whether a text is a few lines of a word each.
fn is_of_words(head: &str) -> bool {
    let lines: Vec<&str> = head.lines().map(|line| line.trim_matches(BLANKS)).collect();
    let lines: Vec<&&str> = lines.iter().filter(|line| !line.is_empty()).collect();
    let word = |line: &str| !line.contains(BLANKS) && !line.starts_with(['#', '[', '<', '@']);
    (1..=WORDS_OF_SECRET).contains(&lines.len()) && lines.iter().all(|line| word(line))
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
        items.insert(ItemKey::of([name, "password"]), password)?;
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
    let words: Vec<&str> = meaningful(&text, &[]).map(|(_, line)| line).collect();
    let mut items = Builder::default();
    items.insert(ItemKey::of(["words"]), RawItem::secret(ItemValue::text(words.join("\n"))))?;
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
    fn what_only_has_such_a_name_is_left_to_others() {
        for (path, head, name) in [
            ("/etc/passwd", "root:x:0:0::/:/bin/sh\n", "account_lines"),
            ("/srv/jail/etc/group.bak", "root:x:0:\n", "account_lines"),
            ("/etc/squid/passwd", "alice:x\n", "login_lines"),
            ("/etc/app/people", "# us\nalice:abJnggxhB/yWI\nbob:$apr1$a$b\n", "login_lines"),
            ("/etc/app/people", "alice:{SSHA}abc:1:1\nbo", "login_lines"),
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
