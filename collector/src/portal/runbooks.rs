//! What to do when an alert rings: the runbooks of `docs/runbooks`, which come with the program.
//!
//! The link of an alert leads to the collector that it is about: where people may read its portal
//! they may read this, and it is of the same version as the program. Which alert is whose stands
//! in Prometheus' rules, of which this page knows nothing.

mod reading;

use askama::Template;

use self::reading::{Block, Span};
use super::{PageError, STYLE_PATH};

/// Name and text of every runbook, in the order of their names; the folder `docs/runbooks` has the
/// same.
const RUNBOOKS: &[(&str, &str)] = &[
    ("CaseVolumeAboveExpected", include_str!("../../../docs/runbooks/CaseVolumeAboveExpected.md")),
    ("CasesPastServiceLevel", include_str!("../../../docs/runbooks/CasesPastServiceLevel.md")),
    ("DriftlineAgentSilent", include_str!("../../../docs/runbooks/DriftlineAgentSilent.md")),
    ("DriftlineBlindSpot", include_str!("../../../docs/runbooks/DriftlineBlindSpot.md")),
    (
        "DriftlineCaseSourceUnread",
        include_str!("../../../docs/runbooks/DriftlineCaseSourceUnread.md"),
    ),
    ("DriftlineCasesHeld", include_str!("../../../docs/runbooks/DriftlineCasesHeld.md")),
    ("DriftlineCollectorQuiet", include_str!("../../../docs/runbooks/DriftlineCollectorQuiet.md")),
    ("DriftlineDriftOpen", include_str!("../../../docs/runbooks/DriftlineDriftOpen.md")),
    ("DriftlineDriftUnjudged", include_str!("../../../docs/runbooks/DriftlineDriftUnjudged.md")),
    ("DriftlineFleetBlindSpot", include_str!("../../../docs/runbooks/DriftlineFleetBlindSpot.md")),
    (
        "DriftlineFleetFindingsOpen",
        include_str!("../../../docs/runbooks/DriftlineFleetFindingsOpen.md"),
    ),
    (
        "DriftlineFleetHostsSilent",
        include_str!("../../../docs/runbooks/DriftlineFleetHostsSilent.md"),
    ),
    (
        "DriftlineFleetLedgerImbalance",
        include_str!("../../../docs/runbooks/DriftlineFleetLedgerImbalance.md"),
    ),
    (
        "DriftlineLedgerImbalance",
        include_str!("../../../docs/runbooks/DriftlineLedgerImbalance.md"),
    ),
    ("DriftlineReloadRefused", include_str!("../../../docs/runbooks/DriftlineReloadRefused.md")),
    ("DriftlineSourceFailing", include_str!("../../../docs/runbooks/DriftlineSourceFailing.md")),
    ("DriftlineTokenExpiring", include_str!("../../../docs/runbooks/DriftlineTokenExpiring.md")),
    (
        "DriftlineUnauthorisedChange",
        include_str!("../../../docs/runbooks/DriftlineUnauthorisedChange.md"),
    ),
    ("DriftlineWatchdog", include_str!("../../../docs/runbooks/DriftlineWatchdog.md")),
];

#[derive(Template)]
#[template(path = "runbooks.html")]
struct List {
    style: &'static str,
    /// Each with what its alert means.
    runbooks: Vec<(&'static str, Vec<Span>)>,
}

#[derive(Template)]
#[template(path = "runbook.html")]
struct Page {
    style: &'static str,
    name: &'static str,
    blocks: Vec<Block>,
}

/// Draws the list.
///
/// # Errors
/// [`PageError::Template`].
pub(super) fn list() -> Result<String, PageError> {
    let meaning = |text| {
        let mut blocks = reading::blocks(text).into_iter();
        blocks.find_map(|block| match block {
            Block::Paragraph(spans) => Some(spans),
            Block::Heading(_) | Block::Items { .. } | Block::Code(_) => None,
        })
    };
    let one =
        |(name, text): &(&'static str, &'static str)| (*name, meaning(*text).unwrap_or_default());
    let runbooks = RUNBOOKS.iter().map(one).collect();
    Ok(List { style: STYLE_PATH, runbooks }.render()?)
}

/// Draws the runbook of the alert `name`.
///
/// # Errors
/// [`PageError::NotFound`] when there is none.
pub(super) fn page(name: &str) -> Result<String, PageError> {
    let mut all = RUNBOOKS.iter();
    let found = all.find(|(one, _)| *one == name);
    let (name, text) = found.ok_or(PageError::NotFound { what: "runbook" })?;
    Ok(Page { style: STYLE_PATH, name, blocks: reading::blocks(text) }.render()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runbook_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbooks");
        let entries = std::fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut there: Vec<String> =
            names.filter_map(|name| Some(name.strip_suffix(".md")?.to_owned())).collect();
        there.sort();
        let embedded: Vec<&str> = RUNBOOKS.iter().map(|(name, _)| *name).collect();
        assert_eq!(there, embedded, "docs/runbooks and RUNBOOKS differ");
    }

    #[test]
    fn a_runbook_is_told_whole_and_shows_no_mark_of_its_file() {
        for (name, text) in RUNBOOKS {
            let html = page(name).unwrap();
            for heading in ["Meaning", "Impact", "Diagnosis", "Mitigation"] {
                assert!(html.contains(&format!("<h2>{heading}</h2>")), "{name} has no {heading}");
            }
            let (_, shown) = html.split_once("<h1>").unwrap();
            let (shown, _) = shown.split_once("</article>").unwrap();
            let mut told = String::new();
            for piece in shown.split('<') {
                let (tag, piece) = piece.split_once('>').unwrap_or(("", piece));
                // What is code stands there as it is.
                if !["code", "pre"].contains(&tag) {
                    for mark in ["`", "*", "](", "## "] {
                        assert!(!piece.contains(mark), "{name} shows {mark}: {piece}");
                    }
                }
                told += piece;
            }
            let mut pieces = text.split("](");
            let mut written = pieces.next().unwrap_or_default().to_owned();
            written.extend(pieces.filter_map(|piece| Some(piece.split_once(')')?.1)));
            let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count();
            assert!(letters(&told) >= letters(&written), "{name} lost text: {told}");
        }
    }

    #[test]
    fn an_alert_nobody_knows_has_no_runbook() {
        for name in ["", "DriftlineNone", "../changes", "driftlinewatchdog"] {
            assert!(matches!(page(name), Err(PageError::NotFound { what: "runbook" })), "{name}");
        }
    }
}
