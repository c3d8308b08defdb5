//! A stub client, for tests of client handlers.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Answer, recorder::scripted, script::Script, scripted_connection::ScriptedConnection};
use crate::{
    CallOptions, Client, MetadataError, Protocol, Status, call::Serving, client::StubOutbound,
    connection::ConnectionShared, settings::Settings,
};
use msip_session::wire::Side;

/// Creates a client without a server: for tests of a client's handler, and of code that takes a [`Client`]. Must be
/// called within a tokio runtime.
///
/// Sent messages are recorded, and answered by the test, as with a [`TestPeer`](super::TestPeer).
///
/// # Examples
///
/// ```
/// # mod chat {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(Debug, PartialEq, ClientToServer)]
/// #     #[msip(protocol = "chat")]
/// #     pub enum ClientToServer {
/// #         #[msip(tag = 1)]
/// #         SeenInd(SeenInd),
/// #     }
/// #     #[derive(Debug, PartialEq, ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         MessageInd(MessageInd),
/// #     }
/// #     #[derive(Debug, PartialEq, Message)]
/// #     pub struct SeenInd {
/// #         #[msip(tag = 1)]
/// #         pub number: u64,
/// #     }
/// #     #[derive(Debug, PartialEq, Message)]
/// #     pub struct MessageInd {
/// #         #[msip(tag = 1)]
/// #         pub number: u64,
/// #     }
/// # }
/// use chat::{Chat, ClientToServer, HandleServerToClient, MessageInd, SeenInd, SendClientToServer as _};
/// use msip_runtime::{Client, testing};
///
/// struct Screen;
///
/// impl HandleServerToClient for Screen {
///     async fn on_message_ind(&self, client: &Client<Chat>, message: MessageInd) {
///         // If the server has stopped, the message is dropped.
///         let _ = client.seen_ind(SeenInd { number: message.number }).await;
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let client = testing::client::<Chat>();
/// Screen.on_message_ind(&client, MessageInd { number: 7 }).await;
/// assert_eq!(client.take_sent(), [ClientToServer::SeenInd(SeenInd { number: 7 })]);
/// # }
/// ```
#[must_use]
pub fn client<P: Protocol>() -> TestClient<P> {
    let connection = Arc::new(ConnectionShared::new(&Settings::default()));
    let script = Arc::default();
    let (client, supervisor) = StubOutbound::client::<P>(&connection);
    let ended = move || supervisor.ended();
    let scripted =
        ScriptedConnection::new::<P, _, _>(Side::Connecting, &connection, &script, ended);
    TestClient {
        client,
        script,
        connection: scripted,
    }
}

/// A client without a server; created by [`client`].
///
/// Dropping it ends its connection for good.
pub struct TestClient<P: Protocol> {
    client: Client<P>,
    script: Arc<Script<P::ClientToServer, P::ServerToClient>>,
    connection: ScriptedConnection,
}

impl<P: Protocol> TestClient<P> {
    /// The client as a handler gets it for a call with this time left until its deadline, which
    /// [`client.call()`](Client::call) reports.
    #[must_use]
    pub fn with_deadline(&self, remaining: Duration) -> Client<P> {
        let deadline = Instant::now().checked_add(remaining);
        StubOutbound::in_call(&self.client, Serving::until(deadline))
    }

    /// The client as a handler gets it for a message sent with these options: [`client.call()`](Client::call) reports their
    /// deadline and metadata.
    ///
    /// # Errors
    ///
    /// The metadata is invalid.
    pub fn with_options(&self, options: &CallOptions) -> Result<Client<P>, MetadataError> {
        let serving = Serving::made_with(options)?;
        Ok(StubOutbound::in_call(&self.client, serving))
    }

    /// Ends the session: every later send fails, as on a client that was closed.
    pub fn leave(&self) {
        self.connection.cut();
    }

    /// The status that the client sent when it was closed.
    #[must_use]
    pub fn goodbye(&self) -> Option<Status> {
        self.connection.goodbye()
    }
}

impl<P: Protocol> TestClient<P> {
    /// Delivers and records everything sent so far.
    fn settle(&self) {
        self.connection.settle();
    }
}

scripted! {
    impl<P: Protocol> TestClient<P>: P::ClientToServer => P::ServerToClient;
}

impl<P: Protocol> Deref for TestClient<P> {
    type Target = Client<P>;

    fn deref(&self) -> &Client<P> {
        &self.client
    }
}

impl<P: Protocol> fmt::Debug for TestClient<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient")
            .field("client", &self.client)
            .field("script", &self.script)
            .finish_non_exhaustive()
    }
}
