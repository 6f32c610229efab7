//! The change log is complete: applied to one snapshot it gives the next, by an applier of our own.
//!
//! The applier works on JSON and knows only what the protocol says of items, ranks and kinds.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use anyhow::Context;
use driftline_tests::edits::{Dice, Editor};
use driftline_tests::programs;
use driftline_tests::wait::{self, PATIENCE};
use serde_json::Value;

use super::pair::Pair;

/// Items of a part by key; parts by source and name.
type Items = BTreeMap<String, Value>;
type State = BTreeMap<(String, String), Items>;

/// The items of a snapshot, and which parts have unread content.
fn items(snapshot: &Value) -> anyhow::Result<(State, Vec<(String, String)>)> {
    let (mut state, mut unread) = (State::new(), Vec::new());
    for (source, section) in snapshot["sections"].as_object().context("sections")? {
        for (name, part) in section["parts"].as_object().context("parts")? {
            let place = (source.clone(), name.clone());
            let Some(observed) = part.get("observed") else {
                unread.push(place);
                continue;
            };
            if observed["content"] != "read" {
                unread.push(place.clone());
            }
            let items = observed["items"].as_object().context("items")?;
            state.insert(place, items.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
        }
    }
    Ok((state, unread))
}

/// Applies the changes of one version of one part.
fn apply(items: &mut Items, changes: &[&Value]) -> anyhow::Result<()> {
    let mut placed: BTreeMap<u64, (String, Value)> = BTreeMap::new();
    for change in changes {
        let Some(key) = change["key"].as_str() else { continue };
        let kind = change["kind"].as_str().context("a kind")?;
        let was = items.remove(key);
        // What a change says was there must have been there, place apart: items before it may have
        // gone in the same version.
        if kind != "added" {
            let was = was.with_context(|| format!("{kind} of {key}, which was not there"))?;
            anyhow::ensure!(was["value"] == change["before"]["value"], "{key} was {was}");
        } else {
            anyhow::ensure!(was.is_none(), "{key} was added and was there");
        }
        if kind == "removed" {
            continue;
        }
        let after = change["after"].clone();
        match after.get("rank").and_then(Value::as_u64) {
            Some(rank) => drop(placed.insert(rank, (key.to_string(), after))),
            None => drop(items.insert(key.to_string(), after)),
        }
    }
    let mut rest: Vec<(u64, String)> = items
        .iter()
        .filter_map(|(key, item)| Some((item.get("rank")?.as_u64()?, key.clone())))
        .collect();
    rest.sort();
    let mut rest = rest.into_iter().map(|(_, key)| key);
    let total = placed.len() + rest.len();
    for place in 0..total as u64 {
        match placed.remove(&place) {
            Some((key, item)) => drop(items.insert(key, item)),
            None => {
                let key = rest.next().context("ranks without gaps")?;
                items.get_mut(&key).context("known")?["rank"] = place.into();
            }
        }
    }
    Ok(())
}

/// The state after `changes`, which are oldest first, and the parts that were read anew by another
/// reader in between: of these the log says only that, so their content is taken as it is.
fn apply_all(
    mut state: State,
    changes: &[Value],
) -> anyhow::Result<(State, Vec<(String, String)>)> {
    let mut recast = Vec::new();
    let mut at = 0;
    while let Some(first) = changes.get(at) {
        let same = |row: &&Value| {
            row["generation"] == first["generation"]
                && row["source"] == first["source"]
                && row["change"]["part"] == first["change"]["part"]
        };
        let group: Vec<&Value> =
            changes[at..].iter().take_while(same).map(|row| &row["change"]).collect();
        at += group.len();
        let name = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let place = (name(&first["source"]), name(&first["change"]["part"]));
        if group.iter().any(|change| change["kind"] == "recast") {
            recast.push(place.clone());
        }
        if recast.contains(&place) {
            continue;
        }
        let part = state.entry(place.clone()).or_default();
        apply(part, &group).with_context(|| format!("{place:?}: {group:?}"))?;
        if part.is_empty() {
            state.remove(&place);
        }
    }
    Ok((state, recast))
}

/// Files in which order means something and in which it does not.
fn plant(etc: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(etc.join("d/deep"))?;
    std::fs::write(etc.join("hosts"), "127.0.0.1 localhost lo\n10.0.0.1 pbx pbx.example\n")?;
    std::fs::write(etc.join("shells"), "/bin/sh\n/bin/bash\n/bin/dash\n")?;
    std::fs::write(etc.join("fstab"), "/dev/a / ext4 ro 0 1\n/dev/b /srv ext4 rw 0 2\n")?;
    std::fs::write(etc.join("nsswitch.conf"), "passwd: files systemd\nhosts: files dns\n")?;
    std::fs::write(etc.join("hosts.allow"), "sshd: 10.\nALL: 127.\nin.tftpd: 192.168.\n")?;
    std::fs::write(etc.join("app.json"), "{\"codecs\": [\"ulaw\", \"alaw\"], \"a\": {\"b\": 1}}")?;
    std::fs::write(etc.join("app.ini"), "[one]\nx = 1\ny = 2\n[two]\nx = 3\n")?;
    std::fs::write(etc.join("free.txt"), "the quick\nbrown fox\njumps over\n")?;
    for n in 0..12 {
        let text = format!("key_{n} = value\nother_{n} = value\nthird = {n}\n");
        std::fs::write(etc.join(format!("d/k{n}.conf")), text)?;
    }
    Ok(())
}

/// Turns the order of a file's lines round, or of a JSON list: meaning or not, as the format says.
fn reorder(etc: &Path, dice: &mut Dice, round: u64) -> anyhow::Result<()> {
    let names = ["hosts", "shells", "fstab", "nsswitch.conf", "hosts.allow", "free.txt"];
    // Not app.ini: lines that change their section are other items, lines before all sections are
    // another format.
    let pick = usize::try_from(dice.below(names.len() as u64 + 3))?;
    if let Some(name) = names.get(pick) {
        let text = std::fs::read_to_string(etc.join(name))?;
        let mut lines: Vec<&str> = text.lines().collect();
        let by = usize::try_from(dice.below(lines.len() as u64))?;
        lines.rotate_left(by);
        let extra = match *name {
            "hosts" => format!("10.1.{}.{} host-{round}\n", round / 250, round % 250),
            "hosts.allow" => format!("svc{round}: 10.\n"),
            "fstab" => format!("/dev/x{round} /mnt/{round} ext4 rw 0 2\n"),
            "free.txt" => format!("line {round}\n"),
            _ => String::new(),
        };
        // The new line goes in the middle, so that places shift on one side only.
        let middle = lines.len() / 2;
        let (head, tail) = lines.split_at(middle);
        let text = format!("{}\n{extra}{}\n", head.join("\n"), tail.join("\n"));
        return Ok(std::fs::write(etc.join(name), text)?);
    }
    let codecs = ["\"ulaw\", \"alaw\"", "\"alaw\", \"g722\", \"ulaw\"", "\"g722\""];
    let codec = codecs[usize::try_from(dice.below(3))?];
    let text = format!("{{\"a\": {{\"b\": {round}}}, \"codecs\": [{codec}]}}");
    Ok(std::fs::write(etc.join("app.json"), text)?)
}

/// Another owner and group, or mode, of one file.
fn reown(etc: &Path, dice: &mut Dice) -> anyhow::Result<()> {
    let file = etc.join("hosts");
    let (owner, group) = (u32::try_from(dice.below(3))?, u32::try_from(dice.below(3))?);
    chown(&file, Some(owner), Some(group)).context("changing an owner")?;
    let mode = 0o600 | u32::try_from(dice.below(64))?;
    Ok(std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode))?)
}

#[test]
fn applying_the_reported_changes_to_one_snapshot_gives_the_next() -> anyhow::Result<()> {
    if !super::is_root("apply")? {
        return Ok(());
    }
    let seed = super::seed("apply")?;
    let mut pair = Pair::started(|tree| plant(&tree.join("etc")))?;
    let etc = pair.tree().join("etc");
    let (mut dice, mut editor) = (Dice::new(seed), Editor::new(&pair.tree(), seed));
    let rounds = programs::count("DRIFTLINE_SNAPSHOTS", 25)?;
    let named = |path: &str| !path.starts_with("/etc/d/");
    let mut seen = pair.changes()?.len();
    let mut kinds = BTreeMap::new();
    for round in 1..=rounds {
        let (before, _) = items(&pair.snapshot()?)?;
        for _ in 0..=dice.below(6) {
            match dice.below(4) {
                0 => reorder(&etc, &mut dice, round)?,
                1 => reown(&etc, &mut dice)?,
                _ => drop(editor.edit("etc", &named)?),
            }
        }
        let marker = format!("marker-{seed}-{round}-end");
        std::fs::write(etc.join("first.conf"), format!("first = {marker}\n"))?;
        pair.wait_for(&marker)?;
        // The snapshot and the log are two questions; they are of one moment once neither moves.
        let (now, log) = settled(&pair)?;
        let (after, unread) = items(&now)?;
        let fresh = log.get(seen..).unwrap_or_default();
        seen = log.len();
        for row in fresh {
            *kinds.entry(row["change"]["kind"].to_string()).or_insert(0u32) += 1;
        }
        let (mut applied, recast) =
            apply_all(before, fresh).with_context(|| format!("seed {seed}"))?;
        let mut after = after;
        for place in unread.iter().chain(&recast) {
            applied.remove(place);
            after.remove(place);
        }
        compare(&applied, &after).with_context(|| format!("seed {seed}, round {round}"))?;
    }
    eprintln!("{rounds} snapshots, {seen} changes {kinds:?}, seed {seed}");
    Ok(())
}

/// The snapshot and the log once three looks at them in a row agree.
fn settled(pair: &Pair) -> anyhow::Result<(Value, Vec<Value>)> {
    let mut last = (Value::Null, Vec::new());
    let mut same = 0;
    wait::until("nothing moves any more", PATIENCE, || {
        wait::while_quiet(std::time::Duration::from_millis(400), || Ok(None))?;
        let now = (pair.snapshot()?["sections"].clone(), pair.changes()?);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        Ok((same >= 3).then_some(()))
    })?;
    Ok((serde_json::json!({ "sections": last.0 }), last.1))
}

fn compare(applied: &State, after: &State) -> anyhow::Result<()> {
    for place in applied.keys().chain(after.keys()) {
        let (ours, theirs) = (applied.get(place), after.get(place));
        anyhow::ensure!(ours == theirs, "{place:?}\napplied  {ours:?}\nsnapshot {theirs:?}");
    }
    Ok(())
}
