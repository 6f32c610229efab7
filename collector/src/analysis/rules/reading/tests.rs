//! Mistakes name file, line and column and say what to do.

use super::*;

const HEAD: &str = "title = 'T'\n[[rule]]\nname = 'x'\ntitle = 'X'\nseverity = 'info'\n\
    reason = 'r'\nreference = 'r'\nsource = 'files'\npart = '/a'\n";
const EXAMPLES: &str = "[[rule.example]]\nfires = true\nitems = { port = 23 }\n\
    [[rule.example]]\nfires = false\nitems = { port = 22 }\n";

fn check(body: &str, expect: &[&str]) {
    let text = format!("{HEAD}{body}{EXAMPLES}");
    let mistakes = match read("p.toml", "p", &text) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes,
    };
    let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), expect.len(), "{body}: {told:#?}");
    for (told, expect) in told.iter().zip(expect) {
        assert!(told.contains(expect), "{told} does not say {expect}");
    }
}

#[test]
fn a_mistake_names_file_line_column_and_hint() {
    check("key = 'port'\noperator = 'is'\nvalue = 22\n", &[]);
    check("key = 'port'\nexpression = 'value == 22'\n", &[]);
    check("key = 'port'\n", &["p.toml:2:1: x demands nothing; add `operator`"]);
    check("key = 'port'\noperator = 'is'\n", &["p.toml:11:12: this operator needs a value"]);
    check("key = 'port'\noperator = 'equals'\n", &["p.toml:11:12: unknown variant `equals`"]);
    check("kee = 'port'\n", &["p.toml:10:1: unknown field `kee`"]);
    check(
        "key = 'port'\noperator = 'is'\nvalue = '$most'\n",
        &["p.toml:12:9: there is no parameter"],
    );
    check("key = 'port'\nexpression = 'value == '\n", &["p.toml:11:24: Syntax error"]);
    check("key = 'port'\nexpression = 'port == 22'\n", &["`port` is not known"]);
    check("key = 'port'\noperator = 'within'\nvalue = 22\n", &["p.toml:12:9: 1 values do not fit"]);
    check("operator = 'is'\nvalue = 22\n", &["without a key", "does not fire here"]);
    check("key = 'p*'\noperator = 'is'\nvalue = 22\ndefault = 1\n", &["p.toml:13:11: a pattern"]);
}

#[test]
fn an_example_that_is_wrong_and_one_that_is_missing_are_told() {
    let wrong = "key = 'port'\noperator = 'is'\nvalue = 23\n";
    check(
        wrong,
        &["p.toml:13:1: x does not fire here; the example says", "p.toml:16:1: x fires here"],
    );
    let text = format!("{HEAD}key = 'port'\noperator = 'present'\n");
    let told = read("p.toml", "p", &text).unwrap_err();
    assert!(told[0].to_string().starts_with("p.toml:3:8: x lacks an example"), "{told:?}");
}

#[test]
fn the_same_name_twice_is_refused() {
    let one = format!(
        "{}key = 'port'\noperator = 'is'\nvalue = 22\n{EXAMPLES}",
        HEAD.trim_start_matches("title = 'T'\n")
    );
    let text = format!("title = 'T'\n{one}{one}");
    let told = read("p.toml", "p", &text).unwrap_err();
    assert!(told[0].problem.contains("two rules of the name x"), "{told:?}");
}
