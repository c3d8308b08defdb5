//! Which clients of a topic come and go.

use bytes::Bytes;

use super::SessionKey;
use crate::access::Principal;

/// A client has begun or ceased to take part in a topic: what the services that hear `$presence/T` are told, and the instances
/// that hear each client apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// `T`.
    pub topic: Bytes,
    /// The client's name in `T/$to/<peer>`.
    pub peer: String,
    /// The session.
    pub session: SessionKey,
    /// Whose it is.
    pub principal: Principal,
    /// Whether it is there now, or has gone.
    pub is_there: bool,
    /// What an instance is told besides that hears each client apart, of one that is there.
    pub introduction: Option<Box<Introduction>>,
}

/// What the first service of a topic speaks, for the clients that came before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpoken {
    /// `T`.
    pub topic: Bytes,
    /// The package that names the protocol.
    pub protocol: String,
    /// The fingerprint of the schema.
    pub fingerprint: u64,
}

/// What an instance of a typed service is told of a client before its first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// Who it is, and what it speaks at the topic.
    pub about: About,
    /// Whether this instance looks after it.
    pub looks_after: bool,
    /// Whether it does so since another instance has gone, which did before.
    pub is_handed_over: bool,
}

/// What is known of who is behind a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// The user, as the broker has authenticated it.
    pub user: String,
    /// The service, where it is one.
    pub service: String,
    /// What it may do, in words of the application.
    pub roles: Vec<String>,
    /// Where it connects from.
    pub address: String,
    /// What it calls itself.
    pub name: String,
    /// The protocol that it speaks, where it has said so.
    pub protocol: String,
    /// The fingerprint of its schema.
    pub fingerprint: u64,
}
