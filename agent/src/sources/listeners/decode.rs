//! From what the kernel says of a socket to address, port and control group.
//!
//! Two ways to say it: `inet_diag_msg` (linux/inet_diag.h) and the lines of `/proc/net/tcp` and its
//! kin (proc_net_tcp(5)). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Holder, Listener, Transport};
use crate::formats::Malformed;
use crate::netlink::attributes;

/// The socket of one `inet_diag_msg`; `None` for a message of another make.
pub(super) fn socket(message: &[u8]) -> Option<Listener> {
    /// Where the attributes begin.
    const BODY: usize = 72;
    /// Where `idiag_uid` stands.
    const OWNER: usize = 64;
    const INET_DIAG_CGROUP_ID: u16 = 21;
    let port = u16::from_be_bytes(*message.get(4..)?.first_chunk()?);
    let address = match message.first()? {
        2 => IpAddr::from(*message.get(8..)?.first_chunk::<4>()?),
        10 => IpAddr::from(*message.get(8..)?.first_chunk::<16>()?),
        _ => return None,
    };
    let owner = u32::from_ne_bytes(*message.get(OWNER..)?.first_chunk()?);
    let holder = attributes(message, BODY)
        .into_iter()
        .find(|(kind, _)| *kind == INET_DIAG_CGROUP_ID)
        .and_then(|(_, value)| value.first_chunk().map(|id| u64::from_ne_bytes(*id)))
        .map(|group| Holder { group, owner });
    Some(Listener { address: SocketAddr::new(address, port), holder })
}

/// The sockets of a table that wait for others.
pub(super) fn table(bytes: &[u8], transport: Transport) -> Result<Vec<Listener>, Malformed> {
    let text = String::from_utf8_lossy(bytes);
    let waiting = match transport {
        Transport::Tcp => "0A",
        Transport::Udp => "07",
    };
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..).skip(1) {
        let malformed = Malformed { line: number, what: "not a socket" };
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (Some(local), Some(_), Some(state)) = (columns.next(), columns.next(), columns.next())
        else {
            return Err(malformed);
        };
        let address = address(local).ok_or(malformed)?;
        if state == waiting {
            found.push(Listener { address, holder: None });
        }
    }
    match text.lines().next() {
        Some(head) if head.contains("local_address") => Ok(found),
        Some(_) | None => Err(Malformed { line: 1, what: "not a table of sockets" }),
    }
}

/// `0100007F:1F90`: the address as words of the host's byte order, the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = address.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let address = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let octets: [u8; 16] = words.as_flattened().try_into().ok()?;
            IpAddr::from(Ipv6Addr::from(octets))
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}
