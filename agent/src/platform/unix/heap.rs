//! The program's heap: how many there are, and what was freed given back to the system.
//!
//! These are the two calls of ours that the language cannot check, so this is the one page where
//! such declarations may stand; see `unsafe_code` in the root manifest. Other libraries than glibc
//! keep one heap and give back by themselves, or cannot be asked.

/// Has every thread use one heap. By itself glibc makes one for each thread, up to eight for each
/// core, and what a pass leaves lies scattered over all of them: a third of the agent's own memory
/// held nothing. The agent has few threads, of which seldom two want memory at once.
///
/// To be called before the first thread starts.
pub fn share_one() {
    #[cfg(target_env = "gnu")]
    glibc::mallopt(glibc::M_ARENA_MAX, 1);
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

    /// How many heaps there may be, from malloc.h.
    pub(super) const M_ARENA_MAX: c_int = -8;

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
