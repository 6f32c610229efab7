//! Passwords in a dial string: `IAX2/bob:password@host/100`.
//!
//! The redactor knows a password in an address with a scheme, so such a dial string is written as
//! one. Any other text stays as it is.

use std::borrow::Cow;

/// Kinds of channel that take a user and a password, and the signs that may follow them.
const KINDS: &[&str] = &["IAX2", "IAX", "OOH323", "H323", "PJSIP", "SIP"];

/// What ends an account.
const ENDS: &[char] = &['@', ',', '(', ')', '&', '|', '/', ' ', '\t', '"'];

/// `text` with `IAX2://bob:password@host` for every `IAX2/bob:password@host`.
pub(in super::super) fn addressed(text: &str) -> Cow<'_, str> {
    if !text.contains('@') || !text.contains(':') {
        return Cow::Borrowed(text);
    }
    let mut written = String::new();
    let mut done = 0;
    for (at, _) in text.match_indices(['/', ',']) {
        let (before, after) = text.split_at(at);
        let kind = KINDS.iter().any(|kind| ends_with_word(before, kind));
        if kind && begins_with_account(after.get(1..).unwrap_or_default()) {
            written.push_str(text.get(done..at).unwrap_or_default());
            written.push_str("://");
            done = at + 1;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    written.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(written)
}

fn ends_with_word(text: &str, word: &str) -> bool {
    let Some((before, end)) =
        text.len().checked_sub(word.len()).and_then(|at| text.split_at_checked(at))
    else {
        return false;
    };
    end.eq_ignore_ascii_case(word) && !before.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// Whether `user:password@` comes first, the password not a mere reference.
fn begins_with_account(text: &str) -> bool {
    let end = text.find(ENDS).unwrap_or(text.len());
    let (account, rest) = text.split_at(end);
    let Some((user, password)) = account.split_once(':') else { return false };
    let reference = password.starts_with("${") && password.ends_with('}');
    let plain = !user.is_empty() && !user.contains(['$', '{', '}']);
    rest.starts_with('@') && plain && !reference
}

#[cfg(test)]
mod tests {
    use super::addressed;

    #[test]
    fn only_a_literal_account_is_written_as_an_address() {
        for (text, expected) in [
            ("Dial(IAX2/bob:pw@h/1)", "Dial(IAX2://bob:pw@h/1)"),
            ("Dial(SIP/a:b@c&SIP/d:e@f)", "Dial(SIP://a:b@c&SIP://d:e@f)"),
            ("ctx,0,IAX2,dundi:pw@${IP}/1", "ctx,0,IAX2://dundi:pw@${IP}/1"),
            ("Dial(SIP/${EXTEN:1}@gw)", "Dial(SIP/${EXTEN:1}@gw)"),
            ("IAX2/bob:${SECRET}@h", "IAX2/bob:${SECRET}@h"),
            ("Dial(MYSIP/a:b@c)", "Dial(MYSIP/a:b@c)"),
            ("a@b:c", "a@b:c"),
        ] {
            assert_eq!(addressed(text), expected);
        }
    }
}
