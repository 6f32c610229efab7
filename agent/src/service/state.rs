//! The state folder, its lock, and the key fingerprints are made under.
//!
//! The folder belongs to one running agent: a second one would give out the same generations. The
//! key is the site's where one is configured; else the host's own, made once and kept here,
//! readable by the owner only.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::Redactor;

use crate::platform;
use crate::spool::replace;

/// The largest key file, in bytes.
const KEY_BYTES_MOST: u64 = 64 * 1024;

/// The shortest key, in bytes: below it a fingerprint could be guessed back to its secret.
const KEY_BYTES_LEAST: usize = 32;

/// Where the host's own key is kept.
const OWN_KEY: &str = "fingerprint.key";

/// Why the state folder or the key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operating system refused.
    #[error("{doing} {}{}", path.display(), way_out(source))]
    File {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Another agent runs on this folder.
    #[error("another agent is running on {}; stop it, or set another `state_dir`", .0.display())]
    Busy(PathBuf),
    /// Others could read the key.
    #[error("{} can be read by others; take their access away with chmod 600", .0.display())]
    Open(PathBuf),
    /// The key is too short.
    #[error("{} holds fewer than 32 bytes; make one with: head -c 32 /dev/urandom", .0.display())]
    Short(PathBuf),
    /// The operating system gave no random bytes.
    #[error("asking for random bytes: {0}")]
    Random(String),
}

/// What to do about a file that the operating system keeps from us.
fn way_out(error: &io::Error) -> &'static str {
    let known = WAYS_OUT.iter().find(|(kind, _)| *kind == error.kind());
    known.map_or(" (`state_dir` names another place)", |(_, way)| way)
}

const WAYS_OUT: [(io::ErrorKind, &str); 3] = [
    (io::ErrorKind::NotFound, " (the key of the configuration must name a file that is there)"),
    (
        io::ErrorKind::PermissionDenied,
        " (run it as root or as the user of the service, or set another `state_dir`)",
    ),
    (io::ErrorKind::StorageFull, " (make room there)"),
];

/// The state folder, ours for as long as this lives.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    _lock: File,
}

impl StateFolder {
    /// Takes the folder, made where it is not there.
    ///
    /// # Errors
    /// [`StateError::Busy`] while another agent holds it.
    pub fn take(path: &Path) -> Result<Self, StateError> {
        let failed =
            |doing| move |source| StateError::File { doing, path: path.to_path_buf(), source };
        platform::folder_of_owner(path).map_err(failed("making the state folder"))?;
        let lock = platform::files_of_owner()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .map_err(failed("locking the state folder"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_path_buf(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::Busy(path.to_path_buf())),
            Err(TryLockError::Error(error)) => Err(failed("locking the state folder")(error)),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The redactor under this host's own key, made where it is not there.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn own_redactor(&self) -> Result<Redactor, StateError> {
        let path = self.path.join(OWN_KEY);
        if !path.exists() || mutant::active(Mutant::ForgetStateAtStart) {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|error| StateError::Random(error.to_string()))?;
            replace(&path, &key).map_err(|source| StateError::File {
                doing: "keeping the fingerprint key in",
                path: path.clone(),
                source,
            })?;
        }
        redactor_of(&path)
    }
}

/// The redactor of this host for a snapshot beside the agent that may be running: under the key
/// that the state folder holds, made where nobody has made one, so that two snapshots can be
/// compared.
///
/// # Errors
/// See [`StateError`]; the folder is root's, as a rule.
pub fn host_redactor(state_dir: &Path) -> Result<Redactor, StateError> {
    let key = state_dir.join(OWN_KEY);
    if key.exists() { redactor_of(&key) } else { StateFolder::take(state_dir)?.own_redactor() }
}

/// The redactor under the key in `path`.
///
/// # Errors
/// See [`StateError`].
pub fn redactor_of(path: &Path) -> Result<Redactor, StateError> {
    let failed = |source| StateError::File {
        doing: "reading the fingerprint key from",
        path: path.to_path_buf(),
        source,
    };
    if platform::is_for_others(path).map_err(failed)? {
        return Err(StateError::Open(path.to_path_buf()));
    }
    let mut file = File::open(path).map_err(failed)?;
    let bytes = limits::read_bounded(&mut file, KEY_BYTES_MOST).map_err(failed)?;
    if bytes.len() < KEY_BYTES_LEAST {
        return Err(StateError::Short(path.to_path_buf()));
    }
    Ok(Redactor::from_key_file(&bytes))
}

/// A redactor under a random key that is forgotten, for a snapshot that can be compared with no
/// other.
///
/// # Errors
/// [`StateError::Random`].
pub fn passing_redactor() -> Result<Redactor, StateError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| StateError::Random(error.to_string()))?;
    Ok(Redactor::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(unix)]
    use std::fs;
    #[cfg(unix)]
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn a_folder_belongs_to_one_agent_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let held = StateFolder::take(&path).unwrap();
        assert!(matches!(StateFolder::take(&path), Err(StateError::Busy(_))));
        drop(held);
        let again = StateFolder::take(&path).unwrap();
        #[cfg(unix)]
        assert_eq!(fs::metadata(again.path()).unwrap().mode() & 0o777, 0o700);
        drop(again);
    }

    #[test]
    fn the_own_key_is_made_once_and_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::take(folder.path()).unwrap();
        let first = state.own_redactor().unwrap().key_id();
        assert_eq!(state.own_redactor().unwrap().key_id(), first);
        #[cfg(unix)]
        assert_eq!(fs::metadata(folder.path().join(OWN_KEY)).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn snapshots_of_a_host_have_the_key_of_its_agent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let first = host_redactor(&path).unwrap().key_id();
        let state = StateFolder::take(&path).unwrap();
        assert_eq!(state.own_redactor().unwrap().key_id(), first);
        assert_eq!(host_redactor(&path).unwrap().key_id(), first, "while an agent runs");
        assert!(host_redactor(&path.join("lock").join("state")).is_err(), "below a file");
    }

    #[test]
    #[cfg(unix)]
    fn a_key_others_can_read_or_guess_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, [1; 40]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(redactor_of(&path), Err(StateError::Open(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(redactor_of(&path).is_ok());
        fs::write(&path, [1; 31]).unwrap();
        assert!(matches!(redactor_of(&path), Err(StateError::Short(_))));
    }
}
