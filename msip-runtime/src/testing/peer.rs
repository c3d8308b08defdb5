//! A peer for a handler.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Answer, line::Line, recorder::scripted, script::Script};
use crate::{
    CallOptions, MetadataError, Peer, Protocol, Status, call::Serving,
    connection::ConnectionShared, server::StubOutbound, settings::Settings,
};
use msip_session::wire::Side;

/// A client that is not there, to be given to a server's handler. Must be called within a tokio runtime.
///
/// The handler's methods take a `&Peer`, which a reference to this becomes by itself. What the handler says to the
/// client is recorded ([`take_sent`](TestPeer::take_sent)), and what it asks is answered as the test says
/// ([`answer`](TestPeer::answer), [`answer_with`](TestPeer::answer_with)). All of [`Peer`] works: a broadcast to
/// [`everyone`](Peer::everyone) reaches this peer and those that were made [`beside`](TestPeer::beside) it.
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
/// assert_eq!(ada.take_sent(), [], "nobody hears himself");
/// # }
/// ```
#[must_use]
pub fn peer<P: Protocol>() -> TestPeer<P> {
    TestPeer::at(&Arc::new(StubOutbound::new()))
}

/// A client that is not there; from [`peer`].
///
/// It leaves when it is dropped.
pub struct TestPeer<P: Protocol> {
    peer: Peer<P>,
    script: Arc<Script<P::ServerToClient, P::ClientToServer>>,
    line: Line,
    server: Arc<StubOutbound<P>>,
}

impl<P: Protocol> TestPeer<P> {
    fn at(server: &Arc<StubOutbound<P>>) -> Self {
        let connection = Arc::new(ConnectionShared::new(&Settings::default()));
        let script = Arc::default();
        let line = Line::new::<P, _, _>(Side::Accepting, &connection, &script, || {});
        Self {
            peer: server.admit(&connection),
            script,
            line,
            server: Arc::clone(server),
        }
    }

    /// Another client of the same server.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self::at(&self.server)
    }

    /// The peer as the handler of a call sees it, whose caller waits for this long: what
    /// [`peer.call()`](Peer::call) tells.
    #[must_use]
    pub fn with_deadline(&self, remaining: Duration) -> Peer<P> {
        let deadline = Instant::now().checked_add(remaining);
        StubOutbound::in_call(&self.peer, Serving::until(deadline))
    }

    /// The peer as a handler sees it, to whom something is said with these options: what
    /// [`peer.call()`](Peer::call) tells of the deadline and of the metadata.
    ///
    /// # Errors
    ///
    /// The metadata could not be sent.
    pub fn told_with(&self, options: &CallOptions) -> Result<Peer<P>, MetadataError> {
        let serving = Serving::made_with(options)?;
        Ok(StubOutbound::in_call(&self.peer, serving))
    }

    /// The client goes away: what is sent to it from here on fails, as to any peer whose session has ended.
    pub fn leave(&self) {
        self.server.dismiss(self.peer.id());
        self.line.cut();
    }

    /// What the handler said to the client when it closed the connection, by [`Peer::disconnect`].
    #[must_use]
    pub fn goodbye(&self) -> Option<Status> {
        self.line.goodbye()
    }
}

impl<P: Protocol> TestPeer<P> {
    /// Has what was sent recorded.
    fn settle(&self) {
        self.line.settle();
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
