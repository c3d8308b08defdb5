//! The subscription to the topic of a client, with which each of its sessions begins.

use std::future::pending;

use prost::Message as _;

use super::{
    super::{endpoint::Endpoint, establish::Target, topic::ClientTopic},
    Supervisor,
};
use crate::{
    CallError, ConnectError, MsgKind, Status, connection::SubscribeAsk, driver::HandlerTask,
};
use msip_session::wire::{Subscribe, Subscribed};

impl<E: Endpoint> Supervisor<E> {
    /// Subscribes to the topic of the client, where it has one: what a new session begins with.
    pub(super) async fn subscribe(&self, login: u64) -> Result<(), ConnectError> {
        let Some(topic) = &self.target.topic else {
            return Ok(());
        };
        let shared = &self.shared;
        let limit = self.target.settings.handshake_timeout;
        let ask = ask(topic, &self.target);
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
                    topic: topic.name().as_str().to_owned(),
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

/// The subscription of a client of this protocol.
fn ask(topic: &ClientTopic, target: &Target) -> SubscribeAsk {
    SubscribeAsk {
        is_unsubscribe: false,
        kind: MsgKind::State,
        topic: topic.name().clone(),
        subscribe: Some(Subscribe {
            protocol: target.protocol.name.to_string(),
            fingerprint: target.protocol.fingerprint,
            by_peer: true,
            ..Subscribe::default()
        }),
    }
}
