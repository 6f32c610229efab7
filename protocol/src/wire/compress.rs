//! Compression of bodies, bounded on the way out: a small body must not become a large one
//! unnoticed.

use std::cell::RefCell;
use std::io;

use zstd::bulk::Decompressor;
use zstd::zstd_safe;

use crate::limits;

thread_local! {
    /// Making one costs more than decompressing a report with it.
    #[cfg_attr(
        windows,
        allow(clippy::missing_const_for_thread_local, reason = "it is; clippy cannot tell there")
    )]
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// It would pass the bound after decompression.
    #[error("body passes its bound after decompression")]
    TooLarge,
    /// It is not zstd, or not one frame of it.
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
    decompress_within(body, limits::DECOMPRESSED_BYTES)
}

/// As [`decompress`], with a bound of `bound` bytes.
///
/// One frame and nothing after it: the size a frame states says nothing about a second one.
///
/// # Errors
/// [`WireError::TooLarge`] as soon as more than `bound` bytes come out, and [`WireError::Zstd`]
/// when the bytes are not one frame of zstd.
pub fn decompress_within(body: &[u8], bound: usize) -> Result<Vec<u8>, WireError> {
    match zstd_safe::get_frame_content_size(body) {
        Ok(Some(size)) => decompress_known(body, size, bound),
        Ok(None) => decompress_stream(body, bound),
        Err(_) => Err(invalid("no frame of zstd")),
    }
}

/// A frame that says how large its content is; one that lies is an error of the decompressor.
fn decompress_known(body: &[u8], size: u64, bound: usize) -> Result<Vec<u8>, WireError> {
    let size = usize::try_from(size).ok().filter(|size| *size <= bound);
    let size = size.ok_or(WireError::TooLarge)?;
    match zstd_safe::find_frame_compressed_size(body) {
        Ok(length) if length == body.len() => {}
        Ok(_) => return Err(invalid("more follows the frame")),
        Err(_) => return Err(invalid("the frame is not whole")),
    }
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(kept) => kept,
            None => kept.insert(Decompressor::new().map_err(WireError::Zstd)?),
        };
        decompressor.decompress(body, size).map_err(WireError::Zstd)
    })
}

fn invalid(what: &'static str) -> WireError {
    WireError::Zstd(io::Error::new(io::ErrorKind::InvalidData, what))
}

fn decompress_stream(body: &[u8], bound: usize) -> Result<Vec<u8>, WireError> {
    let mut decoder = zstd::Decoder::with_buffer(body).map_err(WireError::Zstd)?.single_frame();
    decoder.window_log_max(24).map_err(WireError::Zstd)?;
    let bytes = match limits::read_bounded(&mut decoder, bound as u64) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            return Err(WireError::TooLarge);
        }
        other => other.map_err(WireError::Zstd)?,
    };
    if decoder.finish().is_empty() {
        return Ok(bytes);
    }
    Err(invalid("more follows the frame"))
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
    fn a_body_is_one_frame_within_the_bound_of_its_reader() {
        let frame = |size: usize| zstd::bulk::compress(&vec![b'x'; size], 3).unwrap();
        assert_eq!(decompress_within(&frame(1_000), 1_000).unwrap().len(), 1_000);
        assert!(matches!(decompress_within(&frame(1_001), 1_000), Err(WireError::TooLarge)));
        let two = [frame(10), frame(10_000_000)].concat();
        assert!(matches!(decompress_within(&two, 1_000), Err(WireError::Zstd(_))));
        assert!(matches!(decompress(&two), Err(WireError::Zstd(_))));
        let long = frame(1_000);
        assert!(matches!(decompress(&long[..long.len() - 1]), Err(WireError::Zstd(_))));
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
