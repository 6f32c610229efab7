//! Tells systemd how the service fares: one datagram each to the socket it names.
//!
//! The protocol is that of `sd_notify(3)`. Where there is no service manager nothing is sent.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The socket of the service manager.
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
}

impl Notifier {
    /// The notifier of `NOTIFY_SOCKET`, as main read it from the environment.
    pub fn new(address: Option<&str>) -> Self {
        let resolve = |address: &str| match address.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(address),
        };
        let open = |address| Some((UnixDatagram::unbound().ok()?, resolve(address).ok()?));
        Self { socket: address.and_then(open) }
    }

    /// The service is up.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// Says that the service still works, if it does. One that does not is started again by the
    /// service manager, once it has waited in vain.
    pub fn alive_if(&self, works: bool) {
        if works {
            self.tell("WATCHDOG=1");
        } else {
            tracing::error!("the reading thread does not come round; the service manager will act");
        }
    }

    /// The service was asked to end and does so.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            tracing::debug!(%error, state, "cannot tell the service manager");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_manager_hears_each_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::new(path.to_str());
        notifier.ready();
        notifier.alive_if(false);
        notifier.alive_if(true);
        notifier.stopping();
        let mut buffer = [0; 64];
        for expected in ["READY=1", "WATCHDOG=1", "STOPPING=1"] {
            let length = manager.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected.as_bytes());
        }
        Notifier::new(None).ready();
    }
}
