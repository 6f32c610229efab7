//! What clients log in with: netrc(5), which apt has as `auth.conf`, and the configuration of curl.
//!
//! A word of netrc may stand on any line, so only its order says what it is. curl takes its options
//! with or without dashes, and `=`, `:` or blanks before the value; see curl(1), `--config`.

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems};

use super::build::Builder;
use super::lines::{BLANKS, decode, meaningful, original, words};
use super::{Format, FormatError};

/// Logins by machine.
pub static NETRC: Format = Format {
    name: "netrc",
    version: 1,
    ordered: "nothing",
    claims: |path, _| {
        let file = name(path);
        file.ends_with("netrc") || path == "/etc/apt/auth.conf" || path.contains("/auth.conf.d/")
    },
    read: netrc,
};

/// Options of curl.
pub static CURL: Format = Format {
    name: "curlrc",
    version: 1,
    ordered: "the values of a repeated option keep their order; options have none",
    claims: |path, _| matches!(name(path), "curlrc" | ".curlrc" | "_curlrc"),
    read: curl,
};

/// Options whose value is `user:password`, or `certificate:password`.
const LOGINS: &[&str] = &["E", "U", "cert", "proxy-cert", "proxy-user", "u", "user"];

/// Options of one letter that have a value.
const VALUED: &str = "ACDEFHKPQTUXYbcdehmortuwxyz";

/// Options whose value is a secret.
const SECRETS: &[&str] = &["oauth2-bearer", "pass", "proxy-pass", "proxy-tlspassword"];

fn name(path: &str) -> &str {
    original(path).rsplit('/').next().unwrap_or_default()
}

fn netrc(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let mut items = Builder::default();
    let mut machine = "(no machine)";
    let mut words = meaningful(&text, &['#']).flat_map(|(_, line)| words(line));
    while let Some(word) = words.next() {
        match word {
            "default" => machine = "default",
            "machine" => machine = words.next().unwrap_or_default(),
            "login" => {
                let login = words.next().unwrap_or_default();
                items.set_each(&[machine, "login"], ItemValue::text(login))?;
            }
            // What is no word of netrc may be the body of a macro, or a password with a blank.
            _ => {
                let named = matches!(word, "password" | "account" | "macdef");
                let secret = if named { words.next().unwrap_or_default() } else { word };
                let key = [machine, if named { word } else { "(more)" }];
                items.each_item(&key, RawItem::secret(ItemValue::text(secret)))?;
            }
        }
    }
    Ok(items.finish())
}

/// What stands behind a single dash: letters without a value, the last option, and its value, which
/// may be attached to it: `-sSuname:password`.
fn short_options(letters: &str) -> (&str, &str, &str) {
    let end = letters.find(['=', ' ', '\t']).unwrap_or(letters.len());
    let (word, _) = letters.split_at(end);
    let valued = word.char_indices().find(|(_, letter)| VALUED.contains(*letter));
    let last = valued.or_else(|| word.char_indices().next_back());
    let (at, letter) = last.unwrap_or((0, ' '));
    let (flags, option) = letters.split_at(at);
    let (option, rest) = option.split_at(if word.is_empty() { 0 } else { letter.len_utf8() });
    (flags, option, rest)
}

fn curl(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let mut items = Builder::default();
    for (_, line) in meaningful(&text, &['#']) {
        let (option, rest) = match line.strip_prefix('-').filter(|rest| !rest.starts_with('-')) {
            Some(letters) => {
                let (flags, option, rest) = short_options(letters);
                for (at, flag) in flags.char_indices() {
                    let flag = flags.get(at..at + flag.len_utf8()).unwrap_or_default();
                    items.set(ItemKey::of([flag]), ItemValue::Nothing)?;
                }
                (option, rest)
            }
            None => {
                let line = line.trim_start_matches('-');
                line.split_at(line.find(['=', ':', ' ', '\t']).unwrap_or(line.len()))
            }
        };
        let value = rest.trim_start_matches(['=', ':', ' ', '\t']).trim_end_matches(BLANKS);
        let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let value = quoted.unwrap_or(value);
        if SECRETS.contains(&option) {
            items.each_item(&[option], RawItem::secret(ItemValue::text(value)))?;
        } else if let (true, Some((user, secret))) =
            (LOGINS.contains(&option), value.split_once(':'))
        {
            items.set_each(&[option], ItemValue::text(user))?;
            let secret = RawItem::secret(ItemValue::text(secret));
            items.each_item(&[option, "password"], secret)?;
        } else if value.is_empty() {
            items.set(ItemKey::of([option]), ItemValue::Nothing)?;
        } else {
            // With its name, so that a header or a body is read as what it is.
            items.add(ItemKey::of([option]), ItemValue::text(value))?;
        }
    }
    Ok(items.finish())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_same};
    use super::{CURL, NETRC};

    #[test]
    fn a_password_of_netrc_may_stand_on_any_line() {
        let expected = [
            r#"default/login = "w""#,
            r#"default/password = "y" secret"#,
            r#"h/login = "u""#,
            r#"h/password = "kAn4ry" secret"#,
        ];
        let text = "machine h login u password kAn4ry\ndefault login w password y\n";
        check(&NETRC, text, &expected);
        let apart = "machine h\n login\nu\n  password\n\nkAn4ry\ndefault\nlogin w password y";
        check_same(&NETRC, text, apart);
        check(&NETRC, "kAn4ry\n", &[r#"(no machine)/(more) = "kAn4ry" secret"#]);
    }

    #[test]
    fn of_a_login_of_curl_the_user_is_told() {
        let expected = [
            r#"proxy = "http://h:3128""#,
            "silent = nothing",
            r#"user = "u""#,
            r#"user/password = "kAn4ry:x" secret"#,
        ];
        check(&CURL, "user = \"u:kAn4ry:x\"\nsilent\nproxy http://h:3128\n", &expected);
        check_same(&CURL, "user=u:x\n", "# who\n--user \"u:x\"\n");
        let attached = [r#"u = "name""#, r#"u/password = "kAn4ry" secret"#];
        for line in ["-uname:kAn4ry", "-u name:kAn4ry", "-u \"name:kAn4ry\"", "u=name:kAn4ry"] {
            check(&CURL, line, &attached);
        }
        let flags = ["S = nothing", "s = nothing", attached[0], attached[1]];
        check(&CURL, "-sSuname:kAn4ry\n", &flags);
        check(&CURL, "-sS\n", &["S = nothing", "s = nothing"]);
    }
}
