//! Links, addresses and routes as the kernel tells them; see rtnetlink(7).
//!
//! Pure. A message of another make is `None`, and what is not used is not decoded.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{attributes, number};

/// What an `ifinfomsg` says (linux/if_link.h).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// The largest packet, in bytes.
    pub(crate) mtu: u32,
    /// It leads to one other end only, as tunnels do.
    pub(crate) is_tunnel: bool,
}

impl Link {
    pub(crate) fn of(message: &[u8]) -> Option<Self> {
        const BODY: usize = 16;
        const IFF_POINTOPOINT: u32 = 0x10;
        const IFLA_IFNAME: u16 = 3;
        const IFLA_MTU: u16 = 4;
        let (mut name, mut mtu) = (None, 0);
        for (kind, value) in attributes(message, BODY) {
            match kind {
                IFLA_IFNAME => {
                    let text = value.strip_suffix(&[0]).unwrap_or(value);
                    name = Some(String::from_utf8_lossy(text).into_owned());
                }
                IFLA_MTU => mtu = number(value, 0)?,
                _ => {}
            }
        }
        let is_tunnel = number(message, 8)? & IFF_POINTOPOINT != 0;
        Some(Self { index: number(message, 4)?, name: name?, mtu, is_tunnel })
    }
}

/// What an `ifaddrmsg` says (linux/if_addr.h).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) address: IpAddr,
    /// The bits of its network.
    pub(crate) prefix: u8,
    /// The index of its link.
    pub(crate) link: u32,
    /// Nobody leased it: it has no end.
    pub(crate) is_permanent: bool,
}

impl Address {
    pub(crate) fn of(message: &[u8]) -> Option<Self> {
        const BODY: usize = 8;
        const IFA_ADDRESS: u16 = 1;
        const IFA_LOCAL: u16 = 2;
        const IFA_FLAGS: u16 = 8;
        const IFA_F_PERMANENT: u32 = 0x80;
        let mut flags = u32::from(*message.get(2)?);
        let (mut address, mut local) = (None, None);
        for (kind, value) in attributes(message, BODY) {
            match kind {
                IFA_ADDRESS => address = ip(value),
                IFA_LOCAL => local = ip(value),
                IFA_FLAGS => flags = number(value, 0)?,
                _ => {}
            }
        }
        Some(Self {
            address: local.or(address)?,
            prefix: *message.get(1)?,
            link: number(message, 4)?,
            is_permanent: flags & IFA_F_PERMANENT != 0,
        })
    }
}

/// What an `rtmsg` says of a unicast route (linux/rtnetlink.h).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The network it leads to; the unspecified address with 0 bits is the default route.
    pub(crate) network: (IpAddr, u8),
    pub(crate) gateway: Option<IpAddr>,
    /// The index of its link; `None` for one over several.
    pub(crate) link: Option<u32>,
    pub(crate) metric: u32,
    pub(crate) table: u32,
    /// Who made it, as `/etc/iproute2/rt_protos` numbers them.
    pub(crate) protocol: u8,
}

impl Route {
    pub(crate) fn of(message: &[u8]) -> Option<Self> {
        const BODY: usize = 12;
        const RTN_UNICAST: u8 = 1;
        const RTA_DST: u16 = 1;
        const RTA_OIF: u16 = 4;
        const RTA_GATEWAY: u16 = 5;
        const RTA_PRIORITY: u16 = 6;
        const RTA_TABLE: u16 = 15;
        if *message.get(7)? != RTN_UNICAST {
            return None;
        }
        let everywhere = match message.first()? {
            2 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            10 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => return None,
        };
        let mut route = Self {
            network: (everywhere, *message.get(1)?),
            gateway: None,
            link: None,
            metric: 0,
            table: u32::from(*message.get(4)?),
            protocol: *message.get(5)?,
        };
        for (kind, value) in attributes(message, BODY) {
            match kind {
                RTA_DST => route.network.0 = ip(value)?,
                RTA_OIF => route.link = number(value, 0),
                RTA_GATEWAY => route.gateway = ip(value),
                RTA_PRIORITY => route.metric = number(value, 0)?,
                RTA_TABLE => route.table = number(value, 0)?,
                _ => {}
            }
        }
        Some(route)
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => bytes.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        16 => bytes.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_fact_or_none(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120),
        ) {
            let _facts = (Link::of(&bytes), Address::of(&bytes), Route::of(&bytes));
        }
    }
}
