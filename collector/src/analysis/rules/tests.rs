//! What is shared by rules: parameters by site, and packs.

use super::*;

#[test]
fn a_sites_word_counts_before_the_fleets_and_that_before_the_packs() {
    let parameter = Parameter { meaning: "m".into(), default: vec![ItemValue::Integer(1)] };
    let pack = Pack { parameters: [("p.x".to_owned(), parameter)].into(), ..Pack::default() };
    let setting = |site: Option<&str>, value| Setting {
        name: "p.x".into(),
        site: site.map(str::to_owned),
        values: vec![ItemValue::Integer(value)],
    };
    let check = |settings: Vec<Setting>, expect: i64| {
        let set = RuleSet::new(vec![pack.clone()], &[], settings);
        assert_eq!(set.parameter("p.x", "graz"), [ItemValue::Integer(expect)]);
    };
    check(vec![], 1);
    check(vec![setting(None, 2)], 2);
    check(vec![setting(Some("linz"), 3), setting(None, 2)], 2);
    check(vec![setting(Some("graz"), 4), setting(None, 2)], 4);
    check(vec![setting(Some("graz"), 4), setting(Some("graz"), 5)], 5);
}
