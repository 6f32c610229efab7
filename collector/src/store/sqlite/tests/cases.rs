//! Cases that are sent again, and the bound of their words.

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
fn beyond_their_bound_new_words_of_cases_are_left_out_and_counted() {
    let mut place = Place::new();
    let one = |id: u8, word: u8| Step::Cases(vec![case((0, id, 5, 9), (word, 0, false))]);
    place.writer.apply(&[one(1, 1)]).unwrap();
    let full = "UPDATE counter SET value = 200000 WHERE name = 'case_words'";
    assert_eq!(place.writer.db.execute(full, []).unwrap(), 1);
    place.writer.apply(&[one(2, 2), one(3, 1)]).unwrap();
    let found = place.reader.cases(&CaseFilter::default()).unwrap();
    let services: BTreeMap<_, _> =
        found.iter().map(|case| (case.id.as_str(), case.facts.service.as_str())).collect();
    let expect = [("INC1", "service 1"), ("INC2", ""), ("INC3", "service 1")];
    assert_eq!(services, expect.into(), "the cases themselves are kept");
    // Service, site and priority of the second case were new.
    assert_eq!(place.reader.totals().unwrap().case_words_left_out, 3);
}
