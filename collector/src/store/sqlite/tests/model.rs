//! The same acts against the model and the file, compared by everything that can be read.

use super::steps::Act;
use super::steps::*;
use super::*;

/// Everything that can be read from a store, as text.
pub(super) fn everything<S: Reads>(store: &S) -> Vec<String> {
    let mut all = vec![
        format!("{:#?}", store.hosts().unwrap()),
        format!("{:#?}", store.tokens().unwrap()),
        format!("{:#?}", store.events(None, 0).unwrap()),
        format!("{:#?}", Totals { bytes: 0, ..store.totals().unwrap() }),
    ];
    all.extend(all_cases(store));
    all.push(format!("{:#?}", store.exceptions().unwrap()));
    all.extend(all_suspects(store));
    all.extend(all_intents(store));
    for index in 0..HOSTS.len() {
        let host = host(index);
        all.push(format!("{:#?}", store.host(&host).unwrap()));
        all.push(format!("{:#?}", store.sections(&host).unwrap()));
        all.push(format!("{:#?}", store.versions(&host, 5).unwrap()));
        all.push(format!("{:#?}", store.events(Some(&host), 3).unwrap()));
        all.push(format!("{:#?}", store.open_as_found(&host).unwrap()));
        let after = Some(Cursor { at: second(9), number: i64::MIN });
        let filter =
            EventFilter { host: Some(host.clone()), after, limit: 2, ..EventFilter::default() };
        let narrow = EventFilter {
            kind: Some(EventKind::ALL[index]),
            from: Some(second(7)),
            ..EventFilter::default()
        };
        all.push(format!("{:#?}", store.placed_events(&narrow).unwrap().len()));
        let older = store.placed_events(&filter).unwrap().into_iter().map(|(_, event)| event);
        all.push(format!("{:#?}", older.collect::<Vec<_>>()));
        all.extend(agreed(store, &Subject::Host(host.clone())));
        for source in (0..SOURCES.len()).map(source) {
            let parts = store.section_parts(&host, &source).unwrap();
            for one in &parts {
                let alone = store.part_record(&host, &source, &one.part).unwrap();
                assert_eq!(alone.as_ref(), Some(one));
            }
            all.push(format!("{parts:#?}"));
            let section = (&host, &source);
            let versions = store.section_versions(section, (second(4), second(15)), 3).unwrap();
            all.push(format!("{versions:#?}"));
            for at in 0..20 {
                let manifest = store.manifest_at(&host, &source, second(at)).unwrap();
                all.push(format!("{host}/{source}@{at}: {manifest:?}"));
            }
        }
    }
    all.extend(agreed(store, &Subject::Group("pbx".into())));
    all.push(format!("{:#?}", store.baselines("", 2).unwrap()));
    all.push(format!("{:#?}", store.baselines("@", 2).unwrap()));
    all.push(format!("{:#?}", store.approvals(None, Some(20), 3).unwrap()));
    for number in 0..5 {
        all.push(format!("{number}: {:?}", store.part(&digest(number)).unwrap()));
    }
    let digests: Vec<_> = (0..5).map(digest).collect();
    all.push(format!("missing {:?}", store.missing(&digests).unwrap()));
    let mut open: Vec<_> =
        store.open_counts().unwrap().iter().map(|count| format!("open {count:?}")).collect();
    open.sort(); // they come in no order
    all.extend(open);
    all.extend(filters().iter().map(|f| format!("{f:?}: {:#?}", store.changes(f).unwrap())));
    all.extend(finding_filters().iter().map(|f| {
        let found = store.findings(f).unwrap();
        let same = |f: &FindingRecord| store.finding(&f.finding.id).unwrap().as_ref() == Some(f);
        assert!(found.iter().all(same), "a finding differs from itself by name");
        format!("{f:?}: {found:#?}")
    }));
    all
}

pub(super) fn all_cases(store: &impl ReadCases) -> Vec<String> {
    let none = CaseFilter::default;
    let after = Some(Cursor { at: second(9), number: 2 });
    let filters = [
        none(),
        CaseFilter { source: Some("desk1".into()), id: Some("INC2".into()), ..none() },
        CaseFilter { from: Some(second(5)), to: Some(second(15)), limit: 2, ..none() },
        CaseFilter { source: Some("never seen".into()), ..none() },
        CaseFilter { after, ..none() },
    ];
    let mut all: Vec<String> = filters
        .iter()
        .map(|filter| format!("{filter:?}: {:#?}", store.cases(filter).unwrap()))
        .collect();
    let known = store.cases_known().unwrap();
    all.push(format!("{known:?} {:?}", store.case_feeds().unwrap()));
    all.push(format!("delays {:?}", store.case_delays(5).unwrap()));
    let mut counts = store.case_counts(second(4)).unwrap();
    counts.sort();
    all.push(format!("{counts:?}"));
    let mut open = Vec::new();
    store.each_open_case(7, &mut |case| open.push(format!("{case:?}"))).unwrap();
    all.push(format!("open {open:#?}"));
    for update in 0..=known.update {
        let mut counted = Vec::new();
        let of = (second(3), CasesKnown { update, case: known.case - 1 });
        store.each_case(of, 1_000, &mut |case| counted.push(format!("{case:?}"))).unwrap();
        counted.sort();
        all.push(format!("at {update}: {counted:#?}"));
    }
    all
}

pub(super) fn all_intents(store: &impl Reads) -> Vec<String> {
    let none = RequestFilter::default;
    let after = Some(Cursor { at: second(9), number: 2 });
    let filters = [
        none(),
        RequestFilter { id: Some("CHG1".into()), source: Some("itsm".into()), ..none() },
        RequestFilter { from: Some(second(5)), to: Some(second(12)), ..none() },
        RequestFilter { after, limit: 1, ..none() },
    ];
    let mut all: Vec<String> = filters
        .iter()
        .map(|filter| format!("{filter:?}: {:#?}", store.change_requests(filter).unwrap()))
        .collect();
    all.push(format!("{:#?}", store.count_requests("itsm").unwrap()));
    all.push(format!("{:#?}", store.to_reconsider(2).unwrap()));
    all.push(format!("{:#?}", store.acts(2, 3).unwrap()));
    all.push(format!("{:#?}", store.acts_of(&[1, 3, 7]).unwrap()));
    all.extend(worst_first(store));
    // How long each was away is looked at by itself; retention leaves no more than that it was.
    all.push(format!("{:?}", store.blind_counts(second(1_000)).unwrap()));
    all.push(format!("{:#?}", store.unjudged(4).unwrap()));
    all.push(format!("{:#?}", store.newest_change().unwrap()));
    all.push(format!("{:#?}", store.changes_after(ChangeId(3), 4).unwrap()));
    all.push(format!("{:#?}", store.request_sources().unwrap()));
    for (behind, limit) in [(0, 100), (2, 3)] {
        all.push(format!("{:#?}", store.to_weigh(second(9), behind, limit).unwrap()));
    }
    all
}

pub(super) fn filters() -> Vec<ChangeFilter> {
    let none = ChangeFilter::default;
    vec![
        none(),
        ChangeFilter { limit: 3, ..none() },
        ChangeFilter { host: Some(host(0)), from: Some(second(5)), ..none() },
        ChangeFilter { source: Some(source(1)), to: Some(second(9)), limit: 2, ..none() },
        ChangeFilter { host: Some(host(1)), source: Some(source(0)), ..none() },
        ChangeFilter { part: Some(part_name(2)), ..none() },
        ChangeFilter { part: Some("never seen".parse().unwrap()), ..none() },
        ChangeFilter { kinds: vec![ChangeKind::Added, ChangeKind::Moved], ..none() },
        ChangeFilter { before: Some(ChangeId(4)), host: Some(host(0)), ..none() },
        ChangeFilter { before: Some(ChangeId(7)), limit: 2, ..none() },
        ChangeFilter { classes: vec![ChangeClass::Expected], ..none() },
        ChangeFilter { classes: ChangeClass::ALL[2..].to_vec(), host: Some(host(0)), ..none() },
    ]
}

pub(super) fn finding_filters() -> Vec<FindingFilter> {
    let none = FindingFilter::default;
    vec![
        none(),
        FindingFilter { open_only: true, limit: 2, ..none() },
        FindingFilter { host: Some(host(1)), ..none() },
        FindingFilter { kind: Some(FindingKind::Deviation), open_only: true, ..none() },
        FindingFilter { number: Some(2), ..none() },
        FindingFilter { severity: Some(Severity::Warning), ..none() },
        FindingFilter { hosts: Some([host(0)].into()), ..none() },
        FindingFilter { hosts: Some([].into()), open_only: true, ..none() },
        FindingFilter {
            classes: vec![FindingClass::Unjudged, FindingClass::Of(ChangeClass::Early)],
            ..none()
        },
        FindingFilter { after: Some(Cursor { at: second(9), number: 2 }), ..none() },
    ]
}

/// What was agreed of `subject`.
fn agreed(store: &dyn Reads, subject: &Subject) -> Vec<String> {
    let mut all = vec![
        format!("{:#?}", store.baseline(subject).unwrap()),
        format!("{:?}", store.baseline_sources(subject).unwrap()),
        format!("{:#?}", store.approvals(Some(subject), None, 9).unwrap()),
    ];
    for source in (0..SOURCES.len()).map(source) {
        for part in (0..PARTS.len()).map(part_name) {
            let of = store.baseline_part(subject, &source, &part).unwrap();
            all.push(format!("{subject}/{source}/{part} approved as {of:?}"));
        }
    }
    all
}

/// The worst findings: all of them, page by page, and some.
fn worst_first(store: &impl Reads) -> Vec<String> {
    let none = WorstFilter::default;
    let hosts = Some([host(0)].into());
    let mut pages = Vec::new();
    let mut after = None;
    while pages.len() < 9 {
        let page = store.worst_findings(&WorstFilter { after, limit: 2, ..none() }).unwrap();
        after = page.last().map(FindingRecord::badness);
        pages.push(page);
        if after.is_none() {
            break;
        }
    }
    let whole = store.worst_findings(&WorstFilter { limit: 16, ..none() }).unwrap();
    let by_page: Vec<FindingRecord> = pages.into_iter().flatten().collect();
    assert!(whole.iter().zip(&by_page).all(|(one, other)| one == other));
    let filters = [
        WorstFilter { hosts, ..none() },
        WorstFilter { hosts: Some([].into()), ..none() },
        WorstFilter { kind: Some(FindingKind::Deviation), ..none() },
        WorstFilter { severity: Some(Severity::Warning), ..none() },
        WorstFilter {
            classes: vec![FindingClass::Unjudged, FindingClass::Of(ChangeClass::Expected)],
            ..none()
        },
    ];
    let some = filters.iter().map(|filter| store.worst_findings(filter).unwrap());
    std::iter::once(whole).chain(some).map(|found| format!("{found:#?}")).collect()
}

/// Counts of references must be what the rows say, whatever has happened.
pub(super) fn check_references(reader: &Reader) {
    let wrong = "SELECT count(*) FROM part WHERE is_here != EXISTS (
             SELECT 1 FROM part_body WHERE id = part.id)
         OR refs != (SELECT count(*) FROM part_now WHERE digest = part.id)
             + (SELECT count(*) FROM part_now WHERE seen = part.id)
             + (SELECT count(*) FROM part_now WHERE read = part.id)
             + (SELECT count(*) FROM part_past WHERE digest = part.id)
             + (SELECT count(*) FROM agreed_part WHERE digest = part.id)";
    let wrong: i64 =
        reader.with(|db| Ok(db.query_row(wrong, [], |row| row.get(0)).unwrap())).unwrap();
    assert_eq!(wrong, 0, "parts whose references are miscounted");
}

pub(super) fn assert_same(model: &Memory, reader: &Reader) {
    check_references(reader);
    for (model, real) in everything(model).into_iter().zip(everything(reader)) {
        assert_eq!(model, real, "left: the model, right: the file");
    }
}

pub(super) fn check(acts: &[Act]) {
    let mut model = Memory::new();
    let mut place = Place::new();
    for act in acts {
        match act {
            Act::Apply(steps) => {
                model.apply(steps).unwrap();
                place.writer.apply(steps).unwrap();
            }
            Act::Keep(numbers, at) => {
                let parts: Vec<_> = numbers.iter().map(|n| NewPart::new(part(*n))).collect();
                let new = model.keep_parts(&parts, second(*at)).unwrap();
                assert_eq!(place.writer.keep_parts(&parts, second(*at)).unwrap(), new);
            }
            Act::Seen(of, at) => {
                let seen = [(host(*of), second(*at))];
                model.note_seen(&seen).unwrap();
                place.writer.note_seen(&seen).unwrap();
            }
            Act::Expire(before, now) => {
                let gone = model.expire(second(*before), second(*now), u32::MAX).unwrap();
                let real = place.writer.expire(second(*before), second(*now), u32::MAX).unwrap();
                assert_eq!(real, gone);
            }
            Act::Reopen => place = place.reopened(),
            Act::Kill => place = place.killed(),
        }
    }
    assert_same(&model, &place.reader);
}

pub(super) fn all_suspects(store: &impl ReadSuspects) -> Vec<String> {
    let none = SuspectFilter::default;
    let filters = [
        none(),
        SuspectFilter { service: Some("voice".into()), limit: 2, ..none() },
        SuspectFilter { tier: Some(Tier::Possible), ..none() },
        SuspectFilter { from: Some(second(5)), to: Some(second(15)), ..none() },
        SuspectFilter { number: Some(2), ..none() },
    ];
    let mut all: Vec<String> = filters
        .iter()
        .map(|filter| format!("{filter:?}: {:#?}", store.suspects(filter).unwrap()))
        .collect();
    all.push(format!("{:?} {:?}", store.last_pass().unwrap(), store.outcomes().unwrap()));
    all.extend((0..4).map(|number| format!("{number}: {:?}", store.pass(number).unwrap())));
    all
}

proptest! {
    #[test]
    fn the_file_answers_as_the_model_does(acts in acts()) {
        check(&acts);
    }

    #[test]
    fn retention_answers_as_before_or_not_at_all(
        sketches in vec(sketches(), 1..12),
        before in 0..20i64,
        limit in 0..6u32,
    ) {
        let steps: Vec<_> = sketches.iter().map(|s| version_step(s, Vec::new())).collect();
        let mut place = Place::hasty();
        place.writer.apply(&steps).unwrap();
        let of_host = |h| (0..2).flat_map(move |s| (0..20).map(move |t| (h, s, t)));
        let asked: Vec<_> = (0..2).flat_map(of_host).collect();
        let ask = |reader: &Reader, (h, s, t): (usize, usize, i64)| {
            reader.manifest_at(&host(h), &source(s), second(t)).unwrap()
        };
        let told: Vec<_> = asked.iter().map(|a| ask(&place.reader, *a)).collect();
        let newest = |reader: &Reader| [0, 1].map(|h| reader.sections(&host(h)).unwrap());
        let sections = newest(&place.reader);
        place.writer.expire(second(before), second(0), limit).unwrap();
        prop_assert_eq!(newest(&place.reader), sections);
        for (asked, told) in asked.into_iter().zip(told) {
            let now = ask(&place.reader, asked);
            let kept = now == told || (now.is_none() && asked.2 < before);
            prop_assert!(kept, "{:?}: {:?} became {:?}", asked, told, now);
        }
    }

    #[test]
    fn small_passes_of_retention_end_where_one_large_pass_does(
        acts in vec(vec(steps(), 1..5), 1..6),
        numbers in vec(0..5u8, 0..5),
    ) {
        let (mut small, mut large) = (Place::hasty(), Place::hasty());
        for place in [&mut small, &mut large] {
            let parts: Vec<_> = numbers.iter().map(|n| NewPart::new(part(*n))).collect();
            place.writer.keep_parts(&parts, second(0)).unwrap();
            acts.iter().for_each(|steps| place.writer.apply(steps).unwrap());
        }
        let sum = |writer: &mut Writer, limit| -> u64 {
            [HOUR, 2 * HOUR].into_iter().map(|now| {
                // Enough passes for every row and once around all parts.
                let passes = if limit == u32::MAX { 1 } else { 30 };
                let mut pass = |_| writer.expire(second(9), second(now), limit).unwrap();
                (0..passes).map(&mut pass).sum::<u64>()
            }).sum()
        };
        prop_assert_eq!(sum(&mut small.writer, 5), sum(&mut large.writer, u32::MAX));
        prop_assert_eq!(everything(&small.reader), everything(&large.reader));
    }
}
