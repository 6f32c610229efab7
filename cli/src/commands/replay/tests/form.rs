//! The form in which lines are printed.

use serde_json::json;

use super::*;

#[test]
fn each_commit_is_a_line_in_the_form_of_the_contract() {
    let made = Made::new();
    made.commit(1_000_000_000, &[("app.ini", "[a]\nx = 1\n")]);
    made.commit(1_000_000_060, &[("app.ini", "[a]\nx = 2\n")]);
    made.commit(1_000_000_120, &[("app.ini", "# c\n[a]\nx =  2\n")]);
    made.commit(1_000_000_180, &[]);
    let lines = made.replay(&[]);
    let ids = made.git(&["rev-list", "--first-parent", "--reverse", "HEAD"]);
    let ids: Vec<&str> = ids.lines().collect();
    assert_eq!(
        said(&lines[0]),
        [
            r#"added app.ini @mode - "0644""#,
            r#"added app.ini @type - "file""#,
            "added app.ini a/x - 1",
        ]
    );
    let row = json!({
        "section": "files", "part": "app.ini", "key": "a/x", "kind": "modified",
        "before": {"value": {"integer": 1}}, "after": {"value": {"integer": 2}}, "class": null,
    });
    assert_eq!(
        lines[1],
        json!({
            "commit": ids[1], "time": "2001-09-09T01:47:40Z", "files": ["app.ini"],
            "changes": [row], "cosmetic": [], "moved": [], "unobserved": [],
        })
    );
    assert_eq!((said(&lines[2]).len(), &lines[2]["cosmetic"]), (0, &json!(["app.ini"])));
    assert_eq!((said(&lines[3]).len(), &lines[3]["files"]), (0, &json!([])));
    assert_eq!(lines.len(), 4);
}

#[test]
fn json_is_one_array_and_a_table_is_read_by_people() {
    let made = Made::new();
    made.commit(1, &[("a.ini", "[a]\nx=1\n")]);
    made.commit(2, &[("a.ini", "[a]\nx=2\n")]);
    let print = |output: Output| {
        let git = ["replay", "--git", made.path().to_str().unwrap()];
        let mut printed = Vec::new();
        Arguments::parse_from(git).replay.print(output, &mut printed).unwrap();
        String::from_utf8(printed).unwrap()
    };
    let array: Vec<Value> = serde_json::from_str(&print(Output::Json)).unwrap();
    assert_eq!(array, made.replay(&[]));
    assert!(print(Output::Table).ends_with("\n  modified  a.ini  a/x  1  2\n"));
}
