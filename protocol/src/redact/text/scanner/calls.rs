//! Functions one of whose arguments is a password that nothing names:
//! `mysqli_connect("host", "user", "X")`, `pv_www_authenticate("realm", "X", "0")`.

use super::super::super::key_names::is_harmless;
use super::super::values::is_blank;
use super::Scanner;

/// Such functions, with how many arguments stand before the password.
pub(in super::super) const NAMES: &[(&str, usize)] = &[
    ("Authenticate", 0),
    ("DISA", 0),
    ("OLD_PASSWORD", 0),
    ("PASSWORD", 0),
    ("PDO", 2),
    ("app.authenticate", 0),
    ("app.disa", 0),
    ("auth", 0),
    ("autheph_authenticate", 1),
    ("mysql_connect", 2),
    ("mysql_pconnect", 2),
    ("mysqli", 2),
    ("mysqli_connect", 2),
    ("old_password", 0),
    ("password", 0),
    ("pv_auth_check", 1),
    ("pv_proxy_authenticate", 1),
    ("pv_www_authenticate", 1),
    ("setKey", 0),
];

/// Those of Asterisk, whose arguments have no quotes.
const UNQUOTED: &[&str] = &["Authenticate", "DISA"];

impl Scanner<'_> {
    /// Hides the password among the arguments of the function whose name ends at `end`.
    pub(super) fn called(&mut self, name: &str, end: usize) {
        let Some((_, before)) = NAMES.iter().find(|(known, _)| *known == name) else { return };
        let near = self.near(end);
        let Some(mut rest) = near.line_tail(end).strip_prefix('(') else { return };
        for place in 0..=*before {
            rest = rest.trim_start_matches(is_blank);
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
            let inner = rest.get(usize::from(quote.is_some())..).unwrap_or_default();
            let ends = |c: char| quote.map_or(matches!(c, ',' | ')'), |quote| c == quote);
            let length = inner.find(ends).unwrap_or(inner.len());
            if place == *before {
                let secret = inner.get(..length).unwrap_or_default();
                let written = quote.is_some() || UNQUOTED.contains(&name);
                let open = written
                    && !secret.is_empty()
                    && !secret.starts_with('$')
                    && !is_harmless("", secret);
                if open {
                    let start = near.line_end - inner.len();
                    self.hide(start..start + length);
                }
                return;
            }
            let Some((_, after)) = inner.get(length..).unwrap_or_default().split_once(',') else {
                return;
            };
            rest = after;
        }
    }
}
