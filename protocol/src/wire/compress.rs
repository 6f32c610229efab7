//! Compression of bodies, bounded on the way out: a small body must not become a large one
//! unnoticed.

use std::io;

use crate::limits;

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// It would pass the bound after decompression.
    #[error(
        "body passes the bound of {limit} bytes after decompression",
        limit = limits::DECOMPRESSED_BYTES
    )]
    TooLarge,
    /// It is not zstd.
    #[error("decompressing a body")]
    Zstd(#[source] io::Error),
}

/// The zstd form of `body` where that saves anything, with whether it was compressed.
pub fn compress(body: Vec<u8>) -> (Vec<u8>, bool) {
    if body.len() < limits::COMPRESS_ABOVE_BYTES {
        return (body, false);
    }
    match zstd::bulk::compress(&body, 3) {
        Ok(small) if small.len() < body.len() => (small, true),
        _ => (body, false),
    }
}

/// The body that [`compress`] made zstd of.
///
/// # Errors
/// [`WireError::TooLarge`] as soon as more than [`limits::DECOMPRESSED_BYTES`] come out, and
/// [`WireError::Zstd`] when the bytes are no zstd.
pub fn decompress(body: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut decoder = zstd::Decoder::new(body).map_err(WireError::Zstd)?;
    decoder.window_log_max(24).map_err(WireError::Zstd)?;
    match limits::read_bounded(&mut decoder, limits::DECOMPRESSED_BYTES as u64) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(WireError::TooLarge),
        other => other.map_err(WireError::Zstd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_refused_without_growing_past_the_bound() {
        let bomb = zstd::bulk::compress(&vec![0; 200_000_000], 19).unwrap();
        assert!(bomb.len() < 100_000);
        assert!(matches!(decompress(&bomb), Err(WireError::TooLarge)));
    }

    #[test]
    fn bodies_survive_the_wire() {
        for body in [vec![], vec![b'x'; 511], vec![b'x'; 5_000]] {
            let (sent, compressed) = compress(body.clone());
            let received = if compressed { decompress(&sent).unwrap() } else { sent };
            assert_eq!(received, body);
        }
        assert!(matches!(decompress(b"not zstd"), Err(WireError::Zstd(_))));
    }
}
