//! Files in which a line takes the settings above it: `signalling=fxo_ks`, then `channel => 1-4`.
//!
//! A setting lasts until another one replaces it, so the taking lines have an order and each is
//! shown with the settings that stand between it and the one before: a change of one setting is one
//! change, though it reaches every channel below.

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::{RawItem, RawItems};

use super::super::FormatError;
use super::document::{Document, Variable};
use super::items::{Items, Naming, below};
use super::settings::{self, Place};

/// Names that take the settings above them.
const TAKERS: &[&str] = &["channel", "crv", "line", "port", "trunk"];

/// The items of a file of channels.
pub(super) fn read(document: &Document) -> Result<RawItems, FormatError> {
    let mut items = Items::default();
    let paths = items.frame(document, Naming::Apart)?;
    for (path, section) in paths.iter().zip(&document.sections) {
        let takes = |v: &Variable| TAKERS.iter().any(|taker| v.name.eq_ignore_ascii_case(taker));
        let mut rest = section.variables.as_slice();
        while let Some(at) = rest.iter().position(takes) {
            let (settings, Some((taker, after))) = (
                rest.get(..at).unwrap_or_default(),
                rest.get(at..).and_then(<[Variable]>::split_first),
            ) else {
                break;
            };
            let block = below(path, &[&format!("{}={}", taker.name, taker.value)]);
            items.rank(path, block.clone(), RawItem::plain(ItemValue::Nothing));
            let place = Place::new(&block, section);
            for variable in settings {
                settings::add(&mut items, &place, variable)?;
            }
            rest = after;
        }
        let place = Place::new(path, section);
        for variable in rest {
            settings::add(&mut items, &place, variable)?;
        }
    }
    items.finish()
}
