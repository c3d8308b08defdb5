//! The subscription to the topic of a client, with which each of its sessions begins.

use std::{sync::Arc, time::Duration};

use prost::Message as _;

use super::{
    ClientShared,
    establish::{ProtocolId, Target},
};
use crate::{
    CallError, ConnectError, MsgKind, Status, compatibility::PeerSchemas, connection::SubscribeAsk,
};
use msip_session::wire::{Subscribe, Subscribed, Topic};

/// What a client speaks at its topic.
#[derive(Debug, Clone)]
pub(super) struct Spoken {
    pub(super) protocol: ProtocolId,
    pub(super) schemas: Arc<PeerSchemas>,
    /// How long the broker, or a service that is asked for its schema, may take.
    pub(super) limit: Duration,
}

/// Why a topic is not subscribed to.
pub(super) enum SubscribeError {
    /// The connection has ended, and so has what was asked.
    ConnectionEnded,
    Failed(ConnectError),
}

impl Target {
    /// What a client with a topic speaks there.
    pub(super) fn spoken(&self) -> Option<Spoken> {
        self.topic.as_ref()?;
        Some(Spoken {
            protocol: self.protocol.clone(),
            schemas: Arc::clone(self.schemas.as_ref()?),
            limit: self.settings.handshake_timeout,
        })
    }
}

impl ClientShared {
    /// Subscribes to the topic of the client, where it has one: what a new session begins with.
    pub(super) async fn subscribe(
        &self,
        spoken: &Spoken,
        login: u64,
    ) -> Result<(), SubscribeError> {
        let Some(topic) = &self.topic else {
            return Ok(());
        };
        let ask = spoken.ask(topic.name(), self.parent.is_some());
        let address = self.address();
        let url = || {
            address
                .as_ref()
                .map_or_else(String::new, ToString::to_string)
        };
        let answered = self
            .connection
            .subscribe_at_login(&ask, spoken.limit, login)
            .await;
        let answer = match answered {
            Ok(answer) => answer,
            Err(CallError::DeadlineExceeded { timeout }) => {
                let url = url();
                return Err(SubscribeError::Failed(ConnectError::TimedOut {
                    url,
                    timeout,
                }));
            }
            Err(CallError::ConnectionLost) => return Err(SubscribeError::ConnectionEnded),
            Err(CallError::NotSent(error)) if error.lacks_session() => {
                return Err(SubscribeError::ConnectionEnded);
            }
            Err(error) => {
                return Err(SubscribeError::Failed(ConnectError::TopicRefused {
                    url: url(),
                    topic: topic.name().as_str().to_owned(),
                    status: match error {
                        CallError::Status(status) => status,
                        error => Status::new(error.code(), error.to_string()),
                    },
                }));
            }
        };
        // What cannot be read says nothing.
        let answer = Subscribed::decode(answer).unwrap_or_default();
        if !answer.protocol.is_empty() {
            self.topic_speaks(answer.fingerprint);
            // At once, so that whoever connects can wait for it.
            self.begin_schema_check(&spoken.schemas, spoken.limit, login);
        }
        Ok(())
    }
}

impl Spoken {
    /// The subscription of a client of this protocol, which may have a window of its own.
    fn ask(&self, topic: &Topic, own_window: bool) -> SubscribeAsk {
        SubscribeAsk {
            is_unsubscribe: false,
            kind: MsgKind::State,
            topic: topic.clone(),
            subscribe: Some(Subscribe {
                protocol: self.protocol.name.to_string(),
                fingerprint: self.protocol.fingerprint,
                by_peer: true,
                own_window,
                ..Subscribe::default()
            }),
        }
    }

    /// What ends the subscription of a client.
    pub(super) fn revoked(&self, shared: &ClientShared) -> Option<SubscribeAsk> {
        Some(SubscribeAsk {
            is_unsubscribe: true,
            subscribe: None,
            ..self.ask(shared.topic.as_ref()?.name(), false)
        })
    }
}
