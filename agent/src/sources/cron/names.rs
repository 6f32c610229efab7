//! Which files of a folder count as tables and as scripts, by their names.
//!
//! Debian's cron takes in `/etc/cron.d` what its run-parts(8) takes among scripts: letters, digits,
//! `_` and `-`. cronie (`not_a_crontab` in `src/database.c`) takes all but hidden files, copies of
//! editors and what rpm leaves behind, and so does the run-parts of `crontabs` beside it. Tables of
//! users are named by their users, whose names may have dots, wherever they stand.

use std::path::Path;

use driftline_protocol::mutant::{self, Mutant};

use crate::formats::crontab::{EDITED, LEFT};
use crate::machine::Machine;

/// What only Debian and its kin have.
pub(super) const DEBIAN: &str = "/etc/debian_version";

/// What run-parts of `crontabs` passes over beside them.
const LEFT_OF_SCRIPTS: [&str; 4] = [",", ",v", ".swp", ".cfsaved"];

/// Whose names count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Debian's: nothing but letters, digits, `_` and `-`.
    Debian,
    /// cronie's: all but what is left behind.
    Cronie,
}

impl Names {
    /// As this machine's system has them.
    pub(super) fn of(machine: &Machine) -> Self {
        let is_debian = machine.stat_followed(Path::new(DEBIAN)).is_ok_and(|stat| stat.is_some());
        if is_debian { Self::Debian } else { Self::Cronie }
    }

    /// Whether cron reads a file of this name in its folder of tables.
    pub(super) fn is_table(self, name: &[u8]) -> bool {
        match self {
            _ if mutant::active(Mutant::LeftTablesCount) => true,
            Self::Debian => is_plain(name),
            Self::Cronie => !is_left(name, &[]),
        }
    }

    /// Whether a file of this name in `cron.daily` and its kin runs.
    pub(super) fn is_script(self, name: &[u8]) -> bool {
        match self {
            _ if mutant::active(Mutant::LeftTablesCount) => true,
            Self::Debian => is_plain(name),
            Self::Cronie => !is_left(name, &LEFT_OF_SCRIPTS),
        }
    }
}

/// Whether a file of this name is a user's table.
pub(super) fn is_table_of_user(name: &[u8]) -> bool {
    !is_left(name, &[]) && !name.starts_with(EDITED.as_bytes())
}

fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
}

/// Whether a name is hidden, or ends as what is left behind.
fn is_left(name: &[u8], more: &[&str]) -> bool {
    name.starts_with(b".")
        || name.starts_with(b"#")
        || LEFT.iter().chain(more).any(|end| name.ends_with(end.as_bytes()))
}
