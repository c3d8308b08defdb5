//! A stub peer, for tests of server handlers.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Answer, recorder::scripted, script::Script, scripted_connection::ScriptedConnection};
use crate::{
    CallOptions, Identity, MetadataError, Peer, Protocol, Status, call::Serving,
    connection::ConnectionShared, server::StubOutbound, settings::Settings,
};
use msip_session::wire::Side;

/// Creates a peer without a client, to pass to a server's handler. Must be called within a tokio runtime.
///
/// The handler's methods take a `&Peer`, to which a reference to this dereferences. What the handler sends is recorded
/// ([`take_sent`](TestPeer::take_sent)), and its calls are answered by the test ([`answer`](TestPeer::answer),
/// [`answer_with`](TestPeer::answer_with)). All of [`Peer`] works: a broadcast to [`everyone`](Peer::everyone) reaches
/// this peer and those created from it with [`beside`](TestPeer::beside).
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
/// #         MessageInd(MessageInd),
/// #     }
/// #     #[derive(Debug, PartialEq, ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         MessageInd(MessageInd),
/// #     }
/// #     #[derive(Debug, Clone, PartialEq, Message)]
/// #     pub struct MessageInd {
/// #         #[msip(tag = 1)]
/// #         pub text: String,
/// #     }
/// # }
/// use chat::{BroadcastServerToClient as _, Chat, HandleClientToServer, MessageInd, ServerToClient};
/// use msip_runtime::{Peer, testing};
///
/// struct Room;
///
/// impl HandleClientToServer for Room {
///     async fn on_message_ind(&self, peer: &Peer<Chat>, message: MessageInd) {
///         peer.others().message_ind(message);
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let ada = testing::peer::<Chat>();
/// let bob = ada.beside();
/// let hello = MessageInd { text: "hello".into() };
/// Room.on_message_ind(&ada, hello.clone()).await;
/// assert_eq!(bob.take_sent(), [ServerToClient::MessageInd(hello)]);
/// assert_eq!(ada.take_sent(), [], "the sender is left out");
/// # }
/// ```
#[must_use]
pub fn peer<P: Protocol>() -> TestPeer<P> {
    TestPeer::at(&Arc::new(StubOutbound::new()))
}

/// A peer without a client; created by [`peer`].
///
/// Dropping it ends its session.
pub struct TestPeer<P: Protocol> {
    peer: Peer<P>,
    script: Arc<Script<P::ServerToClient, P::ClientToServer>>,
    connection: ScriptedConnection,
    server: Arc<StubOutbound<P>>,
}

impl<P: Protocol> TestPeer<P> {
    fn at(server: &Arc<StubOutbound<P>>) -> Self {
        let connection = Arc::new(ConnectionShared::new(&Settings::default()));
        let script = Arc::default();
        let scripted =
            ScriptedConnection::new::<P, _, _>(Side::Accepting, &connection, &script, || {});
        Self {
            peer: server.admit(&connection),
            script,
            connection: scripted,
            server: Arc::clone(server),
        }
    }

    /// Another client of the same server.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self::at(&self.server)
    }

    /// The same client, authenticated as this: what [`peer.identity()`](Peer::identity) and the
    /// [identity](crate::Metadata::identity) in the metadata of its messages are.
    ///
    /// ```
    /// # mod chat {
    /// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
    /// #     #[derive(ClientToServer)]
    /// #     #[msip(protocol = "chat")]
    /// #     pub enum ClientToServer { #[msip(tag = 1)] KickReq(Name) }
    /// #     #[derive(ServerToClient)]
    /// #     pub enum ServerToClient { #[msip(tag = 1)] KickRsp(Name) }
    /// #     #[derive(Debug, PartialEq, Message)]
    /// #     pub struct Name { #[msip(tag = 1)] pub name: String }
    /// # }
    /// # use chat::{Chat, HandleClientToServer, Name};
    /// # use msip_runtime::{Code, Identity, Peer, Status, testing};
    /// struct Room;
    ///
    /// impl HandleClientToServer for Room {
    ///     async fn on_kick_req(&self, peer: &Peer<Chat>, who: Name) -> Result<Name, Status> {
    ///         match peer.identity() {
    ///             Some(identity) if identity.has_role("operator") => Ok(who),
    ///             _ => Err(Status::permission_denied("operators only")),
    ///         }
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let bob = || Name { name: "bob".into() };
    /// let stranger = testing::peer::<Chat>();
    /// let refused = Room.on_kick_req(&stranger, bob()).await.unwrap_err();
    /// assert_eq!(refused.code(), Code::PermissionDenied);
    ///
    /// let ada = testing::peer::<Chat>()
    ///     .with_identity(Identity::new("token").with_user("ada").with_role("operator"));
    /// assert_eq!(Room.on_kick_req(&ada, bob()).await, Ok(bob()));
    /// # }
    /// ```
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.peer = StubOutbound::identify(&self.peer, identity);
        self
    }

    /// The peer as a handler gets it for a call with this time left until its deadline, which
    /// [`peer.call()`](Peer::call) reports.
    #[must_use]
    pub fn with_deadline(&self, remaining: Duration) -> Peer<P> {
        let deadline = Instant::now().checked_add(remaining);
        StubOutbound::in_call(&self.peer, Serving::until(deadline))
    }

    /// The peer as a handler gets it for a message sent with these options: [`peer.call()`](Peer::call) reports their
    /// deadline and metadata, and who has sent it where [`with_identity`](Self::with_identity) has said so.
    ///
    /// # Errors
    ///
    /// The metadata is invalid.
    pub fn with_options(&self, options: &CallOptions) -> Result<Peer<P>, MetadataError> {
        let serving = Serving::made_with(options)?;
        Ok(StubOutbound::in_call(&self.peer, serving))
    }

    /// Ends the session: every later send fails, as to any peer whose session has ended.
    pub fn leave(&self) {
        self.server.dismiss(&self.peer);
        self.connection.cut();
    }

    /// The status with which the handler closed the connection, by [`Peer::disconnect`].
    #[must_use]
    pub fn goodbye(&self) -> Option<Status> {
        self.connection.goodbye()
    }
}

impl<P: Protocol> TestPeer<P> {
    /// Delivers and records everything sent so far.
    fn settle(&self) {
        self.connection.settle();
    }
}

scripted! {
    impl<P: Protocol> TestPeer<P>: P::ServerToClient => P::ClientToServer;
}

impl<P: Protocol> Deref for TestPeer<P> {
    type Target = Peer<P>;

    fn deref(&self) -> &Peer<P> {
        &self.peer
    }
}

impl<P: Protocol> Drop for TestPeer<P> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<P: Protocol> fmt::Debug for TestPeer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestPeer")
            .field("peer", &self.peer)
            .field("script", &self.script)
            .finish_non_exhaustive()
    }
}
