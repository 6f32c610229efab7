//! Sockets that only Unix has: netlink of Linux, and datagrams to a path.

use std::path::Path;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect,
    netlink, recv, send, socket_with, sockopt,
};

/// Which part of the kernel is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Netlink {
    /// Sockets.
    SockDiag,
    /// Interfaces, addresses and routes.
    Route,
    /// The packet filter.
    Netfilter,
}

/// Whether the kernel knows no such question.
pub fn is_unsupported(errno: Errno) -> bool {
    matches!(errno, Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT | Errno::NOENT | Errno::OPNOTSUPP)
}

/// A socket on which one question is asked at a time.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// A socket to the kernel.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn netlink(part: Netlink) -> Result<Self, Errno> {
        let protocol = match part {
            Netlink::SockDiag => Some(netlink::SOCK_DIAG),
            Netlink::Route => None,
            Netlink::Netfilter => Some(netlink::NETFILTER),
        };
        let flags = SocketFlags::CLOEXEC;
        socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol).map(Self)
    }

    /// A socket for datagrams to and from whoever listens at `path`.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn datagram(path: &Path) -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        // No name: the kernel gives an abstract one, to which the answer comes.
        bind(&socket, &SocketAddrUnix::new_unnamed())?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Self(socket))
    }

    /// How long sending and receiving may take.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn patience(&self, time: Duration) -> Result<(), Errno> {
        sockopt::set_socket_timeout(&self.0, sockopt::Timeout::Recv, Some(time))?;
        sockopt::set_socket_timeout(&self.0, sockopt::Timeout::Send, Some(time))
    }

    /// Sends one message.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn send(&self, message: &[u8]) -> Result<(), Errno> {
        send(&self.0, message, SendFlags::empty()).map(|_| ())
    }

    /// Receives one message: how many of its bytes are in `piece`, and how many it has.
    ///
    /// # Errors
    /// What the kernel refuses; a wait that was too long is [`super::TIMED_OUT`].
    pub fn receive(&self, piece: &mut [u8]) -> Result<(usize, usize), Errno> {
        match recv(&self.0, piece, RecvFlags::TRUNC) {
            Err(Errno::AGAIN) => Err(Errno::TIMEDOUT),
            other => other,
        }
    }
}
