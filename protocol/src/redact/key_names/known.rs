//! Names and places of single programs whose secrets no word tells.

use crate::item::ItemKey;

/// Collections each of whose members is a secret, whatever it is called: a Secret of Kubernetes, a
/// data source of Grafana, the logins of Prometheus, cloud-init and GNU Gatekeeper.
pub(super) const COLLECTIONS: &[&str] =
    &["SimplePasswordAuth", "basic_auth_users", "chpasswd", "secureJsonData", "stringData"];

/// Ends of names whose value is `user:password`.
pub(in super::super) const LOGINS: &[&str] =
    &["cloud.auth", "cloud_auth", "http_auth", "proxy-user", "sst_auth", "userpwd"];

/// Names of secrets as their programs spell them.
const NAMES: &[&str] = &[
    "LOGGED_IN_KEY",
    "LOGGED_IN_SALT",
    "P196",
    "P34",
    "PassLM",
    "PassNT",
    "PassNTLMv2",
    "TicketSalt",
    "_auth",
    "client-key-data",
    "ha1",
    "icesecretread",
    "icesecretwrite",
    "passwordsalt",
    "radiussecrets",
    "securitySalt",
    "swift_hash_path_prefix",
    "swift_hash_path_suffix",
];

/// Ends of such names.
const ENDINGS: &[&str] = &["a1-hash", "a1_hash"];

/// Names of command lines that are written as lists: of containers, of units that are JSON.
const COMMANDS: &[&str] = &["args", "arguments", "cmd", "command", "entrypoint"];

/// Whether the value of `key` is a command line, word by word.
pub(in super::super) fn is_command(key: &ItemKey) -> bool {
    let name = key.segments().last().unwrap_or_default().to_ascii_lowercase();
    COMMANDS.contains(&name.as_str())
}

/// How CouchDB begins the hash of an admin's password.
const HASHES_OF_COUCHDB: &[&str] = &["-hashed-", "-pbkdf2-", "-pbkdf2:"];

/// Whether `text` is the hash of a password that CouchDB keeps in its section `admins`. Elsewhere a
/// group or a section of this name says who the admins are.
pub(super) fn is_admin_of_couchdb(segments: &[String], text: &str) -> bool {
    let hashed = HASHES_OF_COUCHDB.iter().any(|start| text.starts_with(start));
    hashed && matches!(segments, [section, _] if section == "admins")
}

/// Whether `name` is one of a secret though its words do not say so.
pub(super) fn is_secret(name: &str) -> bool {
    NAMES.contains(&name) || ENDINGS.iter().any(|end| name.ends_with(end))
}

/// Whether the place of a key says that its value is a secret.
pub(super) fn is_by_place(segments: &[String]) -> bool {
    let names: Vec<&str> = segments.iter().map(String::as_str).collect();
    match names[..] {
        // The registries of docker, podman and containerd.
        [.., "auths", _, "auth"] | [.., "configs", _, "auth", "auth"] => true,
        [.., "sst", "encrypt-key"] => true,
        // Receivers of Alertmanager.
        [.., "routing_key"] => names.contains(&"pagerduty_configs"),
        [.., "user_key"] => names.contains(&"pushover_configs"),
        // GNU Gatekeeper, beside its settings.
        ["GkStatus::Auth", name] => {
            !["DelayReject", "KeyFilled", "Shutdown", "rule"].contains(&name)
        }
        // Swift: `user_ACCOUNT_USER = X .group`.
        [.., "filter:tempauth", user] => user.starts_with("user_"),
        // Tunnels of netplan.
        [.., "tunnels", _, "key"] | [.., "tunnels", _, "keys", "private" | "shared"] => true,
        // The wizard of PJSIP: `inbound_auth/password`.
        [.., login] => login
            .split_once('/')
            .is_some_and(|(of, name)| of.ends_with("_auth") && super::word_names_secret(name)),
        [] => false,
    }
}
