//! What a broker does besides serving: sessions expire, and it tells of itself.

use std::time::Duration;

#[cfg(feature = "admin")]
use std::sync::Arc;

use msip_runtime::auth::ApiKeys;
use tokio::time::{MissedTickBehavior, interval};

use super::BrokerError;
#[cfg(feature = "admin")]
use crate::admin::{self, Admin, AdminServer};
use crate::{config::Config, router::WakeList, shared::BrokerShared};

/// How often it looks which sessions have expired.
const EXPIRY: Duration = Duration::from_secs(1);

/// Runs as long as the broker does.
#[derive(Debug)]
pub(super) struct Background {
    shared: BrokerShared,
    #[cfg(feature = "admin")]
    admin: Option<(AdminServer, Arc<Admin>)>,
}

/// Says that the broker stops.
#[derive(Debug)]
pub(super) struct DrainNotice {
    #[cfg(feature = "admin")]
    admin: Option<Arc<Admin>>,
}

impl DrainNotice {
    pub(super) fn begin(&self) {
        #[cfg(feature = "admin")]
        if let Some(admin) = &self.admin {
            admin.drain();
        }
    }
}

impl Background {
    #[cfg(feature = "admin")]
    pub(super) async fn bind(
        config: &Config,
        shared: &BrokerShared,
        keys: Option<ApiKeys>,
    ) -> Result<Self, BrokerError> {
        let admin = match config.admin {
            None => None,
            Some(admin) => {
                let address = admin.address;
                let bound = AdminServer::bind(address).await;
                let server = bound.map_err(|source| BrokerError::Admin { address, source })?;
                let is_open = admin::is_open_to_everyone(server.address());
                let keys = keys.filter(|_| !is_open);
                Some((server, Arc::new(Admin::new(shared, keys))))
            }
        };
        Ok(Self {
            shared: shared.clone(),
            admin,
        })
    }

    #[cfg(not(feature = "admin"))]
    #[expect(clippy::unused_async, reason = "with the feature it waits")]
    pub(super) async fn bind(
        config: &Config,
        shared: &BrokerShared,
        _: Option<ApiKeys>,
    ) -> Result<Self, BrokerError> {
        if config.admin.is_some() {
            let (what, feature) = ("admin", "admin");
            return Err(BrokerError::NotBuilt { what, feature });
        }
        Ok(Self {
            shared: shared.clone(),
        })
    }

    pub(super) fn admin_address(&self) -> Option<std::net::SocketAddr> {
        #[cfg(feature = "admin")]
        return self.admin.as_ref().map(|(server, _)| server.address());
        #[cfg(not(feature = "admin"))]
        None
    }

    pub(super) fn drain_notice(&self) -> DrainNotice {
        DrainNotice {
            #[cfg(feature = "admin")]
            admin: self.admin.as_ref().map(|(_, admin)| Arc::clone(admin)),
        }
    }

    /// Runs until the future is dropped.
    pub(super) async fn run(self) {
        let expiring = expire(self.shared);
        #[cfg(feature = "admin")]
        if let Some((server, admin)) = self.admin {
            tokio::join!(expiring, server.serve(Arc::clone(&admin)), admin.sample());
            return;
        }
        expiring.await;
    }
}

/// Ends sessions whose time is up.
async fn expire(shared: BrokerShared) {
    let mut ticks = interval(EXPIRY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut wakes = WakeList::new();
        shared.router.expire(shared.clock.now(), &mut wakes);
        wakes.wake();
    }
}
