//! The topic of a broker at which a client speaks: its names, and the subscription that each session begins with.

use std::future::pending;

use bytes::Bytes;
use prost::Message as _;

use super::{endpoint::Endpoint, establish::Target, supervisor::Supervisor};
use crate::{
    CallError, ConnectError, MsgKind, Status,
    connection::SubscribeAsk,
    driver::HandlerTask,
    transport::{Address, UrlError},
};
use msip_session::wire::{Limits, Subscribe, Subscribed, Topic, Welcome};

/// What follows a topic in the longest name that belongs to it, `T/$to/<peer>`.
const PEER_LEN: usize = "/$to/0123456789abcdef".len();

/// The topic `T` of a client: it hears `T` and sends to `T/$in`, which its services hear.
#[derive(Debug, Clone)]
pub(super) struct ClientTopic {
    name: Topic,
    services: Topic,
}

impl ClientTopic {
    /// The topic of this name.
    ///
    /// # Errors
    ///
    /// [`UrlError::NotSpokenAt`] where no client can speak at it.
    pub(super) fn new(name: &str) -> Result<Self, UrlError> {
        let refuse = |reason: String| UrlError::NotSpokenAt {
            topic: name.to_owned(),
            reason,
        };
        if name.contains(['+', '#']) {
            let reason = "`+` and `#` are for filters, and a client speaks at one topic";
            return Err(refuse(reason.to_owned()));
        }
        if name.split('/').any(|level| level.starts_with('$')) {
            let reason = "levels that begin with `$` are the broker's";
            return Err(refuse(reason.to_owned()));
        }
        let max = usize::from(Limits::default().max_topic) - PEER_LEN;
        if name.len() > max {
            let len = name.len();
            return Err(refuse(format!("it has {len} bytes, and {max} are allowed")));
        }
        let topic = |name: String| {
            Topic::new(Bytes::from(name), Limits::default().max_topic)
                .map_err(|error| refuse(error.to_string()))
        };
        Ok(Self {
            name: topic(name.to_owned())?,
            services: topic(format!("{name}/$in"))?,
        })
    }

    /// The name.
    pub(super) fn name(&self) -> &Topic {
        &self.name
    }

    /// Where its services hear what a client says.
    pub(super) fn services(&self) -> &Topic {
        &self.services
    }

    /// The subscription of a client of this protocol.
    fn ask(&self, target: &Target) -> SubscribeAsk {
        SubscribeAsk {
            is_unsubscribe: false,
            kind: MsgKind::State,
            topic: self.name.clone(),
            subscribe: Some(Subscribe {
                protocol: target.protocol.name.to_string(),
                fingerprint: target.protocol.fingerprint,
                by_peer: true,
                ..Subscribe::default()
            }),
        }
    }
}

/// Checks that a typed client has a topic if its server is a broker, and only then.
pub(super) fn check_topic(
    target: &Target,
    address: &Address,
    welcome: &Welcome,
) -> Result<(), ConnectError> {
    let url = address.to_string();
    match &target.topic {
        Some(topic) if !welcome.broker => Err(ConnectError::NoBroker {
            url,
            topic: topic.name.as_str().to_owned(),
        }),
        None if welcome.broker && target.schemas.is_some() => Err(ConnectError::NoTopic {
            url,
            protocol: target.protocol.name.to_string(),
        }),
        _ => Ok(()),
    }
}

impl<E: Endpoint> Supervisor<E> {
    /// Subscribes to the topic of the client, where it has one: what a new session begins with.
    pub(super) async fn subscribe(&self, login: u64) -> Result<(), ConnectError> {
        let Some(topic) = &self.target.topic else {
            return Ok(());
        };
        let shared = &self.shared;
        let limit = self.target.settings.handshake_timeout;
        let ask = topic.ask(&self.target);
        let address = shared.info.welcomed().address;
        let url = || {
            address
                .as_ref()
                .map_or_else(String::new, ToString::to_string)
        };
        let answer = match shared
            .connection
            .subscribe_at_login(&ask, limit, login)
            .await
        {
            Ok(answer) => answer,
            Err(CallError::DeadlineExceeded { timeout }) => {
                return Err(ConnectError::TimedOut {
                    url: url(),
                    timeout,
                });
            }
            // The connection ends, which the driver knows better.
            Err(CallError::ConnectionLost) => pending().await,
            Err(CallError::NotSent(error)) if error.lacks_session() => pending().await,
            Err(error) => {
                return Err(ConnectError::TopicRefused {
                    url: url(),
                    topic: topic.name.as_str().to_owned(),
                    status: match error {
                        CallError::Status(status) => status,
                        error => Status::new(error.code(), error.to_string()),
                    },
                });
            }
        };
        // What cannot be read says nothing.
        let spoken = Subscribed::decode(answer).unwrap_or_default();
        if !spoken.protocol.is_empty() {
            shared.topic_speaks(spoken.fingerprint);
            // At once, so that whoever connects can wait for it.
            shared.begin_schema_check(&self.target, login);
        }
        Ok(())
    }

    /// The handlers of a session, with the checks of the schemas of its server, or of who speaks at its topic, beside them.
    pub(super) fn beside_schema_checks(&self, handlers: HandlerTask) -> HandlerTask {
        match &self.target.topic {
            None => self.shared.beside_schema_check(handlers),
            Some(_) => self.shared.beside_topic_checks(&self.target, handlers),
        }
    }
}
