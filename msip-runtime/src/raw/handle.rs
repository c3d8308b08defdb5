//! The handle of a connection that sends raw messages.

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    ops::Deref,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;

use super::{Responses, UntypedMessage, UntypedSender};
use crate::{
    CallError, CallOptions, Codec, Compression, Draining, Dropped, Identity, PeerId, SendError,
    Status, Streaming,
    connection::{ConnectionShared, Delivering, FromBody as _, Opening, Outgoing, Sending},
    transport::PeerAddress,
};

/// Sends raw messages by one connection: any exchange, of any shape.
///
/// It is cheap to clone, and does not keep the connection open. No middleware is around what it sends.
#[derive(Clone)]
pub struct Handle {
    connection: Arc<ConnectionShared>,
    /// The number of the login that sends by it; 0 for none.
    login: u64,
}

impl Handle {
    pub(crate) fn new(connection: &Arc<ConnectionShared>) -> Self {
        Self {
            connection: Arc::clone(connection),
            login: 0,
        }
    }

    /// The same for the login of this number, which sends before others may.
    pub(crate) fn logging_in(&self, login: u64) -> Self {
        Self {
            connection: Arc::clone(&self.connection),
            login,
        }
    }

    /// The connection that it sends by.
    pub(super) fn connection(&self) -> &Arc<ConnectionShared> {
        &self.connection
    }

    /// These options, for whoever sends by this handle.
    pub(super) fn options<'a>(&self, options: &'a CallOptions) -> Cow<'a, CallOptions> {
        if self.login == 0 {
            return Cow::Borrowed(options);
        }
        Cow::Owned(options.clone().of_login(self.login))
    }

    /// Sends a one-way message; waits for capacity in the outgoing queue and for credit.
    ///
    /// # Errors
    ///
    /// See [`SendError`]; [`SendError::Full`] after `write_timeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future sends nothing, unless it was sent already.
    pub async fn send(
        &self,
        message: &UntypedMessage,
        options: &CallOptions,
    ) -> Result<(), SendError> {
        self.connection.send(message, &self.options(options)).await
    }

    /// [`send`](Self::send), or [`SendError::Full`] at once where it would have to wait.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub fn try_send(
        &self,
        message: &UntypedMessage,
        options: &CallOptions,
    ) -> Result<(), SendError> {
        self.connection.try_send(message, &self.options(options))
    }

    /// Sends a message and waits until it is acknowledged.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the message; it may be handled all the same.
    pub async fn deliver(
        &self,
        message: &UntypedMessage,
        options: &CallOptions,
    ) -> Result<(), CallError> {
        self.connection
            .deliver(message, &self.options(options))
            .await
    }

    /// The first half of [`deliver`](Self::deliver): sends a message once there is capacity, and returns a future of its
    /// acknowledgment. Who sends the next only then keeps the order also where connections are lost: a message that fails with
    /// [`SendError::Disconnected`] has none behind it yet.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future sends nothing, unless it was sent already.
    pub async fn begin_delivery(
        &self,
        message: &UntypedMessage,
        options: &CallOptions,
    ) -> Result<PendingDelivery, CallError> {
        let options = self.options(options);
        let sent = self.connection.begin_delivery(message, &options).await?;
        Ok(PendingDelivery(sent))
    }

    /// Sends a request and waits for its one answer. The deadline is that of the options, else that of the message's
    /// variant, else `call_timeout`.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call.
    pub async fn call(
        &self,
        request: &UntypedMessage,
        options: &CallOptions,
    ) -> Result<UntypedMessage, CallError> {
        let mut answer: UntypedMessage = self
            .connection
            .call(request, &self.options(options))
            .await?;
        answer.set_is_answer();
        Ok(answer)
    }

    /// Sends a request, and takes what comes back: one answer, or a stream of them. Without a deadline in the options or the
    /// message's variant there is none. A call that is made so ends with its connection.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call, and so does dropping what it returns.
    pub async fn open(
        &self,
        request: &UntypedMessage,
        options: &CallOptions,
    ) -> Result<Responses, CallError> {
        let opening = Opening::Request(request);
        let answers = self
            .connection
            .open_streams(opening, &self.options(options))
            .await?;
        Ok(Responses(Streaming::answers(answers, None)))
    }

    /// Opens a call whose request is a stream, and returns what comes back. `head` gives the variant and the topic of the
    /// requests, and has no body of its own. The requests are sent while what comes back is taken.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// As [`open`](Self::open).
    pub async fn open_stream(
        &self,
        head: &UntypedMessage,
        requests: impl Stream<Item = UntypedMessage> + Send + 'static,
        options: &CallOptions,
    ) -> Result<Responses, CallError> {
        let opening: Opening<'_, UntypedMessage> =
            Opening::Stream(head.variant(), Outgoing::topic(head));
        let answers = self
            .connection
            .open_streams(opening, &self.options(options))
            .await?;
        let sending = Arc::clone(&self.connection)
            .send_requests(Arc::clone(answers.recv_stream.recv_buffer()), requests);
        let sending = Some(Box::pin(sending) as Sending);
        Ok(Responses(Streaming::answers(answers, sending)))
    }

    /// An exclusive sender of one-way messages, which gathers many and sends them together.
    pub fn sender(&self) -> UntypedSender {
        UntypedSender::new(&self.connection, self.login)
    }

    /// Sends `len` bytes to the other end and back, and returns how long that took.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the ping.
    pub async fn ping(&self, len: usize, timeout: Duration) -> Result<Duration, CallError> {
        self.connection.ping(len, timeout).await
    }

    /// Closes the connection, telling the other end this status: open calls may finish within `drain_timeout`. Returns at once.
    /// Its code says whether a client comes back, as with [`Peer::disconnect`](crate::Peer::disconnect).
    pub fn disconnect(&self, status: impl Into<Status>) {
        self.connection.begin_close(&status.into());
    }

    /// A future that is ready once the connection drains: either side has begun to close it. See [`Draining`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub fn draining(&self) -> Draining {
        self.connection.draining()
    }

    /// The codec of the bodies on this connection.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.connection.encoding().codec()
    }

    /// What bodies may be compressed with on this connection.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.connection.encoding().compression()
    }

    /// The largest body that the other end accepts, in bytes, as it has said when it connected last; `None` while there is no
    /// connection.
    #[must_use]
    pub fn max_body(&self) -> Option<usize> {
        self.connection
            .lock()
            .session()
            .map(|session| session.peer_max_body())
    }

    /// How many messages were taken to be sent and then dropped.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.connection.dropped()
    }
}

/// A future of the acknowledgment of a message, from [`Handle::begin_delivery`]; it fails as [`Handle::deliver`] does.
///
/// # Cancel safety
///
/// Dropping it forgets the message, which may be handled all the same.
#[must_use = "dropping it forgets the message"]
pub struct PendingDelivery(Delivering);

impl Future for PendingDelivery {
    type Output = Result<(), CallError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(task)
    }
}

impl fmt::Debug for PendingDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingDelivery").finish_non_exhaustive()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("codec", &self.codec())
            .finish_non_exhaustive()
    }
}

/// The other end of a session, as a [`Service`](super::Service) knows it. It can be used as the [`Handle`] that it holds.
#[derive(Debug, Clone)]
pub struct UntypedPeer {
    handle: Handle,
    about: Arc<About>,
}

#[derive(Debug)]
struct About {
    protocol: String,
    fingerprint: u64,
    name: String,
    client: Option<(PeerId, PeerAddress)>,
}

impl UntypedPeer {
    /// A client of a server.
    pub(crate) fn client(
        handle: Handle,
        protocol: String,
        fingerprint: u64,
        name: String,
        client: (PeerId, PeerAddress),
    ) -> Self {
        let about = About {
            protocol,
            fingerprint,
            name,
            client: Some(client),
        };
        Self {
            handle,
            about: Arc::new(about),
        }
    }

    /// The server of a client.
    pub(crate) fn server(handle: Handle, protocol: String, fingerprint: u64) -> Self {
        let about = About {
            protocol,
            fingerprint,
            name: String::new(),
            client: None,
        };
        Self {
            handle,
            about: Arc::new(about),
        }
    }

    /// The protocol that HELLO names.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.about.protocol
    }

    /// The fingerprint of the schema in HELLO.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.about.fingerprint
    }

    /// What a client calls itself; it may be empty. Of a server nothing.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.about.name
    }

    /// The number under which a server knows this client; `None` of a server.
    #[must_use]
    pub fn id(&self) -> Option<PeerId> {
        self.about.client.as_ref().map(|(id, _)| *id)
    }

    /// Where a client first connected from; `None` of a server.
    #[must_use]
    pub fn address(&self) -> Option<&PeerAddress> {
        self.about.client.as_ref().map(|(_, address)| address)
    }

    /// Who a client is, as the server's [`authenticate`](crate::ServerBuilder::authenticate) has answered for its current
    /// connection, or its last one; `None` of a server.
    #[must_use]
    pub fn identity(&self) -> Option<Arc<Identity>> {
        self.handle.connection.identity()
    }

    /// The handle that sends to it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Deref for UntypedPeer {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}
