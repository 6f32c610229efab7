//! What is watched for whom, and how a path stands to it.
//!
//! It knows names only: what stands at them is the tree's business. Asking costs what a path is
//! deep, however many are wanted, for the homes of a host are many.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::SourceName;

use super::{Reach, Watched};

/// The most paths that are watched for one source; the others are found by rescan. Each costs us
/// some 200 bytes, and the kernel nothing but the folder it stands in.
pub(super) const PATHS: usize = 8_192;

/// Where nothing is watched alone: what stands there comes and goes all day, or each program that
/// writes to `/dev/null` would call. Accounts of services have their homes there.
const RESTLESS: [&str; 7] = ["/dev", "/proc", "/run", "/sys", "/tmp", "/var/run", "/var/tmp"];

/// See the module.
#[derive(Default)]
pub(super) struct Wanted {
    by_path: BTreeMap<PathBuf, Vec<(SourceName, Reach)>>,
    /// The sources that want more than [`PATHS`].
    cut: BTreeSet<SourceName>,
}

/// How a path stands to what is watched, the closest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Elsewhere,
    /// On the way to what is watched alone, and to nothing else.
    OnTheWayToOne,
    /// Watched, and nothing below it.
    One,
    OnTheWay,
    Below,
    Root,
}

impl Wanted {
    pub(super) fn new(watched: Vec<Watched>) -> Self {
        let mut by_source: BTreeMap<SourceName, Vec<Watched>> = BTreeMap::new();
        for one in watched {
            by_source.entry(one.source.clone()).or_default().push(one);
        }
        let mut wanted = Self::default();
        for (source, watched) in by_source {
            wanted.replace(&source, watched);
        }
        wanted
    }

    /// Forgets what was watched for `source`, and takes `watched` in its place.
    pub(super) fn replace(&mut self, source: &SourceName, watched: Vec<Watched>) {
        self.by_path.retain(|_, wants| {
            wants.retain(|(of, _)| of != source);
            !wants.is_empty()
        });
        self.cut.remove(source);
        let is_told = |one: &Watched| {
            one.reach == Reach::Whole || !RESTLESS.iter().any(|place| one.path.starts_with(place))
        };
        let mut told = watched.into_iter().filter(is_told);
        for Watched { path, reach, .. } in told.by_ref().take(PATHS) {
            self.by_path.entry(path).or_default().push((source.clone(), reach));
        }
        if told.next().is_some() {
            self.cut.insert(source.clone());
        }
    }

    /// Whether some source wants more than is watched for one.
    pub(super) fn is_cut(&self) -> bool {
        !self.cut.is_empty()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.by_path.keys().map(PathBuf::as_path)
    }

    pub(super) fn sources(&self) -> BTreeSet<SourceName> {
        self.by_path.values().flatten().map(|(source, _)| source.clone()).collect()
    }

    pub(super) fn place(&self, path: &Path) -> Place {
        let mut place = Place::Elsewhere;
        for (reach, depth) in self.at_and_above(path).map(|(_, reach, depth)| (reach, depth)) {
            place = place.max(match (reach, depth) {
                (Reach::Whole, 0) => Place::Root,
                (Reach::Whole, _) => Place::Below,
                (Reach::Itself, 0) => Place::One,
                (Reach::Itself, _) => Place::Elsewhere,
            });
        }
        for (_, reach) in self.below(path).flat_map(|(_, wants)| wants) {
            if place >= Place::OnTheWay {
                break;
            }
            place = place.max(match reach {
                Reach::Whole => Place::OnTheWay,
                Reach::Itself => Place::OnTheWayToOne,
            });
        }
        place
    }

    /// The next directory towards each watched path above which `path` stands.
    pub(super) fn steps(&self, path: &Path) -> BTreeSet<PathBuf> {
        let next = |(below, _): (&PathBuf, _)| {
            let step = below.strip_prefix(path).ok()?.iter().next()?;
            Some(path.join(step))
        };
        self.below(path).filter_map(next).collect()
    }

    /// The sources that read something at, below, or by way of `path`.
    pub(super) fn concerned(&self, path: &Path) -> BTreeSet<SourceName> {
        let above = self.at_and_above(path).filter_map(|(source, reach, depth)| {
            // What is watched alone is, where it is a directory, watched with the names in it.
            (reach == Reach::Whole || depth <= 1).then_some(source)
        });
        let below = self.below(path).flat_map(|(_, wants)| wants).map(|(source, _)| source);
        above.chain(below).cloned().collect()
    }

    /// What is watched at `path` and above it, with how far above.
    fn at_and_above(&self, path: &Path) -> impl Iterator<Item = (&SourceName, Reach, usize)> {
        path.ancestors().enumerate().flat_map(|(depth, above)| {
            let wants = self.by_path.get(above).into_iter().flatten();
            wants.map(move |(source, reach)| (source, *reach, depth))
        })
    }

    fn below<'a>(
        &'a self,
        path: &'a Path,
    ) -> impl Iterator<Item = (&'a PathBuf, &'a Vec<(SourceName, Reach)>)> {
        at_and_below(&self.by_path, path).filter(move |(below, _)| below.as_path() != path)
    }
}

/// The entries whose path is `path` or below it.
pub(super) fn at_and_below<'a, K: Borrow<Path> + Ord, V>(
    paths: &'a BTreeMap<K, V>,
    path: &'a Path,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    let from = paths.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
    from.take_while(move |(known, _)| (*known).borrow().starts_with(path))
}
