//! A bound on connections: beyond it new ones are closed at once and counted.
//!
//! A connection costs some 26 kB with TLS; the bound keeps a flood from taking the memory and the
//! file descriptors that agents need. The permit rides in the connection's service and goes when it
//! goes.

use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use axum_server::accept::Accept;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

use crate::metrics::live::Live;

/// The most connections at once: a keep-alive connection for each of the hosts one collector is
/// meant for.
pub const CONNECTIONS: usize = 20_000;

/// Accepts connections up to the bound.
#[derive(Clone)]
pub struct Capped {
    free: Arc<Semaphore>,
    live: Arc<Live>,
}

impl Capped {
    /// Accepts up to `most` connections at once.
    pub fn new(most: usize, live: Arc<Live>) -> Self {
        Self { free: Arc::new(Semaphore::new(most)), live }
    }
}

impl<S> Accept<TcpStream, S> for Capped {
    type Stream = TcpStream;
    type Service = Permitted<S>;
    type Future = Ready<io::Result<(TcpStream, Permitted<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else {
            self.live.connections_refused.fetch_add(1, Ordering::Relaxed);
            return ready(Err(io::ErrorKind::ConnectionRefused.into()));
        };
        // Answers are small and waited for: never hold one back to fill a packet.
        let nodelay = stream.set_nodelay(true);
        ready(nodelay.map(|()| (stream, Permitted { service, _permit: Arc::new(permit) })))
    }
}

/// The service of one connection, with its place among the permitted ones.
#[derive(Clone)]
pub struct Permitted<S> {
    service: S,
    _permit: Arc<OwnedSemaphorePermit>,
}

impl<S: Service<R>, R> Service<R> for Permitted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.service.call(request)
    }
}
