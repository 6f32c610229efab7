//! What the engine promises, on streams of its own making; error rates at scale are tried
//! elsewhere, by a simulator that knows nothing of this folder.

mod clocks;

use super::*;
use crate::analysis::cases::{Exposure, Gather, Named};
use crate::analysis::stats::random::Random;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// A Monday.
const START: i64 = 1_704_067_200;
const WEEKS: i64 = 10;
/// A Tuesday morning in the eighth week.
const AT: i64 = START + 7 * 7 * DAY + DAY + 8 * HOUR;

/// A stream as rows: when, service, site, category.
#[derive(Clone)]
struct World {
    rows: Vec<(i64, String, String, String)>,
}

impl World {
    /// `sites` sites of unequal size with a weekly rhythm.
    fn new(seed: &str, sites: usize) -> Self {
        let mut random = Random::seeded(&[seed]);
        let mut rows = Vec::new();
        for day in 0..WEEKS * 7 {
            for site in 0..sites {
                let most = if day % 7 >= 5 { 2 } else { 6 + site % 7 };
                for _ in 0..random.below(most) {
                    let second = 8 * HOUR + random.below(10 * 3_600) as i64;
                    let category = format!("kind-{}", random.below(3));
                    let site = format!("site-{site:02}");
                    rows.push((START + day * DAY + second, "voice".to_owned(), site, category));
                }
            }
        }
        Self { rows }
    }

    /// The cases of `sites` between `from` and `to` happen `times` times.
    fn raise(mut self, sites: &[usize], (from, to): (i64, i64), times: usize) -> Self {
        let names: Vec<String> = sites.iter().map(|site| format!("site-{site:02}")).collect();
        let mut more = Vec::new();
        for row in self.rows.iter().filter(|row| row.0 > from && row.0 <= to) {
            if names.contains(&row.2) {
                for copy in 1..times {
                    more.push((
                        row.0 + 60 * copy as i64,
                        row.1.clone(),
                        row.2.clone(),
                        row.3.clone(),
                    ));
                }
            }
        }
        self.rows.extend(more);
        self
    }

    fn stream(&self) -> Stream {
        let mut gather = Gather::default();
        for (opened_at, service, site, category) in &self.rows {
            let opened_at = *opened_at;
            gather.add(&Named { opened_at, recorded_at: None, service, site, category });
        }
        gather.finish()
    }
}

fn change(id: &str, sites: &[usize]) -> Candidate {
    Candidate {
        id: id.to_owned(),
        at: AT,
        service: Some("voice".to_owned()),
        exposure: Exposure::Sites(sites.iter().map(|site| format!("site-{site:02}")).collect()),
        kind: None,
        window_hours: Some(72),
        waves: Vec::new(),
    }
}

fn until() -> Settings {
    Settings { until: Some(START + WEEKS * 7 * DAY), draws: 999, ..Settings::default() }
}

fn one(world: &World, candidate: Candidate) -> Verdict {
    correlate(&world.stream(), &[candidate], &until()).remove(0)
}

const EXPOSED: [usize; 8] = [1, 4, 6, 9, 12, 15, 20, 22];
const WINDOW: (i64, i64) = (AT, AT + 72 * HOUR);

#[test]
fn a_rise_of_the_exposed_sites_is_supported() {
    let world = World::new("effect", 24).raise(&EXPOSED, WINDOW, 3);
    let verdict = one(&world, change("c", &EXPOSED));
    assert_eq!(
        (verdict.evidence.tier, verdict.evidence.reason),
        (Tier::Supported, None),
        "{verdict:?}"
    );
    assert!(verdict.evidence.ci_low.unwrap() > 1.5 && verdict.evidence.rate_ratio.unwrap() < 5.0);
    assert_eq!(verdict.evidence.controls.unwrap().sites, 16);
    assert!(verdict.evidence.lag_seconds.unwrap() < DAY);
}

#[test]
fn a_q_value_alone_supports_nothing() {
    let world = World::new("quiet", 24);
    let settings = Settings { q: 1.0, ..until() };
    let verdict = correlate(&world.stream(), &[change("c", &EXPOSED)], &settings).remove(0);
    assert!(verdict.evidence.p_value.unwrap() > 0.05, "{verdict:?}");
    assert_eq!(
        (verdict.evidence.tier, verdict.evidence.reason),
        (Tier::Possible, Some(Reason::Weak))
    );
}

#[test]
fn a_rise_of_everybody_is_nobodys_doing() {
    let all: Vec<usize> = (0..24).collect();
    let world = World::new("shock", 24).raise(&all, WINDOW, 3);
    let verdict = one(&world, change("c", &EXPOSED));
    assert!(matches!(verdict.evidence.tier, Tier::Refuted | Tier::Undetermined), "{verdict:?}");
    let everywhere = Candidate { exposure: Exposure::Everywhere, ..change("c", &[]) };
    let verdict = one(&world, everywhere);
    assert_eq!(
        (verdict.evidence.tier, verdict.evidence.reason),
        (Tier::Possible, Some(Reason::NoControls))
    );
    assert_eq!(verdict.evidence.q_value, None);
}

#[test]
fn a_rise_that_was_there_before_is_coincident() {
    let before = (AT - 72 * HOUR, AT + 72 * HOUR);
    let world = World::new("before", 24).raise(&EXPOSED, before, 4);
    let verdict = one(&world, change("c", &EXPOSED));
    assert_eq!(
        (verdict.evidence.tier, verdict.evidence.reason),
        (Tier::Coincident, Some(Reason::PreExisting))
    );
}

#[test]
fn staggered_waves_are_held_against_sites_not_yet_reached() {
    let all: Vec<usize> = (0..24).collect();
    let (early, late) = all.split_at(12);
    let later = AT + 5 * DAY;
    let world =
        World::new("waves", 24).raise(early, WINDOW, 3).raise(late, (later, later + 72 * HOUR), 3);
    let waves = late.iter().map(|site| (format!("site-{site:02}"), later)).collect();
    let verdict = one(&world, Candidate { waves, ..change("c", &all) });
    assert_eq!(verdict.evidence.tier, Tier::Supported, "{verdict:?}");
    assert_eq!(verdict.evidence.controls.unwrap().sites, 12);
}

#[test]
fn what_cannot_be_said_has_a_reason() {
    let check = |candidate: Candidate, reason: Reason| {
        let verdict = one(&World::new("quiet", 24), candidate);
        assert_eq!(
            (verdict.evidence.tier, verdict.evidence.reason),
            (Tier::Undetermined, Some(reason))
        );
        assert_eq!((verdict.evidence.score, verdict.evidence.p_value), (None, None));
    };
    let late = START + WEEKS * 7 * DAY - DAY;
    check(Candidate { at: late, ..change("c", &EXPOSED) }, Reason::WindowOpen);
    check(Candidate { at: START + DAY, ..change("c", &EXPOSED) }, Reason::ShortHistory);
    check(Candidate { exposure: Exposure::Unknown, ..change("c", &[]) }, Reason::UnknownExposure);
    check(change("c", &[77]), Reason::NoEligibleSite);
    let elsewhere = Some("fax".to_owned());
    check(Candidate { service: elsewhere, ..change("c", &EXPOSED) }, Reason::UnknownService);
}

#[test]
fn before_the_window_is_over_only_a_clear_rise_is_possible() {
    let at = START + (WEEKS * 7 - 4) * DAY + 8 * HOUR;
    let candidate = Candidate { at, window_hours: Some(168), ..change("c", &EXPOSED) };
    let check = |world: &World, tier: Tier| {
        let verdict = one(world, candidate.clone());
        assert_eq!(
            (verdict.evidence.tier, verdict.evidence.reason),
            (tier, Some(Reason::WindowOpen))
        );
        assert_eq!(
            (verdict.evidence.score, verdict.evidence.p_value, verdict.evidence.q_value),
            (None, None, None)
        );
    };
    for seed in 0..10 {
        check(&World::new(&format!("early {seed}"), 24), Tier::Undetermined);
    }
    check(&World::new("early", 24).raise(&EXPOSED, (at, at + 4 * DAY), 4), Tier::Possible);
}

#[test]
fn one_site_of_six_can_never_be_more_than_possible() {
    let world = World::new("few", 6).raise(&[2], WINDOW, 6);
    let verdict = one(&world, change("c", &[2]));
    assert_eq!(
        (verdict.evidence.tier, verdict.evidence.reason),
        (Tier::Possible, Some(Reason::FewSites))
    );
    assert!(verdict.evidence.p_value.unwrap() > 0.1);
}

#[test]
fn the_best_explanation_leaves_nothing_for_its_neighbours() {
    let world = World::new("ten", 24).raise(&EXPOSED, WINDOW, 4);
    // Half of the sites are the true change's, so on its own this one looks guilty.
    let half = [1, 4, 6, 9, 0, 2, 3];
    let changes = [change("neighbour", &half), change("true", &EXPOSED)];
    let verdicts = correlate(&world.stream(), &changes, &until());
    assert_eq!(verdicts[0].id, "true");
    assert_eq!(verdicts[0].evidence.tier, Tier::Supported);
    assert!(verdicts[1].evidence.tier > Tier::Supported, "{:?}", verdicts[1]);
    assert!(verdicts[1].evidence.score.unwrap() < verdicts[0].evidence.score.unwrap());
}

#[test]
fn changes_at_the_same_sites_and_hours_are_one_set() {
    let world = World::new("twins", 24).raise(&EXPOSED, WINDOW, 4);
    let changes = [change("a", &EXPOSED), change("b", &EXPOSED)];
    let verdicts = correlate(&world.stream(), &changes, &until());
    assert_eq!(verdicts[0].evidence.indistinguishable, ["b"]);
    assert_eq!(verdicts[1].evidence.indistinguishable, ["a"]);
    assert_eq!(verdicts[0].evidence.reason, Some(Reason::Indistinguishable));
    assert_eq!(verdicts[0].evidence.score, verdicts[1].evidence.score);
}

/// Everything but the names.
fn numbers(verdict: &Verdict) -> Verdict {
    Verdict { id: String::new(), ..verdict.clone() }
}

#[test]
fn names_weeks_categories_and_other_services_change_nothing() {
    let world = World::new("invariant", 24).raise(&EXPOSED, WINDOW, 2);
    let plain = one(&world, change("c", &EXPOSED));

    let mut renamed = world.clone();
    let other = |site: &str| site.bytes().rev().map(char::from).collect::<String>();
    renamed.rows.iter_mut().for_each(|row| row.2 = other(&row.2));
    let mut candidate = change("c", &EXPOSED);
    if let Exposure::Sites(sites) = &mut candidate.exposure {
        sites.iter_mut().for_each(|site| *site = other(site));
    }
    assert_eq!(numbers(&one(&renamed, candidate)), numbers(&plain));

    let mut shifted = world.clone();
    shifted.rows.iter_mut().for_each(|row| row.0 += 21 * DAY);
    let candidate = Candidate { at: AT + 21 * DAY, ..change("c", &EXPOSED) };
    let later = Settings { until: until().until.map(|until| until + 21 * DAY), ..until() };
    assert_eq!(correlate(&shifted.stream(), &[candidate], &later).first(), Some(&plain));

    let mut more = world.clone();
    more.rows.iter_mut().step_by(2).for_each(|row| row.3.push_str("-again"));
    let mail = World::new("mail", 24).rows.into_iter();
    more.rows.extend(mail.map(|row| (row.0, "mail".to_owned(), row.2, row.3)));
    assert_eq!(one(&more, change("c", &EXPOSED)), plain);
}

#[test]
fn more_cases_at_exposed_sites_never_lower_the_score() {
    for seed in 0..12 {
        let mut random = Random::seeded(&["more", &seed.to_string()]);
        let mut world = World::new(&format!("monotone {seed}"), 16);
        let exposed: Vec<usize> = (0..16).filter(|_| random.below(3) == 0).chain([15]).collect();
        let score = |world: &World| one(world, change("c", &exposed)).evidence.score.unwrap();
        let mut last = score(&world);
        for _ in 0..10 {
            for _ in 0..=random.below(6) {
                let site = format!("site-{:02}", exposed[random.below(exposed.len())]);
                let at = AT + 1 + random.below(72 * 3_600) as i64;
                world.rows.push((at, "voice".to_owned(), site, String::new()));
            }
            let next = score(&world);
            assert!(next >= last, "seed {seed}: {next} after {last}");
            last = next;
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let world = World::new("threads", 24).raise(&EXPOSED, WINDOW, 2);
    let changes: Vec<Candidate> = (0..12)
        .map(|n| Candidate { at: AT + n * 5 * HOUR, ..change(&format!("c{n}"), &EXPOSED) })
        .collect();
    let with = |threads| correlate(&world.stream(), &changes, &Settings { threads, ..until() });
    assert_eq!(with(1), with(3));
}

/// Sixty changes that did nothing, on streams that have daily rhythm and nothing else.
#[test]
fn where_nothing_happened_p_values_are_no_smaller_than_uniform() {
    let mut small = 0;
    for seed in 0..60_usize {
        let world = World::new(&format!("null {seed}"), 20);
        let mut random = Random::seeded(&["null", &seed.to_string()]);
        let exposed: Vec<usize> = (0..20).filter(|_| random.below(3) == 0).chain([19]).collect();
        let verdict = one(&world, change("c", &exposed));
        small += usize::from(verdict.evidence.p_value.unwrap() <= 0.1);
    }
    // Six are expected; more than twelve would happen once in a hundred such tests.
    assert!(small <= 12, "{small} of 60 p-values are at most .1");
}

#[test]
fn a_verdict_is_written_with_the_words_of_the_contract() {
    let verdict = one(&World::new("words", 24), Candidate { at: START, ..change("c", &EXPOSED) });
    let written = serde_json::to_string(&verdict).unwrap();
    assert_eq!(
        written,
        "{\"id\":\"c\",\"service\":\"voice\",\"window_hours\":72,\"observed\":null,\
         \"expected\":null,\"excess\":null,\"rate_ratio\":null,\"ci_low\":null,\"ci_high\":null,\
         \"p_value\":null,\"q_value\":null,\"dispersion\":null,\"score\":null,\"llr\":null,\
         \"tier\":\"undetermined\",\"controls\":null,\"placebo\":null,\"lag_seconds\":null,\
         \"detectable_ratio\":null,\"indistinguishable\":[],\"reason\":\"short_history\"}"
    );
}
