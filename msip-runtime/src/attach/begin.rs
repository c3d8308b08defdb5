//! How a service begins.

use std::sync::Arc;

use prost::Message as _;
use tokio::{sync::watch, task::yield_now};

use super::{AttachError, keeper::Attachment};
use crate::{
    CallError, ConnectError, Protocol, ServeWith,
    client::MultiplexedConnection,
    connection::SubscribeAsk,
    demux::TopicFilter,
    middleware::Stacks,
    raw::SubscribeOptions,
    server::{AttachedClients, AttachedService, ServiceTerms},
};
use msip_session::wire::Subscribed;

/// Whose the connection of a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ownership {
    /// It is closed with the service.
    Alone,
    Shared,
}

/// What begins.
pub(super) struct Begin<H> {
    pub(super) mux: Arc<MultiplexedConnection>,
    pub(super) ownership: Ownership,
    pub(super) filter: TopicFilter,
    pub(super) is_strict: bool,
    pub(super) handler: H,
    pub(super) stacks: Stacks,
}

/// What has begun. Dropped, it ends.
pub(super) struct Begun<P: Protocol> {
    pub(super) mux: Arc<MultiplexedConnection>,
    pub(super) ownership: Ownership,
    pub(super) filter: TopicFilter,
    pub(super) clients: AttachedClients<P>,
    pub(super) attachment: Attachment,
}

impl<P: Protocol> Begun<P> {
    /// Ends it without losing a call, and its connection if nobody shares it.
    pub(super) async fn end(self) {
        self.attachment.end().await;
        if self.ownership == Ownership::Alone {
            self.mux.close().await;
        }
    }
}

/// Serves a topic by a connection to a broker. Returns when the broker has accepted it.
pub(super) async fn begin<P, H>(service: Begin<H>) -> Result<Begun<P>, AttachError>
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    let Begin {
        mux,
        ownership,
        filter,
        is_strict,
        handler,
        stacks,
    } = service;
    let topic = filter.as_str().to_owned();
    let ask = ask::<P>(&filter, is_strict)?;
    if !mux.is_broker() {
        let address = mux.info().address();
        let url = address.map_or_else(String::new, |address| address.to_string());
        return Err(AttachError::NoBroker { url, topic });
    }
    let (is_first, refused) = (watch::Sender::new(None), watch::Sender::new(None));
    let terms = ServiceTerms {
        filter: filter.clone(),
        is_strict,
        is_first: is_first.clone(),
        is_confidential: mux.is_confidential(),
        schema_timeout: mux.handshake_timeout(),
        refused: refused.clone(),
    };
    let service = AttachedService::new(handler, stacks, terms);
    let clients = service.clients();
    let added = mux.endpoints().add_service(Arc::new(service));
    let (id, running) = added.map_err(|other| AttachError::Overlaps {
        topic: topic.clone(),
        other: other.as_str().to_owned(),
    })?;
    let attachment = Attachment::begin(Arc::clone(&mux), id, running, ask.clone(), refused);
    let begun = Begun {
        mux: Arc::clone(&mux),
        ownership,
        filter,
        clients,
        attachment,
    };
    match subscribe(&mux, &ask).await {
        Ok(answer) => {
            is_first.send_replace(Some(answer.protocol.is_empty()));
            Ok(begun)
        }
        Err(error) => {
            begun.end().await;
            Err(match error {
                None => ConnectError::Closed.into(),
                Some(source) => AttachError::Refused {
                    topic,
                    protocol: P::NAME,
                    source,
                },
            })
        }
    }
}

/// Asks for the clients. While the connection is lost it waits for the next one; `None` where there is none.
async fn subscribe(
    mux: &MultiplexedConnection,
    ask: &SubscribeAsk,
) -> Result<Subscribed, Option<CallError>> {
    let connection = mux.connection();
    while connection.accepting_session().await {
        match connection.subscribe(ask, None).await {
            // What cannot be read says nothing.
            Ok(answer) => return Ok(Subscribed::decode(answer).unwrap_or_default()),
            Err(CallError::ConnectionLost) => {}
            Err(CallError::NotSent(error)) if error.lacks_session() => {}
            Err(error) => return Err(Some(error)),
        }
        yield_now().await;
    }
    Err(None)
}

/// What asks the broker for the clients of a topic.
fn ask<P: Protocol>(filter: &TopicFilter, is_strict: bool) -> Result<SubscribeAsk, AttachError> {
    let options = SubscribeOptions::new()
        .protocol(P::NAME, P::fingerprint())
        .by_peer();
    let options = if is_strict { options.strict() } else { options };
    let asked = options.ask(&format!("{}/$in", filter.as_str()), false);
    asked.map_err(|status| AttachError::Topic {
        topic: filter.as_str().to_owned(),
        why: status.message().to_owned(),
    })
}
