//! Rooms: groups of a server's clients, by name.

use std::fmt;

use super::{Broadcast, Peer, members::RoomError};
use crate::{OutboundAll, PeerId, Protocol};

/// A group of a server's clients, by name; from [`Broadcast::room`]. What may be sent to all of them at once are methods of
/// the generated trait `BroadcastServerToClient`, as for a [`Broadcast`].
///
/// A room is there as long as somebody is in it: it need not be created, and an empty one costs nothing. A client that has
/// lost its connection stays in its rooms, and hears them again when it resumes its session; one that has gone leaves by
/// itself, after `on_client_gone`, where [`Peer::rooms`] still names its rooms. A client may be in 1,024 rooms, and a name
/// may have 256 bytes.
///
/// # Examples
///
/// ```
/// # mod greet {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(Debug, ClientToServer)]
/// #     #[msip(protocol = "greet")]
/// #     pub enum ClientToServer {
/// #         #[msip(tag = 1)]
/// #         EnterReq(Room),
/// #     }
/// #     #[derive(Debug, ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         EnterRsp(Entered),
/// #         #[msip(tag = 2)]
/// #         ArrivedInd(Room),
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct Room {
/// #         #[msip(tag = 1)]
/// #         pub name: String,
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct Entered {
/// #         #[msip(tag = 1)]
/// #         pub members: u64,
/// #     }
/// # }
/// use greet::{BroadcastServerToClient as _, Entered, Greet, HandleClientToServer, Room};
/// use msip_runtime::prelude::*;
/// # use greet::SendClientToServer as _;
///
/// struct Greeter;
///
/// impl HandleClientToServer for Greeter {
///     async fn on_enter_req(&self, peer: &Peer<Greet>, request: Room) -> Result<Entered, Status> {
///         let room = peer.everyone().room(&request.name);
///         room.join(peer)?;
///         // To all others in it; encoded once.
///         room.except(peer.id()).arrived_ind(request);
///         Ok(Entered { members: room.len() as u64 })
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::<Greet>::bind("mem://rooms").await?;
/// # tokio::spawn(server.serve(Greeter));
/// # let client = Client::<Greet>::connect("mem://rooms").await?;
/// # assert_eq!(client.enter_req(Room { name: "north".into() }).await?.members, 1);
/// # client.close().await;
/// # Ok(())
/// # }
/// ```
pub struct Room<P: Protocol> {
    name: String,
    everyone: Broadcast<P>,
}

impl<P: Protocol> Broadcast<P> {
    /// The room of this name among all clients of the server: a group that clients join and leave.
    #[must_use]
    pub fn room(&self, name: impl Into<String>) -> Room<P> {
        Room {
            name: name.into(),
            everyone: self.unrestricted(),
        }
    }
}

impl<P: Protocol> Room<P> {
    /// Adds a client; one that is in it already stays.
    ///
    /// # Errors
    ///
    /// [`RoomError`].
    pub fn join(&self, peer: &Peer<P>) -> Result<(), RoomError> {
        let registry = self.everyone.registry().ok_or(RoomError::Gone)?;
        if !std::ptr::eq(peer.registry().as_ptr(), &*registry) {
            return Err(RoomError::OtherServer);
        }
        // Under the lock: it is gone before it leaves all rooms.
        let is_gone = || peer.is_gone();
        registry.rooms().join(&self.name, peer.id(), is_gone)
    }

    /// Removes a client. Returns whether it was in the room.
    pub fn leave(&self, id: PeerId) -> bool {
        let registry = self.everyone.registry();
        registry.is_some_and(|registry| registry.rooms().leave(&self.name, id))
    }

    /// Whether a client is in it.
    #[must_use]
    pub fn contains(&self, id: PeerId) -> bool {
        let registry = self.everyone.registry();
        registry.is_some_and(|registry| registry.rooms().contains(&self.name, id))
    }

    /// How many clients are in it, with those that have lost their connection and may come back.
    #[must_use]
    pub fn len(&self) -> usize {
        let registry = self.everyone.registry();
        registry.map_or(0, |registry| registry.rooms().len_of(&self.name))
    }

    /// Whether nobody is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The clients in it that are connected: those that a message would be sent to now.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer<P>> {
        self.broadcast().peers()
    }

    /// A broadcast to those who are in it at the moment of each send.
    fn broadcast(&self) -> Broadcast<P> {
        self.everyone.clone().within(self.name.clone())
    }

    /// A broadcast to all in it that clears STATEs; see [`Broadcast::clearing`].
    #[must_use]
    pub fn clearing(&self) -> Broadcast<P> {
        self.broadcast().clearing()
    }

    /// A broadcast to all in it without this one.
    #[must_use]
    pub fn except(&self, id: PeerId) -> Broadcast<P> {
        self.broadcast().except(id)
    }
}

impl<P: Protocol> OutboundAll<P::ServerToClient> for Room<P> {
    fn send_all(&self, message: P::ServerToClient) -> usize {
        self.broadcast().send_all(message)
    }
}

impl<P: Protocol> Clone for Room<P> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            everyone: self.everyone.clone(),
        }
    }
}

impl<P: Protocol> fmt::Debug for Room<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("protocol", &P::NAME)
            .field("name", &self.name)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
