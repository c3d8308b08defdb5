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
    middleman::{Admission, Door, KeySet, MiddleManPeers, Origins, Settings},
};

/// The doors for clients of MiddleMan, by listener. Clones are one.
#[cfg(feature = "middleman")]
#[derive(Debug, Clone)]
pub(super) struct Doors {
    all: Arc<Mutex<Vec<Option<Arc<Door>>>>>,
    said: Arc<Vec<Option<MiddleManConfig>>>,
    peers: Arc<Mutex<Option<MiddleManPeers>>>,
}

/// None, since this program was built without.
#[cfg(not(feature = "middleman"))]
#[derive(Debug, Clone)]
pub(super) struct Doors;

#[cfg(not(feature = "middleman"))]
impl Doors {
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
impl Doors {
    /// Reads the keys that a configuration names.
    pub(super) fn open(config: &Config) -> Result<Self, BrokerError> {
        let listeners = config.listeners.iter();
        let said: Vec<_> = listeners
            .map(|one| one.is_middleman().then(|| one.middleman.clone()))
            .collect();
        let all = said.iter().map(|said| said.as_ref().map(door).transpose());
        Ok(Self {
            all: Arc::new(Mutex::new(all.collect::<Result<_, _>>()?)),
            said: Arc::new(said),
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
        if self.said.iter().all(Option::is_none) {
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
        let find_door = move |local: &PeerAddress| {
            let index = of_address.listener(local)?;
            lock(&all).get(index)?.clone()
        };
        let directory = shared.directory.clone();
        let admit =
            move |door: &Door, local: &PeerAddress, key: &str| -> crate::middleman::Admitting {
                let is_trusted = door.trusted.contains(key);
                if is_trusted || door.public.contains(key) {
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
        let peers = MiddleManPeers::new(router, began, settings, find_door, admit);
        *lock(&self.peers) = Some(peers.clone());
        server.handoff(peers)
    }

    /// Reads the keys again, for whoever connects from now on. Those that cannot be read stay what they are.
    pub(super) fn reload(&self) -> Vec<BrokerError> {
        let mut errors = Vec::new();
        for (at, said) in self.said.iter().enumerate() {
            match said.as_ref().map(door).transpose() {
                Ok(door) => {
                    if let Some(place) = lock(&self.all).get_mut(at) {
                        *place = door;
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
fn door(said: &MiddleManConfig) -> Result<Arc<Door>, BrokerError> {
    let read = |path: &Option<std::path::PathBuf>| {
        let read = |path: &Path| {
            KeySet::read(path).map_err(|source| BrokerError::MiddleManKey {
                path: path.to_owned(),
                source,
            })
        };
        path.as_deref().map(read).transpose()
    };
    Ok(Arc::new(Door {
        trusted: read(&said.trusted_key)?.unwrap_or_default(),
        public: read(&said.public_key)?.unwrap_or_default(),
        origins: Origins(said.origins.clone()),
    }))
}
