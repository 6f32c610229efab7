//! What the program has freed, given back to the system.
//!
//! glibc gives back what lies at the end of its heap and nothing else: one small thing that was
//! made while a pass held 20 MB, and lives on, keeps all of them. `malloc_trim` gives back every
//! page that holds nothing. It is the one call of ours that the language cannot check, so this is
//! the one page where such a declaration may stand; see `unsafe_code` in the root manifest. Other
//! libraries give back by themselves, or cannot be asked.

/// Gives back every page that holds nothing.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    glibc::malloc_trim(0);
}

#[cfg(target_env = "gnu")]
mod glibc {
    #[expect(
        unsafe_code,
        reason = "it takes a number, locks what it walks, and fails by saying so"
    )]
    // SAFETY: the signature is that of malloc.h, `int malloc_trim(size_t pad)`; malloc_trim(3)
    // lists it as safe to call from any thread at any time.
    unsafe extern "C" {
        /// Whether anything was given back; the heap keeps `pad` bytes at its end.
        pub(super) safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
}
