//! The listeners of a broker for clients of MiddleMan.

#[cfg(feature = "middleman")]
use msip_runtime::transport::PeerAddress;
use msip_runtime::{ServerBuilder, auth::ApiKeys};

use super::BrokerError;
use crate::{config::Config, shared::BrokerShared};

#[cfg(feature = "middleman")]
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

#[cfg(feature = "middleman")]
use crate::{
    access::{Rights, Role},
    config::MiddleManConfig,
    middleman::{Admission, KeySet, Listener, MiddleManPeers, Origins, Settings},
};

/// The listeners for clients of MiddleMan, in the order of the configuration: `None` for those of other dialects. Clones are one.
#[cfg(feature = "middleman")]
#[derive(Debug, Clone)]
pub(super) struct MiddleManListeners {
    all: Arc<Mutex<Vec<Option<Arc<Listener>>>>>,
    configs: Arc<Vec<Option<MiddleManConfig>>>,
    peers: Arc<Mutex<Option<MiddleManPeers>>>,
}

/// None, since this program was built without.
#[cfg(not(feature = "middleman"))]
#[derive(Debug, Clone)]
pub(super) struct MiddleManListeners;

#[cfg(not(feature = "middleman"))]
impl MiddleManListeners {
    pub(super) fn open(config: &Config) -> Result<Self, BrokerError> {
        if config.listeners.iter().any(|one| one.is_middleman()) {
            let (what, feature) = ("a listener at mm://", "middleman");
            return Err(BrokerError::NotBuilt { what, feature });
        }
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    pub(super) fn install<P>(
        &self,
        server: ServerBuilder<P>,
        _: &Config,
        _: &BrokerShared,
        _: Option<ApiKeys>,
    ) -> ServerBuilder<P> {
        server
    }

    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    pub(super) fn reload(&self) -> Vec<BrokerError> {
        Vec::new()
    }

    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    pub(super) fn reauthorize(&self) {}
}

#[cfg(feature = "middleman")]
impl MiddleManListeners {
    /// Reads the keys that a configuration names.
    pub(super) fn open(config: &Config) -> Result<Self, BrokerError> {
        let listeners = config.listeners.iter();
        let configs: Vec<_> = listeners
            .map(|one| one.is_middleman().then(|| one.middleman.clone()))
            .collect();
        let all = configs
            .iter()
            .map(|config| config.as_ref().map(read_listener).transpose());
        Ok(Self {
            all: Arc::new(Mutex::new(all.collect::<Result<_, _>>()?)),
            configs: Arc::new(configs),
            peers: Arc::default(),
        })
    }

    /// Has a server hand off the connections of these listeners. One without any is as it was.
    pub(super) fn install<P>(
        &self,
        server: ServerBuilder<P>,
        config: &Config,
        shared: &BrokerShared,
        keys: Option<ApiKeys>,
    ) -> ServerBuilder<P> {
        if self.configs.iter().all(Option::is_none) {
            return server;
        }
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let settings = Settings {
            max_body: size(config.max_body),
            write_timeout: Duration::from_secs(10),
            drain_spread: config.drain_spread,
            max_memory: size(config.limits.memory),
            connections: shared.connections.clone(),
        };
        let (of_address, all) = (shared.directory.clone(), Arc::clone(&self.all));
        let find_listener = move |local: &PeerAddress| {
            let index = of_address.listener(local)?;
            lock(&all).get(index)?.clone()
        };
        let directory = shared.directory.clone();
        let admit = move |listener: &Listener,
                          local: &PeerAddress,
                          key: &str|
              -> crate::middleman::Admitting {
            let is_trusted = listener.trusted.contains(key);
            if is_trusted || listener.public.contains(key) {
                let (directory, local) = (directory.clone(), local.clone());
                let admission = Admission::new(is_trusted, move || {
                    Some(directory.of_middleman(&local, is_trusted))
                });
                return Box::pin(std::future::ready(admission));
            }
            let Some(keys) = keys.clone() else {
                return Box::pin(std::future::ready(None));
            };
            let (directory, key) = (directory.clone(), key.to_owned());
            Box::pin(async move {
                let identity = keys.identify(key.as_bytes()).await.ok()??;
                let is_trusted = directory.of_identity(Some(&identity)).1.role == Role::Service;
                Admission::new(is_trusted, move || {
                    let identity = keys.current(&identity)?;
                    let (principal, rights) = directory.of_identity(Some(&identity));
                    Some((principal, Rights::clone(&rights)))
                })
            })
        };
        let (router, began) = (shared.router.clone(), shared.clock.began());
        let peers = MiddleManPeers::new(router, began, settings, find_listener, admit);
        *lock(&self.peers) = Some(peers.clone());
        server.handoff(peers)
    }

    /// Reads the keys again, for whoever connects from now on. Those that cannot be read stay what they are.
    pub(super) fn reload(&self) -> Vec<BrokerError> {
        let mut errors = Vec::new();
        for (at, config) in self.configs.iter().enumerate() {
            match config.as_ref().map(read_listener).transpose() {
                Ok(listener) => {
                    if let Some(place) = lock(&self.all).get_mut(at) {
                        *place = listener;
                    }
                }
                Err(error) => errors.push(error),
            }
        }
        errors
    }

    /// Looks the rights of those who are connected up again. Those whose key is gone end.
    pub(super) fn reauthorize(&self) {
        if let Some(peers) = &*lock(&self.peers) {
            peers.reauthorize();
        }
    }
}

#[cfg(feature = "middleman")]
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Every change is made in one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the keys of one listener.
#[cfg(feature = "middleman")]
fn read_listener(config: &MiddleManConfig) -> Result<Arc<Listener>, BrokerError> {
    let read = |path: &Option<std::path::PathBuf>| {
        let read = |path: &Path| {
            KeySet::read(path).map_err(|source| BrokerError::MiddleManKey {
                path: path.to_owned(),
                source,
            })
        };
        path.as_deref().map(read).transpose()
    };
    Ok(Arc::new(Listener {
        trusted: read(&config.trusted_key)?.unwrap_or_default(),
        public: read(&config.public_key)?.unwrap_or_default(),
        origins: Origins(config.origins.clone()),
    }))
}
