//! Identifiers of people in single words: addresses, logons, numbers that ring.
//!
//! For words of other systems that name a service, a place or a team, and are a person where
//! somebody put one: there an identifier says that the whole word is about a person. It knows
//! shapes only. What people are called (`Ada Lovelace`) is two words like any other, and a number
//! without its `+` is one of many things. Headings have such shapes too (`SAP\FI`, `24x7@DACH`,
//! `SIP:Registration`): capitals tell them. Beyond those it errs towards a person: `trunk@vienna`
//! is an address.

use std::borrow::Cow;

/// Schemes of addresses that reach somebody.
const SCHEMES: [&str; 9] =
    ["sip", "sips", "tel", "mailto", "im", "xmpp", "callto", "skype", "msteams"];

/// The longest name of a domain of Windows before its own dots.
const DOMAIN_BYTES: usize = 63;

/// The fewest digits of a number that rings abroad.
const NUMBER_DIGITS: usize = 8;

/// The fewest digits of a number that a logon is; models of devices have fewer.
const LOGON_DIGITS: usize = 5;

/// The fewest small letters of a surname behind an initial: `JSmith`, and not `EMail`.
const SURNAME_LETTERS: usize = 4;

/// What stands around a word and is none of it.
const AROUND: &[char] = &['<', '>', '(', ')', '[', ']', '{', '}', '"', '\'', ',', ';', '|'];

/// Signs of identifiers as a part of an address on the web writes them.
const ESCAPED: [(&str, &str); 4] = [("%40", "@"), ("%2b", "+"), ("%3a", ":"), ("%5c", "\\")];

/// Whether `text` holds an identifier of a person: `ada@example.org`, `ada@pbx`, `CORP\ada`,
/// `sip:1001`, `+43 1 5880 1234`.
pub fn names_person(text: &str) -> bool {
    let text = unescaped(folded(text));
    let mut pieces = text.split(|c: char| c.is_whitespace() || AROUND.contains(&c));
    pieces.any(|piece| is_address(piece) || is_logon(piece) || is_uri(piece)) || rings(&text)
}

/// `text` with the signs, letters and digits of other widths as ASCII has them: `＠` is `@`.
pub fn folded(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| narrow(c) != c) {
        return text.into();
    }
    text.chars().map(narrow).collect::<String>().into()
}

fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{fe55}' => ':',
        '\u{fe62}' => '+',
        '\u{fe66}' => '=',
        '\u{fe68}' => '\\',
        '\u{fe6b}' => '@',
        _ => c,
    }
}

fn unescaped(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains('%') {
        return text;
    }
    let replace = |text: String, (escaped, sign): (&str, &str)| {
        text.replace(escaped, sign).replace(&escaped.to_uppercase(), sign)
    };
    ESCAPED.into_iter().fold(text.into_owned(), replace).into()
}

/// `who@host`, with letters or digits on both sides. `24x7@DACH` is a duty and a region.
fn is_address(piece: &str) -> bool {
    let named = |side: &str| side.chars().any(char::is_alphanumeric);
    piece.rsplit_once('@').is_some_and(|(who, host)| {
        named(who) && named(host) && !(is_duty(who) && is_capitals(host))
    })
}

/// Capitals with or without digits (`L2`), or hours and days (`24x7`, `24/7`). Digits alone are an
/// extension.
fn is_duty(who: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let pair = who.split_once(['x', '/']);
    let hours = pair.is_some_and(|(hours, days)| number(hours) && number(days));
    hours || (is_capitals(who) && !number(who))
}

/// Nothing but capitals and digits.
fn is_capitals(word: &str) -> bool {
    let is_capital = |c: char| c.is_uppercase() || c.is_ascii_digit();
    !word.is_empty() && word.chars().all(is_capital)
}

/// `DOMAIN\user`, also where the sign is doubled. `Telephony\Headset` and `SAP\FI` are paths of two
/// headings: what is a person begins with a small letter, or shows itself in another way.
fn is_logon(piece: &str) -> bool {
    let mut sides = piece.split('\\').filter(|side| !side.is_empty());
    let (Some(domain), Some(user), None) = (sides.next(), sides.next(), sides.next()) else {
        return false;
    };
    let sign = |c: char| c.is_alphanumeric() || "._-$".contains(c);
    let is_domain = domain.len() <= DOMAIN_BYTES && piece.starts_with(char::is_alphanumeric);
    let small = domain.starts_with(char::is_lowercase) && !domain.contains(char::is_uppercase);
    is_domain
        && domain.chars().chain(user.chars()).all(sign)
        && (small || is_user(user) || (is_capitals(domain) && is_initial_and_name(user)))
}

/// `ada`, `ada.lovelace`, `alovelace2`, `Ada.Lovelace`, `U123456`. `iPhone`, `HP2`, `ASP.NET` are
/// none.
fn is_user(user: &str) -> bool {
    let small = user.starts_with(char::is_lowercase) && !user.contains(char::is_uppercase);
    let dotted = user.split_once('.').is_some_and(|(name, rest)| {
        name.ends_with(char::is_lowercase) && rest.starts_with(char::is_alphabetic)
    });
    small || dotted || user.chars().filter(char::is_ascii_digit).count() >= LOGON_DIGITS
}

/// `ALovelace`, `JSmith2`.
fn is_initial_and_name(user: &str) -> bool {
    let name = user.trim_end_matches(|c: char| c.is_ascii_digit());
    let capitals = name.chars().take_while(|c| c.is_uppercase()).count();
    let mut small = name.chars().skip(capitals);
    capitals == 2
        && small.clone().count() >= SURNAME_LETTERS
        && small.all(|c| c.is_lowercase() || c == '-')
}

/// `sip:1001@pbx`, `tel:+431588`: a scheme of [`SCHEMES`] and whom it reaches. With a capital it
/// begins a heading (`SIP:Registration`) unless what follows is no word.
fn is_uri(piece: &str) -> bool {
    piece.split_once(':').is_some_and(|(scheme, who)| {
        let known = SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme));
        let heads = scheme.contains(char::is_uppercase);
        let reaches = |c: char| c.is_alphanumeric() && (!heads || c.is_numeric());
        let dotted = who.trim_end_matches('.').contains(['.', '@']);
        known && (who.contains(reaches) || dotted)
    })
}

/// A number as it is dialled from abroad: a `+` that no letter or digit stands before, and digits
/// with the signs people write between them.
fn rings(text: &str) -> bool {
    let between = |c: char| {
        c.is_whitespace()
            || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}')
            || "-./()".contains(c)
    };
    text.match_indices('+').any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let rest = text.get(at + 1..).unwrap_or_default();
        let number = rest.chars().take_while(|c| c.is_ascii_digit() || between(*c));
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
            "SIP:1001",
            "sip:ada",
            "Skype:ada.lovelace",
            "1001@PBX",
            "ada@DACH",
            "CORP\\ada.lovelace",
            "CORP\\Ada.Lovelace",
            "CORP\\alovelace2",
            "CORP\\ALovelace",
            "CORP\\U123456",
            "corp.example\\Ada",
            "CORP\\\\ada",
            "ada＠example.org",
            "ada﹫example.org",
            "ａｄａ@pbx",
            "CORP＼ada",
            "ada%40example.org",
            "CORP%5Cada",
            "+43\u{202f}664\u{202f}1234567",
            "+43 664 123\u{2011}4567",
            "+43\u{2013}664\u{2013}1234567",
            "＋43 664 1234567",
            "%2B436641234567",
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
            "SAP\\FI",
            "IT\\Network",
            "Printer\\HP2",
            "IT\\EMail",
            "Software\\ASP.NET",
            "Windows\\Server2019",
            "Hardware\\iPhone",
            "\\\\server\\share",
            "24x7@DACH",
            "24/7@DACH",
            "L2@EMEA",
            "SIP:Registration",
            "SIP:registration",
            "IM:Presence",
            "100% 24x7",
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
