//! What the arguments of a keyword mean: which add up, which are numbers, times, lists or sets.
//!
//! The tables follow `servconf.c` of OpenSSH 9; a keyword in none of them is one value, the first
//! wins.

use std::collections::BTreeSet;

use driftline_protocol::item::ItemValue;

use super::Directive;

/// What a second directive with the same keyword does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: the first value wins.
    First,
    /// It adds its values.
    Added,
}

/// Keywords whose lines add up, in any order.
const ADDED: &[&str] = &[
    "acceptenv",
    "allowgroups",
    "allowusers",
    "denygroups",
    "denyusers",
    "hostcertificate",
    "hostkey",
    "listenaddress",
    "port",
];

/// Keywords whose first line holds words in any order.
const SETS: &[&str] = &["authenticationmethods", "logverbose", "permitlisten", "permitopen"];

/// Keywords with a list whose order is a preference, separated by commas.
const PREFERENCES: &[&str] = &[
    "casignaturealgorithms",
    "ciphers",
    "hostbasedacceptedalgorithms",
    "hostkeyalgorithms",
    "kexalgorithms",
    "macs",
    "pubkeyacceptedalgorithms",
];

/// Keywords whose value is all that follows, quotes and `#` included.
const WHOLE_LINES: &[&str] =
    &["authorizedkeyscommand", "authorizedprincipalscommand", "forcecommand", "versionaddendum"];

/// Keywords whose value is a time, kept in seconds (sshd_config(5), TIME FORMATS).
const TIMES: &[&str] = &["clientaliveinterval", "logingracetime", "unusedconnectiontimeout"];

/// Keywords whose value sshd takes in any case and shows in upper case.
const UPPER_CASE: &[&str] = &["loglevel", "syslogfacility"];

/// Keywords whose value is one of a closed list of words, in any case.
const WORDS: &[&str] = &[
    "addressfamily",
    "allowstreamlocalforwarding",
    "allowtcpforwarding",
    "compression",
    "fingerprinthash",
    "gatewayports",
    "ignorerhosts",
    "permitrootlogin",
    "permittunnel",
];

/// Keywords that sshd still accepts and that do nothing.
const WITHOUT_EFFECT: &[&str] = &[
    "authorizedkeysfile2",
    "checkmail",
    "dsaauthentication",
    "keyregenerationinterval",
    "protocol",
    "reversemappingcheck",
    "rhostsauthentication",
    "rhostsrsaauthentication",
    "rsaauthentication",
    "serverkeybits",
    "uselogin",
    "useprivilegeseparation",
];

/// Today's name of a keyword (`sshd_options` in `servconf.c`).
pub(super) fn current_name(keyword: &str) -> &str {
    match keyword {
        "challengeresponseauthentication" | "skeyauthentication" => "kbdinteractiveauthentication",
        "pubkeyacceptedkeytypes" => "pubkeyacceptedalgorithms",
        "hostbasedacceptedkeytypes" => "hostbasedacceptedalgorithms",
        "keepalive" => "tcpkeepalive",
        "hostdsakey" => "hostkey",
        other => other,
    }
}

/// Gives each setting of `directive` to `set`, by the segments of its key.
pub(super) fn add(directive: &Directive, mut set: impl FnMut(Vec<String>, ItemValue, Kind)) {
    let keyword = directive.keyword.as_str();
    match keyword {
        _ if WITHOUT_EFFECT.contains(&keyword) => {}
        "subsystem" => {
            let (name, command) = directive.arguments.split_at(1);
            let path = [[keyword.to_owned()].as_slice(), name].concat();
            set(path, ItemValue::Text(command.join(" ")), Kind::First);
        }
        "setenv" => {
            for word in &directive.arguments {
                let (name, text) = word.split_once('=').unwrap_or((word, ""));
                set(vec![keyword.into(), name.into()], ItemValue::text(text), Kind::First);
            }
        }
        _ if ADDED.contains(&keyword) => {
            set(vec![keyword.into()], words(&directive.arguments), Kind::Added);
        }
        _ => set(vec![keyword.into()], value(directive), Kind::First),
    }
}

/// The value of a keyword whose first line wins.
fn value(directive: &Directive) -> ItemValue {
    let keyword = directive.keyword.as_str();
    let [argument] = directive.arguments.as_slice() else {
        return match keyword {
            _ if SETS.contains(&keyword) => words(&directive.arguments),
            _ if WHOLE_LINES.contains(&keyword) => ItemValue::text(&directive.rest),
            "authorizedkeysfile" => {
                ItemValue::List(directive.arguments.iter().map(ItemValue::text).collect())
            }
            _ => ItemValue::Text(directive.arguments.join(" ")),
        };
    };
    match keyword {
        _ if SETS.contains(&keyword) => words(&directive.arguments),
        _ if PREFERENCES.contains(&keyword) => {
            ItemValue::List(argument.split(',').map(ItemValue::text).collect())
        }
        "authorizedkeysfile" => ItemValue::List(vec![ItemValue::text(argument)]),
        _ if WHOLE_LINES.contains(&keyword) => ItemValue::text(&directive.rest),
        _ if TIMES.contains(&keyword) => {
            seconds(argument).map_or_else(|| scalar(argument), ItemValue::Integer)
        }
        _ if UPPER_CASE.contains(&keyword) => ItemValue::Text(argument.to_ascii_uppercase()),
        "permitrootlogin" if argument.eq_ignore_ascii_case("without-password") => {
            ItemValue::text("prohibit-password")
        }
        _ if WORDS.contains(&keyword) => scalar(&argument.to_ascii_lowercase()),
        _ => scalar(argument),
    }
}

/// A yes or no, a whole number, or text.
fn scalar(argument: &str) -> ItemValue {
    match argument {
        _ if argument.eq_ignore_ascii_case("yes") => ItemValue::Flag(true),
        _ if argument.eq_ignore_ascii_case("no") => ItemValue::Flag(false),
        _ => argument.parse().map_or_else(|_| ItemValue::text(argument), ItemValue::Integer),
    }
}

fn words(arguments: &[String]) -> ItemValue {
    let words: BTreeSet<ItemValue> = arguments.iter().map(|word| scalar_word(word)).collect();
    ItemValue::Set(words)
}

/// A word of a set is a number (a port) or text; `yes` and `no` are users like others.
fn scalar_word(word: &str) -> ItemValue {
    word.parse().map_or_else(|_| ItemValue::text(word), ItemValue::Integer)
}

/// Seconds of a time such as `1h30m`; `None` for what is no time, such as `none`.
fn seconds(text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut number: Option<i64> = None;
    for c in text.chars() {
        let unit = match c.to_ascii_lowercase() {
            digit @ '0'..='9' => {
                let digit = i64::from(digit.to_digit(10)?);
                number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    match number {
        Some(rest) => total.checked_add(rest),
        None => (!text.is_empty()).then_some(total),
    }
}
