//! The scripts of Kamailio and OpenSIPS, and the lists beside them.
//!
//! Two servers of one family with one syntax but for two points (`core/cfg.lex`, `cfg.lex`): for
//! Kamailio `#!` and `!!` begin a directive and `//` a comment, for OpenSIPS `#` is always a
//! comment and `//` never. `# #!trydef ROLE` is a comment for both, and taking the mark away
//! switches the role on.
//!
//! A script stays as it is written: defines are items and are not put in, includes are named and
//! not followed, so a change in a define is one change. What stands under `#!ifdef` has the
//! condition in its key, and a route is the list of its statements.

use std::path::Path;

use super::lines::{decode, original};
use super::{Format, FormatError};

mod body;
mod lexer;
mod lists;
mod script;

use lexer::Dialect;

/// Kamailio's scripts.
pub static FORMAT: Format = Format {
    name: "kamailio",
    version: 1,
    ordered: "loaded modules, listening addresses and includes are ordered among themselves, and \
              so are the statements of a route and the values of a repeated parameter; defines, \
              parameters, aliases and routes are not",
    claims: |path, head| dialect(path, head) == Some(Dialect::Kamailio),
    read: |bytes| script::read(&decode(bytes), Dialect::Kamailio),
};

/// OpenSIPS' scripts.
pub static OPENSIPS: Format = Format {
    name: "opensips",
    version: 1,
    ordered: "as `kamailio`",
    claims: |path, head| dialect(path, head) == Some(Dialect::OpenSips),
    read: |bytes| script::read(&decode(bytes), Dialect::OpenSips),
};

/// Destinations of the dispatcher module: `dispatcher.list`.
pub static DISPATCHER: Format = Format {
    name: "kamailio_dispatcher",
    version: 1,
    ordered: "nothing: a destination's priority says its place",
    claims: |path, _| {
        let name = file_name(path);
        name.ends_with(".list") && name.starts_with("dispatcher")
    },
    read: |bytes| lists::read_dispatcher(&decode(bytes)),
};

/// Who may call: `permissions.allow` and `permissions.deny`.
pub static PERMISSIONS: Format = Format {
    name: "kamailio_permissions",
    version: 1,
    ordered: "rules keep their order",
    claims: |path, _| matches!(file_name(path), "permissions.allow" | "permissions.deny"),
    read: |bytes| lists::read_permissions(&decode(bytes)),
};

/// Kamailio's TLS domains: `tls.cfg`.
pub static TLS: Format = Format {
    name: "kamailio_tls",
    version: 2,
    ordered: "nothing; a cipher list is one value",
    claims: |path, head| {
        let name = file_name(path);
        let domain = |line: &str| {
            let line = line.trim_start();
            line.starts_with("[server:") || line.starts_with("[client:")
        };
        name.ends_with(".cfg")
            && name.contains("tls")
            && (path.contains("/kamailio") || decode(head).lines().any(domain))
    },
    read: |bytes| lists::read_tls(&decode(bytes)),
};

pub use lists::Domain;

/// The domains of a `tls.cfg` in `folder` that callers meet.
///
/// # Errors
/// As reading it as [`TLS`].
pub fn domains(bytes: &[u8], folder: &Path) -> Result<Vec<Domain>, FormatError> {
    lists::domains(&decode(bytes), folder)
}

fn file_name(path: &str) -> &str {
    original(path).rsplit('/').next().unwrap_or_default()
}

/// What begins a route: a file that a script includes may hold nothing else.
const ROUTES: &[&str] = &[
    "branch_route",
    "event_route",
    "failure_route",
    "onreply_route",
    "onsend_route",
    "reply_route",
    "request_route",
    "route",
];

/// Whose script a file is, if it is one.
fn dialect(path: &str, head: &[u8]) -> Option<Dialect> {
    let name = file_name(path);
    if ![".cfg", ".inc"].iter().any(|end| name.ends_with(end)) {
        return None;
    }
    if path.contains("/opensips") || name.starts_with("opensips") {
        return Some(Dialect::OpenSips);
    }
    if path.contains("/kamailio") || name.starts_with("kamailio") {
        return Some(Dialect::Kamailio);
    }
    let head = decode(head);
    let says = |line: &str| {
        let line = line.trim_start();
        ["#!KAMAILIO", "#!define ", "#!ifdef ", "#!trydef ", "#!substdef "]
            .iter()
            .any(|start| line.starts_with(start))
            || ["loadmodule \"", "modparam(\"", "modparamx(\""]
                .iter()
                .any(|start| line.starts_with(start))
            || line
                .split_once(['[', '{'])
                .is_some_and(|(kind, _)| ROUTES.contains(&kind.trim_end()))
    };
    let found = head.lines().any(says);
    let opensips = head.contains("opensips") || head.contains("OpenSIPS");
    found.then_some(if opensips { Dialect::OpenSips } else { Dialect::Kamailio })
}
