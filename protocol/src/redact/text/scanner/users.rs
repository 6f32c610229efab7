//! Passwords behind a user and a colon, before an `@`: in URLs and in names of data sources.
//!
//! Each `@` and each colon is searched for once, however often it is asked for, so that a text made
//! of them costs no more than any other.

use super::super::values::{Reach, value};
use super::{NEAR_BYTES, Scanner, tail};

/// Addresses whose path is all that is needed to use them.
const WEBHOOKS: &[&str] = &[
    "hooks.slack.com/services/",
    "discord.com/api/webhooks/",
    "discordapp.com/api/webhooks/",
    "outlook.office.com/webhook/",
];

impl Scanner<'_> {
    /// The password of `user:password@host`, from where the user begins; the user stays readable.
    pub(super) fn user_info(&mut self, from: usize) -> usize {
        if let Some(webhook) =
            WEBHOOKS.iter().find(|start| tail(self.text, from).starts_with(**start))
        {
            let from = from + webhook.len();
            return self.hide_to(value(&self.place, from, Reach::Word));
        }
        if self.next_at(from) >= self.place.line_end.min(from + NEAR_BYTES) {
            return from;
        }
        let line = self.near(from).line_tail(from);
        let open = self.place.open;
        let region =
            line.find(|c: char| c.is_whitespace() || Some(c) == open).unwrap_or(line.len());
        let region = line.get(..region).unwrap_or(line);
        let authority = region.find(['/', '?', '#']).unwrap_or(region.len());
        let Some(colon) = region.find(':') else { return from };
        let inside = region.get(..authority).and_then(|authority| authority.rfind('@'));
        let port = region
            .get(colon + 1..authority)
            .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        let at = match inside {
            Some(at) => at,
            None if port || region.starts_with('[') => return from,
            // A password with an unescaped slash.
            None => match region.rfind('@') {
                Some(at) => at,
                None => return from,
            },
        };
        if colon + 1 >= at {
            return from;
        }
        self.hide_to(from + colon + 1..from + at)
    }

    /// The password of `user:password@host:/path`, a device of fstab, whatever signs it holds.
    pub(super) fn mounted(&mut self, from: usize) -> usize {
        let range = value(&self.near(from), from, Reach::Word);
        let device = self.text.get(range.clone()).unwrap_or_default();
        let inside = device.rfind('@').and_then(|at| device.get(..at));
        match inside.and_then(|inside| inside.split_once(':')) {
            Some((user, secret)) if !user.is_empty() && !secret.is_empty() => {
                let start = range.start + user.len() + 1;
                self.hide_to(start..start + secret.len())
            }
            _ => from,
        }
    }

    /// The password in a dial string of FreeSWITCH, `sofia/profile/user:password@host`, whose first
    /// word ends at `end`.
    pub(super) fn dialled(&mut self, end: usize) -> Option<usize> {
        let profile = self.near(end).line_tail(end).strip_prefix('/')?;
        let address = profile.split_once('/')?.1;
        let bare = ["sip:", "sips:"].iter().find_map(|scheme| address.strip_prefix(scheme));
        let bare = bare.unwrap_or(address);
        Some(self.user_info(self.near(end).line_end - bare.len()))
    }

    /// Where the next `@` stands; each is searched for once, however often it is asked for.
    pub(super) fn next_at(&mut self, from: usize) -> usize {
        if !(self.at_sign.start..=self.at_sign.end).contains(&from) {
            let rest = tail(self.text, from);
            self.at_sign = from..from + rest.find('@').unwrap_or(rest.len());
        }
        self.at_sign.end
    }

    /// The password of `user:password@tcp(host)`, where `at` is the place of the `@`. What was
    /// looked at for an earlier `@` of the word is not looked at again.
    pub(super) fn bare_user(&mut self, at: usize) {
        if self.bare_seen < self.place.line_start {
            (self.bare_seen, self.bare_colon) = (self.place.line_start, None);
        }
        let seen = self.text.as_bytes().get(self.bare_seen..at).unwrap_or_default();
        for (offset, byte) in seen.iter().enumerate() {
            match byte {
                b' ' | b'\t' | b'"' | b'\'' | b'=' => self.bare_colon = None,
                b':' if self.bare_colon.is_none() => {
                    self.bare_colon = Some(self.bare_seen + offset);
                }
                _ => {}
            }
        }
        self.bare_seen = at;
        if let Some(colon) = self.bare_colon {
            self.hide(colon + 1..at);
        }
    }

    /// `name:user:password`, as ODBC data sources are written.
    pub(super) fn data_source(&mut self, from: usize) -> usize {
        let range = value(&self.near(from), from, Reach::Word);
        let source = self.text.get(range.clone()).unwrap_or_default();
        if let [name, user, secret] = source.splitn(3, ':').collect::<Vec<_>>()[..]
            && !source.contains("://")
            && ![name, user].iter().any(|part| part.ends_with("{secret"))
            && (secret.starts_with("{secret:") || !secret.contains(':'))
        {
            self.hide(range.end - secret.len()..range.end);
        }
        from
    }

    /// `user%password`, as SMB clients write it.
    fn percent_account(&mut self, from: usize) -> usize {
        let range = value(&self.near(from), from, Reach::Word);
        let account = self.text.get(range.clone()).unwrap_or_default();
        let account = account.split(',').next().unwrap_or(account);
        match account.split_once('%') {
            // A specifier of systemd is one letter, a coded sign two digits.
            Some((user, secret)) if !user.is_empty() && secret.len() > 3 => {
                let start = range.start + user.len() + 1;
                self.hide_to(start..start + secret.len())
            }
            _ => from,
        }
    }

    /// `user:password@host`, `user:password:name@host` and `user@realm:password@host`, as SIP
    /// servers write an account.
    pub(super) fn account(&mut self, from: usize) -> usize {
        if self.next_at(from) >= self.place.line_end.min(from + NEAR_BYTES) {
            return self.percent_account(from);
        }
        let range = value(&self.near(from), from, Reach::Word);
        let account = self.text.get(range.clone()).unwrap_or_default();
        if account.contains("://") || account.starts_with("sip:") || account.starts_with("sips:") {
            return from;
        }
        let Some((_, host)) = account.rsplit_once('@') else { return from };
        let inner = account.len() - host.len() - 1;
        let inner = account.get(..inner).unwrap_or_default();
        let Some((user, secret)) = inner.split_once(':') else { return from };
        // `user:secret:name@host`; a secret that holds a colon itself is hidden to the colon, and
        // what is behind it as well where it does not look like a name.
        let secret = match secret.rsplit_once(':') {
            Some((secret, name)) if is_account_name(name) && !secret.is_empty() => secret,
            _ => secret,
        };
        if user.is_empty() || user.ends_with("{secret") || secret.is_empty() {
            return from;
        }
        let start = range.start + user.len() + 1;
        self.hide_to(start..start + secret.len())
    }
}

/// Whether text may be the name by which an account authenticates.
fn is_account_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}
