//! MD5 (RFC 1321), which is the only digest dpkg keeps of a configuration file. Nothing is proved
//! by it against somebody who can make collisions; it is written here since sixty lines are less
//! for every desk than one more dependency.

/// How far each step turns, by round and place in it.
const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// The bytes of one block.
const BLOCK: usize = 64;

/// The digest of `bytes`, in hexadecimal digits as dpkg writes it.
pub(in crate::sources) fn hexadecimal(bytes: &[u8]) -> String {
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    // RFC 1321: the whole part of 2^32 times the sine of the number of the step.
    let sines: [u32; 64] =
        std::array::from_fn(|at| ((at as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32);
    let whole = bytes.chunks_exact(BLOCK);
    let mut last = whole.remainder().to_vec();
    whole.for_each(|block| step(&mut state, (block, &sines)));
    last.push(0x80);
    let padded = (last.len() + 8).next_multiple_of(BLOCK);
    last.resize(padded - 8, 0);
    last.extend((bytes.len() as u64).wrapping_mul(8).to_le_bytes());
    last.chunks_exact(BLOCK).for_each(|block| step(&mut state, (block, &sines)));
    state.iter().flat_map(|word| word.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect()
}

fn step(state: &mut [u32; 4], (block, sines): (&[u8], &[u32; 64])) {
    let word = |at: usize| {
        let bytes = block.get(at * 4..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    };
    let [mut a, mut b, mut c, mut d] = *state;
    for (place, sine) in sines.iter().enumerate() {
        let (mixed, at) = match place / 16 {
            0 => ((b & c) | (!b & d), place),
            1 => ((d & b) | (!d & c), 5 * place + 1),
            2 => (b ^ c ^ d, 3 * place + 5),
            _ => (c ^ (b | !d), 7 * place),
        };
        let turn = TURNS.get(place / 16).and_then(|round| round.get(place % 4)).copied();
        let sum = a.wrapping_add(mixed).wrapping_add(*sine).wrapping_add(word(at % 16));
        (a, d, c) = (d, c, b);
        b = b.wrapping_add(sum.rotate_left(turn.unwrap_or_default()));
    }
    for (word, more) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::hexadecimal;

    #[test]
    fn it_gives_what_the_rfc_gives() {
        for (text, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
            (
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                "d174ab98d277d9f5a5611c2c9f419d9f",
            ),
            (&"1234567890".repeat(8), "57edf4a22be3c955ac49da2e2107b67a"),
        ] {
            assert_eq!(hexadecimal(text.as_bytes()), digest, "{text:?}");
        }
    }

    #[test]
    #[cfg(unix)]
    #[allow(clippy::disallowed_types, reason = "a test may ask another implementation")]
    fn it_gives_what_md5sum_gives_around_the_ends_of_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let sizes = (50..70).chain(110..135).chain([1_000, 4_096]);
        let files: Vec<_> = sizes
            .map(|size| {
                let bytes: Vec<u8> = (0..size).map(|at: usize| (at * 7 % 251) as u8).collect();
                let path = folder.path().join(size.to_string());
                std::fs::write(&path, &bytes).unwrap();
                (path, hexadecimal(&bytes))
            })
            .collect();
        let output = std::process::Command::new("md5sum")
            .args(files.iter().map(|(path, _)| path))
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.lines().count(), files.len());
        for ((path, digest), line) in files.iter().zip(said.lines()) {
            assert!(line.starts_with(digest), "{path:?}: {digest}, md5sum: {line}");
        }
    }
}
