//! Which tokens end soon, while somebody can still put another in their place. Pure.
//!
//! Agents are not among them: the token of an enrolled host has no end.

#![deny(clippy::disallowed_methods, reason = "how a token stands depends on the moment given")]

use driftline_protocol::mutant::{self, Mutant};
use jiff::{SignedDuration, Timestamp};

use crate::store::{Scope, TokenRecord};

/// So many days before its end a token is told of. One made for no longer is made to end: an admin
/// who takes a token for a day wants no reminder of it.
pub const TOLD_DAYS: i64 = 14;

/// What a token lets its holder do, and the secret that agents enrol with: label values.
pub const KINDS: [&str; 7] = [
    Scope::Enrol.as_str(),
    Scope::Read.as_str(),
    Scope::Metrics.as_str(),
    Scope::Cases.as_str(),
    Scope::ChangeRequests.as_str(),
    Scope::Admin.as_str(),
    ENROLMENT_SECRET,
];

/// What the enrolment secret is called among the kinds.
pub const ENROLMENT_SECRET: &str = "enrolment_secret";

/// How something that lets somebody in stands; a closed list, so it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It counts, and for longer than [`TOLD_DAYS`] or for as long as it was meant to.
    Valid,
    /// It counts, and ends within [`TOLD_DAYS`].
    Expiring,
    /// It counts no more.
    Expired,
}

impl Standing {
    /// Every standing, in the order of the metric reference.
    pub const ALL: [Self; 3] = [Self::Valid, Self::Expiring, Self::Expired];

    /// The word used in metrics, code and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
        }
    }

    /// How what ends at `end` stands at `now`; what has no end is valid.
    pub fn of_end(end: Option<Timestamp>, now: Timestamp) -> Self {
        match end.map(|end| end.duration_since(now)) {
            Some(left) if !left.is_positive() => Self::Expired,
            Some(left) if left <= told() && !mutant::active(Mutant::TokensEndUntold) => {
                Self::Expiring
            }
            Some(_) | None => Self::Valid,
        }
    }

    /// How `token` stands at `now`.
    pub fn of(token: &TokenRecord, now: Timestamp) -> Self {
        let standing = Self::of_end(Some(token.expires_at), now);
        if standing == Self::Expiring && is_brief(token) { Self::Valid } else { standing }
    }
}

/// Whether `token` was made for so few days that its end is what was wanted.
pub fn is_brief(token: &TokenRecord) -> bool {
    token.expires_at.duration_since(token.created_at) <= told()
}

/// Whether somebody should put another in the place of `token`, or remove it.
pub fn asks_for_somebody(token: &TokenRecord, now: Timestamp) -> bool {
    Standing::of(token, now) != Standing::Valid && !is_brief(token)
}

fn told() -> SignedDuration {
    SignedDuration::from_hours(TOLD_DAYS * 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_token_is_told_of_before_its_end_and_one_made_to_end_is_not() {
        let check = |days: i64, now: i64, standing: Standing, asks: bool| {
            let token = TokenRecord {
                name: "grafana".into(),
                scope: Scope::Metrics,
                hash: [1; 32],
                created_at: at(0),
                expires_at: at(days * DAY),
            };
            let got = (Standing::of(&token, at(now)), asks_for_somebody(&token, at(now)));
            assert_eq!(got, (standing, asks), "{days} days, after {now} s");
        };
        check(90, 0, Standing::Valid, false);
        check(90, 76 * DAY - 1, Standing::Valid, false);
        check(90, 76 * DAY, Standing::Expiring, true);
        check(90, 90 * DAY - 1, Standing::Expiring, true);
        check(90, 90 * DAY, Standing::Expired, true);
        check(14, 14 * DAY - 1, Standing::Valid, false);
        check(14, 14 * DAY, Standing::Expired, false);
        check(15, DAY, Standing::Expiring, true);
        assert_eq!(Standing::of_end(None, at(0)), Standing::Valid);
    }
}
