//! A snapshot as JSON, written source by source.
//!
//! What a source said lies here as the canonical bytes it was sealed with, which are the JSON of its
//! parts, so nothing is decoded or encoded again: a tree of 25 MB took 190 MB when the snapshot was
//! built as values first. What is written is a
//! [`Snapshot`](driftline_protocol::snapshot::Snapshot); a test reads it back.

use std::io::{self, Write};

use driftline_protocol::canonical;
use driftline_protocol::ids::{HostId, PartName};
use driftline_protocol::snapshot::{Domain, Part, Reason};
use driftline_protocol::wire::SNAPSHOT_VERSION;
use serde::Serialize;

use super::memory::Memory;
use super::{Now, pass, whole};
use crate::machine::Machine;
use crate::sources::Source;

/// Reads every source once, in memory, and writes what it said as one snapshot; keeps nothing.
///
/// What is written has passed the redactor.
///
/// # Errors
/// Those of writing; a source that cannot be read is part of the snapshot.
pub fn print(
    sources: &mut [Box<dyn Source>],
    machine: &Machine,
    (host, now): (&HostId, Now),
    out: &mut dyn Write,
) -> io::Result<()> {
    sources.sort_by_key(|source| source.name());
    write!(out, "{{\"version\":{SNAPSHOT_VERSION},\"host\":")?;
    json(out, host)?;
    out.write_all(b",\"taken_at\":")?;
    json(out, &now.wall)?;
    out.write_all(b",\"sections\":{")?;
    for (index, source) in sources.iter_mut().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        json(out, &source.name())?;
        let mut memory = Memory::default();
        let read = pass(source.as_mut(), machine, &mut memory, now);
        section(&source.domain(), out, |out| match read {
            Ok(_) => parts(&memory, machine, out),
            Err(_) => part(out, &whole(), &unread()),
        })?;
    }
    out.write_all(b"}}\n")
}

fn section(
    domain: &Domain,
    out: &mut dyn Write,
    parts: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    out.write_all(b":{\"domain\":")?;
    json(out, domain)?;
    out.write_all(b",\"parts\":{")?;
    parts(out)?;
    out.write_all(b"}}")
}

fn parts(memory: &Memory, machine: &Machine, out: &mut dyn Write) -> io::Result<()> {
    for (index, (name, sealed)) in memory.sealed().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        let unsealed = sealed.and_then(|sealed| machine.redactor().unsealed(sealed).ok());
        match unsealed {
            Some(canonical) => part(out, name, canonical)?,
            None => part(out, name, &unread())?,
        }
    }
    Ok(())
}

fn part(out: &mut dyn Write, name: &PartName, canonical: &[u8]) -> io::Result<()> {
    json(out, name)?;
    out.write_all(b":")?;
    out.write_all(canonical)
}

fn unread() -> Vec<u8> {
    canonical::encode(&Part::Unobserved(Reason::Failed))
}

fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(out, value).map_err(io::Error::from)
}
