//! Cases and the changes they are held against, as the engine takes them. Pure.
//!
//! A [`Stream`] is every case of one evaluation, dictionary-encoded: a million cases are a million
//! small rows and three short lists of names. It does not know where a case was read, and holds no
//! text a person wrote. Names are sorted and cases are in time order, so equal cases give an equal
//! stream whatever the order of their rows was: [`Gather`] sees to that.

use std::collections::BTreeMap;

use driftline_protocol::mutant::{self, Mutant};
use serde::{Deserialize, Serialize};

/// One case, dictionary-encoded against its [`Stream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Case {
    /// When the case was opened, in seconds since 1970, UTC.
    pub opened_at: i64,
    /// When its system first held it, if the system says so.
    pub recorded_at: Option<i64>,
    /// Index into [`Stream::services`].
    pub service: u32,
    /// Index into [`Stream::sites`].
    pub site: u32,
    /// Index into [`Stream::categories`].
    pub category: u32,
}

impl Case {
    /// Whether it was opened, and held by its system, before the moment `until`.
    pub fn is_known(&self, until: i64) -> bool {
        let until = until + i64::from(mutant::active(Mutant::UntilHoldsItsOwnSecond));
        self.opened_at < until && self.recorded_at.is_none_or(|at| at < until)
    }
}

/// All cases of one evaluation, sorted by `opened_at`.
///
/// Names are sorted, so that indices do not depend on the order of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Every case, oldest first.
    pub cases: Vec<Case>,
    /// Names of services.
    pub services: Vec<String>,
    /// Names of sites, those without a case among them.
    pub sites: Vec<String>,
    /// Names of categories.
    pub categories: Vec<String>,
}

/// Which sites a change touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exposure {
    /// All of them, so that none is left to compare with.
    Everywhere,
    /// These, by name.
    Sites(Vec<String>),
    /// Nobody knows, so nothing can be said.
    Unknown,
}

/// A change, or a change set, that may go together with a rise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name in the answer.
    pub id: String,
    /// When it was made, in seconds since 1970, UTC.
    pub at: i64,
    /// The service whose cases are looked at; `None` for all.
    pub service: Option<String>,
    /// Where it was made.
    pub exposure: Exposure,
    /// What sort of change it was; decides the window when `window_hours` does not.
    pub kind: Option<String>,
    /// How long after the change cases are counted, in hours.
    pub window_hours: Option<u32>,
    /// Sites that were reached at another time than `at`.
    pub waves: Vec<(String, i64)>,
}

/// One case by its names, before it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// See [`Case::opened_at`].
    pub opened_at: i64,
    /// See [`Case::recorded_at`].
    pub recorded_at: Option<i64>,
    /// The service's name.
    pub service: &'a str,
    /// The site's name.
    pub site: &'a str,
    /// The category's name; empty when there is none.
    pub category: &'a str,
}

/// Encodes named cases, in whatever order they come, into a [`Stream`].
#[derive(Clone, Debug, Default)]
pub struct Gather {
    cases: Vec<Case>,
    services: Names,
    sites: Names,
    categories: Names,
}

impl Gather {
    /// Takes one case.
    pub fn add(&mut self, named: &Named<'_>) {
        let case = Case {
            opened_at: named.opened_at,
            recorded_at: named.recorded_at,
            service: self.services.index(named.service),
            site: self.sites.index(named.site),
            category: self.categories.index(named.category),
        };
        self.cases.push(case);
    }

    /// Takes the case that was taken as the `place`-th, from 0, again: what is known of it may have
    /// changed, but not when it was opened.
    pub fn amend(&mut self, place: usize, named: &Named<'_>) {
        // Taken apart, so that a new column is amended as well.
        let Named { opened_at: _, recorded_at: _, service, site, category } = *named;
        let service = self.services.index(service);
        let site = self.sites.index(site);
        let category = self.categories.index(category);
        if let Some(Case { opened_at, recorded_at, .. }) = self.cases.get(place).copied()
            && let Some(case) = self.cases.get_mut(place)
        {
            *case = Case { opened_at, recorded_at, service, site, category };
        }
    }

    /// How many cases were taken.
    pub fn taken(&self) -> usize {
        self.cases.len()
    }

    /// How many different names the column with the most of them has.
    pub fn names(&self) -> usize {
        // Taken apart, so that a new column has a bound as well.
        let Self { services, sites, categories, cases: _ } = self;
        let columns = [services, sites, categories];
        columns.map(|names| names.indices.len()).into_iter().max().unwrap_or(0)
    }

    /// Takes a site that may have no case at all.
    pub fn add_site(&mut self, name: &str) {
        self.sites.index(name);
    }

    /// The stream of all that was taken.
    pub fn finish(self) -> Stream {
        let (services, service) = self.services.sorted();
        let (sites, site) = self.sites.sorted();
        let (categories, category) = self.categories.sorted();
        let mut cases = self.cases;
        for case in &mut cases {
            case.service = moved(&service, case.service);
            case.site = moved(&site, case.site);
            case.category = moved(&category, case.category);
        }
        cases.sort_unstable();
        Stream { cases, services, sites, categories }
    }
}

/// The names met so far, each with the index it was given.
#[derive(Clone, Debug, Default)]
struct Names {
    indices: BTreeMap<String, u32>,
}

impl Names {
    fn index(&mut self, name: &str) -> u32 {
        if let Some(index) = self.indices.get(name) {
            return *index;
        }
        let next = u32::try_from(self.indices.len()).expect("more names than rows fit in memory");
        self.indices.insert(name.to_owned(), next);
        next
    }

    /// The names in order, and for each old index the new one.
    fn sorted(self) -> (Vec<String>, Vec<u32>) {
        let mut moved_to = vec![0; self.indices.len()];
        let mut sorted = Vec::with_capacity(moved_to.len());
        for ((name, old), new) in self.indices.into_iter().zip(0u32..) {
            if let Some(place) = moved_to.get_mut(old as usize) {
                *place = new;
            }
            sorted.push(name);
        }
        (sorted, moved_to)
    }
}

fn moved(to: &[u32], index: u32) -> u32 {
    to.get(index as usize).copied().unwrap_or(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(rows: &[(i64, &str, &str)]) -> Stream {
        let mut gather = Gather::default();
        for (opened_at, service, site) in rows {
            gather.add(&Named {
                opened_at: *opened_at,
                recorded_at: None,
                service,
                site,
                category: "",
            });
        }
        gather.add_site("quiet");
        gather.finish()
    }

    #[test]
    fn the_order_of_rows_changes_nothing() {
        let forth = gather(&[(3, "voice", "porto"), (1, "mail", "graz"), (2, "voice", "graz")]);
        let back = gather(&[(2, "voice", "graz"), (1, "mail", "graz"), (3, "voice", "porto")]);
        assert_eq!(forth, back);
        assert_eq!(forth.services, ["mail", "voice"]);
        assert_eq!(forth.sites, ["graz", "porto", "quiet"]);
        assert_eq!(forth.cases.iter().map(|case| case.opened_at).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(forth.cases[2].site, 1);
    }

    #[test]
    fn an_amended_case_keeps_when_it_was_opened() {
        let named = |opened_at, site| Named {
            opened_at,
            recorded_at: None,
            service: "voice",
            site,
            category: "",
        };
        let mut gather = Gather::default();
        gather.add(&named(5, "porto"));
        gather.add(&named(6, "porto"));
        gather.amend(0, &named(9, "graz"));
        assert_eq!((gather.taken(), gather.names()), (2, 2));
        let stream = gather.finish();
        assert_eq!(stream.cases[0].opened_at, 5);
        assert_eq!(stream.sites[stream.cases[0].site as usize], "graz");
    }
}
