//! How bad findings are with what their class makes of them, and a list of open ones that has the
//! worst first: its places, and what may be asked of it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use driftline_protocol::ids::HostId;
use jiff::Timestamp;

use super::{Cursor, CursorError, FindingRecord, OpenCount};
use crate::analysis::classify::weigh::FindingClass;
use crate::analysis::finding::{FindingKind, Severity};

/// Which open findings are asked for, the worst first; every field narrows.
#[derive(Clone, Debug, Default)]
pub struct WorstFilter {
    /// On these hosts; nothing means all.
    pub hosts: Option<BTreeSet<HostId>>,
    /// Of this kind.
    pub kind: Option<FindingKind>,
    /// As bad as this.
    pub severity: Option<Severity>,
    /// Of these classes; empty means all.
    pub classes: Vec<FindingClass>,
    /// After this place in the list, for the next page.
    pub after: Option<Badness>,
    /// At most this many; 0 means [`super::DEFAULT_LIMIT`].
    pub limit: u32,
}

/// A place in a list of open findings that has the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Badness {
    /// Whether it asks for nobody: it was meant, or is noise.
    pub quiet: bool,
    /// How bad it is.
    pub severity: Severity,
    /// Since when.
    pub at: Timestamp,
    /// The number of the finding.
    pub number: i64,
}

impl fmt::Display for Badness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { quiet, severity, at, number } = *self;
        let place = Cursor { at, number };
        write!(f, "{}.{}.{place}", u8::from(quiet), severity.as_str())
    }
}

impl FromStr for Badness {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let mut words = text.splitn(3, '.');
        let quiet = match words.next() {
            Some("0") => false,
            Some("1") => true,
            Some(_) | None => return Err(CursorError),
        };
        let word = words.next().ok_or(CursorError)?;
        let severity = Severity::ALL.into_iter().find(|one| one.as_str() == word);
        let Cursor { at, number } = words.next().ok_or(CursorError)?.parse()?;
        Ok(Self { quiet, severity: severity.ok_or(CursorError)?, at, number })
    }
}

impl FindingRecord {
    /// The same, as bad as its class makes it: what stores give of what they keep, which is how bad
    /// it was found to be.
    pub(super) fn by_class(mut self) -> Self {
        if self.finding.id.kind == FindingKind::Drift {
            self.finding.severity = self.class().severity(self.finding.severity);
        }
        self
    }

    /// Its place in a list that has the worst first.
    pub fn badness(&self) -> Badness {
        Badness {
            quiet: self.class().is_quiet(),
            severity: self.finding.severity,
            at: self.finding.first_seen,
            number: self.number,
        }
    }
}

impl OpenCount {
    /// `counts` of findings as they were found to be, as bad as their class makes them.
    pub(super) fn by_class(counts: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut all: BTreeMap<_, u64> = BTreeMap::new();
        for Self { host, kind, domain, severity, class, count } in counts {
            // Only drift has another class than none.
            let severity = class.severity(severity);
            *all.entry((host, kind, domain, severity, class)).or_default() += count;
        }
        let count = |((host, kind, domain, severity, class), count)| Self {
            host,
            kind,
            domain,
            severity,
            class,
            count,
        };
        all.into_iter().map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_among_the_worst_survives_its_text_and_they_come_first() {
        let at = Timestamp::from_second(5).unwrap();
        let worst = Badness { quiet: false, severity: Severity::Critical, at, number: 9 };
        let all = [
            worst,
            Badness { number: 10, ..worst },
            Badness { severity: Severity::Info, ..worst },
            Badness { quiet: true, ..worst },
        ];
        assert!(all.is_sorted());
        for place in all {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for text in ["", "0", "2.info.5.1", "0.bad.5.1", "0.info.5", "5.1"] {
            assert_eq!(text.parse::<Badness>(), Err(CursorError), "{text:?}");
        }
    }
}
