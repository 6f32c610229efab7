//! Numbers in sentences for people, and what they may have meant to write.

use std::fmt::Display;

/// `1 host`, `2 hosts`: how many there are of what `one` is called.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(many: N, one: &str) -> String {
    format!("{many} {one}{}", either(many, "", "s"))
}

/// `one` of one, `several` of any other number: `is` and `are`.
pub fn either<N: PartialEq + From<u8>>(
    many: N,
    one: &'static str,
    several: &'static str,
) -> &'static str {
    if many == N::from(1) { one } else { several }
}

/// What is said of a name that nothing has: `what` there is not, and the command that lists those
/// there are.
pub fn unknown(what: impl Display, command: &str) -> String {
    format!("there is no {what}; `{command}` lists those there are")
}

/// The one of `names` that is written most like `text`, where any is near: at most a third of its
/// letters are others.
pub fn nearest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    let low = text.to_lowercase();
    let near = names.iter().map(|name| (distance(&low, &name.to_lowercase()), *name)).min()?;
    (near.0 * 3 <= text.chars().count().max(3)).then_some(near.1)
}

/// How many letters have to be put in, taken out or changed to get from one text to the other
/// (Levenshtein), by one row of the table at a time.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (place, letter) in from.chars().enumerate() {
        let mut next = vec![place + 1];
        for (column, other) in to.iter().enumerate() {
            let at = |of: &[usize], column: usize| of.get(column).copied().unwrap_or(usize::MAX);
            let changed = at(&row, column) + usize::from(letter != *other);
            let least = changed.min(at(&row, column + 1) + 1).min(at(&next, column) + 1);
            next.push(least);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_kind_is_no_plural() {
        assert_eq!([0, 1, 2].map(|many| counted(many, "host")), ["0 hosts", "1 host", "2 hosts"]);
    }

    #[test]
    fn what_is_written_nearly_so_is_what_was_meant() {
        let names = ["files", "firewall", "network", "graz"];
        for (text, meant) in [
            ("file", Some("files")),
            ("fierwall", Some("firewall")),
            ("Gratz", Some("graz")),
            ("gratz", Some("graz")),
            ("", None),
            ("vienna", None),
        ] {
            assert_eq!(nearest(text, &names), meant, "{text}");
        }
        assert_eq!(nearest("file", &[]), None);
    }
}
