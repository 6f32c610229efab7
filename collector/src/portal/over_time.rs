//! How many claims would stand, had each suspect been told once and for ever as it came.
//!
//! Passes hold the share of wrong claims among those that stand at one time; LORD++ holds it over
//! all time, and asks for more.

use crate::analysis::correlate::Tier;
use crate::analysis::stats::online::lord_plus_plus;
use crate::store::SuspectRecord;

/// The sentence on `suspects`, all that are kept; empty while nothing is claimed.
pub(super) fn sentence(suspects: &[SuspectRecord], q: f64) -> String {
    let compared = suspects.iter().filter(|suspect| suspect.evidence.controls.is_some());
    let mut stream: Vec<(&SuspectRecord, f64)> =
        compared.filter_map(|suspect| Some((suspect, suspect.evidence.p_value?))).collect();
    stream.sort_by_key(|(suspect, _)| (suspect.at, &suspect.key));
    let p: Vec<f64> = stream.iter().map(|(_, p)| *p).collect();
    let thresholds = lord_plus_plus(&p, q, q / 2.0);
    let claims = stream.iter().zip(thresholds);
    let claims = claims.filter(|((suspect, _), _)| suspect.evidence.tier == Tier::Supported);
    let (all, told) = claims.fold((0_u32, 0_u32), |(all, told), ((_, p), threshold)| {
        (all + 1, told + u32::from(*p <= threshold))
    });
    match all {
        0 => String::new(),
        1 => format!(
            "Told one by one as they came, {told} of the 1 claim that stands would be claimed \
             (LORD++, q = {q})."
        ),
        _ => format!(
            "Told one by one as they came, {told} of the {all} claims that stand would be claimed \
             (LORD++, q = {q})."
        ),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::analysis::correlate::Controls;
    use crate::portal::tests::fleet;

    /// The suspect of an hour; with controls where there is a p-value.
    fn suspect(hour: i64, p: Option<f64>, tier: Tier) -> SuspectRecord {
        let mut suspect = fleet::suspect();
        suspect.at = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
        suspect.evidence.p_value = p;
        suspect.evidence.tier = tier;
        suspect.evidence.controls = p.map(|_| Controls { sites: 9, share: 0.5 });
        suspect
    }

    #[test]
    fn a_claim_of_today_is_held_against_all_that_came_before() {
        // The first threshold at q = .1 is .0027, the second .0025 without a claim before.
        let first = suspect(1, Some(0.0026), Tier::Supported);
        let late = suspect(30, Some(0.0026), Tier::Supported);
        let said = |suspects: &[SuspectRecord]| sentence(suspects, 0.1);
        assert!(said(std::slice::from_ref(&first)).contains(" 1 of the 1 claim that stands "));
        let dull = (2..30).map(|hour| suspect(hour, Some(0.5), Tier::Refuted));
        let dull: Vec<SuspectRecord> = dull.collect();
        let alone = [&[late.clone()][..], &dull].concat();
        assert!(said(&alone).contains(" 0 of the 1 claim that stands "), "{}", said(&alone));
        // In whatever order the store gives them.
        let both = [&alone[..], &[first]].concat();
        assert_eq!(
            said(&both),
            "Told one by one as they came, 1 of the 2 claims that stand would be claimed \
             (LORD++, q = 0.1)."
        );
        // Without controls, or a p-value, nothing is tested.
        let untested = (2..30).map(|hour| suspect(hour, None, Tier::Undetermined));
        let early: Vec<SuspectRecord> = untested.chain([late]).collect();
        assert!(said(&early).contains(" 1 of the 1 claim that stands "));
        assert_eq!(said(&dull), "");
        assert_eq!(said(&[]), "");
    }
}
