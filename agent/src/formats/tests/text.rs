//! Text without a format.

use super::super::{FormatError, lines, text::FORMAT};
use super::{check, check_differs, check_same};

#[test]
fn text_is_kept_by_line_comments_included() {
    check(&FORMAT, "# a\n\n b \n", &[r##"lines = lines ["# a", "", " b"]"##]);
    check(&FORMAT, "", &["lines = lines []"]);
}

#[test]
fn line_ends_and_trailing_blanks_mean_nothing() {
    check_same(&FORMAT, "a\nb\n", "a \r\nb\t\n\n\n");
    check_differs(&FORMAT, "a\nb", "b\na");
    check_differs(&FORMAT, "a", " a");
}

#[test]
fn more_lines_than_a_part_may_hold_are_too_large() {
    let text = "x\n".repeat(20_001);
    assert_eq!((FORMAT.read)(text.as_bytes()), Err(FormatError::TooLarge));
}

#[test]
fn no_two_files_give_one_text() {
    assert_eq!(lines::decode(b"\xef\xbb\xbfGr\xfc\\xfc"), "Gr\\xfc\\x5cxfc");
    assert_eq!(lines::decode(b"\\xfc"), "\\xfc");
}
