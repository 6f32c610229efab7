//! The history of dnf, in SQLite: dnf 4 in `/var/lib/dnf` (`libdnf/transaction/sql` of libdnf),
//! dnf5 in `/usr/lib/sysimage/libdnf5` (`libdnf5/transaction/db/sql` of dnf5).
//!
//! Asked in memory, so up to a bound (see `database`). dnf 4 leaves its write-ahead log behind.
//! Times are seconds since 1970. `user_id` is the login's own number; without a login it is the
//! highest there is, and nobody asked.

use std::path::Path;

use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;
use rusqlite::Connection;

use super::run::{Outcome, Package, Run, Told, Verb};
use crate::sources::database;
use crate::sources::local_accounts::Accounts;
use crate::sources::look::Look;
use crate::sources::table::Trouble;

/// Where the databases stand, newer first.
pub(super) const DATABASES: [&str; 2] =
    ["/usr/lib/sysimage/libdnf5/transaction_history.sqlite", "/var/lib/dnf/history.sqlite"];

/// They and their logs, whose change wakes the source.
pub(super) const WATCHED: [&str; 6] = [
    DATABASES[0],
    "/usr/lib/sysimage/libdnf5/transaction_history.sqlite-wal",
    "/usr/lib/sysimage/libdnf5/transaction_history.sqlite-journal",
    DATABASES[1],
    "/var/lib/dnf/history.sqlite-wal",
    "/var/lib/dnf/history.sqlite-journal",
];

/// How many runs are asked for, some of which may have changed no package.
const RUNS_ASKED: u32 = 40;

/// The most packages that are asked for, of one run.
const PACKAGES_ASKED: u32 = 5_000;

/// What to ask a database for: its runs, and the packages of one but for those that failed.
struct Schema {
    /// All that are asked.
    tables: &'static [&'static str],
    runs: &'static str,
    packages: &'static str,
    verb: fn(i64) -> Option<Verb>,
}

/// What to ask, as in [`DATABASES`].
const SCHEMAS: [Schema; 2] = [
    Schema {
        tables: &["trans", "trans_item", "rpm", "pkg_names", "archs"],
        runs: "SELECT id, dt_begin, dt_end, user_id, description, state_id FROM trans
               ORDER BY id DESC LIMIT ?1",
        packages: "SELECT n.name, r.epoch, r.version, r.release, a.name, t.action_id, t.reason_id
                   FROM trans_item t JOIN rpm r ON r.item_id = t.item_id
                   JOIN pkg_names n ON n.id = r.name_id JOIN archs a ON a.id = r.arch_id
                   WHERE t.trans_id = ?1 AND t.state_id <> 3 ORDER BY t.id LIMIT ?2",
        // `trans_item_action` of its own tables.
        verb: |action| match action {
            1 => Some(Verb::Installed),
            2 => Some(Verb::Upgraded),
            3 => Some(Verb::Downgraded),
            4 => Some(Verb::Reinstalled),
            5 => Some(Verb::Removed),
            _ => None,
        },
    },
    Schema {
        tables: &["trans", "trans_item", "rpm"],
        runs: "SELECT id, dt_begin, dt_end, user_id, cmdline, state FROM trans
               ORDER BY id DESC LIMIT ?1",
        packages: "SELECT r.name, r.epoch, r.version, r.release, r.arch, t.action, t.reason
                   FROM trans_item t JOIN rpm r ON r.item_id = t.item_id
                   WHERE t.trans_id = ?1 AND t.state <> 2 ORDER BY t.id LIMIT ?2",
        // `TransactionItemAction` in libdnf/transaction/Types.hpp; what took the place of a package
        // stands on a line of its own.
        verb: |action| match action {
            1 => Some(Verb::Installed),
            2 => Some(Verb::Downgraded),
            5 | 8 => Some(Verb::Removed),
            6 => Some(Verb::Upgraded),
            9 => Some(Verb::Reinstalled),
            _ => None,
        },
    },
];

/// The state of a run that is done: dnf5 counts it after `Started`.
const DONE: [i64; 2] = [2, 1];

/// Reasons by which nobody named the package: a dependency, or a weak one.
const NEEDED: [i64; 2] = [1, 4];

pub(super) fn read(look: &mut Look<'_>) -> Result<Option<Told>, Trouble> {
    for ((path, schema), done) in DATABASES.iter().zip(&SCHEMAS).zip(DONE) {
        let path = Path::new(path);
        database::rely(look, path)?;
        let asked = database::asked(look.machine(), path, schema.tables, |database| {
            runs(database, schema, done).map_err(database::refused)
        });
        let Some(runs) = asked? else { continue };
        let accounts = Accounts::read(look.machine()).ok().flatten().unwrap_or_default();
        // A number that nobody has, or that nobody can look up, is told itself.
        let name = |who: u32| accounts.name_of(who).map_or_else(|| who.to_string(), str::to_owned);
        let named = |(run, who): (Run, i64)| {
            // -1 in 32 bits: the kernel's word for a process that no login began (audit_loginuid).
            let who = u32::try_from(who).ok().filter(|who| *who != u32::MAX);
            Run { asked_by: who.map(name), ..run }
        };
        return Ok(Some(Told { runs: runs.into_iter().map(named).collect(), unread: 0 }));
    }
    Ok(None)
}

/// The newest runs, each with the number of who asked.
fn runs(database: &Connection, schema: &Schema, done: i64) -> rusqlite::Result<Vec<(Run, i64)>> {
    let mut runs = Vec::new();
    let mut asked = database.prepare(schema.runs)?;
    let mut rows = asked.query([RUNS_ASKED])?;
    while let Some(row) = rows.next()? {
        let (id, began): (i64, i64) = (row.get(0)?, row.get(1)?);
        let Ok(began) = Timestamp::from_second(began) else { continue };
        let ended = row.get::<_, Option<i64>>(2)?.filter(|ended| *ended > 0);
        let run = Run {
            ended: ended.and_then(|ended| Timestamp::from_second(ended).ok()),
            outcome: match row.get::<_, Option<i64>>(5)? {
                Some(state) if state == done => Outcome::Success,
                _ if ended.is_none() => Outcome::Unfinished,
                _ => Outcome::Failed,
            },
            command: row.get::<_, Option<String>>(4)?.filter(|command| !command.is_empty()),
            packages: packages(database, schema, id)?,
            ..Run::new(id.to_string(), began)
        };
        runs.push((run, row.get(3)?));
    }
    Ok(runs)
}

fn packages(database: &Connection, schema: &Schema, run: i64) -> rusqlite::Result<Vec<Package>> {
    let mut asked = database.prepare(schema.packages)?;
    let mut rows = asked.query([run, i64::from(PACKAGES_ASKED)])?;
    let mut packages = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(verb) = (schema.verb)(row.get(5)?) else { continue };
        let text = |at| row.get::<_, String>(at);
        let epoch = match row.get::<_, i64>(1)? {
            0 => String::new(),
            epoch => format!("{epoch}:"),
        };
        packages.push(Package {
            verb,
            name: format!("{}.{}", text(0)?, text(4)?),
            version: format!("{epoch}{}-{}", text(2)?, text(3)?),
            automatic: NEEDED.contains(&row.get(6)?)
                && !mutant::active(Mutant::DependenciesAreAskedFor),
        });
    }
    Ok(packages)
}
