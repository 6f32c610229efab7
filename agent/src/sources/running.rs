//! What the sources have in common that ask a server what is running. It knows no server.

use std::collections::BTreeMap;
use std::path::Path;

use driftline_protocol::redact::{RawItems, RawPart};
use driftline_protocol::snapshot::Reason;

use super::table::momentary;
use super::{Sink, part_name};
use crate::content::reading;
use crate::control::SECRET_BYTES;
use crate::machine::Machine;

/// What a part says; nothing where the server has no such thing.
pub(super) type Told = Result<Option<RawItems>, Reason>;

/// Says one part, read by `parser` of this version.
pub(super) fn tell(sink: &mut dyn Sink, parser: (&str, u32), name: &'static str, said: Told) {
    let part = match said {
        Ok(Some(items)) => told(parser, items),
        Ok(None) => return,
        Err(reason) => RawPart::Unobserved(reason),
    };
    sink.seen(part_name(name), part);
}

/// The part that says `items`, read by `parser` of this version.
pub(super) fn told((parser, version): (&str, u32), items: RawItems) -> RawPart {
    momentary(reading(parser, version), items)
}

/// The password in a file, without the line's end.
pub(super) fn secret(machine: &Machine, file: &Path) -> Result<String, Reason> {
    let content = machine.read(file, SECRET_BYTES)?.ok_or(Reason::Failed)?;
    let text = String::from_utf8(content.bytes).map_err(|_| Reason::Malformed)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// How many readings in a row a state may be on its way from one to the next before that is what
/// it is told to be.
const PASSING: u32 = 4;

/// The last settled state of each thing that registers elsewhere: it registers anew every few
/// minutes, and nobody changed anything then.
#[derive(Debug, Default)]
pub(super) struct Steady {
    settled: BTreeMap<String, String>,
    /// Readings since something was on its way of which no settled state is known.
    waited: u32,
}

/// A state as the server told it.
pub(super) struct State {
    /// Whose it is.
    pub(super) name: String,
    /// Its word.
    pub(super) word: String,
    /// Whether it is on its way to another.
    pub(super) passing: bool,
}

impl Steady {
    /// Forgets everything: the server is another one.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The settled state of each, by name.
    ///
    /// # Errors
    /// [`Reason::Changing`] while something is on its way whose state before is not known, as after
    /// a start: it is unobserved, not gone.
    pub(super) fn settle(&mut self, told: Vec<State>) -> Result<BTreeMap<String, String>, Reason> {
        let (mut next, mut unknown) = (BTreeMap::new(), false);
        for State { name, word, passing } in told {
            let known = self.settled.get(&name).filter(|_| passing).cloned();
            unknown |= passing && known.is_none();
            next.insert(name, known.unwrap_or(word));
        }
        if unknown && self.waited < PASSING {
            self.waited += 1;
            return Err(Reason::Changing);
        }
        if !unknown {
            self.waited = 0;
        }
        self.settled.clone_from(&next);
        Ok(next)
    }
}

/// What the tests of these sources share: servers that follow a transcript and misbehave, and a
/// sink that keeps what it hears.
#[cfg(test)]
#[cfg(unix)]
pub(super) mod scripted;
