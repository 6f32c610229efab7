//! A store at work: retention beside writers, its log, and the indices its pages are read from.

use super::model::filters;
use super::*;

#[test]
fn a_part_on_its_way_outlives_retention() {
    let mut place = Place::new();
    place.writer.keep_parts(&[NewPart::new(part(1))], second(0)).unwrap();
    let missing = |place: &Place| !place.reader.missing(&[digest(1)]).unwrap().is_empty();
    let expire = |place: &mut Place, now| {
        place.writer.expire(second(0), second(now), 100).unwrap();
    };
    expire(&mut place, HOUR - 1);
    assert!(!missing(&place), "it was sent less than an hour ago");
    expire(&mut place, HOUR);
    assert!(missing(&place), "whoever needs it is told to send it again");
    assert!(place.reader.part(&digest(1)).unwrap().is_some(), "a report under way may need it");
    place.writer.apply(&[first_version()]).unwrap();
    expire(&mut place, 3 * HOUR);
    assert!(!missing(&place), "a version refers to it");
    assert_eq!(place.reader.part(&digest(1)).unwrap(), Some(part(1)));
}

#[test]
fn lines_of_an_opening_that_goes_on_outlive_retention_and_no_others_do() {
    let mut place = Place::new();
    let act = |finding: i64, opening: u32, at: i64| {
        let (who, text) = ("ada".into(), format!("{finding} {opening} {at}"));
        Step::Act(ActRecord { finding, at: second(at), who, act: Act::Assign, text, opening })
    };
    let open = finding((0, 0, 0, 1));
    let mut ended = finding((1, 0, 0, 1));
    let steps = [Step::Findings(vec![open.clone(), ended.clone()]), act(1, 1, 3), act(2, 1, 4)];
    place.writer.apply(&steps).unwrap();
    let told = |place: &Place| -> Vec<String> {
        place.reader.acts_of(&[1, 2]).unwrap().into_iter().map(|act| act.text).collect()
    };
    assert_eq!(place.writer.expire(second(9), second(9), 100).unwrap(), 0, "both are open");
    ended.status = Status::Resolved { at: second(5), by: Resolution::Returned };
    let again = Finding { first_seen: second(6), ..open.clone() };
    let over =
        Finding { status: Status::Resolved { at: second(5), by: Resolution::Returned }, ..open };
    let steps = [Step::Findings(vec![ended, over]), Step::Findings(vec![again]), act(1, 2, 7)];
    place.writer.apply(&steps).unwrap();
    assert_eq!(place.writer.expire(second(4), second(9), 100).unwrap(), 1, "of its first opening");
    assert_eq!(told(&place), ["2 1 4", "1 2 7"]);
    assert_eq!(place.writer.expire(second(9), second(9), 100).unwrap(), 1, "it is over");
    assert_eq!(told(&place), ["1 2 7"], "whoever has it has it still");
}

#[test]
fn the_log_is_folded_while_others_read_and_write() {
    let mut place = Place::new();
    let checkpointer = place.writer.checkpointer().unwrap();
    place.writer.apply(&[first_version()]).unwrap();
    assert!(checkpointer.waiting_bytes().unwrap() > 0);
    checkpointer.checkpoint().unwrap();
    assert_eq!(checkpointer.waiting_bytes().unwrap(), 0);
    place.writer.apply(&[Step::Event(event(None, 1))]).unwrap();
    assert_eq!(place.reader.events(None, 0).unwrap().len(), 1);
}

#[test]
fn a_long_log_begins_anew_though_commits_never_pause() {
    let mut place = Place::new();
    place.writer.fold_from = 400_000;
    let checkpointer = place.writer.checkpointer().unwrap();
    let batch: Vec<_> = (0..500).map(|at| Step::Event(event(None, at % 20))).collect();
    while checkpointer.waiting_bytes().unwrap() < 500_000 {
        place.writer.apply(&batch).unwrap();
    }
    checkpointer.checkpoint().unwrap();
    // The first commit adds to the log and folds what it added; the second begins it anew.
    place.writer.apply(&[Step::Event(event(None, 1))]).unwrap();
    place.writer.apply(&[Step::Event(event(None, 2))]).unwrap();
    let (log, _) = crate::store::sqlite::log_bytes(&place.writer.db).unwrap();
    assert!(log < 100_000, "the log still has {log} bytes");
}

#[test]
fn every_page_of_changes_is_read_from_an_index_in_its_order() {
    let mut place = Place::new();
    place.writer.apply(&[first_version()]).unwrap();
    for filter in filters() {
        let Some((query, values)) =
            crate::store::sqlite::history::compose(&place.writer.db, &filter).unwrap()
        else {
            continue;
        };
        let mut plan = place.writer.db.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let rows = plan.query_map(rusqlite::params_from_iter(values), |row| row.get(3)).unwrap();
        let plan: Vec<String> = rows.map(Result::unwrap).collect();
        let sorts = plan.iter().any(|line| line.contains("TEMP B-TREE"));
        assert!(!sorts, "{filter:?} sorts: {plan:#?}");
        assert!(
            plan.iter().any(|line| line.contains("change_by_")),
            "{filter:?} takes no index: {plan:#?}"
        );
    }
}
