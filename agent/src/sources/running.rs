//! What the sources have in common that ask a server what is running. It knows no server.

use std::path::Path;

use driftline_protocol::canonical::scope_digest;
use driftline_protocol::redact::{RawItems, RawPart};
use driftline_protocol::snapshot::{Reading, Reason};

use super::table::momentary;
use super::{Sink, part_name};
use crate::control::SECRET_BYTES;
use crate::machine::Machine;

/// What a part says; nothing where the server has no such thing.
pub(super) type Told = Result<Option<RawItems>, Reason>;

/// Says one part, read by `parser` of this version.
pub(super) fn tell(
    sink: &mut dyn Sink,
    (parser, version): (&str, u32),
    name: &'static str,
    told: Told,
) {
    let reading = Reading { parser: parser.into(), version, scope: scope_digest([""; 0]) };
    match told {
        Ok(Some(items)) => sink.seen(part_name(name), momentary(reading, items)),
        Ok(None) => return,
        Err(reason) => sink.seen(part_name(name), RawPart::Unobserved(reason)),
    };
}

/// The password in a file, without the line's end.
pub(super) fn secret(machine: &Machine, file: &Path) -> Result<String, Reason> {
    let content = machine.read(file, SECRET_BYTES)?.ok_or(Reason::Failed)?;
    let text = String::from_utf8(content.bytes).map_err(|_| Reason::Malformed)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// What the tests of these sources share: servers that follow a transcript and misbehave, and a
/// sink that keeps what it hears.
#[cfg(test)]
#[cfg(unix)]
pub(super) mod scripted;
