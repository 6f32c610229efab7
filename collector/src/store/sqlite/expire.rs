//! What retention takes away: old changes, events, lines of the logs of findings, cases and
//! versions, then parts nothing refers to.
//!
//! A version goes only when a later one of its section already stood at the horizon, oldest first,
//! so that whatever `manifest_at` still answers is right and all else is `None`, even when a pass
//! stops midway.

use jiff::Timestamp;
use rusqlite::params;

use super::cases::remove_cases;
use super::codec::{At, Bits};
use super::intent::remove_requests;
use super::suspects::remove_suspects;
use super::write::{Batch, Place};
use crate::store::ORPHAN_GRACE;

/// How many parts one pass looks at for each row it may remove. Only parts nothing refers to, or
/// that are on their way out, are looked at, in the order of an index of just these.
const LOOKS_PER_ROW: u64 = 4;

/// One call of the sweep.
pub(super) struct Pass {
    /// What is older goes.
    pub(super) before: Timestamp,
    /// The present, for parts on their way.
    pub(super) now: Timestamp,
    /// How many rows may go.
    pub(super) limit: u32,
    /// The part the last pass stopped at.
    pub(super) from: i64,
}

/// Makes one pass; gives how many rows went, and where the next pass over parts begins.
pub(super) fn expire(batch: &mut Batch<'_>, pass: &Pass) -> rusqlite::Result<(u64, i64)> {
    let limit = u64::from(pass.limit);
    let mut gone = remove_oldest(batch, "change", pass, limit)?;
    gone += remove_oldest(batch, "event", pass, limit - gone)?;
    gone += remove_acts(batch, pass.before, limit - gone)?;
    gone += remove_cases(batch, pass.before, limit - gone)?;
    gone += remove_suspects(batch, pass.before, limit - gone)?;
    gone += remove_requests(batch, pass.before, limit - gone)?;
    gone += remove_versions(batch, pass, limit - gone)?;
    let (parts, next) = sweep_parts(batch, pass, limit - gone)?;
    Ok((gone + parts, next))
}

fn remove_oldest(batch: &Batch<'_>, table: &str, pass: &Pass, left: u64) -> rusqlite::Result<u64> {
    let remove = format!(
        "DELETE FROM {table} WHERE id IN
             (SELECT id FROM {table} WHERE at < ?1 ORDER BY at, id LIMIT ?2)"
    );
    let removed =
        batch.db.prepare_cached(&remove)?.execute(params![At(pass.before), Bits(left)])?;
    Ok(removed as u64)
}

/// Removes old lines of the logs of findings, but those of an opening that goes on: who has it is
/// said by them, however long that is ago.
fn remove_acts(batch: &Batch<'_>, before: Timestamp, left: u64) -> rusqlite::Result<u64> {
    let mut remove = batch.db.prepare_cached(
        "DELETE FROM finding_act WHERE id IN
             (SELECT a.id FROM finding_act a INDEXED BY finding_act_by_time
              WHERE a.at < ?1 AND NOT EXISTS (
                  SELECT 1 FROM finding f
                  WHERE f.number = a.finding AND f.is_open = 1 AND f.openings = a.opening)
              ORDER BY a.at, a.id LIMIT ?2)",
    )?;
    Ok(remove.execute(params![At(before), Bits(left)])? as u64)
}

fn remove_versions(batch: &mut Batch<'_>, pass: &Pass, left: u64) -> rusqlite::Result<u64> {
    let mut gone = 0;
    for place in sections_with_past(batch, pass)? {
        if gone == left {
            break;
        }
        gone += thin_out(batch, place, (pass, left - gone))?;
    }
    batch.count("versions", -gone.cast_signed());
    Ok(gone)
}

/// The sections whose oldest version is not the one that stood at the horizon, and no others.
fn sections_with_past(batch: &Batch<'_>, pass: &Pass) -> rusqlite::Result<Vec<Place>> {
    let mut find = batch.db.prepare_cached(
        "SELECT host, source FROM section
         WHERE expires_at IS NOT NULL AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
    )?;
    let place = |row: &rusqlite::Row<'_>| Ok(Place { host: row.get(0)?, source: row.get(1)? });
    // Each has at least one version to give, so more than these are not needed.
    find.query_map(params![At(pass.before), pass.limit], place)?.collect()
}

/// Removes the oldest versions of one section that do not stand at the horizon any more.
fn thin_out(
    batch: &mut Batch<'_>,
    place: Place,
    (pass, left): (&Pass, u64),
) -> rusqlite::Result<u64> {
    let mut old = batch.db.prepare_cached(
        "SELECT ordinal FROM version WHERE host = ?1 AND source = ?2 AND ordinal < (
             SELECT max(ordinal) FROM version
             WHERE host = ?1 AND source = ?2 AND corrected_at <= ?3)
         ORDER BY ordinal LIMIT ?4",
    )?;
    let old = old
        .query_map(params![place.host, place.source, At(pass.before), Bits(left)], |row| {
            row.get::<_, i64>(0)
        })?;
    let old = old.collect::<Result<Vec<_>, _>>()?;
    let Some(first_kept) = old.last().map(|last| last + 1) else { return Ok(0) };
    let of = [place.host, place.source, first_kept];
    let mut past = batch.db.prepare_cached(
        "DELETE FROM part_past WHERE host = ?1 AND source = ?2 AND until <= ?3 RETURNING digest",
    )?;
    let past = past.query_map(of, |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    past.into_iter().for_each(|digest| batch.refer(digest, -1));
    for change in [
        "DELETE FROM version WHERE host = ?1 AND source = ?2 AND ordinal < ?3",
        "UPDATE section SET first_ordinal = ?3, expires_at = (
             SELECT min(corrected_at) FROM version
             WHERE host = ?1 AND source = ?2 AND ordinal > ?3)
         WHERE host = ?1 AND source = ?2",
    ] {
        batch.db.prepare_cached(change)?.execute(of)?;
    }
    Ok(old.len() as u64)
}

/// Looks at the next parts in turn: spares, dooms or removes each.
fn sweep_parts(batch: &mut Batch<'_>, pass: &Pass, left: u64) -> rusqlite::Result<(u64, i64)> {
    // What this pass took away counts already.
    batch.write_refs()?;
    let mut find = batch.db.prepare_cached(
        "SELECT id, doomed_at IS NOT NULL, is_here, doomed_at <= ?3, kept_at <= ?3, refs > 0
         FROM part INDEXED BY part_to_sweep
         WHERE (refs = 0 OR doomed_at IS NOT NULL) AND id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let due = pass.now.saturating_sub(ORPHAN_GRACE).unwrap_or(Timestamp::MIN);
    let looks = left.saturating_mul(LOOKS_PER_ROW);
    let rows = find.query_map(params![pass.from, Bits(looks), At(due)], |row| {
        Ok(Look {
            id: row.get(0)?,
            doomed: row.get(1)?,
            there: row.get(2)?,
            doom_is_over: row.get::<_, Option<bool>>(3)?.unwrap_or(false),
            old: row.get(4)?,
            referred: row.get(5)?,
        })
    })?;
    let looked = rows.collect::<Result<Vec<_>, _>>()?;
    let (mut gone, mut next) = (0, 0);
    for look in &looked {
        if gone == left {
            break;
        }
        gone += u64::from(settle(batch, look, pass.now)?);
        next = look.id;
    }
    batch.count("parts", -gone.cast_signed());
    let at_the_end = gone < left && (looked.len() as u64) < looks;
    Ok((gone, if at_the_end { 0 } else { next }))
}

/// What there is to know about one part.
struct Look {
    id: i64,
    doomed: bool,
    there: bool,
    doom_is_over: bool,
    old: bool,
    referred: bool,
}

/// Spares, dooms or removes one part; says whether its content went.
fn settle(batch: &Batch<'_>, look: &Look, now: Timestamp) -> rusqlite::Result<bool> {
    let doom = "UPDATE part SET doomed_at = ?2 WHERE id = ?1";
    if look.referred {
        if look.doomed {
            batch.db.prepare_cached(doom)?.execute(params![look.id, None::<i64>])?;
        }
        return Ok(false);
    }
    if look.doom_is_over || !look.there {
        for remove in ["DELETE FROM part WHERE id = ?1", "DELETE FROM part_body WHERE id = ?1"] {
            batch.db.prepare_cached(remove)?.execute([look.id])?;
        }
        return Ok(look.there);
    }
    if !look.doomed && look.old {
        batch.db.prepare_cached(doom)?.execute(params![look.id, At(now)])?;
    }
    Ok(false)
}
