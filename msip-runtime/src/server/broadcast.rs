//! Broadcasts: one message to many clients.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{Peer, PeerId, registry::Registry};
use crate::{
    Envelope, OutboundAll, Protocol, SendError, Variant,
    body::{Encoding, Prepared, key_of, key_only},
    connection::{Addressed, Route, add_key, check_clearable, metadata_of_cleared},
    dialect::Feature,
    instruments::OmittedLine,
    log_rate::{LimitedLog, LogRate},
    options::NO_OPTIONS,
};

/// Many clients of one server. What may be sent to them at once are methods of the generated trait
/// `BroadcastServerToClient`.
///
/// A message is encoded once, or once for each codec and compression that the clients use. A broadcast never waits: a
/// client without capacity is skipped, and the number of clients that accepted the message is returned. Where several threads
/// broadcast at the same time, to everyone or to rooms, all clients of the server hear any two broadcasts in the same order. The
/// clients are looked up at each send; those to whom a middleware does not [permit](crate::middleware::Middleware::permits_broadcast) the
/// message, such as [`Authorize`](crate::middleware::Authorize), do not hear it.
///
/// Of a server that is [attached](crate::Server::attach) to a broker it is about the clients of one topic. Without a room,
/// [`only`](Self::only) and [`except`](Self::except) it is one message, which the broker gives to every client of the topic; with
/// them, or with outgoing middleware, it is one for each of the clients that this instance knows. The number that is returned is
/// always of these.
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
/// #         HelloReq(HelloReq),
/// #     }
/// #     #[derive(Debug, ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         HelloRsp(HelloRsp),
/// #         #[msip(tag = 2)]
/// #         ArrivedInd(ArrivedInd),
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct HelloReq {
/// #         #[msip(tag = 1)]
/// #         pub name: String,
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct HelloRsp {
/// #         #[msip(tag = 1)]
/// #         pub greeting: String,
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct ArrivedInd {
/// #         #[msip(tag = 1)]
/// #         pub name: String,
/// #     }
/// # }
/// use greet::{ArrivedInd, BroadcastServerToClient as _, Greet};
/// use msip_runtime::prelude::*;
/// # use greet::{HandleClientToServer, HandleServerToClient, HelloReq, HelloRsp};
///
/// # struct Greeter;
/// # impl HandleClientToServer for Greeter {
/// #     async fn on_hello_req(&self, _: &Peer<Greet>, request: HelloReq) -> Result<HelloRsp, Status> {
/// #         Ok(HelloRsp { greeting: format!("hello, {}", request.name) })
/// #     }
/// # }
/// # struct Heard(tokio::sync::mpsc::Sender<String>);
/// # impl HandleServerToClient for Heard {
/// #     async fn on_arrived_ind(&self, _: &Client<Greet>, message: ArrivedInd) {
/// #         let _ = self.0.send(message.name).await;
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::<Greet>::bind("mem://broadcast").await?;
/// let everyone = server.broadcast();
/// # let url = server.local_url().to_string();
/// tokio::spawn(server.serve(Greeter));
/// # let (sender, mut heard) = tokio::sync::mpsc::channel(1);
/// # let client = Client::<Greet>::builder(&url).handler(Heard(sender)).connect().await?;
///
/// // With one client connected: how many have taken the message.
/// let taken = everyone.arrived_ind(ArrivedInd { name: "ada".into() });
/// assert_eq!(taken, 1);
/// # assert_eq!(heard.recv().await.as_deref(), Some("ada"));
///
/// // All but one of them.
/// for peer in everyone.peers() {
///     let taken = everyone.clone().except(peer.id()).arrived_ind(ArrivedInd { name: "bob".into() });
///     assert_eq!(taken, 0);
/// }
/// # client.close().await;
/// # Ok(())
/// # }
/// ```
pub struct Broadcast<P: Protocol> {
    registry: Weak<Registry<Peer<P>>>,
    /// The room that they are in.
    room: Option<String>,
    only: Option<Arc<HashSet<PeerId>>>,
    except: HashSet<PeerId>,
    clears: bool,
}

impl<P: Protocol> Broadcast<P> {
    pub(super) fn everyone(registry: &Arc<Registry<Peer<P>>>) -> Self {
        Self::of(Arc::downgrade(registry))
    }

    fn of(registry: Weak<Registry<Peer<P>>>) -> Self {
        Self {
            registry,
            room: None,
            only: None,
            except: HashSet::new(),
            clears: false,
        }
    }

    /// The same clients; what is sent to them clears the STATE that it would set, as with
    /// [`CallOptions::clearing`](crate::CallOptions::clearing). A message of any other kind reaches none of them.
    #[must_use]
    pub fn clearing(mut self) -> Self {
        self.clears = true;
        self
    }

    /// The same clients without this one.
    #[must_use]
    pub fn except(mut self, id: PeerId) -> Self {
        self.except.insert(id);
        self
    }

    /// The same clients, restricted to these.
    #[must_use]
    pub fn only(mut self, ids: impl IntoIterator<Item = PeerId>) -> Self {
        let mut ids: HashSet<PeerId> = ids.into_iter().collect();
        if let Some(before) = self.only {
            ids.retain(|id| before.contains(id));
        }
        self.only = Some(Arc::new(ids));
        self
    }

    /// The clients that it would be sent to now.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer<P>> {
        let Some(registry) = self.registry() else {
            return Vec::new();
        };
        let mut peers = match (&self.room, &self.only) {
            (Some(room), _) => registry.those(&registry.rooms().members(room)),
            (None, Some(ids)) => ids.iter().filter_map(|id| registry.get(*id)).collect(),
            (None, None) => registry.all(),
        };
        peers.retain(|peer| self.admits(peer.id()));
        peers
    }

    /// The client with this id, where it is connected and among these.
    #[must_use]
    pub fn peer(&self, id: PeerId) -> Option<Peer<P>> {
        let registry = self.registry()?;
        let is_in = |room: &String| registry.rooms().contains(room, id);
        if !self.admits(id) || !self.room.as_ref().is_none_or(is_in) {
            return None;
        }
        registry.get(id)
    }

    /// All clients of the server.
    pub(super) fn unrestricted(&self) -> Self {
        Self::of(self.registry.clone())
    }

    /// The same clients, restricted to those in this room.
    pub(super) fn within(mut self, room: String) -> Self {
        self.room = Some(room);
        self
    }

    pub(super) fn registry(&self) -> Option<Arc<Registry<Peer<P>>>> {
        self.registry.upgrade()
    }

    /// Adds the key that the schema names, where the message goes to topics: a broker cannot read the body.
    fn add_key(
        &self,
        message: &P::ServerToClient,
        variant: &Variant,
        metadata: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        if variant.key_number.is_none() {
            return Ok(());
        }
        let registry = self.registry();
        let topic = registry.as_ref().and_then(|registry| registry.topic());
        let topic = topic.map(|(_, topic)| topic);
        add_key(metadata, &Addressed { message, topic }, &NO_OPTIONS)
    }

    /// Sends one message that the broker gives to every client of the topic. `None` where that is not what these clients are: they
    /// are not all of a topic, or a middleware looks at each.
    fn send_to_topic(
        &self,
        message: &P::ServerToClient,
        variant: &Variant,
        metadata: &[u8],
    ) -> Option<usize> {
        let registry = self.registry()?;
        let (connection, topic) = registry.topic()?;
        let is_everyone = self.room.is_none() && self.only.is_none() && self.except.is_empty();
        let is_looked_at = registry.any(|peer| peer.outgoing().installed().is_some());
        if !is_everyone || is_looked_at {
            return None;
        }
        let body = if self.clears {
            Some(Prepared::uncompressed(Vec::new()))
        } else {
            body(&connection.encoding(), message, variant)
        };
        let is_taken = body.is_some_and(|body| {
            let _order = registry.lock_order();
            connection.try_send_prepared(variant, Some(topic), metadata, &body, || {
                key_of(message, variant)
            })
        });
        Some(if is_taken { registry.len() } else { 0 })
    }

    /// Whether neither [`only`](Self::only) nor [`except`](Self::except) leaves a client out.
    fn admits(&self, id: PeerId) -> bool {
        let is_among = self.only.as_ref().is_none_or(|only| only.contains(&id));
        is_among && !self.except.contains(&id)
    }
}

impl<P: Protocol> Peer<P> {
    /// Every client of this server, this one included.
    pub fn everyone(&self) -> Broadcast<P> {
        Broadcast::of(self.registry().clone())
    }

    /// Every other client of this server.
    pub fn others(&self) -> Broadcast<P> {
        self.everyone().except(self.id())
    }
}

impl<P: Protocol> OutboundAll<P::ServerToClient> for Broadcast<P> {
    fn send_all(&self, message: P::ServerToClient) -> usize {
        let Some(variant) = P::ServerToClient::VARIANTS.get(message.index()) else {
            return 0;
        };
        if self.clears && check_clearable(variant).is_err() {
            return 0;
        }
        let mut metadata = if self.clears {
            metadata_of_cleared(key_only(&message, variant))
        } else {
            Vec::new()
        };
        if self.add_key(&message, variant, &mut metadata).is_err() {
            return 0;
        }
        if let Some(taken) = self.send_to_topic(&message, variant, &metadata) {
            return taken;
        }
        let Some(registry) = self.registry() else {
            return 0;
        };
        let peers = self.peers();
        // A body for each encoding in use among them; usually there is one.
        let mut bodies = Vec::new();
        let mut sends = Vec::with_capacity(peers.len());
        let (mut taken, mut refused) = (0, 0);
        for peer in &peers {
            if let Some(middleware) = peer.outgoing().installed()
                && !middleware.permits_broadcast(variant, peer.identity().as_deref())
            {
                refused += 1;
                continue;
            }
            if self.clears && peer.shared().check_carried(Feature::Clearing).is_err() {
                // It is skipped, as one without capacity is.
                continue;
            }
            let route = peer.shared().route(variant.kind);
            let connection = match &route {
                Route::Session => peer.shared(),
                Route::Channel(channel) => channel,
                Route::Drop => {
                    peer.shared().drop_for_channel();
                    taken += 1;
                    continue;
                }
            };
            let encoding = connection.encoding();
            let key = encoding.key();
            let place = bodies.iter().position(|(other, _)| *other == key);
            let place = place.unwrap_or_else(|| {
                let body = if self.clears {
                    Some(Prepared::uncompressed(Vec::new()))
                } else {
                    body(&encoding, &message, variant)
                };
                bodies.push((key, body));
                bodies.len() - 1
            });
            if let Some((_, Some(body))) = bodies.get(place)
                && connection.check_texts_of(&body.bytes).is_ok()
            {
                sends.push((peer, route, place));
            }
        }
        let order = registry.lock_order();
        for (peer, route, place) in &sends {
            let connection = match route {
                Route::Channel(channel) => channel,
                Route::Session | Route::Drop => peer.shared(),
            };
            if let Some((_, Some(body))) = bodies.get(*place)
                && connection.try_send_prepared(variant, peer.to(), &metadata, body, || {
                    key_of(&message, variant)
                })
            {
                taken += 1;
            }
        }
        drop(order);
        if taken + refused < peers.len() {
            tracing::debug!(
                skipped = peers.len() - taken - refused,
                message = variant.name,
                "a broadcast skipped clients whose queues are full"
            );
        }
        taken
    }
}

/// Broadcasts that cannot be encoded in the codec of some client, of all servers of the process.
static UNENCODABLE: LimitedLog = LimitedLog::new(
    OmittedLine::Encoding,
    LogRate {
        burst: 20,
        interval: Duration::from_secs(1),
    },
);

/// The body of a message; `None` where it cannot be encoded.
fn body<E: Envelope>(encoding: &Encoding, message: &E, variant: &Variant) -> Option<Prepared> {
    match encoding.prepare(message, variant) {
        Ok(Some(prepared)) => Some(prepared),
        Ok(None) => {
            let mut body = Vec::with_capacity(message.encoded_len());
            message.encode(&mut body);
            Some(Prepared::uncompressed(body))
        }
        Err(error) => {
            if let Some(unsaid) = UNENCODABLE.may_log() {
                tracing::warn!(message = variant.name, %error, unsaid, "a broadcast cannot be encoded for some clients");
            }
            None
        }
    }
}

impl<P: Protocol> Clone for Broadcast<P> {
    fn clone(&self) -> Self {
        Self {
            registry: self.registry.clone(),
            room: self.room.clone(),
            only: self.only.clone(),
            except: self.except.clone(),
            clears: self.clears,
        }
    }
}

impl<P: Protocol> fmt::Debug for Broadcast<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast")
            .field("protocol", &P::NAME)
            .field("room", &self.room)
            .field("only", &self.only)
            .field("except", &self.except)
            .field("clears", &self.clears)
            .finish_non_exhaustive()
    }
}
