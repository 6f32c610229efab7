//! Identifiers of people in single words: addresses, logons, numbers that ring.
//!
//! For words of other systems that name a service, a place or a team, and are a person where
//! somebody put one: there an identifier says that the whole word is about a person. It knows
//! shapes only. What people are called (`Ada Lovelace`) is two words like any other, and a number
//! without its `+` is one of many things. Errs towards a person: `trunk@vienna` is an address.

/// Schemes of addresses that reach somebody.
const SCHEMES: [&str; 9] =
    ["sip", "sips", "tel", "mailto", "im", "xmpp", "callto", "skype", "msteams"];

/// The longest name of a domain of Windows before its own dots.
const DOMAIN_BYTES: usize = 63;

/// The fewest digits of a number that rings abroad.
const NUMBER_DIGITS: usize = 8;

/// What stands around a word and is none of it.
const AROUND: &[char] = &['<', '>', '(', ')', '[', ']', '{', '}', '"', '\'', ',', ';', '|'];

/// Whether `text` holds an identifier of a person: `ada@example.org`, `ada@pbx`, `CORP\ada`,
/// `sip:1001`, `+43 1 5880 1234`.
pub fn names_person(text: &str) -> bool {
    let mut pieces = text.split(|c: char| c.is_whitespace() || AROUND.contains(&c));
    pieces.any(|piece| is_address(piece) || is_logon(piece) || is_uri(piece)) || rings(text)
}

/// `who@host`, with letters or digits on both sides.
fn is_address(piece: &str) -> bool {
    let named = |side: &str| side.chars().any(char::is_alphanumeric);
    piece.rsplit_once('@').is_some_and(|(who, host)| named(who) && named(host))
}

/// `DOMAIN\user`. `Telephony\Headset` is a path of two headings: each begins with a capital, and
/// nothing but letters follow.
fn is_logon(piece: &str) -> bool {
    let sides = piece.split_once('\\').filter(|(_, user)| !user.contains('\\'));
    let Some((domain, user)) = sides else { return false };
    let sign = |c: char| c.is_alphanumeric() || "._-$".contains(c);
    let plain = |side: &str| !side.is_empty() && side.chars().all(sign);
    let is_domain = domain.len() <= DOMAIN_BYTES && domain.starts_with(char::is_alphanumeric);
    plain(domain) && plain(user) && is_domain && !(is_heading(domain) && is_heading(user))
}

/// A word as a heading begins: a capital, then letters; not all of them capitals, as in a domain.
fn is_heading(word: &str) -> bool {
    word.starts_with(char::is_uppercase)
        && word.chars().all(char::is_alphabetic)
        && word.chars().any(char::is_lowercase)
}

/// `sip:1001@pbx`, `tel:+431588`: a scheme of [`SCHEMES`] and whom it reaches.
fn is_uri(piece: &str) -> bool {
    piece.split_once(':').is_some_and(|(scheme, who)| {
        let known = SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme));
        known && who.chars().any(char::is_alphanumeric)
    })
}

/// A number as it is dialled from abroad: a `+` that no letter or digit stands before, and digits
/// with the signs people write between them.
fn rings(text: &str) -> bool {
    text.match_indices('+').any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let rest = text.get(at + 1..).unwrap_or_default();
        let number = rest.chars().take_while(|c| c.is_ascii_digit() || " -./()\u{a0}".contains(*c));
        let digits = number.filter(char::is_ascii_digit).count();
        !before.is_some_and(char::is_alphanumeric) && digits >= NUMBER_DIGITS
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_of_a_person_is_known_by_its_shape() {
        for word in [
            "ada@example.org",
            "Ada Lovelace <ada@example.org>",
            "ada@pbx1",
            "for:ada@corp",
            "CORP\\ada",
            "corp\\ALovelace",
            "corp.example\\ada.lovelace",
            "Ada (CORP\\alovelace2)",
            "sip:1001@pbx",
            "SIP:ada",
            "<sips:1001@10.0.0.1>",
            "tel:+431588",
            "+43 1 58801-1234",
            "call (+1) 212-555-0100",
            "0043/+4366412345678",
        ] {
            assert!(names_person(word), "{word}");
        }
    }

    #[test]
    fn ordinary_words_are_nobody() {
        for word in [
            "INC0012345",
            "CS-2024-1",
            "8f14e45f-ceea-467f-a0e6-3b1d3f0c9a77",
            "4711",
            "#4711",
            "second level",
            "Telephony\\Headset",
            "Hardware\\Phone\\Desk",
            "C:\\",
            "C++ build",
            "@home",
            "desk@",
            "SIP: registration",
            "sip-trunk-vienna",
            "UTC+02:00",
            "Vienna+Graz",
            "+1 day",
            "Graz / Linz",
            "24:00",
            "voice:inbound",
        ] {
            assert!(!names_person(word), "{word}");
        }
    }
}
