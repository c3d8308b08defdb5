//! A client for a handler.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Answer, line::Line, recorder::scripted, script::Script};
use crate::{
    CallOptions, Client, MetadataError, Protocol, Status, call::Serving, client::StubOutbound,
    connection::ConnectionShared, settings::Settings,
};
use msip_session::wire::Side;

/// A client of a server that is not there: for a client's handler, and for code that takes a [`Client`] itself. Must
/// be called within a tokio runtime.
///
/// What is sent is recorded, and answered as the test says, as with a [`TestPeer`](super::TestPeer).
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
///         // Where the server is gone, nobody wants to know.
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
    let line = Line::new::<P, _, _>(Side::Connecting, &connection, &script, ended);
    TestClient {
        client,
        script,
        line,
    }
}

/// A client of a server that is not there; from [`client`].
///
/// When it is dropped its connection ends, and does not come back.
pub struct TestClient<P: Protocol> {
    client: Client<P>,
    script: Arc<Script<P::ClientToServer, P::ServerToClient>>,
    line: Line,
}

impl<P: Protocol> TestClient<P> {
    /// The client as the handler of a call sees it, whose caller waits for this long: what
    /// [`client.call()`](Client::call) tells.
    #[must_use]
    pub fn with_deadline(&self, remaining: Duration) -> Client<P> {
        let deadline = Instant::now().checked_add(remaining);
        StubOutbound::in_call(&self.client, Serving::until(deadline))
    }

    /// The client as a handler sees it, to whom something is said with these options: what
    /// [`client.call()`](Client::call) tells of the deadline and of the metadata.
    ///
    /// # Errors
    ///
    /// The metadata could not be sent.
    pub fn told_with(&self, options: &CallOptions) -> Result<Client<P>, MetadataError> {
        let serving = Serving::made_with(options)?;
        Ok(StubOutbound::in_call(&self.client, serving))
    }

    /// The server goes away for good: what is sent from here on fails, as with a client that was closed.
    pub fn leave(&self) {
        self.line.cut();
    }

    /// What the client said to the server when it was closed.
    #[must_use]
    pub fn goodbye(&self) -> Option<Status> {
        self.line.goodbye()
    }
}

impl<P: Protocol> TestClient<P> {
    /// Has what was sent recorded.
    fn settle(&self) {
        self.line.settle();
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
