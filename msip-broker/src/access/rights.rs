//! The rights of a principal.

use std::{fmt, sync::Arc};

use super::Uses;
use crate::topic::{Internal, TopicFilter};

/// Who a session belongs to. Only the same principal takes a session over.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal(Arc<str>);

impl Principal {
    /// The principal of this name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Principal({:?})", &*self.0)
    }
}

/// What a principal is in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It may serve topics, and enable them for clients. What other services enable is not for it.
    Service,
    /// It may do what services enable, besides its own rights. It never serves.
    Client,
}

/// Allowed and denied topics. What is denied stays denied, whatever allows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filters {
    /// What is allowed.
    pub allow: Vec<TopicFilter>,
    /// What is not, wherever it overlaps with what is.
    pub deny: Vec<TopicFilter>,
}

/// What a principal may do. Filters name topics `T`, never the broker's own levels, which belong to a topic:
///
/// - `publish` and `request` of `T` cover sending to `T/$in`;
/// - `subscribe` of `T` covers hearing `T/$to/<own peer>`;
/// - `serve` of `T` covers hearing `T/$in`, `$presence/T` and `$dead/T`, and sending to `T` and `T/$to/+`.
///
/// # Examples
///
/// ```
/// use msip_broker::{
///     access::{Access, Rights, Uses},
///     topic::{FilterError, TopicFilter},
/// };
///
/// # fn main() -> Result<(), FilterError> {
/// let mut rights = Rights::none();
/// rights.subscribe.allow.push(TopicFilter::new("fleet/#")?);
/// rights.subscribe.deny.push(TopicFilter::new("fleet/+/keys")?);
///
/// let may_hear = |text| TopicFilter::new(text).map(|filter| rights.filter(Uses::Subscribe, &filter));
/// assert_eq!(may_hear("fleet/7/position")?, Access::Allowed);
/// // It overlaps with what is denied.
/// assert_eq!(may_hear("fleet/7/#")?, Access::Denied);
/// assert_eq!(may_hear("news")?, Access::NeedsGrant);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// What it is.
    pub role: Role,
    /// Where it may send messages.
    pub publish: Filters,
    /// What it may hear.
    pub subscribe: Filters,
    /// What it may serve.
    pub serve: Filters,
    /// Whose services it may call.
    pub request: Filters,
    /// How much its sessions may send together.
    pub limits: PrincipalLimits,
}

/// How much all sessions of a principal may send together. A second's worth may come at once; then their connections are read
/// more slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrincipalLimits {
    /// Messages per second; any number unless set.
    pub messages_per_second: Option<u64>,
    /// Bytes of their frames per second; any number unless set.
    pub bytes_per_second: Option<u64>,
}

/// Whether something may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// By its own rights.
    Allowed,
    /// Only if a service has enabled it.
    NeedsGrant,
    /// Never.
    Denied,
}

impl Filters {
    /// Everything.
    pub fn all() -> Self {
        Self {
            allow: TopicFilter::new("#").into_iter().collect(),
            deny: Vec::new(),
        }
    }

    /// What is said of one topic.
    fn of_topic(&self, topic: &[u8]) -> Access {
        if self.deny.iter().any(|filter| filter.matches(topic)) {
            return Access::Denied;
        }
        match self.allow.iter().any(|filter| filter.matches(topic)) {
            true => Access::Allowed,
            false => Access::NeedsGrant,
        }
    }

    /// What is said of all topics of a filter.
    fn of_filter(&self, asked: &TopicFilter) -> Access {
        if self.deny.iter().any(|filter| filter.overlaps(asked)) {
            return Access::Denied;
        }
        match self.allow.iter().any(|filter| filter.covers(asked)) {
            true => Access::Allowed,
            false => Access::NeedsGrant,
        }
    }
}

impl Rights {
    /// All of them, as a service: what the anonymous principal has on loopback.
    pub fn all() -> Self {
        Self {
            role: Role::Service,
            publish: Filters::all(),
            subscribe: Filters::all(),
            serve: Filters::all(),
            request: Filters::all(),
            limits: PrincipalLimits::default(),
        }
    }

    /// Those of a client that may do nothing: a start for rights that are given one by one.
    pub fn none() -> Self {
        Self {
            role: Role::Client,
            publish: Filters::default(),
            subscribe: Filters::default(),
            serve: Filters::default(),
            request: Filters::default(),
            limits: PrincipalLimits::default(),
        }
    }

    fn filters(&self, what: Uses) -> &Filters {
        match what {
            Uses::Publish => &self.publish,
            Uses::Subscribe => &self.subscribe,
            Uses::Serve => &self.serve,
            Uses::Request => &self.request,
        }
    }

    /// Whether this may be done with a topic `T`, which has none of the broker's levels.
    fn topic(&self, what: Uses, topic: &[u8]) -> Access {
        self.within_role(what, self.filters(what).of_topic(topic))
    }

    /// Whether this may be done with all topics of a filter, which has none of the broker's levels.
    pub fn filter(&self, what: Uses, filter: &TopicFilter) -> Access {
        self.within_role(what, self.filters(what).of_filter(filter))
    }

    /// A client never serves, and a service is enabled nothing.
    fn within_role(&self, what: Uses, access: Access) -> Access {
        match (self.role, access) {
            (Role::Client, _) if what == Uses::Serve => Access::Denied,
            (Role::Service, Access::NeedsGrant) => Access::Denied,
            _ => access,
        }
    }

    /// Whether a message may be sent to this topic.
    pub fn send<'a>(&self, is_call: bool, topic: &'a [u8]) -> Checked<&'a [u8]> {
        let uses = if is_call {
            Uses::Request
        } else {
            Uses::Publish
        };
        let (about, access) = match Internal::of(topic) {
            Internal::Clients(about) => {
                let own = self.topic(uses, about);
                let is_denied = self.publish.of_topic(about) == Access::Denied;
                match is_call || is_denied {
                    true => (about, own),
                    false => (about, own.or(self.topic(Uses::Serve, about))),
                }
            }
            Internal::Services(about) => (about, self.topic(uses, about)),
            Internal::Peer { topic: about, .. } => {
                // A service asks a client as it may tell it something.
                let is_denied = self.filters(uses).of_topic(about) == Access::Denied;
                match self.topic(Uses::Serve, about) {
                    Access::Allowed if !is_denied => (about, Access::Allowed),
                    _ => (about, Access::Denied),
                }
            }
            Internal::Presence(_) | Internal::Dead(_) | Internal::Other => (topic, Access::Denied),
        };
        Checked {
            uses,
            about,
            access,
        }
    }

    /// Whether messages of this topic may be heard by the client of this name.
    pub fn hear<'a>(&self, topic: &'a [u8], peer: &str) -> Checked<&'a [u8]> {
        let (about, uses) = heard(topic, peer);
        match uses {
            Some(uses) => Checked {
                uses,
                about,
                access: self.topic(uses, about),
            },
            None => Checked {
                uses: Uses::Subscribe,
                about,
                access: Access::Denied,
            },
        }
    }

    /// Whether all that a filter matches may be heard by the client of this name.
    pub fn subscribe(&self, filter: &TopicFilter, peer: &str) -> Checked<TopicFilter> {
        let (about, uses) = heard(filter.as_str().as_bytes(), peer);
        // What is left of a filter without the broker's levels is a filter, if it is anything at all.
        let about = str::from_utf8(about).ok().map(TopicFilter::new);
        match (about, uses) {
            (Some(Ok(about)), Some(uses)) => Checked {
                uses,
                access: self.filter(uses, &about),
                about,
            },
            _ => Checked {
                uses: Uses::Subscribe,
                about: filter.clone(),
                access: Access::Denied,
            },
        }
    }
}

/// An answer, and what it is about: where a grant is needed, it is for this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked<T> {
    /// What is asked for.
    pub uses: Uses,
    /// The topic or filter `T` that it is asked for, without the broker's levels.
    pub about: T,
    /// The answer.
    pub access: Access,
}

/// The topic that what is heard belongs to, and what is needed to hear it.
fn heard<'a>(topic: &'a [u8], peer: &str) -> (&'a [u8], Option<Uses>) {
    match Internal::of(topic) {
        Internal::Clients(about) => (about, Some(Uses::Subscribe)),
        Internal::Services(about) | Internal::Presence(about) | Internal::Dead(about) => {
            (about, Some(Uses::Serve))
        }
        Internal::Peer {
            topic: about,
            peer: other,
        } => (about, (other == peer.as_bytes()).then_some(Uses::Subscribe)),
        Internal::Other => (topic, None),
    }
}

impl Access {
    /// The better of two answers.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Allowed, _) | (_, Self::Allowed) => Self::Allowed,
            (Self::NeedsGrant, _) | (_, Self::NeedsGrant) => Self::NeedsGrant,
            _ => Self::Denied,
        }
    }
}
