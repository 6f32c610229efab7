//! What a pass reads, what has its turn, and what a list shows: promises about how much there may
//! be.

use std::collections::BTreeSet;

use driftline_collector::analysis::change_sets::ChangeSet;
use driftline_collector::analysis::classify::ChangeClass;
use driftline_collector::analysis::classify::request::{Approval, ChangeRequest, RequestKind};
use driftline_collector::analysis::classify::scope::IntentScope;
use driftline_collector::analysis::finding::Severity;
use driftline_collector::classification::judge;
use driftline_collector::config::load;
use driftline_collector::pass::window::Window;
use driftline_collector::store::{Append as _, ReadFindings as _, Step, WorstFilter, sqlite};
use driftline_collector::weighing::weigh_due;

use super::small::{at, change, drift, store, version};

#[test]
fn a_pass_reads_what_is_new() {
    let mut store = store();
    let edit = |minute: i64| version(minute, (1, None), vec![change(&minute.to_string())]);
    store.apply(&(0..50).map(edit).collect::<Vec<_>>()).unwrap();
    let mut window = Window::default();
    let stretch = (at(-100), at(1_000));
    let (sets, _) = window.sets(&store, stretch).unwrap();
    let total = |sets: &[ChangeSet]| sets.iter().map(|set| set.total).sum::<u64>();
    assert_eq!((total(&sets), window.read()), (50, 50));
    store.apply(&[edit(60)]).unwrap();
    let (sets, _) = window.sets(&store, stretch).unwrap();
    assert_eq!((total(&sets), window.read()), (51, 1));
}

#[test]
fn each_drift_that_is_due_has_its_turn() {
    let config = load::parse("t", "").unwrap();
    let mut store = store();
    let drifts: Vec<_> = (0..2_500).map(|number| drift(number, 1, Severity::Info)).collect();
    store.apply(&[Step::Findings(drifts)]).unwrap();
    let (mut last, mut seen) = (0, BTreeSet::new());
    for _ in 0..3 {
        // None of them is ever done: each is due again at once.
        for step in weigh_due(&store, &config, (at(2), &mut last)).unwrap().steps {
            let Step::Weighed(weighings) = step else { continue };
            seen.extend(weighings.into_iter().map(|weighing| weighing.finding));
        }
    }
    assert_eq!(seen.len(), 2_500);
}

#[test]
fn a_loud_source_pushes_no_other_out() {
    let config = load::parse("t", "[[change_source]]\nname = \"itsm\"\n").unwrap();
    let request = |source: &str, number: i64, host: &str| ChangeRequest {
        source: source.into(),
        id: format!("CHG{number}"),
        kind: RequestKind::Normal,
        approval: Approval::Approved,
        start: at(0),
        end: at(100 + number),
        scope: IntentScope { hosts: vec![host.into()], ..IntentScope::default() },
        url: String::new(),
        received_at: at(0),
    };
    let mut store = store();
    let loud = (1..=10_000).map(|number| request("loud", number, "laptop-*"));
    let all = loud.chain([request("itsm", 0, "sbc-1")]).collect();
    store.apply(&[Step::ChangeRequests(all)]).unwrap();
    store.apply(&[version(10, (1, None), vec![change("b")])]).unwrap();
    let judged = judge(&store, &config, at(20)).unwrap();
    let Some(Step::Judged(judgements)) = judged.steps.first() else { panic!("{judged:?}") };
    assert_eq!(judgements[0].classified.decision.class, Some(ChangeClass::Expected));
}

#[test]
fn the_worst_come_first_however_old() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, reader) = sqlite::open(&folder.path().join("store.db")).unwrap();
    let of = |number: usize| match number {
        3 => drift(3, 3, Severity::Critical),
        number => drift(number, 100 + number as i64, Severity::Info),
    };
    writer.apply(&[Step::Findings((0..20).map(of).collect())]).unwrap();
    let mut filter = WorstFilter { limit: 6, ..WorstFilter::default() };
    let mut all = Vec::new();
    loop {
        let page = reader.worst_findings(&filter).unwrap();
        let Some(last) = page.last() else { break };
        filter.after = Some(last.badness());
        all.extend(page);
        assert!(all.len() <= 20, "a page begins anew");
    }
    assert_eq!((all.len(), all[0].finding.severity), (20, Severity::Critical));
    assert!(all.is_sorted_by_key(|record| record.badness()));
}
