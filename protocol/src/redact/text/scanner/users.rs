//! Passwords behind a user and a colon, before an `@`: in URLs and in names of data sources.
//!
//! Each `@` and each colon is searched for once, however often it is asked for, so that a text made
//! of them costs no more than any other.

use super::{NEAR_BYTES, Scanner, tail};

impl Scanner<'_> {
    /// The password of `user:password@host`, from where the user begins; the user stays readable.
    pub(super) fn user_info(&mut self, from: usize) -> usize {
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

    /// Where the next `@` stands; each is searched for once, however often it is asked for.
    fn next_at(&mut self, from: usize) -> usize {
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
}
