//! What dpkg does to configuration files, and what a hand does in the same minutes.

use std::collections::BTreeMap;

use driftline_collector::analysis::change::{Change, ChangeKind};
use driftline_collector::classification::judge;
use driftline_collector::config::load;
use driftline_collector::store::{Append as _, ChangeFilter, NewPart, ReadHistory as _, Step};
use driftline_protocol::canonical::scope_digest;
use driftline_protocol::ids::{Digest, FingerprintDigest, KeyId};
use driftline_protocol::item::{Fingerprint, Item, ItemKey, ItemValue};
use driftline_protocol::manifest::ManifestDelta;
use driftline_protocol::snapshot::{Content, Observed, Part, Reading};

use super::small::{PART, at, store, text, version_step};

/// The keyed digest of a file that says `letter`.
fn digest(letter: u8) -> Fingerprint {
    Fingerprint { key: KeyId([1; 8]), digest: FingerprintDigest([letter; 16]) }
}

fn part(raw: Option<Fingerprint>, items: Vec<(ItemKey, Item)>) -> Part {
    Part::Observed(Observed {
        reading: Reading { parser: "t".into(), version: 1, scope: scope_digest([""; 0]) },
        raw,
        size: None,
        content: Content::Read,
        items: items.into_iter().collect(),
    })
}

fn said(value: ItemValue) -> Item {
    Item { value, rank: None }
}

/// A version of a section at `minute`; a part that is `None` is gone.
fn seen(
    (source, minute, generation): (&str, i64, u64),
    parts: &[(&str, Option<Part>)],
    changes: Vec<Change>,
) -> (Vec<NewPart>, Step) {
    let (mut set, mut unset, mut new) = (BTreeMap::new(), Vec::new(), Vec::new());
    for (name, part) in parts {
        match part.clone().map(NewPart::new) {
            Some(part) => {
                set.insert(name.parse().unwrap(), *part.digest());
                new.push(part);
            }
            None => unset.push(name.parse().unwrap()),
        }
    }
    let delta = ManifestDelta { base: None, set, unset: unset.into_iter().collect() };
    let step = version_step((source, minute, generation), (Digest([0; 32]), delta), changes);
    (new, Step::Version(Box::new(step)))
}

/// dpkg's table; it says nothing of files where nothing is told, as with an older agent.
fn dpkg(version: &str, shipped: Option<Option<ItemValue>>) -> Vec<(&'static str, Option<Part>)> {
    let mut items = vec![
        (ItemKey::of(["sip:all", "version"]), text(version)),
        (ItemKey::of(["sip:all", "conffile", PART]), said(ItemValue::Flag(true))),
    ];
    if let Some(told) = shipped {
        let of = |path: &str, value| (ItemKey::momentary(["shipped", path]), said(value));
        items.push(of("/etc/another.conf", ItemValue::Flag(false)));
        items.extend(told.map(|value| of(PART, value)));
    }
    vec![("dpkg", Some(part(None, items)))]
}

/// How a change of the file at minute 10 is classified, of whose package dpkg tells at minute 12.
fn class(
    (key, kind): (ItemKey, ChangeKind),
    after: Option<u8>,
    shipped: Option<Option<ItemValue>>,
) -> (String, String) {
    #[cfg(feature = "mutants")]
    driftline_protocol::mutant::check().unwrap();
    let config = load::parse("t", "[[change_source]]\nname = \"itsm\"\n").unwrap();
    let mut store = store();
    let file = |raw: Option<u8>| vec![(PART, raw.map(|raw| part(Some(digest(raw)), Vec::new())))];
    let change = |part: &str, key, kind| Change {
        part: part.parse().unwrap(),
        key: Some(key),
        kind,
        before: (kind != ChangeKind::Added).then(|| text("1")),
        after: (kind != ChangeKind::Removed).then(|| text("2")),
    };
    let old = Some(Some(ItemValue::Fingerprint(digest(b'o'))));
    let upgraded = change("dpkg", ItemKey::of(["sip:all", "version"]), ChangeKind::Modified);
    for (new, step) in [
        seen(("files", 0, 1), &file(Some(b'o')), Vec::new()),
        seen(("packages", 0, 1), &dpkg("1", old), Vec::new()),
        seen(("files", 10, 2), &file(after), vec![change(PART, key, kind)]),
        seen(("packages", 12, 2), &dpkg("2", shipped), vec![upgraded]),
    ] {
        store.write(&new, &[step], at(20)).unwrap();
    }
    store.apply(&judge(&store, &config, at(20)).unwrap().steps).unwrap();
    let all = store.changes(&ChangeFilter::default()).unwrap();
    let record = all.into_iter().find(|one| one.change.part.as_str() == PART).unwrap();
    let decision = record.classified.unwrap().decision;
    (decision.class.map_or("none", |class| class.as_str()).to_owned(), decision.says)
}

fn shipped(letter: u8) -> Option<Option<ItemValue>> {
    Some(Some(ItemValue::Fingerprint(digest(letter))))
}

#[test]
fn a_hand_that_edits_while_dpkg_works_is_not_dpkgs() {
    let codec = || (ItemKey::of(["codec"]), ChangeKind::Modified);
    let (as_shipped, because) = class(codec(), Some(b'n'), shipped(b'n'));
    assert_eq!(as_shipped, "expected", "{because}");
    let (otherwise, because) = class(codec(), Some(b'x'), shipped(b'n'));
    assert_eq!(otherwise, "unauthorised", "{because}");
    assert!(because.contains("this is not what it ships"), "{because}");
    // The file that dpkg found had been edited, and it left it alone.
    let edited = Some(Some(ItemValue::Flag(false)));
    assert_eq!(class(codec(), Some(b'x'), edited).0, "unauthorised");
    // An older agent does not tell.
    assert_eq!(class(codec(), Some(b'x'), None).0, "expected");
}

#[test]
fn dpkg_keeps_modes_and_brings_nothing_back() {
    let mode = |kind| (ItemKey::attribute("mode"), kind);
    assert_eq!(class(mode(ChangeKind::Modified), Some(b'n'), shipped(b'n')).0, "unauthorised");
    assert_eq!(class(mode(ChangeKind::Added), Some(b'n'), shipped(b'n')).0, "expected");
    let gone = || (ItemKey::of(["codec"]), ChangeKind::Removed);
    assert_eq!(class(gone(), None, Some(None)).0, "expected", "the package ships it no more");
    assert_eq!(class(gone(), None, Some(Some(ItemValue::Flag(false)))).0, "unauthorised");
}
