//! The change requests that changes of one pass are held against: bounded, and shared between the
//! sources that tell of them, so that one that tells of very many pushes out its own and no others.

use std::collections::BTreeSet;

use driftline_protocol::mutant::{self, Mutant};
use jiff::Timestamp;

use crate::analysis::classify::request::ChangeRequest;
use crate::config::Config;
use crate::store::{MAX_LIMIT, RequestFilter, RequestRecord, StoreError};
use crate::writer::Reads;

/// The most requests that changes of one pass are held against; of a source those that end last.
pub(super) const REQUESTS_MOST: usize = 10_000;

/// What one source still has to tell.
struct Teller {
    filter: RequestFilter,
    name: String,
    /// Whether it has told all.
    ended: bool,
}

/// The requests near changes from `first` to `last`, at most `most`, and the sources of which some
/// were left out. Each source has its share; what one does not need is for the others.
pub(super) fn near(
    store: &dyn Reads,
    (first, last, most): (Timestamp, Timestamp, usize),
    config: &Config,
) -> Result<(Vec<ChangeRequest>, BTreeSet<String>), StoreError> {
    let spans = config.classification.spans();
    let (before, after) = (spans.late.max(spans.slack), spans.early.max(spans.emergency));
    let filter = |source: Option<String>| RequestFilter {
        source,
        from: first.checked_sub(before).ok(),
        to: last.checked_add(after.max(spans.slack)).ok(),
        ..RequestFilter::default()
    };
    let teller = |name: String, filter| Teller { filter, name, ended: false };
    let mut tellers: Vec<Teller> = match mutant::active(Mutant::OneSourceTakesAll) {
        true => vec![teller("any".to_owned(), filter(None))],
        false => {
            let sources = store.request_sources()?.into_iter();
            sources.map(|name| teller(name.clone(), filter(Some(name)))).collect()
        }
    };
    let mut all = Vec::new();
    loop {
        let waiting = tellers.iter().filter(|teller| !teller.ended).count();
        let share = most.saturating_sub(all.len()).checked_div(waiting).unwrap_or(0);
        if share == 0 {
            break;
        }
        for teller in tellers.iter_mut().filter(|teller| !teller.ended) {
            all.extend(teller.tell(store, share)?);
        }
    }
    // Whoever was not heard to the end may have had nothing left; asked once, so as to say so.
    let mut left_out = BTreeSet::new();
    for mut teller in tellers.into_iter().filter(|teller| !teller.ended) {
        if !teller.tell(store, 1)?.is_empty() {
            left_out.insert(teller.name);
        }
    }
    Ok((all, left_out))
}

impl Teller {
    /// At most `share` more of its requests, page by page.
    fn tell(&mut self, store: &dyn Reads, share: usize) -> Result<Vec<ChangeRequest>, StoreError> {
        let mut told = Vec::new();
        while told.len() < share && !self.ended {
            let wanted = u32::try_from(share - told.len()).unwrap_or(MAX_LIMIT).min(MAX_LIMIT);
            self.filter.limit = wanted;
            let page = store.change_requests(&self.filter)?;
            self.ended = page.len() < wanted as usize;
            self.filter.after = page.last().map(RequestRecord::place).or(self.filter.after);
            told.extend(page.into_iter().map(|record| record.request));
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::classify::request::Approval;
    use crate::classification::tests::{CONFIG, World, at};
    use crate::store::{Append, Step};

    #[test]
    fn a_source_with_very_many_requests_pushes_out_its_own() {
        let world = World::new(CONFIG);
        let mut store = world.store;
        let request = |source: &str, number: i64| ChangeRequest {
            source: source.into(),
            id: format!("CHG{number}"),
            end: at(number),
            ..crate::classification::tests::asked(Approval::Approved, (0, number))
        };
        let many = (1..40).map(|number| request("loud", number));
        let few = (1..4).map(|number| request("quiet", number));
        let tiny = std::iter::once(request("tiny", 1));
        store.apply(&[Step::ChangeRequests(many.chain(few).chain(tiny).collect())]).unwrap();
        let check = |most: usize, expect: [usize; 3], left_out: &[&str]| {
            let (found, told) = near(&store, (at(0), at(50), most), &world.config).unwrap();
            let of = |source: &str| found.iter().filter(|r| r.source == source).count();
            assert_eq!([of("loud"), of("quiet"), of("tiny")], expect, "{most}");
            assert_eq!(told.iter().map(String::as_str).collect::<Vec<_>>(), left_out, "{most}");
        };
        check(100, [39, 3, 1], &[]);
        check(43, [39, 3, 1], &[]);
        // What the quiet ones do not need is the loud one's, and it is told of alone.
        check(20, [16, 3, 1], &["loud"]);
        check(6, [2, 2, 1], &["loud", "quiet"]);
        check(0, [0, 0, 0], &["loud", "quiet", "tiny"]);
    }
}
