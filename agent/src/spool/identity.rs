//! Who this agent is, in a small file of its own, so that a damaged spool loses neither the
//! enrolment nor the place the generations have reached.
//!
//! One line of JSON and one line with its digest, replaced by write, fsync, rename and fsync of the
//! folder: after a crash the file is the old one or the new one. Generations are reserved here in
//! blocks ahead, so that the file is written once in [`BLOCK`] versions and the counter never goes
//! back.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use driftline_protocol::canonical::scope_digest;
use driftline_protocol::ids::{Generation, HostId, Incarnation, KeyId};
use driftline_protocol::limits;
use serde::{Deserialize, Serialize};

use super::SpoolError;
use crate::platform;

/// Generations reserved at once: at one version a minute the file is written about once in 17
/// hours.
const BLOCK: u64 = 1_024;

/// The largest identity file, in bytes; a real one has under 1 kB.
const FILE_BYTES: u64 = 64 * 1024;

/// How long a store epoch may stay in memory alone after one was written, in milliseconds: whoever
/// answers has the file written with each that differs. One that is lost with the process is told
/// once more.
const EPOCH_MS: u64 = 60_000;

const FILE_NAME: &str = "identity.json";

/// How many names are tried for a file that is set aside; a folder may have the first.
const NAMES_ASIDE: u32 = 16;

/// What must survive the loss of the spool.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The version of this file.
    version: u32,
    /// The state; another one once a spool was lost, since its accounts begin again.
    pub incarnation: Incarnation,
    /// The name under which the host is enrolled, if it is.
    pub host: Option<HostId>,
    /// The agent's own token, if it is enrolled.
    pub token: Option<String>,
    /// The newest store epoch seen.
    pub epoch: u64,
    /// No generation above this one was ever given out.
    pub reserved: Generation,
    /// How often the spool had to be repaired.
    pub repairs: u64,
    /// The key the kept parts are sealed under.
    pub key: Option<KeyId>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Identity");
        shown.field("incarnation", &self.incarnation).field("host", &self.host);
        shown.field("reserved", &self.reserved).finish_non_exhaustive()
    }
}

/// The identity and the place where it is kept.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    identity: Identity,
    /// Whether the file has another epoch.
    unwritten: bool,
    /// When an epoch was last written because it differed.
    epoch_at: Option<u64>,
}

impl Keeper {
    /// The identity kept in `folder`; a new one when there is none or what stands there is none.
    /// Then that is counted, and it is set aside for whoever wants to look: an agent that does not
    /// start sees nothing.
    ///
    /// # Errors
    /// What the operating system says: it may pass, and the identity may be a good one.
    pub(super) fn open(folder: &Path) -> Result<Self, SpoolError> {
        let path = folder.join(FILE_NAME);
        let found = read(&path).map_err(|error| failed(&path, error))?;
        let damaged = match found {
            Found::Identity(identity) => return Ok(Self::of(path, identity)),
            Found::Nothing => false,
            Found::Damaged(error) => {
                let aside = set_aside(&path).map_err(|error| failed(&path, error))?;
                let (path, aside) = (path.display(), aside.display());
                let what = "identity cannot be read and was set aside; enrolling anew";
                tracing::error!(%path, %aside, error, "{what}");
                true
            }
        };
        let identity = Identity {
            version: 1,
            incarnation: fresh_incarnation()?,
            host: None,
            token: None,
            epoch: 0,
            reserved: Generation(0),
            repairs: u64::from(damaged),
            key: None,
        };
        let mut keeper = Self::of(path, identity);
        keeper.change(|_| ())?;
        Ok(keeper)
    }

    fn of(path: PathBuf, identity: Identity) -> Self {
        Self { path, identity, unwritten: false, epoch_at: None }
    }

    pub(super) fn get(&self) -> &Identity {
        &self.identity
    }

    /// Makes a change durable, or leaves everything as it was.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Identity)) -> Result<(), SpoolError> {
        let mut next = self.identity.clone();
        change(&mut next);
        write(&self.path, &next).map_err(|source| failed(&self.path, source))?;
        self.identity = next;
        self.unwritten = false;
        Ok(())
    }

    /// Keeps the newest store epoch, in memory at once and on disk at most once in [`EPOCH_MS`].
    pub(super) fn saw_epoch(&mut self, epoch: u64, now_ms: u64) -> Result<(), SpoolError> {
        if self.identity.epoch != epoch {
            self.identity.epoch = epoch;
            self.unwritten = true;
        }
        let soon = self.epoch_at.is_some_and(|at| now_ms < at.saturating_add(EPOCH_MS));
        if !self.unwritten || soon {
            return Ok(());
        }
        self.change(|_| ())?;
        self.epoch_at = Some(now_ms);
        Ok(())
    }

    /// Makes sure that `generation` may be given out.
    pub(super) fn reserve(&mut self, generation: Generation) -> Result<(), SpoolError> {
        if generation <= self.identity.reserved {
            return Ok(());
        }
        self.change(|identity| identity.reserved = Generation(generation.0.saturating_add(BLOCK)))
    }
}

/// What stands in the place of an identity.
enum Found {
    Identity(Identity),
    Nothing,
    /// What is none, and why.
    Damaged(&'static str),
}

fn read(path: &Path) -> io::Result<Found> {
    let found = |result: io::Result<Found>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        other => other,
    };
    // Before it is opened, for to open a FIFO waits for somebody who writes.
    match fs::metadata(path) {
        Ok(stat) if !stat.is_file() => return Ok(Found::Damaged("it is no regular file")),
        Ok(_) => {}
        Err(error) => return found(Err(error)),
    }
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return found(Err(error)),
    };
    match limits::read_bounded(&mut file, FILE_BYTES) {
        Ok(bytes) => {
            Ok(decode(&bytes).map_or(Found::Damaged("its content is damaged"), Found::Identity))
        }
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            Ok(Found::Damaged("it is too large"))
        }
        Err(error) => Err(error),
    }
}

/// Gives what stands at `path` another name, which is told; a file set aside before is replaced.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let aside = match number {
            1 => path.with_extension("damaged"),
            _ => path.with_extension(format!("damaged-{number}")),
        };
        match fs::rename(path, &aside) {
            Ok(()) => return Ok(aside),
            Err(error) if number >= NAMES_ASIDE => return Err(error),
            Err(_) => number += 1,
        }
    }
}

/// A random name for a new state.
pub(super) fn fresh_incarnation() -> Result<Incarnation, SpoolError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| SpoolError::Random(error.to_string()))?;
    Ok(Incarnation(bytes))
}

fn decode(bytes: &[u8]) -> Option<Identity> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (line, digest) = text.trim_end().split_once('\n')?;
    let intact = scope_digest([line]).to_string() == digest;
    let identity: Identity = serde_json::from_str(line).ok().filter(|_| intact)?;
    (identity.version == 1).then_some(identity)
}

fn write(path: &Path, identity: &Identity) -> io::Result<()> {
    let line = serde_json::to_string(identity)?;
    let text = format!("{line}\n{}\n", scope_digest([&line]));
    replace(path, text.as_bytes())
}

/// Replaces a file of the state folder so that a crash leaves the old or the new one; readable by
/// the owner only.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = path.with_extension("next");
    let mut open = platform::files_of_owner();
    let mut file = open.write(true).create(true).truncate(true).open(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    match path.parent() {
        Some(folder) => platform::sync_folder(folder),
        None => Ok(()),
    }
}

fn failed(path: &Path, source: io::Error) -> SpoolError {
    SpoolError::File { doing: "keeping the identity", path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_and_a_damaged_one_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = Keeper::open(folder.path()).unwrap();
        keeper.change(|identity| identity.token = Some("t".into())).unwrap();
        keeper.reserve(Generation(1)).unwrap();
        let kept = keeper.get().clone();
        let again = Keeper::open(folder.path()).unwrap();
        assert_eq!(*again.get(), kept);
        let path = folder.path().join(FILE_NAME);
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, bytes).unwrap();
        let damaged = Keeper::open(folder.path()).unwrap();
        assert_eq!((damaged.get().token.as_deref(), damaged.get().repairs), (None, 1));
    }

    #[test]
    fn an_identity_that_cannot_be_read_is_set_aside_and_no_start_fails() {
        let long = "x".repeat(usize::try_from(FILE_BYTES).unwrap() + 1);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        for text in [long.as_str(), "", "\u{0}", "{}\n"] {
            fs::write(&path, text).unwrap();
            let anew = Keeper::open(folder.path()).unwrap();
            assert_eq!((anew.get().token.as_deref(), anew.get().repairs), (None, 1));
            assert_eq!(fs::read_to_string(path.with_extension("damaged")).unwrap(), text);
            assert_eq!(Keeper::open(folder.path()).unwrap().get(), anew.get());
        }
        fs::remove_file(path.with_extension("damaged")).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(Keeper::open(folder.path()).unwrap().get().repairs, 1, "a folder");
        let aside = path.with_extension("damaged");
        assert!(aside.is_dir());
        fs::write(aside.join("file"), "").unwrap();
        fs::write(&path, "{}").unwrap();
        assert_eq!(Keeper::open(folder.path()).unwrap().get().repairs, 1, "a folder is in the way");
        assert_eq!(fs::read_to_string(path.with_extension("damaged-2")).unwrap(), "{}");
    }

    #[test]
    #[cfg(unix)]
    fn an_error_that_may_pass_throws_no_identity_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let target = folder.path().join("target");
        let mut keeper = Keeper::open(folder.path()).unwrap();
        keeper.change(|identity| identity.token = Some("t".into())).unwrap();
        fs::rename(&path, &target).unwrap();
        // Root may read whatever its mode is; too many links (ELOOP) stand for all such errors.
        std::os::unix::fs::symlink(&path, &path).unwrap();
        Keeper::open(folder.path()).unwrap_err();
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink(), "it was set aside");
        fs::rename(&target, &path).unwrap();
        assert_eq!(Keeper::open(folder.path()).unwrap().get(), keeper.get());
    }

    #[test]
    #[cfg(unix)]
    fn a_fifo_in_the_place_of_an_identity_stops_no_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(Keeper::open(folder.path()).unwrap().get().repairs, 1);
    }

    #[test]
    fn epochs_in_turn_are_written_once_in_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = Keeper::open(folder.path()).unwrap();
        let kept = || Keeper::open(folder.path()).unwrap().get().epoch;
        let (mut written, mut before) = (0, kept());
        for now_ms in (0..EPOCH_MS).step_by(1_000) {
            let epoch = 1 + now_ms / 1_000 % 2;
            keeper.saw_epoch(epoch, now_ms).unwrap();
            assert_eq!(keeper.get().epoch, epoch, "the next heartbeat says it");
            written += u32::from(std::mem::replace(&mut before, kept()) != kept());
        }
        assert_eq!((written, kept()), (1, 1));
        keeper.saw_epoch(2, EPOCH_MS).unwrap();
        assert_eq!(kept(), 2, "the last of them stays");
        keeper.saw_epoch(3, EPOCH_MS + 1).unwrap();
        keeper.change(|identity| identity.repairs = 1).unwrap();
        assert_eq!(kept(), 3, "with whatever else is written");
    }

    #[test]
    fn a_token_is_not_shown_by_debug() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = Keeper::open(folder.path()).unwrap();
        keeper.change(|identity| identity.token = Some("canary".into())).unwrap();
        assert!(!format!("{keeper:?}").contains("canary"));
    }
}
