//! Configuration of which nothing is known but that `#` at the beginning of a line is a comment.
//!
//! Most of what no other format reads on a host is of this kind: nginx, HAProxy, Postfix, rsyslog,
//! PostgreSQL, lists of modules, property files. Kept by line and compared by line as text is, but
//! a comment, an empty line and the width of white space are no change. That a line is indented
//! stays, since it continues the one above in some of them. What follows on a line stays as well:
//! a `#` there may belong to a value.
//!
//! A file of another syntax whose `#` means something else must not be claimed: programs, which
//! may quote whole files, and consoles of routers, where `!` is the comment and `#` may be part of
//! a banner.

use super::lines::{BLANKS, decode, is_in, original};
use super::script::{kept, spaced};
use super::{Format, FormatError};
use driftline_protocol::redact::RawItems;

/// Files whose comments begin with `#`.
pub static FORMAT: Format =
    Format { name: "commented", version: 1, ordered: "`lines` keeps its order", claims, read };

/// TACACS+, whose `key` is a secret that its servers and clients share; see tac_plus.conf(5). It is
/// told under a name that says so.
pub static TACACS: Format = Format {
    name: "tac_plus",
    version: 1,
    ordered: "`lines` keeps its order",
    claims: |path, _| {
        let name = original(path).rsplit('/').next().unwrap_or_default();
        name.starts_with("tac_plus") && [".conf", ".cfg"].iter().any(|end| name.ends_with(end))
    },
    read: |bytes| kept(decode(bytes).lines().filter_map(meaning).map(shared)),
};

/// A line of TACACS+ whose key is named for what it is.
fn shared(line: String) -> String {
    let bare = line.trim_start_matches(BLANKS);
    let value = bare.strip_prefix("key").map(|rest| rest.trim_start_matches(BLANKS));
    match value.and_then(|value| value.strip_prefix('=')) {
        Some(value) => {
            let indent = line.get(..line.len() - bare.len()).unwrap_or_default();
            format!("{indent}shared_key = {}", value.trim_start_matches(BLANKS))
        }
        None => line,
    }
}

/// Files in which `//` and `/* … */` are comments as well: BIND, Icinga, apt, polkit, Varnish,
/// Janus.
pub static SLASHED: Format = Format {
    name: "commented_c",
    version: 1,
    ordered: "`lines` keeps its order",
    claims: |path, _| is_slashed(path),
    read: |bytes| {
        let text = decode(bytes);
        let mut within = false;
        kept(text.lines().filter_map(|line| outside(line, &mut within)).filter_map(meaning))
    },
};

/// Endings of files that no program runs, and in which `#` begins a comment.
const ENDINGS: &[&str] = &[
    ".cf",
    ".cfg",
    ".cnf",
    ".conf",
    ".ldif",
    ".list",
    ".load",
    ".pre",
    ".properties",
    ".rules",
    ".schema",
    ".sources",
    ".v4",
    ".v6",
];

/// Names of such files without an ending.
const NAMES: &[&str] = &[
    "aliases",
    "email-addresses",
    "ethertypes",
    "hosts.allow",
    "hosts.deny",
    "inputrc",
    "kamctlrc",
    "locale.alias",
    "locale.gen",
    "mime.types",
    "modules",
    "netconfig",
    "opensipsctlrc",
    "ssh_config",
    "wgetrc",
];

/// Directories all of whose files are such.
const TREES: &[&str] = &[
    "/etc/apparmor.d/",
    "/etc/exim4/",
    "/etc/freeradius/",
    "/etc/monit/",
    "/etc/munin/",
    "/etc/nginx/",
    "/etc/sysstat/",
];

/// Directories of such files.
const DIRECTORIES: &[&str] = &[
    "/etc/apache2/sites-available",
    "/etc/iproute2",
    "/etc/logrotate.d",
    "/etc/nginx/sites-available",
    "/etc/postgresql-common",
    "/etc/xinetd.d",
];

/// What follows `#` in lines that are no comments: directives of preprocessors and of sudo, and
/// `#!`, which names a program or a version.
const DIRECTIVES: &[&str] = &[
    "!",
    "clear",
    "define",
    "elif",
    "else",
    "endif",
    "exec",
    "if",
    "ifdef",
    "ifndef",
    "include",
    "includedir",
    "tryinclude",
    "undef",
];

fn claims(path: &str, head: &[u8]) -> bool {
    let name = original(path).rsplit('/').next().unwrap_or_default();
    let known = ENDINGS.iter().any(|ending| name.ends_with(ending))
        || NAMES.contains(&name)
        || TREES.iter().any(|tree| path.starts_with(tree))
        || DIRECTORIES.iter().any(|folder| is_in(path, folder, ""));
    known && name != "README" && !is_of_a_console(&decode(head))
}

/// Whether a file is what the console of a router shows.
fn is_of_a_console(head: &str) -> bool {
    head.lines().any(|line| line.starts_with(['!']) || line.starts_with("banner "))
}

fn is_slashed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let below = |folder: &str| path.contains(&format!("/{folder}/"));
    name.starts_with("named.conf")
        || name == "apt.conf"
        || below("apt.conf.d")
        || (below("icinga2") && name.ends_with(".conf"))
        || (below("polkit-1") && name.ends_with(".rules"))
        || [".jcfg", ".vcl"].iter().any(|ending| name.ends_with(ending))
}

/// What stands of a line outside `/* … */`, where that begins or ends the line, and before `//` at
/// its beginning. `within` says whether such a comment is open before and after it.
fn outside<'a>(line: &'a str, within: &mut bool) -> Option<&'a str> {
    let line = line.trim_end_matches(BLANKS);
    let bare = line.trim_start_matches(BLANKS);
    if !*within && bare.starts_with("//") {
        return None;
    }
    let comment = if *within { bare } else { bare.strip_prefix("/*").unwrap_or_default() };
    if !*within && !bare.starts_with("/*") {
        return Some(line);
    }
    match comment.split_once("*/") {
        Some((_, after)) => {
            *within = false;
            Some(after.trim_matches(BLANKS)).filter(|after| !after.is_empty())
        }
        None => {
            *within = true;
            None
        }
    }
}

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    kept(text.lines().filter_map(meaning))
}

/// What a line says, if it says anything.
fn meaning(line: &str) -> Option<String> {
    let line = line.trim_end_matches(BLANKS);
    let bare = line.trim_start_matches(BLANKS);
    let comment = match bare.strip_prefix('#') {
        Some(rest) => !is_directive(rest),
        // A lone semicolon ends a statement of nginx, and what ends as a statement is one; other
        // words behind it are a comment of OpenVPN.
        None => bare
            .strip_prefix(';')
            .is_some_and(|rest| !rest.is_empty() && !rest.ends_with([';', '{', '}'])),
    };
    if comment {
        return None;
    }
    let indented = bare.len() < line.len();
    Some(if indented { format!(" {}", spaced(bare)) } else { spaced(bare).into_owned() })
}

fn is_directive(rest: &str) -> bool {
    let word = rest.split([' ', '\t', '<', '"']).next().unwrap_or_default();
    rest.starts_with('!') || DIRECTIVES.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::super::claiming;
    use super::super::tests::{check, check_differs, check_same};
    use super::{FORMAT, SLASHED};

    #[test]
    fn comments_empty_lines_and_the_width_of_blanks_mean_nothing() {
        let plain = "server {\n  listen 80;\n}\n";
        for dressed in [
            "# a site\nserver {\n\n    listen   80;\n    # inside\n}",
            "server {\r\n\tlisten\t80;\r\n}\r\n",
            ";comp-lzo\nserver {\n listen 80;\n}\n",
            "\u{feff}#\nserver {  \n listen 80;\n}\n\n",
        ] {
            check_same(&FORMAT, plain, dressed);
        }
        check(&FORMAT, plain, &[r#"lines = lines ["server {", " listen 80;", "}"]"#]);
    }

    #[test]
    fn what_may_mean_something_stays() {
        for (one, other) in [
            ("a = 1\n", "a = 2\n"),
            ("a\nb\n", "b\na\n"),
            ("#a = 1\n", "a = 1\n"),
            ("a = b #c\n", "a = b #d\n"),
            ("a = \"b  c\"\n", "a = \"b c\"\n"),
            // A continued line of Postfix.
            ("a = b\n  c\n", "a = b\nc\n"),
            ("#include <a>\n", "#include <b>\n"),
            ("#!version:1.0\n", "#!version:1.1\n"),
            ("a\n", "a\n;\n"),
        ] {
            check_differs(&FORMAT, one, other);
        }
    }

    #[test]
    fn comments_of_c_mean_nothing_where_they_are_some() {
        let plain = "options {\n listen-on { any; };\n};\nzone \"a\" {};\n";
        check_same(
            &SLASHED,
            plain,
            "// a\n/* b\n * c */\noptions {\n  // d\n  # e\n  /* f */\n  listen-on { any; };\n};\n\
             zone  \"a\" {};\n/* g\n",
        );
        check_differs(&SLASHED, "a \"//b\";\n", "a \"//c\";\n");
        check_differs(&SLASHED, "x \"y\";\n", "x \"y\";\n#clear x;\n");
        check_differs(&FORMAT, "root /srv\n", "root /srv\n; autoindex on;\n");
        check_same(&FORMAT, "dev tun\n", ";dev tap\n; a word on it\ndev tun\n");
        check_differs(&SLASHED, "a; // b\n", "a; // c\n");
        check_differs(&FORMAT, "//server/share\n", "//server/other\n");
    }

    #[test]
    fn programs_consoles_and_prose_are_left_to_others() {
        for (path, head, name) in [
            ("/etc/haproxy/haproxy.cfg", "global\n", "commented"),
            ("/etc/nginx/sites-available/default", "server {\n", "commented"),
            ("/etc/postfix/main.cf", "# See\nmyhostname = x\n", "commented"),
            ("/etc/java/a.properties", "a=b\n", "properties"),
            ("/etc/iptables/rules.v4", "# Generated\n*filter\n", "iptables"),
            ("/etc/kamailio/kamctlrc", "# x\n", "commented"),
            ("/etc/app.conf.sample", "# x\n", "commented"),
            ("/etc/app.ini", "[a]\n", "ini"),
            ("/etc/bind/named.conf.options", "options {\n", "commented_c"),
            ("/etc/apt/apt.conf.d/20x", "// x\n", "commented_c"),
            ("/etc/icinga2/features-enabled/api.conf", "/**\n", "commented_c"),
            ("/etc/polkit-1/rules.d/1.rules", "// x\n", "commented_c"),
            ("/etc/router.cfg", "!\nhostname r\n", "text"),
            ("/etc/switch.cfg", "hostname r\nbanner motd #\n", "text"),
            ("/etc/init.d/x", "#!/bin/sh\n", "shell"),
            ("/etc/profile", "# x\n", "shell"),
            ("/etc/init.d/y", "#!/usr/bin/perl\n", "text"),
            ("/etc/nginx/README", "# x\n", "text"),
        ] {
            assert_eq!(claiming(path, head.as_bytes()).unwrap().name, name, "{path}");
        }
    }
}
