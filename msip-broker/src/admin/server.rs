//! The HTTP server: few connections with one request each, small heads, and time limits on all of it.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::body::Body;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tower_service::Service as _;

use super::{Admin, routes};

/// How many connections it serves at once; further ones wait to be accepted.
const CONNECTIONS: usize = 32;

/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(5);

/// How long a connection may last.
const CONNECTION: Duration = Duration::from_secs(30);

/// The most that a head may have.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;

/// How long it rests after a failed accept.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// A server that listens.
#[derive(Debug)]
pub(crate) struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl AdminServer {
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the future is dropped, which breaks every connection.
    pub(crate) async fn serve(self, admin: Arc<Admin>) {
        let routes = routes(&admin);
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            // Nobody closes the semaphore.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let routes = routes.clone();
                    connections.spawn(async move {
                        // One that takes too long is broken.
                        let _ = timeout(CONNECTION, answer(stream, routes)).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection of the admin listener");
                    sleep(AFTER_FAILURE).await;
                }
            }
        }
    }
}

async fn answer(stream: TcpStream, routes: axum::Router) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut routes = routes.clone();
        async move {
            // No request has a body that is read.
            let (head, _) = request.into_parts();
            let answered = routes.call(Request::from_parts(head, Body::empty())).await;
            answered.map_err(|never: Infallible| match never {})
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(HEAD)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of the admin listener has failed");
    }
}
