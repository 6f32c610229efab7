//! Impact of a change within its host: what [`reach`](crate::analysis::reach) says of the files of
//! that host as they were after it, read from the store.

use driftline_protocol::ids::PartName;
use driftline_protocol::item::ItemKey;
use driftline_protocol::snapshot::{Content, Observed, Part};
use serde::Serialize;

use crate::analysis::reach::{Reach, may_reach, reach};
use crate::store::{ChangeRecord, StoreError};
use crate::writer::Reads;

/// The most items that are looked through for one answer: some tenths of a second. Files are taken
/// by name, and what is left is told as not looked through.
pub const ITEMS_MOST: usize = 500_000;

/// As how many items a file counts beside its own: reading one from the store costs about as much.
const FILE_COST: usize = 10;

/// Where one change is felt beside the item itself: its impact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Impact {
    /// How many places, and the first of them.
    #[serde(flatten)]
    pub reach: Reach,
    /// Whether every file was looked through; else there may be more places.
    pub whole: bool,
}

/// Where else `record` is felt, of all files of its section as they were after it. `None` where
/// that is at most one place, or where its files are no longer kept or could not be read.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn impact(store: &dyn Reads, record: &ChangeRecord) -> Result<Option<Impact>, StoreError> {
    let (part, Some(key)) = (&record.change.part, &record.change.key) else { return Ok(None) };
    let Some(manifest) = store.manifest_at(&record.host, &record.source, record.at)? else {
        return Ok(None);
    };
    let read = |digest| Ok::<_, StoreError>(store.part(digest)?.and_then(content));
    let Some(own) = manifest.0.get(part).map(read).transpose()?.flatten() else { return Ok(None) };
    if !may_reach(&own.reading.parser, key) {
        return Ok(None);
    }
    look(
        (part, key),
        &own,
        manifest.0.iter().map(|(name, digest)| Ok((name, read(digest)?))),
        ITEMS_MOST,
    )
}

/// A part whose content was read.
fn content(part: Part) -> Option<Observed> {
    match part {
        Part::Observed(observed) => Some(observed).filter(|seen| seen.content == Content::Read),
        Part::Unobserved(_) => None,
    }
}

/// A file that was looked for, and what was read of it.
type Looked<'a> = Result<(&'a PartName, Option<Observed>), StoreError>;

/// Looks through `files`, one by one and only where that is needed, until they hold `most` items.
fn look<'a>(
    changed: (&PartName, &ItemKey),
    own: &Observed,
    files: impl Iterator<Item = Looked<'a>>,
    most: usize,
) -> Result<Option<Impact>, StoreError> {
    let mut left = most;
    let mut whole = true;
    let mut failed = None;
    let files = files.map_while(|file| match file {
        Ok((name, seen)) => {
            let rest =
                left.checked_sub(FILE_COST + seen.as_ref().map_or(0, |seen| seen.items.len()));
            whole = rest.is_some();
            left = rest?;
            Some((name, seen))
        }
        Err(error) => {
            failed = Some(error);
            None
        }
    });
    let found = reach(changed, own, files.filter_map(|(name, seen)| Some((name, seen?))));
    match failed {
        Some(error) => Err(error),
        None => Ok(found.map(|reach| Impact { reach, whole })),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use driftline_protocol::canonical::scope_digest;
    use driftline_protocol::item::{Item, ItemValue};
    use driftline_protocol::snapshot::Reading;

    use super::*;

    fn script(items: &[(ItemKey, &str)]) -> Observed {
        let item = |text: &str| Item { value: ItemValue::text(text), rank: None };
        Observed {
            reading: Reading {
                parser: "kamailio".into(),
                version: 1,
                scope: scope_digest([""; 0]),
            },
            raw: None,
            size: None,
            content: Content::Read,
            items: items.iter().map(|(key, text)| (key.clone(), item(text))).collect(),
        }
    }

    fn found(most: usize) -> Option<(u64, bool)> {
        let key = ItemKey::of(["define", "SBC"]);
        let files: BTreeMap<PartName, Observed> = ["a", "b", "c", "d"]
            .map(|name| {
                let uses = ItemKey::of(["modparam", name]);
                (name.parse().unwrap(), script(&[(uses, "sip:SBC:5060"), (key.clone(), "sbc1")]))
            })
            .into();
        let part = "a".parse().unwrap();
        let rows = files.iter().map(|(name, seen)| Ok((name, Some(seen.clone()))));
        let impact = look((&part, &key), &files[&part], rows, most).unwrap();
        impact.map(|impact| (impact.reach.places, impact.whole))
    }

    #[test]
    fn what_was_not_looked_through_is_told() {
        let all = found(usize::MAX);
        assert_eq!(all.map(|(_, whole)| whole), Some(true), "{all:?}");
        let cost = 4 * (FILE_COST + 2);
        assert_eq!(found(cost), all);
        let less = found(cost - 1);
        assert!(matches!((less, all), (Some((some, false)), Some((more, _))) if some < more));
        assert_eq!(found(FILE_COST + 1), None);
    }

    #[test]
    fn a_store_that_fails_is_no_answer() {
        let key = ItemKey::of(["define", "SBC"]);
        let own = script(&[]);
        let broken = || Err(StoreError::Damaged { what: "a test".into() });
        let part = "a".parse().unwrap();
        look((&part, &key), &own, std::iter::once_with(broken), ITEMS_MOST).unwrap_err();
    }
}
