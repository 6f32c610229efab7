//! What is kept of each path between passes, so that an unchanged file is not opened.
//!
//! A path and its attributes are kept as 16 bytes of a hash each and the part as its receipt: about
//! a hundred bytes a path, whatever its length, and no allocation. A keyed 128-bit hash has no
//! accidental collisions, and nobody without the key can make one.

use std::collections::HashMap;

use driftline_protocol::item::Fingerprint;

use crate::sources::Receipt;
use crate::sources::stamp::Print;

/// What is known of one path.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// Identity, size, times, mode and owners, hashed.
    pub(super) stat: Print,
    /// The digest of its bytes, where they are all that decides its items.
    pub(super) raw: Option<Fingerprint>,
    /// Mode and owners, hashed.
    pub(super) attributes: Print,
    /// What the sink said of the part.
    pub(super) receipt: Receipt,
    /// Whether `stat` proves that nothing has changed.
    pub(super) settled: bool,
    /// The last pass that visited it.
    pub(super) pass: u32,
}

/// See the module.
#[derive(Default)]
pub(super) struct Cache {
    known: HashMap<Print, Known>,
    pass: u32,
}

impl Cache {
    /// Begins a pass in which no path was visited yet.
    pub(super) fn begin(&mut self) {
        self.pass = self.pass.wrapping_add(1);
    }

    /// Forgets every path this pass has not visited.
    pub(super) fn end(&mut self) {
        let pass = self.pass;
        self.known.retain(|_, known| known.pass == pass);
    }

    pub(super) fn visited(&self, path: Print) -> bool {
        self.known.get(&path).is_some_and(|known| known.pass == self.pass)
    }

    pub(super) fn get(&self, path: Print) -> Option<Known> {
        self.known.get(&path).copied()
    }

    pub(super) fn put(&mut self, path: Print, known: Known) {
        self.known.insert(path, Known { pass: self.pass, ..known });
    }
}

#[cfg(test)]
#[cfg(unix)]
impl Cache {
    /// All that is known, for tests that bend the times.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Known> {
        self.known.values_mut()
    }
}
