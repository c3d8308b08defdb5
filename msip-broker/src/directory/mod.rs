//! Who a peer is to the broker, and what it may do: identities and listeners to principals and rights.

mod authenticators;
mod listeners;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use msip_runtime::{Identity, transport::PeerAddress};

use crate::{
    access::{Filters, Principal, PrincipalLimits, Rights, Role},
    config::{AccessConfig, Config, FilterConfig, PrincipalConfig},
    topic::TopicFilter,
};

pub(crate) use authenticators::{Authentication, AuthenticationError};
pub(crate) use listeners::BoundListener;

/// The method of peers that do not say who they are, and the name of their principal.
const ANONYMOUS: &str = "anonymous";

/// The method of those among them that may do everything. Others hear the roles of an identity, and not its method.
const ANONYMOUS_AND_NEAR: &str = "anonymous, near";

/// The role by which a principal is a service.
const SERVICE: &str = "service";

/// The principal of peers that do not say who they are: all of them share its name.
static NOBODY: LazyLock<Principal> = LazyLock::new(|| Principal::new(ANONYMOUS));

/// Says who a peer is, and what it may do. Cheap to clone; what it says may change when the configuration is read again.
#[derive(Debug, Clone)]
pub struct Directory(Arc<Mutex<Arc<Table>>>);

#[derive(Debug, Default)]
struct Table {
    /// Whether peers can say who they are: nobody has rights for being near then.
    has_keys: bool,
    roles: BTreeMap<String, AccessConfig>,
    principals: BTreeMap<String, PrincipalConfig>,
    listeners: Vec<BoundListener>,
}

/// Who a MIP peer is, which says nothing of itself: what its listener says.
#[derive(Debug, Clone)]
pub(crate) struct MipTerms {
    /// Who it is.
    pub(crate) principal: Principal,
    /// What it may do.
    pub(crate) rights: Arc<Rights>,
    /// Whether it may come back to its session by the session's number.
    pub(crate) may_resume: bool,
}

impl Directory {
    /// That of a configuration, without listeners.
    pub(crate) fn new(config: &Config) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(Table::new(
            config,
            Vec::new(),
        )))))
    }

    /// Replaces what is said of roles and principals.
    pub(crate) fn reload(&self, config: &Config) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(Table::new(config, current.listeners.clone()));
    }

    /// Says where the broker listens.
    pub(crate) fn bound(&self, config: &Config, listeners: Vec<BoundListener>) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(Table::new(config, listeners));
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Who an MSIP client with this identity is, and what it may do.
    #[must_use]
    pub fn of_identity(&self, identity: Option<&Identity>) -> (Principal, Arc<Rights>) {
        let table = self.table();
        let Some(identity) = identity else {
            return (NOBODY.clone(), Arc::new(Rights::none()));
        };
        if let ANONYMOUS | ANONYMOUS_AND_NEAR = &*identity.method {
            let rights = match identity.method == ANONYMOUS_AND_NEAR && !table.has_keys {
                true => Rights::all(),
                false => table.rights(ANONYMOUS, &[]),
            };
            return (NOBODY.clone(), Arc::new(rights));
        }
        let named = [&identity.user, &identity.service];
        let name = named.into_iter().find(|name| !name.is_empty());
        let name = name.map_or("", String::as_str);
        if identity.issuer.is_empty() {
            let rights = table.rights(name, &identity.roles);
            return (Principal::new(name), Arc::new(rights));
        }
        // Whoever issues tokens gives roles, and does not become a principal of the file by a name of its choice. No name in
        // the file has a space.
        let principal = format!("{} {}", identity.issuer, identity.subject());
        let rights = table.rights_of_roles(identity.roles.iter());
        (Principal::new(&principal), Arc::new(rights))
    }

    /// Who a MIP peer is that has connected to this local address.
    pub(crate) fn of_mip(&self, local: &PeerAddress) -> MipTerms {
        let table = self.table();
        let listener = BoundListener::find(&table.listeners, local);
        let is_local = listener.is_some_and(|listener| listener.is_local);
        let principal = listener.and_then(|listener| listener.principal.as_deref());
        let rights = match principal {
            Some(name) => table.rights(name, &[]),
            None if is_local && !table.has_keys => Rights::all(),
            None => table.rights(ANONYMOUS, &[]),
        };
        let asked = listener.and_then(|listener| listener.mip_resume);
        MipTerms {
            principal: Principal::new(principal.unwrap_or(ANONYMOUS)),
            rights: Arc::new(rights),
            may_resume: asked.unwrap_or(is_local || principal.is_some()),
        }
    }

    /// Which listener of the configuration has accepted a connection with this local address.
    #[cfg(feature = "middleman")]
    pub(crate) fn listener(&self, local: &PeerAddress) -> Option<usize> {
        let table = self.table();
        Some(BoundListener::find(&table.listeners, local)?.index)
    }

    /// Who a client of MiddleMan is that has connected to this local address, with the key of services or with that of everyone
    /// else.
    #[cfg(feature = "middleman")]
    pub(crate) fn of_middleman(
        &self,
        local: &PeerAddress,
        is_trusted: bool,
    ) -> (Principal, Rights) {
        let table = self.table();
        let listener = BoundListener::find(&table.listeners, local);
        let (name, otherwise, rights) = match is_trusted {
            true => (
                listener.and_then(|listener| listener.trusted.as_deref()),
                "middleman-trusted",
                Rights::all(),
            ),
            false => (
                listener.and_then(|listener| listener.public.as_deref()),
                "middleman-public",
                Rights::none(),
            ),
        };
        match name {
            Some(name) => (Principal::new(name), table.rights(name, &[])),
            None => (Principal::new(otherwise), rights),
        }
    }

    /// The identity of an MSIP client without a credential that has connected to this local address; `None` where such clients
    /// are refused.
    fn anonymous(&self, local: &PeerAddress) -> Option<Identity> {
        let table = self.table();
        if table.has_keys {
            let is_known = table.principals.contains_key(ANONYMOUS);
            return is_known.then(|| Identity::new(ANONYMOUS));
        }
        let listener = BoundListener::find(&table.listeners, local);
        match listener.is_some_and(|listener| listener.is_local) {
            true => Some(Identity::new(ANONYMOUS_AND_NEAR)),
            false => Some(Identity::new(ANONYMOUS)),
        }
    }
}

impl Table {
    fn new(config: &Config, listeners: Vec<BoundListener>) -> Self {
        Self {
            has_keys: !config.keys.is_empty(),
            roles: config.roles.clone(),
            principals: config.principals.clone(),
            listeners,
        }
    }

    /// What the principal of this name may do that has these roles besides those that the configuration gives it.
    fn rights(&self, name: &str, roles: &[String]) -> Rights {
        let own = self.principals.get(name);
        let of_file = own.map_or(&[][..], |principal| &principal.roles);
        let mut rights = self.rights_of_roles(roles.iter().chain(of_file));
        if let Some(principal) = own {
            add(&mut rights, &principal.access);
            let own = &principal.access;
            let PrincipalLimits {
                messages_per_second,
                bytes_per_second,
            } = &mut rights.limits;
            *messages_per_second = own.messages_per_second.or(*messages_per_second);
            *bytes_per_second = own.bytes_per_second.or(*bytes_per_second);
        }
        rights
    }

    fn rights_of_roles<'a>(&self, roles: impl Iterator<Item = &'a String>) -> Rights {
        let mut rights = Rights::none();
        for role in roles {
            if role == SERVICE {
                rights.role = Role::Service;
            }
            if let Some(access) = self.roles.get(role) {
                add(&mut rights, access);
            }
        }
        rights
    }
}

/// Adds what is allowed and what is denied; whatever is denied once stays so.
fn add(rights: &mut Rights, access: &AccessConfig) {
    let Rights {
        publish,
        subscribe,
        serve,
        request,
        limits,
        ..
    } = rights;
    // Nothing is less than any number.
    limits.messages_per_second = limits.messages_per_second.max(access.messages_per_second);
    limits.bytes_per_second = limits.bytes_per_second.max(access.bytes_per_second);
    for (filters, more) in [
        (publish, &access.publish),
        (subscribe, &access.subscribe),
        (serve, &access.serve),
        (request, &access.request),
    ] {
        add_filters(filters, more);
    }
}

fn add_filters(filters: &mut Filters, more: &FilterConfig) {
    // The configuration was checked: each of them is one.
    let parsed = |all: &[String]| -> Vec<_> {
        all.iter()
            .filter_map(|text| TopicFilter::new(text).ok())
            .collect()
    };
    filters.allow.extend(parsed(&more.allow));
    filters.deny.extend(parsed(&more.deny));
}
