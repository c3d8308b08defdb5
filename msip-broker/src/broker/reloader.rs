//! Reading again what may change while the broker serves.

use std::sync::{Arc, Mutex, PoisonError};

use msip_runtime::{Reloader, auth::ApiKeys};

use super::middleman_listeners::MiddleManListeners;
use crate::{config::Config, msip::BrokerService, router::Dialect, shared::BrokerShared};

/// Reads keys, certificates, roles and principals again while a broker serves; from
/// [`Broker::reloader`](super::Broker::reloader).
#[derive(Debug, Clone)]
pub struct BrokerReloader(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    certificates: Reloader,
    keys: Option<ApiKeys>,
    shared: BrokerShared,
    msip_peers: BrokerService,
    middleman: MiddleManListeners,
    /// What holds now.
    config: Mutex<Config>,
}

impl BrokerReloader {
    pub(super) fn new(
        certificates: Reloader,
        keys: Option<ApiKeys>,
        msip_peers: BrokerService,
        middleman: MiddleManListeners,
        shared: &BrokerShared,
        config: Config,
    ) -> Self {
        Self(Arc::new(Parts {
            certificates,
            keys,
            shared: shared.clone(),
            msip_peers,
            middleman,
            config: Mutex::new(config),
        }))
    }

    /// Reads the certificates of the listeners and the file of keys again, and takes roles and principals from `config`. They
    /// hold for whoever connects from now on, and at once for the rights of those who are connected: subscriptions that they do
    /// not cover any longer end, and sessions whose key is gone. What else has changed there needs a restart.
    ///
    /// What was done, and what could not be, is logged, and returned in words; nothing is returned where all is well. What
    /// cannot be used leaves what was there before. It reads files, which blocks for as long as that takes.
    pub fn reload(&self, config: &Config) -> Vec<String> {
        self.read_again(Some(config))
    }

    /// The same where the configuration stays what it is, such as one that cannot be read: a key that is gone is gone all the same.
    pub fn reload_files(&self) -> Vec<String> {
        self.read_again(None)
    }

    fn read_again(&self, config: Option<&Config>) -> Vec<String> {
        let mut not_done = Vec::new();
        if let Some(keys) = &self.0.keys
            && let Err(error) = keys.reload()
        {
            not_done.push(format!(
                "the keys stay what they are: {}",
                with_causes(&error)
            ));
        }
        for error in self.0.middleman.reload() {
            not_done.push(with_causes(&error));
        }
        if let Err(error) = self.0.certificates.reload_tls() {
            not_done.push(with_causes(&error));
        }
        let mut waits = Vec::new();
        match config.map(|config| (config.check(), config)) {
            None => {}
            Some((Ok(()), config)) => waits = self.replace(config),
            Some((Err(errors), _)) => not_done.push(format!(
                "roles and principals stay what they are: {}",
                errors.to_string().replace('\n', "; ")
            )),
        }
        self.reauthorize();
        if !waits.is_empty() {
            not_done.push(format!("needs a restart: {}", waits.join(", ")));
        }
        for text in &not_done {
            tracing::warn!(reason = %text, "not reloaded");
        }
        tracing::info!(
            not_done = not_done.len(),
            "reloaded: keys, certificates, roles and principals"
        );
        not_done
    }
}

impl BrokerReloader {
    /// Takes roles and principals, and returns what else is said otherwise.
    fn replace(&self, config: &Config) -> Vec<&'static str> {
        let mut current = self.0.config.lock().unwrap_or_else(PoisonError::into_inner);
        current.roles.clone_from(&config.roles);
        current.principals.clone_from(&config.principals);
        self.0.shared.directory.reload(&current);
        differences(&current, config)
    }

    /// Looks the rights of those who are connected up again.
    fn reauthorize(&self) {
        let Parts {
            shared,
            msip_peers,
            middleman,
            ..
        } = &*self.0;
        middleman.reauthorize();
        msip_peers.reauthorize();
        for connection in shared.connections.open() {
            if let (Dialect::Mip, Some(local)) = (connection.session.dialect(), &connection.local) {
                let rights = shared.directory.of_mip(local).rights;
                let now = shared.clock.now();
                shared.router.reauthorize(&connection.session, rights, now);
            }
        }
    }
}

/// What is said otherwise in a configuration, of what does not change while the broker runs.
fn differences(now: &Config, new: &Config) -> Vec<&'static str> {
    let all = [
        ("listener", now.listeners != new.listeners),
        ("max_body", now.max_body != new.max_body),
        ("admin", now.admin != new.admin),
        ("log", now.log != new.log),
        ("session_expiry", now.session_expiry != new.session_expiry),
        ("drain_timeout", now.drain_timeout != new.drain_timeout),
        ("drain_spread", now.drain_spread != new.drain_spread),
        ("limits", now.limits != new.limits),
        ("keys", now.keys != new.keys),
    ];
    let changed = all.into_iter().filter(|(_, is_other)| *is_other);
    changed.map(|(name, _)| name).collect()
}

pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}
