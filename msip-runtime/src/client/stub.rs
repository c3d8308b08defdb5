//! A client without a server, for tests of handlers.

use std::{marker::PhantomData, sync::Arc};

use tokio::sync::watch;

use super::{Client, ClientShared, ConnectionState, KeepOpen, Login, connection::SharedInfo};
use crate::{Protocol, call::Serving, connection::ConnectionShared, middleware::Stack};

/// Stands in for the task that would keep a client connected.
#[derive(Debug)]
pub(crate) struct StubOutbound(Arc<ClientShared>);

impl StubOutbound {
    /// A client that sends by this connection, whose session may be there already or not.
    pub(crate) fn client<P: Protocol>(connection: &Arc<ConnectionShared>) -> (Client<P>, Self) {
        let shared = Arc::new(ClientShared {
            connection: Arc::clone(connection),
            topic: None,
            parent: None,
            outgoing: Stack::default(),
            state: watch::Sender::new(ConnectionState::Connected),
            stop: watch::Sender::new(false),
            login: watch::Sender::new(Login::Done),
            info: SharedInfo::default(),
        });
        let client = Client {
            shared: Arc::clone(&shared),
            keep: Some(Arc::new(KeepOpen(Arc::clone(&shared)))),
            serving: Serving::default(),
            login: None,
            protocol: PhantomData,
        };
        (client, Self(shared))
    }

    /// The client as a handler of this call sees it.
    pub(crate) fn in_call<P: Protocol>(client: &Client<P>, serving: Serving) -> Client<P> {
        client.serving(serving)
    }

    /// The connection has ended, and no other will follow.
    pub(crate) fn ended(&self) {
        self.0.state.send_replace(ConnectionState::Closed);
    }
}
