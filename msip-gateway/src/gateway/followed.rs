//! A folder of schemas that a gateway follows while it serves.

use std::{sync::Arc, time::Duration};

use msip_runtime::transport::ServiceUrl;

use crate::{
    ProtocolModel,
    api::GatewayShared,
    registry::{Fit, Registry, check_fingerprints},
    upstream::{Upstream, UpstreamLimits},
};

/// How often the folder is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// A registry, and the server that speaks its protocols.
pub(super) struct FollowedRegistry {
    url: String,
    registry: Arc<Registry>,
    limits: UpstreamLimits,
}

impl FollowedRegistry {
    pub(super) fn new(url: String, registry: Arc<Registry>, limits: UpstreamLimits) -> Self {
        Self {
            url,
            registry,
            limits,
        }
    }

    /// Offers at this gateway what the folder holds, each time that it was read anew; runs until the future is dropped.
    pub(super) async fn follow(&self, shared: &GatewayShared) {
        let mut changes = self.registry.subscribe();
        let mut offered = changes.borrow_and_update().models().to_vec();
        for conflict in self.registry.current().conflicts() {
            tracing::warn!(%conflict, "two descriptor sets do not fit each other");
        }
        let following = async {
            loop {
                self.report(&offered).await;
                // The sender is in the registry, which we hold.
                let _ = changes.changed().await;
                let now = changes.borrow_and_update().models().to_vec();
                shared.replace(
                    &offered,
                    now.iter().filter_map(|model| self.upstream(model)),
                );
                offered = now;
            }
        };
        tokio::select! {
            () = following => {}
            () = Arc::clone(&self.registry).watch(PAUSE) => {}
        }
    }

    fn upstream(&self, model: &ProtocolModel) -> Option<Upstream> {
        // The URL was right when the gateway was bound.
        Upstream::new(&self.url, model.clone(), self.limits).ok()
    }

    /// Says which of the schemas the server has in another version. A broker has none.
    async fn report(&self, models: &[ProtocolModel]) {
        let is_broker = self
            .url
            .parse()
            .is_ok_and(|url: ServiceUrl| url.topic().is_some());
        if is_broker {
            return;
        }
        for fit in check_fingerprints(&self.url, models).await {
            match fit {
                Fit::Same { .. } => {}
                Fit::Other { .. } => tracing::warn!(%fit, "the server's schema is another version"),
                Fit::Unknown { .. } => tracing::info!(%fit, "the server's schema was not compared"),
            }
        }
    }
}
