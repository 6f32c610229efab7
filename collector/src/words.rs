//! Numbers in sentences for people.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_kind_is_no_plural() {
        assert_eq!([0, 1, 2].map(|many| counted(many, "host")), ["0 hosts", "1 host", "2 hosts"]);
    }
}
