//! Characters of other systems' text that people should not meet as they are.

/// Whether `c` is seen as nothing, or turns what stands around it: marks of direction, joints and
/// spaces without a width, ends of lines that are none to a terminal. Two names that differ in one
/// of these look the same, and a mark of direction can make one look like another.
pub const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_direction_and_what_has_no_width_are_not_seen() {
        for c in ['\u{200e}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{200b}', '\u{feff}', '\u{ad}']
        {
            assert!(is_invisible(c), "{:x}", u32::from(c));
        }
        for c in ['a', 'ä', ' ', '\u{a0}', '–', '\u{2030}', '漢', 'ع', '🙂'] {
            assert!(!is_invisible(c), "{c}");
        }
    }
}
