//! What differs between operating systems, behind the same names on each.
//!
//! One module a system, and no other choice of a system but in [`crate::service`]: paths,
//! attributes and directories, sockets, clocks, what the agent itself uses, files that only their
//! owner may read, the registry. A path of the machine is written alike everywhere, with `/`; on
//! Windows its first step is the letter of the drive (`/c/Windows/System32`).

use std::ffi::OsString;
use std::path::Path;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

/// A family of operating systems, with sources of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Linux and its like.
    Unix,
    /// Windows.
    Windows,
}

impl System {
    /// The system that the agent was built for.
    pub const HOST: Self = if cfg!(windows) { Self::Windows } else { Self::Unix };

    /// The system of the host at `root`, or of which a tree was taken: one of Windows holds the
    /// drive `c` or exports of the registry.
    pub fn at(root: &Path) -> Self {
        if root == Path::new("/") {
            return Self::HOST;
        }
        let holds = |name| root.join(name).is_dir();
        if holds("c") || holds("registry") { Self::Windows } else { Self::Unix }
    }
}

/// For what a path is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// To look at what is there itself, a link not followed.
    Itself,
    /// To look at what the links there lead to.
    Followed,
    /// To list a directory.
    List,
    /// To read a regular file: never waiting, and never becoming anybody's terminal.
    Read,
    /// To read whatever is there, as no agent does but a mutant.
    Anything,
}

impl How {
    /// Whether nothing is opened but only looked at.
    #[cfg(test)]
    pub(crate) fn is_look(self) -> bool {
        matches!(self, Self::Itself | Self::Followed)
    }
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without the directory.
    pub name: OsString,
    /// What the directory says it is; [`FileType::Unknown`] where its file system does not tell.
    pub kind: FileType,
}
