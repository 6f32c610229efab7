//! What FreeSWITCH reads and XML forbids: `<` and a bare `&` inside quotes, and several elements at
//! the top, as `av.conf.xml` of its own samples has, since a file is put into another one.

/// A text as XML, line by line as it was. Where it has several elements at the top, its body
/// belongs inside another one.
pub(super) struct Mended<'a> {
    /// The declaration, which stands before everything.
    pub(super) head: &'a str,
    /// What follows it.
    pub(super) body: String,
}

/// `text` with its attributes as XML writes them.
pub(super) fn mended(text: &str) -> Mended<'_> {
    let (head, body) = prologue(text);
    let mut mended = String::with_capacity(text.len());
    let mut rest = body;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        mended.push_str(before);
        let length = ["<!--", "<![CDATA["].iter().zip(["-->", "]]>"]).find_map(|(open, close)| {
            let inner = tag.strip_prefix(*open)?;
            Some(inner.find(close).map_or(tag.len(), |end| open.len() + end + close.len()))
        });
        rest = match length {
            Some(length) => {
                let (kept, after) = tag.split_at(length);
                mended.push_str(kept);
                after
            }
            None => element(tag, &mut mended),
        };
    }
    mended.push_str(rest);
    Mended { head, body: mended }
}

/// The declaration, behind which alone an element may begin.
fn prologue(text: &str) -> (&str, &str) {
    let end = text.trim_start().strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
    end.map_or(("", text), |(_, body)| text.split_at(text.len() - body.len()))
}

/// Writes the element that `text` begins with; gives what follows it.
fn element<'a>(text: &'a str, mended: &mut String) -> &'a str {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        let rest = text.get(at..).unwrap_or_default();
        match (quote, c) {
            (None, '>') => {
                mended.push('>');
                return rest.get(1..).unwrap_or_default();
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (Some(_), '<') => {
                mended.push_str("&lt;");
                continue;
            }
            (Some(_), '&') if !is_reference(rest) => {
                mended.push_str("&amp;");
                continue;
            }
            _ => {}
        }
        mended.push(c);
    }
    ""
}

/// The longest name of an entity, in bytes.
const NAME_BYTES: usize = 32;

/// Whether `text` begins with `&name;` or `&#49;`, of the names that XML knows.
fn is_reference(text: &str) -> bool {
    let near = text.get(..text.floor_char_boundary(NAME_BYTES)).unwrap_or(text);
    let Some((name, _)) = near.strip_prefix('&').and_then(|rest| rest.split_once(';')) else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    let number = name.strip_prefix('#').map(|number| number.strip_prefix('x').unwrap_or(number));
    ["amp", "apos", "gt", "lt", "quot"].contains(&name) || number.is_some_and(digits)
}
