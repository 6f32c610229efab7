//! The program's heap: kept small while it runs for good, and what was freed given back.
//!
//! These are the two calls of ours that the language cannot check, so this is the one page where
//! such declarations may stand; see `unsafe_code` in the root manifest. Other libraries than glibc
//! give back by themselves, or cannot be asked.

/// Has glibc hold little beside what is in use, of a program that runs for good: 18 MB in place of
/// 27 at rest over 5,000 files. To be called before the first thread starts.
///
/// By itself glibc makes a heap for each thread, of which a few small things keep many pages; takes
/// what is larger than 128 KiB from the system, but raises that bound to the largest that was ever
/// freed; and keeps as much at its end.
pub fn keep_small() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in glibc::SMALL {
        glibc::mallopt(parameter, value);
    }
}

/// Gives back every page that holds nothing. By itself glibc gives back what lies at the end of its
/// heap and nothing else: one small thing that was made while a pass held 20 MB, and lives on,
/// keeps all of them.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    glibc::malloc_trim(0);
}

#[cfg(target_env = "gnu")]
mod glibc {
    use std::ffi::c_int;

    /// Parameters of malloc.h with our values: `M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` in bytes,
    /// and `M_ARENA_MAX`.
    pub(super) const SMALL: [(c_int, c_int); 3] = [(-1, 64 << 10), (-3, 64 << 10), (-8, 1)];

    #[expect(unsafe_code, reason = "they take numbers, lock what they walk, and fail by saying so")]
    // SAFETY: the signatures are those of malloc.h, `int mallopt(int param, int value)` and
    // `int malloc_trim(size_t pad)`. malloc_trim(3) lists it as safe to call from any thread at any
    // time. mallopt(3) lists the other as safe before there are threads; later too it writes one
    // word under glibc's own lock, which others may read as it was.
    unsafe extern "C" {
        /// Whether the parameter was known and set.
        pub(super) safe fn mallopt(param: c_int, value: c_int) -> c_int;

        /// Whether anything was given back; the heap keeps `pad` bytes at its end.
        pub(super) safe fn malloc_trim(pad: usize) -> c_int;
    }
}
