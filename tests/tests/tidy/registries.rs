//! A source or format that exists is listed, fuzzed where it parses, and has a row in the manual.

use super::tree::{Offence, Tree, stem};

/// A kind of plug-in: where its files are, what marks one, where the list stands, where the manual
/// is.
struct Registry {
    check: &'static str,
    files: &'static str,
    mark: &'static str,
    list: &'static str,
    manual: &'static str,
    /// Other lists that have its name, each within these signs.
    besides: &'static [(&'static str, char)],
    /// Whether it parses: then it is fuzzed, and has tests that name it.
    fuzzed: bool,
}

const SOURCES: Registry = Registry {
    check: "unlisted_source",
    files: "agent/src/sources/",
    mark: "impl Source for",
    list: "agent/src/sources.rs",
    manual: "docs/sources.md",
    besides: &[("collector/src/metrics/table.rs", '"'), ("README.md", '`')],
    fuzzed: false,
};

const FORMATS: Registry = Registry {
    check: "unlisted_format",
    files: "agent/src/formats/",
    mark: ": Format = Format",
    list: "agent/src/formats.rs",
    manual: "docs/formats.md",
    besides: &[],
    fuzzed: true,
};

/// What marks one of several products that share a source.
const PRODUCT: &str = ": Product = Product";

/// Each source is in `sources::all` and in the manual.
pub(crate) fn unlisted_source(tree: &Tree) -> Vec<Offence> {
    SOURCES.offences(tree)
}

/// Each format is in the list of formats, has tests, a fuzz target and a row in the manual.
pub(crate) fn unlisted_format(tree: &Tree) -> Vec<Offence> {
    FORMATS.offences(tree)
}

/// Where the list of mutants stands.
const MUTANTS: &str = "protocol/src/mutant.rs";

/// Each mutant is somewhere in the code, and some promise must fail against it.
pub(crate) fn unproven_mutant(tree: &Tree) -> Vec<Offence> {
    let list = tree.get(MUTANTS).unwrap_or_default();
    let lines = list.split("\nmutants! {").nth(1).unwrap_or_default().lines();
    let names = lines.take_while(|line| *line != "}").filter_map(|line| {
        let name = line.trim().strip_suffix(',')?;
        name.chars().all(|c| c.is_ascii_alphanumeric()).then_some(name)
    });
    let snake = |name: &str| {
        let mut snake = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        snake
    };
    let lacks = |name: &str| {
        let (used, row) = (format!("Mutant::{name}"), format!("\"{}\"", snake(name)));
        let whole = |text: &str| {
            let next = |rest: &str| rest.chars().next().is_some_and(char::is_alphanumeric);
            text.split(&used).skip(1).any(|rest| !next(rest))
        };
        let is_used = tree.files("", ".rs").any(|(path, text)| path != MUTANTS && whole(text));
        let has_row =
            tree.files("tests/tests/", "/mutants.rs").any(|(_, text)| text.contains(&row));
        [
            (!is_used).then(|| format!("{name} is nowhere in the code")),
            (!has_row).then(|| format!("no row {row} in a mutants.rs below tests/tests")),
        ]
    };
    names
        .flat_map(|name| lacks(name).into_iter().flatten())
        .map(|what| Offence {
            check: "unproven_mutant",
            place: MUTANTS.into(),
            what,
            why: "a fault that no test is tried against proves nothing",
            cure: "one line where the promise is kept, one row with the test that must fail",
        })
        .collect()
}

impl Registry {
    fn offences(&self, tree: &Tree) -> Vec<Offence> {
        tree.files(self.files, ".rs")
            .filter(|(_, text)| text.contains(self.mark))
            .flat_map(|(path, text)| {
                self.lacks(tree, self.name(path), text).map(move |what| (path, what))
            })
            .map(|(path, what)| Offence {
                check: self.check,
                place: path.into(),
                what,
                why: "the folder is the feature list: what is not listed does not run",
                cure: "copy what its neighbour in the folder has: line, row, fuzz target",
            })
            .collect()
    }

    /// The name of a plug-in; one that has a folder is called after it.
    fn name<'a>(&self, path: &'a str) -> &'a str {
        let below = path.strip_prefix(self.files).unwrap_or(path);
        below.split_once('/').map_or_else(|| stem(path), |(folder, _)| folder)
    }

    fn lacks(&self, tree: &Tree, name: &str, text: &str) -> impl Iterator<Item = String> {
        // `std::time::` is no source called `time`.
        let begins =
            |text: &str| !text.ends_with(|c: char| c.is_alphanumeric() || ":_".contains(c));
        let listed = tree.get(self.list).is_some_and(|list| {
            let called = format!("{name}::");
            list.match_indices(&called).any(|(at, _)| list.get(..at).is_some_and(begins))
        });
        // What holds several formats or products has a row for each, by the name it gives them.
        let folder = format!("{}{name}/", self.files);
        let products = tree.files(&folder, ".rs").map(|(_, text)| text);
        let products = products.filter(|text| text.contains(PRODUCT));
        let texts = products.chain(self.fuzzed.then_some(text));
        let names = |text: &'_ str| -> Vec<String> {
            let rests = text.split("name: \"").skip(1);
            rests.filter_map(|rest| Some(rest.split('"').next()?.to_owned())).collect()
        };
        let named: Vec<String> = texts.flat_map(names).collect();
        let rows = if named.is_empty() { vec![name.to_owned()] } else { named };
        let manual = tree
            .get(self.manual)
            .is_some_and(|page| rows.iter().all(|row| page.contains(&format!("`{row}`"))));
        let missing = self.besides.iter().find_map(|(page, sign)| {
            let text = tree.get(page)?;
            let row = rows.iter().find(|row| !text.contains(&format!("{sign}{row}{sign}")))?;
            Some(format!("`{row}` is not in {page}"))
        });
        // One target over the whole list fuzzes every format, and every one that comes later.
        let fuzzed = !self.fuzzed
            || tree.files("", ".rs").filter(|(path, _)| path.contains("fuzz_targets/")).any(
                |(_, text)| {
                    text.contains(&format!("{name}::"))
                        || ["formats::all", "formats::ALL", "formats::FORMATS"]
                            .iter()
                            .any(|list| text.contains(list))
                },
            );
        let tested = !self.fuzzed || text.contains("#[cfg(test)]") || {
            let path = |path: &str| path.contains("/tests/") || path.ends_with("/tests.rs");
            tree.files(self.files, ".rs").any(|(file, text)| {
                let own = file.strip_prefix(&folder).is_some();
                path(file) && (own || text.contains(&format!("{name}::")))
            })
        };
        [
            (!tested).then(|| format!("no test below {} reads it", self.files)),
            (!listed).then(|| format!("is not in the list of {}", self.list)),
            (!manual).then(|| format!("has no row `{name}` in {}", self.manual)),
            missing,
            (!fuzzed).then(|| "no fuzz target reads it".to_string()),
        ]
        .into_iter()
        .flatten()
    }
}
