//! The code's own tidiness: one walk over the tree, every offence at once, each with reason and
//! cure.
//!
//! A check is a pure function from the tree to offences, so the same checks judge small trees made
//! to offend (`mutants`). It knows nothing of Rust's grammar: it reads lines, and where that is not
//! enough to be sure it stays silent rather than guess. What the compiler and clippy refuse is not
//! repeated here.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise, and its messages are for the terminal"
)]

mod alerts;
mod bounds;
mod crates;
mod golden;
mod links;
mod metrics;
mod mutants;
mod pages;
mod registries;
mod tree;

use tree::{Offence, Tree};

/// Looks at the whole tree and says what offends.
type Check = fn(&Tree) -> Vec<Offence>;

/// Every check, in the order a reader meets them.
const CHECKS: [Check; 23] = [
    pages::long_file,
    pages::wide_line,
    pages::no_header,
    pages::leftover,
    pages::unsafe_elsewhere,
    pages::sleeping_test,
    pages::unnamed_module,
    pages::unmeasured_row,
    crates::arrows,
    crates::versions_in_one_place,
    crates::pure_headers,
    metrics::unknown_metric,
    metrics::unwritten_metric,
    alerts::complete_alert,
    alerts::orphan_runbook,
    registries::unlisted_source,
    registries::unlisted_format,
    registries::unproven_mutant,
    bounds::unbounded,
    golden::every_message,
    links::front_pages,
    links::unmapped_module,
    links::outside_or_dead,
];

fn offences(tree: &Tree) -> Vec<Offence> {
    CHECKS.iter().flat_map(|check| check(tree)).collect()
}

#[test]
fn the_tree_is_tidy() {
    let tree = Tree::read(&driftline_tests::programs::workspace());
    let offences = offences(&tree);
    for offence in &offences {
        eprintln!("{offence}\n");
    }
    assert!(offences.is_empty(), "{} offences in {} files", offences.len(), tree.len());
}
