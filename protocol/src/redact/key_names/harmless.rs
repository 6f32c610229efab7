//! Which names and values plainly are none of a secret: where requests go, a switch, a reference, a
//! file to read it from, a service of names, a community of routes.

use super::may_name_secret;

/// Names that end like one of a secret and say what a program does.
const HARMLESS_NAMES: &[&str] =
    &["importcredential", "loadcredential", "loadcredentialencrypted", "systemd-ask-password"];

/// Directives of nginx that say where requests go, as it spells them: `PROXY_PASS` of an
/// environment is the password of a proxy.
const UPSTREAMS: &[&str] =
    &["fastcgi_pass", "grpc_pass", "memcached_pass", "proxy_pass", "scgi_pass", "uwsgi_pass"];

/// Values that show a setting where a secret might stand: yes-or-no words.
const SWITCHES: &[&str] = &[
    "yes",
    "no",
    "true",
    "false",
    "on",
    "off",
    "enabled",
    "disabled",
    "none",
    "null",
    "nil",
    "undef",
    "undefined",
    "*",
    "!",
];

/// Folders in which a path begins that stands where a secret might: a file to read it from.
const FOLDERS: &[&str] = &[
    "/bin/", "/dev/", "/etc/", "/home/", "/opt/", "/proc/", "/root/", "/run/", "/sbin/", "/srv/",
    "/tmp/", "/usr/", "/var/", "file:/", "http://", "https://", "~/",
];

/// How names of files end that hold a key or a certificate. What follows `private_key =` is then
/// the file, whose change matters, and not what stands in it.
const KEY_FILES: &[&str] =
    &[".asc", ".cer", ".crt", ".der", ".gpg", ".jks", ".key", ".keytab", ".p12", ".pem", ".pfx"];

/// Services of `nsswitch.conf`, which has a database `passwd`.
const NAME_SERVICES: &[&str] =
    &["compat", "db", "files", "ldap", "nis", "nisplus", "sss", "systemd", "winbind"];

/// First words after `Pin:` in the preferences of apt.
const APT_PINS: &[&str] = &["origin", "release", "version"];

/// Whether `value` under a name of a secret plainly is none: a switch, a reference, a file to read
/// it from, a service of names.
pub(in super::super) fn is_harmless(name: &str, value: &str) -> bool {
    let first = value.split([' ', '\t']).next().unwrap_or_default();
    let one_of = |list: &[&str]| list.iter().any(|word| word.eq_ignore_ascii_case(first));
    is_reference(value)
        || FOLDERS.iter().any(|folder| first.starts_with(folder))
        || is_key_file(value)
        || (first.trim_end_matches([',', ';']) == value.trim_end_matches([',', ';'])
            && SWITCHES.contains(&first.trim_end_matches([',', ';']).to_ascii_lowercase().as_str()))
        || (name.eq_ignore_ascii_case("pin") && first != value && one_of(APT_PINS))
        || value.starts_with("# ")
        || is_port(first)
        || (name == "PWD" && value.starts_with('/'))
        || (name == "passwd" && value.split([' ', '\t']).all(is_name_service))
        // Tags of sudoers(5).
        || (name.ends_with("PASSWD") && first.trim_end_matches(',') == "ALL")
        || (is_of_communities(name) && is_route_community(value))
}

/// Whether a value names another place that holds the secret: `${DB_PASSWORD}`, `$DB_PASSWORD`,
/// `{{ db_password }}`, `%(db_password)s`, `!secret db_password`.
fn is_reference(value: &str) -> bool {
    let inside = |open: &str, close: &str| {
        value.strip_prefix(open).and_then(|rest| rest.strip_suffix(close))
    };
    let name = |name: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        !name.is_empty() && name.chars().all(fits)
    };
    let shell = |name: &str| {
        let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        name.chars().all(fits) && may_name_secret(name)
    };
    inside("${", "}").is_some_and(name)
        || inside("{{", "}}").is_some_and(|inner| name(inner.trim()))
        || inside("%(", ")s").is_some_and(name)
        || inside("<", ">").is_some_and(name)
        || value.strip_prefix("!secret ").is_some_and(name)
        || value.strip_prefix('$').is_some_and(shell)
}

/// Whether a value is the path of a file that holds a key or a certificate.
fn is_key_file(value: &str) -> bool {
    let value = value.trim_end_matches([',', ';']);
    let path = |c: char| c.is_ascii_alphanumeric() || "/._-$()".contains(c);
    KEY_FILES.iter().any(|end| value.strip_suffix(end).is_some_and(|stem| !stem.is_empty()))
        && value.chars().all(path)
}

/// Whether a value is a port of `/etc/services`, where programs have such names.
fn is_port(value: &str) -> bool {
    value.split_once('/').is_some_and(|(port, protocol)| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && matches!(protocol, "tcp" | "udp" | "sctp")
    })
}

fn is_of_communities(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["community", "communities"].iter().any(|end| name.ends_with(end))
}

/// Communities of routes that have a name, and what is done with them.
const ROUTE_COMMUNITIES: &[&str] =
    &["additive", "delete", "internet", "local-as", "no-advertise", "no-export"];

/// Whether a value is the community of a route, which is public: `65000:100`.
fn is_route_community(value: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    value.split([' ', ',']).all(|word| {
        ROUTE_COMMUNITIES.contains(&word)
            || word.split_once(':').is_some_and(|(system, value)| number(system) && number(value))
    })
}

fn is_name_service(word: &str) -> bool {
    NAME_SERVICES.contains(&word) || (word.starts_with('[') && word.ends_with(']'))
}

/// Whether `name` plainly names no secret, whatever its last word.
pub(super) fn is_harmless_name(name: &str) -> bool {
    UPSTREAMS.contains(&name) || HARMLESS_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}
