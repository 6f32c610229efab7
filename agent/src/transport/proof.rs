//! What an enrolment is proved by, and what a host proves itself by from then on.

use std::fs::File;
use std::path::Path;

use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};

use super::TransportError;
use crate::platform;

/// The largest enrolment secret, in bytes.
const SECRET_BYTES: u64 = 4_096;

/// The longest token that is taken, in bytes; a collector of ours gives 64.
pub(super) const TOKEN_BYTES: usize = 512;

/// The enrolment secret in `path`.
///
/// # Errors
/// [`TransportError::OpenSecret`] where others may read it, [`TransportError::Secret`].
pub fn secret_of(path: &Path) -> Result<String, TransportError> {
    let failed = |source| TransportError::Secret { path: path.to_path_buf(), source };
    if platform::is_for_others(path).map_err(failed)? {
        return Err(TransportError::OpenSecret(path.to_path_buf()));
    }
    let mut file = File::open(path).map_err(failed)?;
    let read = limits::read_bounded(&mut file, SECRET_BYTES).map_err(failed)?;
    Ok(String::from_utf8_lossy(&read).trim().to_owned())
}

/// Whether a token can stand in the head of a request: what is kept must be of use to whoever
/// answers next.
pub(super) fn is_token(token: &str) -> bool {
    if mutant::active(Mutant::AnyTokenIsTaken) {
        return true;
    }
    (1..=TOKEN_BYTES).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}
