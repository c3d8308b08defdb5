//! The HTTP server: accepts connections within limits, and drains them.

mod accepted;
mod connection;
mod listen_url;
mod stall;
#[cfg(feature = "tls")]
mod tls;

use std::{fmt, io, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

pub(crate) use listen_url::ListenUrl;
pub use listen_url::ListenUrlError;

use crate::api::GatewayLimits;
use accepted::HttpListener;
use connection::Serving;

/// How long it rests after a failed accept.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// What a connection is served over, once it is accepted.
#[derive(Clone)]
pub(crate) enum Security {
    Plain,
    #[cfg(feature = "tls")]
    Tls(tls::Acceptor),
}

impl Security {
    fn of(url: &ListenUrl) -> io::Result<Self> {
        match url {
            ListenUrl::Socket(_) | ListenUrl::Port { tls: None, .. } => Ok(Self::Plain),
            #[cfg(feature = "tls")]
            ListenUrl::Port {
                tls: Some(files), ..
            } => tls::Acceptor::load(files).map(Self::Tls),
            #[cfg(not(feature = "tls"))]
            ListenUrl::Port { tls: Some(_), .. } => {
                Err(io::Error::other("this program was built without TLS"))
            }
        }
    }
}

/// Reads the files of a listener again, from anywhere and while it serves.
#[derive(Clone)]
pub struct Reloader {
    security: Security,
}

impl Reloader {
    /// Reads the certificates and the key of a listener at `https://` again, for connections that are accepted from now on.
    /// Other listeners have none.
    ///
    /// # Errors
    ///
    /// What is wrong with them. Those of before stay in use.
    pub fn reload_tls(&self) -> io::Result<()> {
        match &self.security {
            Security::Plain => Ok(()),
            #[cfg(feature = "tls")]
            Security::Tls(acceptor) => acceptor.reload(),
        }
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}

/// A server that listens.
pub(crate) struct HttpServer {
    listener: HttpListener,
    url: String,
    security: Security,
}

/// How many connections had requests when the server was told to stop, and how many of them were broken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// They ended by themselves.
    pub finished: usize,
    /// They were still busy after `drain_timeout`.
    pub aborted: usize,
}

impl HttpServer {
    /// Whether the certificates can be used.
    pub(crate) fn check(url: &ListenUrl) -> io::Result<()> {
        Security::of(url).map(drop)
    }

    /// Listens.
    pub(crate) async fn bind(url: &ListenUrl) -> io::Result<Self> {
        let security = Security::of(url)?;
        let (listener, url) = HttpListener::bind(url).await?;
        Ok(Self {
            listener,
            url,
            security,
        })
    }

    pub(crate) fn reloader(&self) -> Reloader {
        Reloader {
            security: self.security.clone(),
        }
    }

    /// Where it listens, with the port that the system chose if that was asked for.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Serves until `stop`, and then until what is open has ended.
    pub(crate) async fn serve(
        self,
        routes: Router,
        limits: &GatewayLimits,
        stop: impl Future<Output = ()>,
        draining: &watch::Sender<bool>,
    ) -> DrainReport {
        let serving = Serving {
            routes,
            limits: Arc::new(limits.clone()),
            security: self.security.clone(),
            draining: draining.subscribe(),
        };
        let mut connections = JoinSet::new();
        tokio::select! {
            () = stop => {}
            () = accept(&self.listener, &serving, &mut connections) => {}
        }
        drop(self.listener);
        draining.send_replace(true);
        drain(connections, limits.drain_timeout).await
    }
}

/// Accepts connections until the future is dropped.
async fn accept(listener: &HttpListener, serving: &Serving, connections: &mut JoinSet<()>) {
    let places = Arc::new(Semaphore::new(serving.limits.max_connections));
    loop {
        while connections.try_join_next().is_some() {}
        // Nobody closes the semaphore.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok(accepted) => {
                let serving = serving.clone();
                connections.spawn(async move {
                    serving.connection(accepted).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(AFTER_FAILURE).await;
            }
        }
    }
}

async fn drain(mut connections: JoinSet<()>, limit: Duration) -> DrainReport {
    while connections.try_join_next().is_some() {}
    let open = connections.len();
    let ending = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(limit, ending).await;
    let aborted = connections.len();
    connections.shutdown().await;
    DrainReport {
        finished: open - aborted,
        aborted,
    }
}
