//! Cases that are sent again, and the bounds of their words and of their sources.

use super::*;

#[test]
fn a_case_sent_again_is_the_same_case_and_what_was_known_before_can_be_had_again() {
    let mut place = Place::new();
    let keep = |place: &mut Place, case: CaseRecord| {
        place.writer.apply(&[Step::Cases(vec![case])]).unwrap();
    };
    keep(&mut place, case((0, 1, 6, 20), (1, 0, false)));
    let before = place.reader.cases_known().unwrap();
    keep(&mut place, case((0, 1, 6, 21), (1, 0, false)));
    assert_eq!(place.reader.cases_known().unwrap(), before, "nothing was said that is new");
    keep(&mut place, case((0, 1, 9, 22), (2, 2, false)));
    let found = place.reader.cases(&CaseFilter::default()).unwrap();
    let [found] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((found.opened_at, found.received_at), (second(6), second(20)));
    assert_eq!(found.facts, case((0, 1, 9, 22), (2, 2, false)).facts);
    let mut sites = Vec::new();
    let mut site = |known| {
        let take = &mut |case: CountedCase<'_>| sites.push(case.site.to_owned());
        place.reader.each_case((second(0), known), 10, take).unwrap();
    };
    site(before);
    site(place.reader.cases_known().unwrap());
    assert_eq!(sites, ["graz", "linz"]);
}

#[test]
fn a_source_that_brings_too_many_words_leaves_every_other_its_own() {
    let mut place = Place::new();
    let one = |source: u8, id: u8, word: u8| {
        Step::Cases(vec![case((source, id, 5, 9), (word, 0, false))])
    };
    let read = Step::CaseReading(CaseReading {
        source: "desk0".into(),
        at: second(9),
        good_through: Some(second(9)),
        rows: 1,
        refused: 0,
        problem: String::new(),
    });
    place.writer.apply(&[one(0, 1, 1), read]).unwrap();
    fill(&mut place, SOURCE_WORDS);
    place.writer.apply(&[one(0, 2, 2), one(0, 1, 2), one(1, 3, 2), one(0, 4, 2)]).unwrap();
    let found = place.reader.cases(&CaseFilter::default()).unwrap();
    let services: BTreeMap<_, _> =
        found.iter().map(|case| (case.id.as_str(), case.facts.service.as_str())).collect();
    let expect = [
        ("INC1", "service 1"), // said again with a word there is no room for, it keeps its own
        ("INC2", ""),
        ("INC3", "service 2"),
        ("INC4", "service 2"), // what another source brought costs nothing
    ];
    assert_eq!(services, expect.into(), "the cases themselves are kept");
    // Service, site and priority were new, twice.
    assert_eq!(place.reader.totals().unwrap().case_words_left_out, 6);
    assert_eq!(place.reader.case_feeds().unwrap()[0].words_beyond, 6);
}

/// Says that the one source there is brought so many words.
fn fill(place: &mut Place, words: u64) {
    let full = "UPDATE counter SET value = ?1
        WHERE name LIKE 'case_words_of/%' AND name <> 'case_words_of/0'";
    assert_eq!(place.writer.db.execute(full, [words.cast_signed()]).unwrap(), 1);
}

#[test]
fn words_that_no_case_says_any_more_make_room() {
    let mut place = Place::new();
    let one = |source: u8, id: u8, opened: i64, word: u8| {
        Step::Cases(vec![case((source, id, opened, 90), (word, 0, false))])
    };
    place.writer.apply(&[one(0, 1, 5, 1), one(0, 2, 50, 1)]).unwrap();
    fill(&mut place, SOURCE_WORDS);
    place.writer.apply(&[one(0, 3, 6, 2)]).unwrap();
    let sums = |place: &Place| -> Vec<(String, i64)> {
        let mut find = place
            .writer
            .db
            .prepare(
                "SELECT name, value FROM counter
                 WHERE name LIKE 'case_words_%/%' AND name NOT LIKE '%/0' ORDER BY 1",
            )
            .unwrap();
        let rows = find.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let [(_, beyond), (_, words)] = sums(&place).try_into().unwrap();
    assert_eq!((beyond, words), (3, 50_000));
    place.writer.expire(second(20), second(99), 100).unwrap();
    let [(_, beyond), (_, words)] = sums(&place).try_into().unwrap();
    assert_eq!((beyond, words), (0, 5), "the five words of the case that stayed");
    place.writer.apply(&[one(0, 4, 50, 2)]).unwrap();
    let found = place.reader.cases(&CaseFilter::default()).unwrap();
    assert!(found.iter().any(|case| case.facts.service == "service 2"), "{found:?}");
}

#[test]
fn what_does_not_count_leaves_no_past_and_no_past_is_without_end() {
    let mut place = Place::new();
    let keep = |place: &mut Place, facts| {
        place.writer.apply(&[Step::Cases(vec![case((0, 1, 6, 20), facts)])]).unwrap();
    };
    let past = |place: &Place| -> i64 {
        let count = "SELECT count(*) FROM case_past";
        place.writer.db.query_row(count, [], |row| row.get(0)).unwrap()
    };
    keep(&mut place, (1, 0, false));
    keep(&mut place, (1, 2, false));
    assert_eq!(past(&place), 0, "a case that is resolved counts as before");
    for turn in 0..70 {
        keep(&mut place, (1 + turn % 2, 0, false));
    }
    assert_eq!(past(&place), CASE_PAST as i64);
}

#[test]
fn a_source_that_has_too_many_loses_its_oldest_and_no_other_does() {
    let mut place = Place::new();
    let one = |source: u8, id: u8, opened: i64| case((source, id, opened, 90), (1, 0, false));
    let all = (0..6).map(|id| one(0, id, 50 - i64::from(id))).chain([one(1, 9, 5)]);
    place.writer.apply(&[Step::Cases(all.collect())]).unwrap();
    let sum = |place: &Place, name: &str| -> i64 {
        let find = "SELECT value FROM counter WHERE name = (
            SELECT 'cases_of/' || id FROM case_word WHERE name = ?1)";
        place.writer.db.query_row(find, [name], |row| row.get(0)).unwrap()
    };
    assert_eq!((sum(&place, "desk0"), sum(&place, "desk1")), (6, 1));
    let full = "UPDATE counter SET value = 2000002 WHERE value = 6 AND name LIKE 'cases_of/%'";
    assert_eq!(place.writer.db.execute(full, []).unwrap(), 1);
    assert_eq!(place.writer.expire(second(0), second(99), 100).unwrap(), 2);
    let left = place.reader.cases(&CaseFilter::default()).unwrap();
    let left: Vec<&str> = left.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(left, ["INC0", "INC1", "INC2", "INC3", "INC9"], "the two opened first went");
    assert_eq!((sum(&place, "desk0"), sum(&place, "desk1")), (2_000_000, 1));
    assert_eq!(place.reader.totals().unwrap().cases_beyond, 2);
}

#[test]
fn cases_of_a_store_that_never_counted_them_by_source_are_counted_with_the_next() {
    let mut place = Place::new();
    let one = |id: u8| Step::Cases(vec![case((0, id, 5, 9), (1, 0, false))]);
    place.writer.apply(&[one(1), one(2)]).unwrap();
    place.writer.db.execute("DELETE FROM counter WHERE name LIKE 'cases_of/%'", []).unwrap();
    place.writer.apply(&[one(3)]).unwrap();
    let find = "SELECT value FROM counter WHERE name LIKE 'cases_of/%'";
    let sum: i64 = place.writer.db.query_row(find, [], |row| row.get(0)).unwrap();
    assert_eq!(sum, 3);
}
