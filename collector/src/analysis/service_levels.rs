//! Where open cases stand against the time by which they must be resolved. Pure.
//!
//! A case is at risk when so little of the time between opening and target is left as the
//! configuration says, and breached from the target on. One without a target is counted too: where
//! all cases have none, silence about breaches says nothing.

/// Where an open case stands; a closed list, so it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceLevel {
    /// There is time left.
    Due,
    /// There is little time left.
    AtRisk,
    /// The time is over.
    Breached,
    /// Nobody said by when.
    NoTarget,
}

impl ServiceLevel {
    /// Every level, in the order in which a case passes them.
    pub const ALL: [Self; 4] = [Self::Due, Self::AtRisk, Self::Breached, Self::NoTarget];

    /// The word used in metrics, pages and talk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::AtRisk => "at_risk",
            Self::Breached => "breached",
            Self::NoTarget => "no_target",
        }
    }

    /// The level at `now` of an open case that was opened at one time and is due at another, when a
    /// case with `at_risk_percent` or less of its time left is at risk. All in seconds.
    pub fn of((opened, due): (i64, Option<i64>), now: i64, at_risk_percent: u64) -> Self {
        let Some(due) = due else { return Self::NoTarget };
        if now >= due {
            return Self::Breached;
        }
        let (left, whole) = (due.saturating_sub(now), due.saturating_sub(opened));
        let least = i128::from(whole) * i128::from(at_risk_percent);
        if i128::from(left) * 100 <= least { Self::AtRisk } else { Self::Due }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_passes_from_due_over_at_risk_to_breached() {
        let target = (1_000, Some(2_000));
        for (now, expect) in [
            (900, ServiceLevel::Due),
            (1_749, ServiceLevel::Due),
            (1_750, ServiceLevel::AtRisk),
            (1_999, ServiceLevel::AtRisk),
            (2_000, ServiceLevel::Breached),
            (9_000, ServiceLevel::Breached),
        ] {
            assert_eq!(ServiceLevel::of(target, now, 25), expect, "{now}");
        }
        assert_eq!(ServiceLevel::of((1_000, None), 9_000, 25), ServiceLevel::NoTarget);
        // A target before the opening is over, whatever the share is.
        assert_eq!(ServiceLevel::of((1_000, Some(900)), 950, 25), ServiceLevel::Breached);
    }
}
