//! How pages read: size, width, first line, leftovers, and files nobody names. Reads lines, not
//! grammar.

use std::collections::BTreeSet;

use super::tree::{Offence, Tree, stem};

const FILE_LINES: usize = 500;
const COLUMNS: usize = 100;

/// A page is at most [`FILE_LINES`] lines, its tests apart.
pub(crate) fn long_file(tree: &Tree) -> Vec<Offence> {
    tree.files("", ".rs")
        .filter(|(path, _)| !is_test_page(path))
        .filter_map(|(path, text)| {
            let lines = own_code(text).lines().count();
            (lines > FILE_LINES).then(|| Offence {
                check: "long_file",
                place: path.into(),
                what: format!("{lines} lines before its tests, {FILE_LINES} allowed"),
                why: "every anchor's ugliest page is past this size",
                cure: "split by idea, one function per table or section, composed by a list",
            })
        })
        .collect()
}

/// A line is at most [`COLUMNS`] characters.
pub(crate) fn wide_line(tree: &Tree) -> Vec<Offence> {
    tree.lines("", ".rs")
        .filter(|(_, line)| line.chars().count() > COLUMNS)
        .map(|(place, line)| Offence {
            check: "wide_line",
            place,
            what: format!("{} columns, {COLUMNS} allowed", line.chars().count()),
            why: "two pages side by side fit a screen; rustfmt does not wrap comments and strings",
            cure: "break the line",
        })
        .collect()
}

/// A page begins by saying what it is.
pub(crate) fn no_header(tree: &Tree) -> Vec<Offence> {
    tree.files("", ".rs")
        .filter(|(_, text)| !text.starts_with("//! ") || text.starts_with("//! x\n"))
        .map(|(path, _)| Offence {
            check: "no_header",
            place: path.into(),
            what: "does not begin with `//! `".into(),
            why: "walls are invisible in code: what it does not know and keeps true stands there",
            cure: "say what it is, what it deliberately does not know, what invariant it keeps",
        })
        .collect()
}

/// Nothing unfinished, switched off or left from debugging. An issue number makes a note legal.
pub(crate) fn leftover(tree: &Tree) -> Vec<Offence> {
    // Written in two halves, so that this page is not its own offence.
    let notes = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|halves| halves.concat());
    let code = [["db", "g!("], ["tod", "o!("], ["unimplem", "ented!("], ["#[ign", "ore"]]
        .map(|halves| halves.concat());
    let mut offences = Vec::new();
    for (place, line) in written(tree) {
        let note = notes.iter().find(|note| {
            line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == *note)
                && !line.contains(&format!("{note}(#"))
        });
        let in_code = place.split(':').next().unwrap_or_default().ends_with(".rs");
        let switch = code.iter().find(|text| in_code && line.contains(text.as_str()));
        offences.extend(note.or(switch).map(|text| Offence {
            check: "leftover",
            place,
            what: text.clone(),
            why: "nothing is called done that is not, and a test that does not run protects nobody",
            cure: "do it now, or open an issue and name it: NOTE(#12)",
        }));
    }
    offences
}

/// The one page on which a declaration of ours may be unsafe.
const UNSAFE_PAGE: &str = "agent/src/platform/unix/heap.rs";

/// Nothing that the compiler cannot check, but for one declaration on a page of its own.
pub(crate) fn unsafe_elsewhere(tree: &Tree) -> Vec<Offence> {
    // Written in two halves, so that this page is not its own offence.
    let word = ["unsafe", "_code"].concat();
    let allowed = |line: &str| {
        ["allow(", "expect(", "warn("].iter().any(|lint| line.contains(&format!("{lint}{word}")))
    };
    let on_page = |place: &str| place.split(':').next() == Some(UNSAFE_PAGE);
    written(tree)
        .filter(|(place, line)| allowed(line) && !on_page(place))
        .map(|(place, line)| Offence {
            check: "unsafe_elsewhere",
            place,
            what: line.trim().into(),
            why: "what the compiler cannot check is kept where everybody looks for it",
            cure: "find a crate that does it safely, or say why on the page of unsafe declarations",
        })
        .collect()
}

/// What README says was measured stands in the results of the same run.
pub(crate) fn unmeasured_row(tree: &Tree) -> Vec<Offence> {
    let results = tree.get("benches/RESULTS.md").unwrap_or_default();
    let measured: BTreeSet<&str> = results.lines().collect();
    let rows = tree.get("README.md").unwrap_or_default().lines().zip(1..);
    rows.skip_while(|(line, _)| *line != "<!-- measured -->")
        .take_while(|(line, _)| *line != "<!-- end of what was measured -->")
        .filter(|(line, _)| line.starts_with('|') && !measured.contains(line))
        .map(|(line, number)| Offence {
            check: "unmeasured_row",
            place: format!("README.md:{number}"),
            what: line.into(),
            why: "a number that no run printed is a claim",
            cure: "run benches/run, which writes both pages",
        })
        .collect()
}

fn written(tree: &Tree) -> impl Iterator<Item = (String, &str)> {
    [".rs", ".toml", ".md", ".yaml", ".yml", ".json", "/run", ".sh", ".html", ".ts", ".service"]
        .into_iter()
        .flat_map(|end| tree.lines("", end))
}

/// How far above a pause the bounded loop stands that asks a condition between pauses.
const WAIT_LINES: usize = 8;

fn is_bounded(line: &&str) -> bool {
    line.trim_start().starts_with("for _ in 0..")
}

/// A test waits for a condition with a limit, never for time to pass.
pub(crate) fn sleeping_test(tree: &Tree) -> Vec<Offence> {
    let sleep = ["sle", "ep("].concat();
    tree.files("", ".rs")
        .filter(|(path, _)| *path != "tests/src/wait.rs")
        .flat_map(|(path, text)| {
            let whole = is_test_page(path) || path.starts_with("tests/");
            let skip = if whole { 0 } else { own_code(text).len() };
            let above = text[..skip].lines().count();
            let lines: Vec<&str> = text[skip..].lines().collect();
            let waits = |at: usize| lines[at.saturating_sub(WAIT_LINES)..at].iter().any(is_bounded);
            let sleeps = (0..lines.len()).filter(|at| lines[*at].contains(&sleep) && !waits(*at));
            sleeps.map(|at| (path, above + at + 1, lines[at])).collect::<Vec<_>>()
        })
        .filter(|(_, _, line)| !line.trim_start().starts_with("//"))
        .map(|(path, number, _)| Offence {
            check: "sleeping_test",
            place: format!("{path}:{number}"),
            what: "sleeps".into(),
            why: "a sleep is too short on a busy machine and too long on an idle one",
            cure: "wait for the condition: driftline_tests::wait::until, or a channel with a limit",
        })
        .collect()
}

/// Every source file is named by a module, a manifest, or is a root of its own.
pub(crate) fn unnamed_module(tree: &Tree) -> Vec<Offence> {
    tree.files("", ".rs")
        .filter(|(path, _)| !is_root(path) && !is_named(tree, path))
        .map(|(path, _)| Offence {
            check: "unnamed_module",
            place: path.into(),
            what: "no module names this file".into(),
            why: "it is not compiled, so nothing it says is checked",
            cure: "name it in its parent (`mod …;`) or delete it",
        })
        .collect()
}

fn is_root(path: &str) -> bool {
    let folders: Vec<&str> = path.split('/').collect();
    let file = folders.last().copied().unwrap_or_default();
    let parent = folders.iter().rev().nth(1).copied().unwrap_or_default();
    matches!(file, "main.rs" | "lib.rs" | "build.rs")
        || (matches!(parent, "tests" | "benches" | "examples" | "bin") && folders.len() <= 4)
}

fn is_named(tree: &Tree, path: &str) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let manifest_names = tree.files("", "Cargo.toml").any(|(_, text)| {
        text.contains(&format!("/{file}\"")) || text.contains(&format!("\"{file}\""))
    });
    if manifest_names {
        return true;
    }
    let (name, home) = if file == "mod.rs" {
        let (home, name) = folder.rsplit_once('/').unwrap_or(("", folder));
        (name, home)
    } else {
        (stem(file), folder)
    };
    let parents = ["/mod.rs", "/lib.rs", "/main.rs", ".rs"].map(|end| format!("{home}{end}"));
    let declared = format!("mod {name};");
    let by_path = format!("/{file}\"]");
    let inline = format!("#[path = \"{file}\"]");
    parents.iter().filter_map(|parent| tree.get(parent)).any(|text| {
        text.lines().any(|line| {
            let line = line.trim();
            line.ends_with(&declared) || line.ends_with(&by_path) || line == inline
        })
    })
}

/// What of a page is no test: all before the module of its tests, where that stands in the page
/// itself. A page may name another one (`mod tests;`), or one line for tests, before its own code.
pub(crate) fn own_code(text: &str) -> &str {
    const MARK: &str = "#[cfg(test)]\n";
    let begins = |at: &usize| {
        let starts_line = *at == 0 || text[..*at].ends_with('\n');
        let mut behind = text[at + MARK.len()..].lines().skip_while(|line| line.starts_with("#["));
        let opens = |line: &str| {
            let is_module =
                line.starts_with("mod ") || line.starts_with("pub") && line.contains(" mod ");
            is_module && line.ends_with('{')
        };
        starts_line && behind.next().is_some_and(opens)
    };
    let tests = text.match_indices(MARK).map(|(at, _)| at).find(begins);
    &text[..tests.unwrap_or(text.len())]
}

pub(crate) fn is_test_page(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/src/") && path.contains("/tests/")
}
