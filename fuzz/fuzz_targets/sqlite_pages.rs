//! Databases of SQLite: whatever the bytes, the walk ends and gives no row that is longer than all
//! of them. The same bytes are also laid behind a whole head.

#![no_main]

use std::io::Cursor;

use driftline_agent::sources::database::pages::rows;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    let mut head = b"SQLite format 3\0".to_vec();
    // Pages of 512 bytes, of which none is reserved.
    head.extend([2, 0, 1, 1, 0, 64, 32, 32]);
    head.resize(100, 0);
    look(&[&head, bytes].concat());
});

fn look(bytes: &[u8]) {
    let mut left = 100_000;
    let _ = rows(&mut Cursor::new(bytes), "t", &mut |row| {
        left -= 1;
        for column in 0..4 {
            let _ = row.column(column);
        }
        if left == 0 { Err(driftline_protocol::snapshot::Reason::TooLarge) } else { Ok(()) }
    });
}
