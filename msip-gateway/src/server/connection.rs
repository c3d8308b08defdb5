//! One connection.

use std::{convert::Infallible, pin::pin, sync::Arc};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tower_service::Service as _;

use super::{Security, accepted::Accepted, stall::StallGuard};
use crate::api::{GatewayLimits, RemoteAddress};

/// What all connections share.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) routes: Router,
    pub(super) limits: Arc<GatewayLimits>,
    pub(super) security: Security,
    pub(super) draining: watch::Receiver<bool>,
}

impl Serving {
    pub(super) async fn connection(self, accepted: Accepted) {
        let (from, name) = (accepted.from(), accepted.to_string());
        let stream = match accepted {
            Accepted::Port(stream, _) => stream,
            Accepted::Socket(incoming) => match incoming.upgrade().await {
                Ok(connection) => return self.serve(connection.stream, from, &name).await,
                Err(error) => {
                    tracing::debug!(%error, from = name, "a connection has failed");
                    return;
                }
            },
        };
        // Answers are written whole.
        let _ = stream.set_nodelay(true);
        match self.security.clone() {
            Security::Plain => self.serve(stream, from, &name).await,
            #[cfg(feature = "tls")]
            Security::Tls(acceptor) => {
                let mut draining = self.draining.clone();
                let accepted = tokio::select! {
                    accepted = tokio::time::timeout(self.limits.head_timeout, acceptor.accept(stream)) => accepted,
                    _ = draining.wait_for(|is_draining| *is_draining) => return,
                };
                match accepted {
                    Ok(Ok(stream)) => self.serve(stream, from, &name).await,
                    Ok(Err(error)) => tracing::debug!(%error, from = name, "no TLS"),
                    Err(_) => tracing::debug!(from = name, "the TLS handshake took too long"),
                }
            }
        }
    }

    async fn serve(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        from: RemoteAddress,
        name: &str,
    ) {
        let routes = self.routes;
        let service = service_fn(move |request: Request<Incoming>| {
            let mut routes = routes.clone();
            async move {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(from);
                let answered = routes.call(request).await;
                answered.map_err(|never: Infallible| match never {})
            }
        });
        let stream = StallGuard::new(stream, self.limits.write_timeout);
        let mut serving = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.limits.head_timeout)
                .max_headers(self.limits.max_headers)
                .max_buf_size(self.limits.max_head.max(8192))
                .serve_connection(TokioIo::new(stream), service)
        );
        let mut is_draining = false;
        let served = loop {
            tokio::select! {
                served = &mut serving => break served,
                // An error says that the server is gone.
                _ = self.draining.wait_for(|is_draining| *is_draining), if !is_draining => {
                    is_draining = true;
                    serving.as_mut().graceful_shutdown();
                }
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, from = name, "a connection has failed");
        }
    }
}
