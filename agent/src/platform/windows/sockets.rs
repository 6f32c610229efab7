//! Sockets that only Unix has; nobody can be asked over one here.

use std::path::Path;
use std::time::Duration;

use super::Refusal;

/// Which part of the kernel is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "nothing of it is here")]
pub enum Netlink {
    SockDiag,
    Route,
    Netfilter,
}

/// Whether there is no such thing here.
pub fn is_unsupported(refusal: Refusal) -> bool {
    refusal == Refusal::Unsupported
}

/// A socket that nobody can have.
#[derive(Debug)]
pub enum Socket {}

#[expect(missing_docs, reason = "see the page of Unix")]
#[expect(clippy::missing_errors_doc, reason = "each is refused")]
impl Socket {
    pub fn netlink(_part: Netlink) -> Result<Self, Refusal> {
        Err(Refusal::Unsupported)
    }

    pub fn datagram(_path: &Path) -> Result<Self, Refusal> {
        Err(Refusal::Unsupported)
    }

    pub fn patience(&self, _time: Duration) -> Result<(), Refusal> {
        match *self {}
    }

    pub fn send(&self, _message: &[u8]) -> Result<(), Refusal> {
        match *self {}
    }

    pub fn receive(&self, _piece: &mut [u8]) -> Result<(usize, usize), Refusal> {
        match *self {}
    }
}
