//! Passwords in places of single programs: `login=user:X` of Squid, `{password, "X"}` of Erlang,
//! `eq{$auth2}{X}` of Exim, `?auth=X` of an address.

use std::ops::Range;

use super::super::super::key_names::{is_harmless, known, word_names_secret};
use super::super::values::{Reach, is_blank, value};
use super::Scanner;

/// Names before `user:password@host` that look like a scheme, of RabbitMQ and QueueMetrics.
const SCHEMES: &[&str] = &["rabbitmq", "tcp", "turnurl"];

/// Variables of Exim that hold the password a client sent.
const SENT: &[&str] = &["2", "3", "auth2", "auth3"];

/// Lists of Exim with how many parts stand before a server's password.
const SERVERS: &[(&str, usize)] =
    &[("mysql_servers", 3), ("oracle_servers", 3), ("pgsql_servers", 3), ("redis_servers", 2)];

/// The most digits of a port.
const PORT_DIGITS: usize = 5;

/// The length of a key of 128 bits in base64.
const KEY_CHARACTERS: usize = 24;

impl Scanner<'_> {
    /// The password of a login that the name `plain` announces.
    pub(super) fn login(&mut self, plain: &str, from: usize) -> Option<usize> {
        if SCHEMES.contains(&plain) {
            return Some(self.account(from)).filter(|to| *to > from);
        }
        if let Some((_, before)) = SERVERS.iter().find(|(name, _)| *name == plain) {
            return self.servers(from, *before);
        }
        let range = value(&self.near(from), from, Reach::Word);
        let shown = self.text.get(range.clone()).unwrap_or_default();
        let address = self.text.get(..from).unwrap_or_default();
        if address.ends_with("?auth=") || address.ends_with("&auth=") {
            return (!is_harmless("", shown)).then(|| self.hide_to(range));
        }
        // The key of Consul and Nomad.
        if plain == "encrypt" && shown.len() == KEY_CHARACTERS && shown.ends_with("==") {
            return Some(self.hide_to(range));
        }
        let named = plain == "login" || known::LOGINS.iter().any(|end| plain.ends_with(end));
        let (user, secret) = shown.split_once(':')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        // `user=1000:X:all`, an extension of FOP2.
        let extension = plain == "user" && digits(user) && secret.contains(':');
        let marked = secret.starts_with("{secret:");
        let secret = if extension && !marked { secret.split(':').next()? } else { secret };
        let known = (named && !shown.contains('@') && !secret.starts_with("//")) || extension;
        if !known || user.is_empty() || user.ends_with("{secret") || marked {
            return None;
        }
        // Accounts by number, and a host with its port.
        let host = user.contains('.') && secret.len() <= PORT_DIGITS;
        let numbers = named && (digits(user) || host) && digits(secret);
        if secret.is_empty() || numbers || secret.starts_with('$') || is_harmless("", secret) {
            return None;
        }
        let start = range.start + user.len() + 1;
        Some(self.hide_to(start..start + secret.len()))
    }

    /// `host/database/user/X : (socket)/database/user/Y`; gives the end of the last password. What
    /// follows such a list on its line is looked at like any other text.
    fn servers(&mut self, from: usize, before: usize) -> Option<usize> {
        let mut start = from;
        let mut after = None;
        let mut listed = true;
        for word in self.place.line_tail(from).split_inclusive(is_blank) {
            let server = word.trim_end_matches(is_blank);
            let separates = server.starts_with('<') || server.ends_with([':', ';']);
            if !listed && !separates && !server.is_empty() {
                break;
            }
            let socket = server.strip_prefix('(').and_then(|rest| rest.split_once(')'));
            let parts = socket.map_or(server, |(_, rest)| rest);
            let secret = parts.splitn(before + 1, '/').nth(before);
            if let Some(secret) = secret.filter(|_| !server.contains("://")) {
                let to = start + server.len();
                self.hide(to - secret.len()..to);
                after = Some(to);
            }
            listed = separates || (listed && server.is_empty());
            start += word.len();
        }
        after
    }

    /// The secret behind the name at `span` that stands there without a separator.
    pub(super) fn placed(&mut self, name: &str, span: Range<usize>) -> Option<usize> {
        let before = self.text.get(..span.start).unwrap_or_default();
        let rest = self.near(span.end).line_tail(span.end);
        // `$USER3$=X` of Nagios, where what is no path may be a password.
        let number = name.strip_prefix("USER").filter(|_| before.ends_with('$'));
        if number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
            let secret = rest.strip_prefix("$=")?.trim_end_matches(is_blank);
            let start = span.end + 2;
            let open = !secret.is_empty() && !is_harmless("", secret);
            return open.then(|| self.hide_to(start..start + secret.len()));
        }
        if name == "eq" {
            let (variable, after) = rest.strip_prefix("{$")?.split_once("}{")?;
            let length = after.find('}')?;
            let secret = after.get(..length)?;
            let open = SENT.contains(&variable) && !secret.starts_with(['$', '{']);
            let start = span.end + (rest.len() - after.len());
            return (open && !secret.is_empty()).then(|| self.hide_to(start..start + length));
        }
        if !before.ends_with('{') || !word_names_secret(name) {
            return None;
        }
        let value = rest.trim_start_matches(is_blank).strip_prefix(',')?;
        let value = value.trim_start_matches(is_blank);
        let value = value.strip_prefix("<<").unwrap_or(value).strip_prefix('"')?;
        let length = value.find('"')?;
        let secret = value.get(..length)?;
        let start = span.end + (rest.len() - value.len());
        let open = !secret.is_empty() && !is_harmless(name, secret);
        open.then(|| self.hide_to(start..start + length))
    }
}
