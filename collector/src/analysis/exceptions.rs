//! Permissions to differ: owned, reasoned, and over at a moment somebody chose. Pure.
//!
//! An exception changes no finding. It is held against findings when they are shown, counted or
//! alerted, at the moment that is asked about, so nothing has to happen for it to end: *expired
//! yesterday* is true by itself. It is never renewed: who needs it longer makes another, under
//! another name, and says why again.

use driftline_protocol::ids::{Digest, HostId, SourceName};
use driftline_protocol::mutant::{self, Mutant};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::finding::{FindingId, FindingKind, RuleName};
use super::rules::About;
use crate::config::place::matches;

/// The longest life of an exception, in days: one nobody renews in a year is one nobody knows of.
pub const DAYS_MOST: i64 = 366;

/// The longest reason, in bytes: a paragraph.
pub const REASON_BYTES: usize = 2_000;

/// The longest pattern or owner, in bytes.
const WORD_BYTES: usize = 1_024;

/// One permission to differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Its name, for ever: 1 to 63 of `a-z`, `0-9`, `.`, `_` and `-`.
    pub name: String,
    /// What may differ.
    pub scope: ExceptionScope,
    /// The one value it may have ([`super::sight::value`]), where that was accepted of a finding;
    /// any value where none is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Digest>,
    /// Who answers for it.
    pub owner: String,
    /// Why, in a sentence.
    pub reason: String,
    /// Who made it: the person or token.
    pub made_by: String,
    /// When.
    pub made_at: Timestamp,
    /// The first moment at which it no longer counts.
    pub expires_at: Timestamp,
    /// The time zone its end was written in, for people.
    pub zone: String,
    /// When and by whom it was ended before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// An end before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Who: the person or token.
    pub by: String,
}

/// What may differ; every field narrows, patterns know `*` and `?`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExceptionScope {
    /// A pattern of host names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Hosts of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Hosts of this site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Findings of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FindingKind>,
    /// Findings of this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleName>,
    /// Of this source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
    /// A pattern of parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// A pattern of item keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Where an exception stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It counts.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody ended it before.
    Ended,
}

/// Why an exception cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ExceptionError {
    /// The name is none.
    #[error("the name must be 1 to 63 of a-z, 0-9, '.', '_' and '-'")]
    Name,
    /// Owner or reason is missing or too long.
    #[error("{field} must have 1 to {most} bytes")]
    Text {
        /// Which.
        field: &'static str,
        /// How many bytes it may have.
        most: usize,
    },
    /// It would permit everything everywhere.
    #[error("the scope must name a host, group, site, rule, part or key")]
    Everything,
    /// The end cannot be read.
    #[error("{0:?} is no end: write 2026-12-31, 2026-12-31T17:00, or an RFC 3339 time")]
    Unreadable(String),
    /// The end is not in the future.
    #[error("the end {0} is over already")]
    Over(Timestamp),
    /// The end is too far.
    #[error("an exception lives {DAYS_MOST} days at most")]
    TooLong,
}

impl Exception {
    /// Checks what a person asked for, at the moment it is made.
    ///
    /// # Errors
    /// [`ExceptionError`].
    pub fn check(&self) -> Result<(), ExceptionError> {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        if !(1..=63).contains(&self.name.len()) || !self.name.bytes().all(letter) {
            return Err(ExceptionError::Name);
        }
        for (field, text, most) in
            [("owner", &self.owner, WORD_BYTES), ("reason", &self.reason, REASON_BYTES)]
        {
            if text.trim().is_empty() || text.len() > most {
                return Err(ExceptionError::Text { field, most });
            }
        }
        self.scope.check()?;
        if self.expires_at <= self.made_at {
            return Err(ExceptionError::Over(self.expires_at));
        }
        if self.expires_at.duration_since(self.made_at) > SignedDuration::from_hours(DAYS_MOST * 24)
        {
            return Err(ExceptionError::TooLong);
        }
        Ok(())
    }

    /// Where it stands at `now`.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match &self.ended {
            Some(ended) if ended.at <= now => Standing::Ended,
            _ if now >= self.expires_at => Standing::Expired,
            _ => Standing::Active,
        }
    }

    /// What it permits, in words.
    pub fn words(&self) -> String {
        let scope = self.scope.words();
        match self.value {
            Some(_) => format!("{scope}, as it was when it was accepted"),
            None => scope,
        }
    }

    /// Whether it permits an item to have `value`; `None` is one that cannot be told.
    pub fn permits_value(&self, value: Option<Digest>) -> bool {
        let mutant = mutant::active(Mutant::ExceptionsPermitAnyValue);
        self.value.is_none() || self.value == value || mutant
    }

    /// Whether it permits the finding `id` on a host that stands as `about` says, at `now`, if its
    /// value is one that it permits ([`Exception::permits_value`]).
    pub fn covers(&self, id: &FindingId, about: &About, now: Timestamp) -> bool {
        self.standing(now) == Standing::Active && now >= self.made_at && self.scope.holds(id, about)
    }
}

impl ExceptionScope {
    /// What it names, field by field.
    pub fn words(&self) -> String {
        let Self { host, group, site, kind, rule, source, part, key } = self;
        let fields = [
            ("host", host.clone()),
            ("group", group.clone()),
            ("site", site.clone()),
            ("kind", kind.map(|kind| kind.as_str().to_owned())),
            ("rule", rule.as_ref().map(ToString::to_string)),
            ("source", source.as_ref().map(ToString::to_string)),
            ("part", part.clone()),
            ("key", key.clone()),
        ];
        let said =
            fields.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?)));
        said.collect::<Vec<_>>().join(", ")
    }

    /// Whether it is of the finding `id` on a host that stands as `about` says. Destructured, so
    /// that a new field cannot be forgotten.
    pub fn holds(&self, id: &FindingId, about: &About) -> bool {
        let Self { host, group, site, kind, rule, source, part, key } = self;
        let follows = |pattern: &Option<String>, text: Option<&str>| match pattern {
            None => true,
            Some(pattern) => text.is_some_and(|text| matches(pattern, text)),
        };
        follows(host, Some(id.host.as_str()))
            && group.as_ref().is_none_or(|group| about.groups.contains(group))
            && site.as_ref().is_none_or(|site| *site == about.site)
            && kind.is_none_or(|kind| kind == id.kind)
            && rule.as_ref().is_none_or(|rule| Some(rule) == id.rule.as_ref())
            && source.as_ref().is_none_or(|source| *source == id.source)
            && follows(part, Some(id.part.as_str()))
            && follows(key, id.key.as_ref().map(|key| key.as_str()))
    }

    /// Whether it speaks of hosts alone, and `host`, which stands as `about` says, is one of them.
    pub fn holds_host(&self, host: &HostId, about: &About) -> bool {
        let Self { host: pattern, group, site, kind, rule, source, part, key } = self;
        let of_hosts = kind.is_none() && rule.is_none() && source.is_none();
        of_hosts
            && part.is_none()
            && key.is_none()
            && pattern.as_ref().is_none_or(|pattern| matches(pattern, host.as_str()))
            && group.as_ref().is_none_or(|group| about.groups.contains(group))
            && site.as_ref().is_none_or(|site| *site == about.site)
    }

    fn check(&self) -> Result<(), ExceptionError> {
        let Self { host, group, site, kind: _, rule, source: _, part, key } = self;
        for text in [host, group, site, part, key].into_iter().flatten() {
            if text.is_empty() || text.len() > WORD_BYTES {
                let (field, most) = ("each field of the scope", WORD_BYTES);
                return Err(ExceptionError::Text { field, most });
            }
        }
        let star = |pattern: &Option<String>| {
            pattern.as_ref().is_none_or(|p| p.trim_matches('*').is_empty())
        };
        let all = star(host) && star(part) && star(key);
        if all && group.is_none() && site.is_none() && rule.is_none() {
            return Err(ExceptionError::Everything);
        }
        Ok(())
    }

    /// Whether hosts must be looked up to tell whom it concerns.
    pub fn asks_for_place(&self) -> bool {
        self.group.is_some() || self.site.is_some()
    }
}

/// The moment `text` means, in `zone`: the end of a day, a wall time, or an RFC 3339 time.
///
/// A day lasts until the next one begins, however long it is. A wall time that comes twice means
/// the first, and one that never comes the moment the clock would have shown had it not been put
/// forward: an exception is never longer than it was written.
///
/// # Errors
/// [`ExceptionError::Unreadable`].
pub fn end(text: &str, zone: &TimeZone) -> Result<Timestamp, ExceptionError> {
    let unreadable = || ExceptionError::Unreadable(text.chars().take(40).collect());
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let has_time = text.contains([':', 'T']);
    if !has_time && let Ok(date) = text.parse::<Date>() {
        let next = date.tomorrow().map_err(|_| unreadable())?;
        return next.to_zoned(zone.clone()).map(|z| z.timestamp()).map_err(|_| unreadable());
    }
    let wall: DateTime = text.parse().map_err(|_| unreadable())?;
    if !has_time {
        return Err(unreadable());
    }
    zone.to_ambiguous_timestamp(wall).earlier().map_err(|_| unreadable())
}

#[cfg(test)]
mod tests;
