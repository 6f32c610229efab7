//! The tree stands alone: it names nothing outside itself, and what it names inside is there.

use super::tree::{Offence, Tree};

/// What a stranger opens first.
const FRONT: [&str; 5] =
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"];

/// Headings of CONTRIBUTING.md: the four things a newcomer wants to add.
const RECIPES: [&str; 4] = ["add a source", "add a format", "add a rule", "add an alert"];

/// The pages a stranger opens first are there.
pub(crate) fn front_pages(tree: &Tree) -> Vec<Offence> {
    let offence = |place: &str, what: String| Offence {
        check: "front_pages",
        place: place.into(),
        what,
        why: "walls in heads are invisible; a stranger has only these pages",
        cure: "write the page; the code map and the invariants belong to ARCHITECTURE.md",
    };
    let missing = FRONT.iter().filter(|page| tree.get(page).is_none_or(str::is_empty));
    let guide = tree.get("CONTRIBUTING.md").unwrap_or_default().to_lowercase();
    let recipes = RECIPES.iter().filter(|recipe| !guide.is_empty() && !guide.contains(*recipe));
    missing
        .map(|page| offence(page, "is missing".into()))
        .chain(
            recipes.map(|recipe| offence("CONTRIBUTING.md", format!("says nothing of: {recipe}"))),
        )
        .collect()
}

/// The code map names every module of a crate that has more than a handful of them.
pub(crate) fn unmapped_module(tree: &Tree) -> Vec<Offence> {
    let map = tree.get("ARCHITECTURE.md").unwrap_or_default();
    let modules = ["agent", "collector"].into_iter().flat_map(|name| {
        let list = tree.get(&format!("{name}/src/lib.rs")).unwrap_or_default();
        let modules = list.lines().filter_map(|line| line.strip_prefix("pub mod "));
        modules.map(move |module| (name, module.trim_end_matches(';')))
    });
    let unmapped = modules.filter(|(_, module)| !map.contains(&format!("`{module}`")));
    unmapped
        .map(|(name, module)| Offence {
            check: "unmapped_module",
            place: format!("{name}/src/{module}.rs"),
            what: "is not in the code map".into(),
            why: "who looks for the place of something new reads the map, and finds what it names",
            cure: "say in ARCHITECTURE.md what it does, where data passes it",
        })
        .collect()
}

/// No path leaves the tree, and every link in a Markdown page leads to something that is there.
pub(crate) fn outside_or_dead(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (path, text) in tree.files("", "") {
        for (line, number) in text.lines().zip(1..) {
            offences.extend(outside(path, line).map(|what| Offence {
                check: "outside",
                place: format!("{path}:{number}"),
                what,
                why: "the project stands alone: nothing beside it exists on another machine",
                cure: "copy what is needed into the tree, or do without it",
            }));
        }
    }
    for (path, text) in tree.files("", ".md") {
        offences.extend(dead(tree, path, text).map(|target| Offence {
            check: "dead_link",
            place: path.into(),
            what: format!("leads to {target}, which is not there"),
            why: "a reader who meets one dead link trusts no other",
            cure: "correct the link or write the page",
        }));
    }
    offences
}

/// What in this line lies outside the tree.
fn outside(path: &str, line: &str) -> Option<String> {
    // In two halves, so that this page is not its own offence.
    let places =
        [["/wo", "rk/"], ["/tmp", "/w/"], ["../sha", "red"], [".lib", "rary/"]].map(|h| h.concat());
    let named = places.iter().find(|place| {
        line.match_indices(place.as_str()).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || "_-./{}".contains(c))
        })
    });
    if let Some(place) = named {
        return Some(format!("names {place}"));
    }
    // In code, `../` is often a value (a hostile path in a test); only reading through one escapes.
    let reads = ["include_", "#[path", "MANIFEST_DIR", "File::open", "read_to_string"];
    if path.ends_with(".rs") && !reads.iter().any(|call| line.contains(call)) {
        return None;
    }
    let depth = path.matches('/').count();
    let climbs = line
        .match_indices("../")
        .filter(|(at, _)| !line[..*at].ends_with("../"))
        .map(|(at, _)| line.as_bytes()[at..].chunks(3).take_while(|c| *c == b"../").count())
        .max()?;
    let climbs =
        if line.contains("MANIFEST_DIR") { climbs + depth.saturating_sub(1) } else { climbs };
    (climbs > depth).then(|| format!("climbs {climbs} folders from a depth of {depth}"))
}

/// Targets of relative links that are not in the tree.
fn dead<'a>(tree: &'a Tree, path: &'a str, text: &'a str) -> impl Iterator<Item = String> + 'a {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    text.split("](").skip(1).filter_map(move |rest| {
        let target = rest.split([')', '#', ' ']).next()?;
        if target.is_empty() || target.contains(':') || target.starts_with('/') {
            return None;
        }
        let full = resolve(folder, target);
        (!full.is_empty() && !tree.has(&full)).then_some(full)
    })
}

fn resolve(folder: &str, target: &str) -> String {
    let mut steps: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    steps.join("/")
}
