//! The tree of files that every file row reads: 5,000 files, some 25 MB, the same on each run.
//!
//! The size is the one the peers were first measured with. Two faces of it: [`Face::Configuration`]
//! is text in the formats hosts have, [`Face::Opaque`] bytes that no format claims, so that reading
//! it is hashing and nothing else. Names and sizes are the same in both.

use std::fs;
use std::path::Path;

use crate::statistics::Seeded;

/// How many files the peers were measured with.
pub const FILES: u64 = 5_000;

/// A host that keeps ten times as much: a build machine, a file server's policies.
pub const MANY_FILES: u64 = 50_000;

const FOLDERS: u64 = 100;
const SEED: u64 = 20_261_122;

/// What the files hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Text in the formats hosts have.
    Configuration,
    /// Bytes that no format claims.
    Opaque,
}

/// Writes a tree of `files` below `root` and gives how many bytes it has.
///
/// # Errors
/// Any error of writing.
pub fn write(root: &Path, (face, files): (Face, u64)) -> std::io::Result<u64> {
    let mut seeded = Seeded(SEED);
    let mut total = 0;
    for number in 0..files {
        let folder = root.join(format!("app{:03}", number % FOLDERS));
        fs::create_dir_all(&folder)?;
        // Many small files and a few large ones, as below /etc; some 5 kB on average. Formats take
        // turns in fives, so that each has its share of the large ones.
        let large = (number / 5).is_multiple_of(10);
        let size = if large { 5_000 + seeded.below(30_000) } else { seeded.below(5_800) };
        let (ending, text) = content(number, size as usize, &mut seeded);
        let (name, bytes) = match face {
            Face::Configuration => (format!("unit{number:04}.{ending}"), text.into_bytes()),
            Face::Opaque => (format!("unit{number:04}.bin"), opaque(text.len(), &mut seeded)),
        };
        total += bytes.len() as u64;
        fs::write(folder.join(name), bytes)?;
    }
    Ok(total)
}

fn content(number: u64, size: usize, seeded: &mut Seeded) -> (&'static str, String) {
    let (ending, line): (_, fn(&mut Seeded, usize) -> String) = match number % 5 {
        0 => ("ini", |seeded, line| match line % 12 {
            0 => format!("\n[{}{line}]\n", seeded.word(7)),
            1 => format!("; {} {}\n", seeded.word(9), seeded.word(12)),
            _ => format!("{}_{line} = {}\n", seeded.word(6), seeded.word(14)),
        }),
        1 => {
            ("conf", |seeded, line| format!("{}{line}={}\n", seeded.word(8), seeded.below(90_000)))
        }
        2 => ("json", |seeded, line| {
            let comma = if line == 0 { "" } else { "," };
            format!("{comma}\n  \"{}{line}\": \"{}\"", seeded.word(8), seeded.word(16))
        }),
        3 => ("yaml", |seeded, line| format!("{}{line}: {}\n", seeded.word(8), seeded.word(16))),
        _ => ("txt", |seeded, _| format!("{} {}\n", seeded.word(12), seeded.word(30))),
    };
    let mut text = String::with_capacity(size + 64);
    for number in 0.. {
        if text.len() >= size {
            break;
        }
        text.push_str(&line(seeded, number));
    }
    let text = if ending == "json" { format!("{{{text}\n}}\n") } else { text };
    (ending, text)
}

fn opaque(size: usize, seeded: &mut Seeded) -> Vec<u8> {
    // A first byte that is no text in any encoding, so that no format is tried.
    let words = std::iter::repeat_with(|| seeded.number().to_le_bytes()).flatten();
    [0, 0xff].into_iter().chain(words).take(size.max(2)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_its_share_of_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let total = write(folder.path(), (Face::Configuration, FILES)).unwrap();
        for ending in ["ini", "conf", "json", "yaml", "txt"] {
            let folders = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
            let files =
                folders.flat_map(|folder| fs::read_dir(folder).unwrap()).map(Result::unwrap);
            let of = files.filter(|file| file.path().extension().is_some_and(|e| e == ending));
            let bytes: u64 = of.map(|file| file.metadata().unwrap().len()).sum();
            assert!((total / 7..total / 4).contains(&bytes), "{ending}: {bytes} of {total}");
        }
    }

    #[test]
    fn both_faces_have_the_size_the_peers_were_measured_with() {
        for face in [Face::Configuration, Face::Opaque] {
            let folder = tempfile::tempdir().unwrap();
            let bytes = write(folder.path(), (face, FILES)).unwrap();
            assert!((22_000_000..28_000_000).contains(&bytes), "{face:?}: {bytes} bytes");
            let again = tempfile::tempdir().unwrap();
            assert_eq!(write(again.path(), (face, FILES)).unwrap(), bytes);
        }
    }
}
