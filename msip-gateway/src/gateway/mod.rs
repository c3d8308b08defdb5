//! The gateway: its settings, and how it runs.

mod builder;
mod followed;

use std::{future::pending, sync::Arc};

pub use builder::{BindError, GatewayBuilder};

use followed::FollowedRegistry;
use futures_util::future::join_all;

use crate::{
    api::{GatewayShared, routes},
    server::{DrainReport, HttpServer, Reloader},
    upstream::Upstream,
};

/// A gateway that listens.
///
/// ```no_run
/// use msip_gateway::{Gateway, ProtocolModel};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let protocols = ProtocolModel::from_protos(&["proto/chat.proto"], &["proto"])?;
/// let gateway = Gateway::builder("http://127.0.0.1:8080")
///     .upstream("tcp://127.0.0.1:7400", protocols)
///     .bind()
///     .await?;
/// println!("listening on {}", gateway.local_url());
/// gateway.serve().await;
/// # Ok(())
/// # }
/// ```
pub struct Gateway {
    server: HttpServer,
    shared: Arc<GatewayShared>,
    more: axum::Router<Arc<GatewayShared>>,
    registries: Vec<FollowedRegistry>,
}

impl Gateway {
    /// The settings of a gateway that listens at this URL: `http://host:port`, `https://host:port?cert=FILE&key=FILE`,
    /// or `unix:///path`, whose mode is 0600 unless `?mode=0660` says otherwise.
    pub fn builder(url: impl Into<String>) -> GatewayBuilder {
        GatewayBuilder::new(url.into())
    }

    /// Where it listens, with the port that the system has chosen where the port was 0.
    #[must_use]
    pub fn local_url(&self) -> String {
        self.server.url().to_owned()
    }

    /// Reads certificates again while it serves.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.server.reloader()
    }

    /// What it offers.
    #[must_use]
    pub fn shared(&self) -> &Arc<GatewayShared> {
        &self.shared
    }

    /// Serves for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks every connection.
    pub async fn serve(self) {
        self.serve_until(pending()).await;
    }

    /// Serves until `stop` is ready: then no connection is accepted, event streams end, requests may finish within
    /// `drain_timeout`, and the sessions with the servers are closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks every connection.
    pub async fn serve_until(self, stop: impl Future<Output = ()>) -> DrainReport {
        let Self {
            server,
            shared,
            more,
            registries,
        } = self;
        let routes = routes(&shared, more);
        let expiring = async {
            let mut offered = shared.subscribe();
            loop {
                let upstreams = shared.upstreams();
                let expiring = async {
                    join_all(upstreams.iter().map(Upstream::expire)).await;
                    pending::<()>().await;
                };
                tokio::select! {
                    () = expiring => {}
                    // We hold the sender.
                    _ = offered.changed() => {}
                }
            }
        };
        let following = async {
            join_all(registries.iter().map(|registry| registry.follow(&shared))).await;
            pending::<()>().await;
        };
        let report = tokio::select! {
            report = server.serve(routes, &shared.limits, stop, &shared.is_draining) => report,
            () = expiring => DrainReport::default(),
            () = following => DrainReport::default(),
        };
        for upstream in shared.upstreams() {
            upstream.close().await;
        }
        report
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("url", &self.local_url())
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}
