//! The floor under a snapshot: read and hash everything it reads, keep nothing, understand nothing.
//!
//! What a program costs above this is what it spends on meaning. Errors are skipped: the floor has
//! no opinion about what could not be read.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Single files a host snapshot reads beside the tree: packages, accounts, sockets.
const FILES: &[&str] = &[
    "/var/lib/dpkg/status",
    "/etc/passwd",
    "/etc/group",
    "/proc/net/tcp",
    "/proc/net/tcp6",
    "/proc/net/udp",
    "/proc/net/udp6",
    "/proc/net/unix",
];

/// Trees a host snapshot reads beside the named one: unit files.
const UNITS: &[&str] = &["/lib/systemd/system", "/run/systemd"];

/// Hashes every byte below `tree`; with `host`, also what a host snapshot reads. Gives files, bytes
/// and the digest.
pub fn pass(tree: &Path, host: Host) -> (u64, u64, String) {
    let mut floor = Floor::default();
    floor.walk(tree);
    if host == Host::Whole {
        FILES.iter().for_each(|file| floor.file(Path::new(file)));
        UNITS.iter().for_each(|tree| floor.walk(Path::new(tree)));
        floor.processes();
    }
    (floor.files, floor.bytes, floor.hasher.finalize().to_hex().to_string())
}

/// Whether the rest of the host is read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Packages, accounts, listeners and services.
    Whole,
    /// The tree alone.
    TreeOnly,
}

#[derive(Default)]
struct Floor {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    files: u64,
    bytes: u64,
}

impl Floor {
    fn walk(&mut self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            self.hasher.update(&metadata.mode().to_le_bytes());
            if metadata.is_dir() {
                self.walk(&path);
            } else if metadata.is_file() {
                self.file(&path);
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let Ok(mut file) = fs::File::open(path) else { return };
        self.buffer.resize(64 * 1024, 0);
        self.files += 1;
        while let Ok(read) = file.read(&mut self.buffer)
            && read > 0
        {
            self.bytes += read as u64;
            self.hasher.update(self.buffer.get(..read).unwrap_or_default());
        }
    }

    /// Who listens: the links of every process's open files, as joining sockets to programs needs.
    fn processes(&mut self) {
        let Ok(processes) = fs::read_dir("/proc") else { return };
        for process in processes.filter_map(Result::ok) {
            let Ok(open) = fs::read_dir(process.path().join("fd")) else { continue };
            for link in open.filter_map(Result::ok).filter_map(|one| fs::read_link(one.path()).ok())
            {
                self.hasher.update(link.as_os_str().as_encoded_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_the_tree_counts() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("below")).unwrap();
        fs::write(folder.path().join("below/a"), vec![b'x'; 100_000]).unwrap();
        let before = pass(folder.path(), Host::TreeOnly);
        assert_eq!((before.0, before.1), (1, 100_000));
        let mut changed = vec![b'x'; 100_000];
        changed.splice(99_999.., *b"y");
        fs::write(folder.path().join("below/a"), changed).unwrap();
        assert_ne!(pass(folder.path(), Host::TreeOnly).2, before.2);
    }
}
