//! What reads, or queues, without an end.

use super::pages::own_code;
use super::tree::{Offence, Tree};

/// Where a bound may be set before a call, in lines above it.
const NEAR: usize = 6;

/// Where the bounded forms are made, and a mutant that shows what they are for.
const MAKERS: [&str; 2] = ["protocol/src/limits.rs", "collector/src/serve/body.rs"];

/// Programs read and queue with a bound: what a host, an export or a browser sends has no end by
/// itself. `disallowed-methods` says the same of pure modules only.
pub(crate) fn unbounded(tree: &Tree) -> Vec<Offence> {
    let calls = [
        [".read_to_", "end("].concat(),
        [".read_to_", "string(&mut"].concat(),
        ["decode_", "all("].concat(),
        ["unbounded_", "channel"].concat(),
        ["mpsc::", "channel()"].concat(),
    ];
    let programs = ["agent/src/", "collector/src/", "cli/src/", "protocol/src/"];
    let files = programs.iter().flat_map(|program| tree.files(program, ".rs"));
    let own = files.filter(|(path, _)| !MAKERS.contains(path) && !path.contains("tests"));
    own.flat_map(|(path, text)| {
        let lines: Vec<&str> = own_code(text).lines().collect();
        let is_bounded = |at: usize| {
            let from = at.saturating_sub(NEAR);
            lines.iter().take(at + 1).skip(from).any(|line| line.contains(".take("))
        };
        let found = lines.iter().enumerate().filter_map(|(at, line)| {
            let call = calls.iter().find(|call| line.contains(call.as_str()))?;
            (!is_bounded(at)).then_some((at + 1, call))
        });
        found.map(move |(line, call)| Offence {
            check: "unbounded",
            place: format!("{path}:{line}"),
            what: format!("`{call}` with nothing that ends it"),
            why: "everything is bounded: whoever sends decides how much there is",
            cure: "protocol::limits::read_bounded, `.take(…)` above it, or a queue with a length",
        }).collect::<Vec<_>>()
    })
    .collect()
}
