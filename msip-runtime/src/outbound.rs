//! Send traits: what generated code sends through.
//!
//! Clients, peers, views of them, and references to any of these implement them. Each handle says in [`SendHandle`] which
//! connection it has, and gets the implementation from `impl_outbound`.

use std::{future::Future, sync::Arc};

use futures_core::Stream;

use crate::{
    CallError, CallOptions, Envelope, SendError, Streaming, Variant,
    connection::{Addressed, Answers, ConnectionShared, Opening, Sending, upload as upload_plain},
    middleware::{self, Origin, RemotePeer, Stack},
    options::NO_OPTIONS,
    protocol::variant_of,
    with::With,
};
use msip_session::wire::Topic;

/// Something that sends the messages of one direction to one receiver.
///
/// Every generated send trait is implemented for whatever implements this: [`Client`](crate::Client), [`Peer`](crate::Peer), their views,
/// and references and `Arc`s to them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not send `{Out}`",
    note = "the methods of a send trait are there on `Client<P>` (client to server) and `Peer<P>` (server to client)"
)]
pub trait Outbound<Out, In>: Send + Sync {
    /// Sends a one-way message; waits for capacity in the outgoing queue and for credit.
    fn send(&self, message: Out) -> impl Future<Output = Result<(), SendError>> + Send;

    /// [`send`](Self::send), or [`SendError::Full`] at once where it would have to wait.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    fn try_send(&self, message: Out) -> Result<(), SendError>;

    /// Sends a message and waits until the peer's handler has returned.
    fn deliver(&self, message: Out) -> impl Future<Output = Result<(), CallError>> + Send;

    /// Sends a request and waits for its answer.
    fn call(&self, request: Out) -> impl Future<Output = Result<In, CallError>> + Send;

    /// Sends a request whose answer is a stream. Returns once the request is queued.
    fn call_streaming(
        &self,
        request: Out,
    ) -> impl Future<Output = Result<Streaming<In>, CallError>> + Send;

    /// Sends a stream of requests of this variant, and waits for the one answer.
    fn upload(
        &self,
        variant: u16,
        requests: impl Stream<Item = Out> + Send + 'static,
    ) -> impl Future<Output = Result<In, CallError>> + Send;

    /// Opens a call of this variant whose request and answer are streams. The requests are sent while the answers
    /// are taken.
    fn exchange(
        &self,
        variant: u16,
        requests: impl Stream<Item = Out> + Send + 'static,
    ) -> impl Future<Output = Result<Streaming<In>, CallError>> + Send;
}

/// Something that gathers the one-way messages of one direction for one receiver, and sends many at a time.
///
/// Every generated push trait is implemented for whatever implements this: [`Sender`](crate::Sender), and `&mut` to it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not gather messages of type `{Out}`",
    note = "the methods of a push trait are there on what `sender` of a `Client<P>` (client to server) or `Peer<P>` (server to client) returns"
)]
pub trait OutboundPush<Out>: Send {
    /// Buffers a one-way message; waits for capacity only where the buffer is full.
    fn push(&mut self, message: Out) -> impl Future<Output = Result<(), SendError>> + Send;

    /// Flushes the buffer to the connection.
    fn flush(&mut self) -> impl Future<Output = Result<(), SendError>> + Send;
}

/// Something that sends the messages of one direction to many receivers at once.
pub trait OutboundAll<Out>: Send + Sync {
    /// Encodes the message once and queues it for each receiver that has capacity; never waits. Returns how many
    /// took it.
    fn send_all(&self, message: Out) -> usize;
}

/// Something that has a connection, and options for what is sent through it.
pub(crate) trait SendHandle: Send + Sync {
    fn shared(&self) -> &Arc<ConnectionShared>;

    fn options(&self) -> &CallOptions {
        &NO_OPTIONS
    }

    /// Where a broker takes what it sends; `None` on a direct connection.
    #[inline]
    fn topic(&self) -> Option<&Topic> {
        None
    }

    /// Refuses what cannot be sent although the connection is there: to a client of a broker that has gone.
    #[inline]
    fn check_open(&self) -> Result<(), SendError> {
        Ok(())
    }

    /// A message of its own on its way.
    #[inline]
    fn addressed<'a, E>(&'a self, message: &'a E) -> Addressed<'a, E> {
        let topic = self.topic();
        Addressed { message, topic }
    }

    /// The client to which it leads, where it is a server's.
    fn peer(&self) -> Option<Arc<dyn RemotePeer>> {
        None
    }

    /// The middleware around what goes out.
    fn outgoing(&self) -> &Stack;

    /// Where an exchange begins, if there is middleware.
    fn origin(&self) -> Option<Origin<'_>> {
        Some(Origin {
            stack: self.outgoing().installed()?,
            connection: self.shared(),
            topic: self.topic(),
            options: self.options(),
            peer: self.peer(),
        })
    }
}

impl<T: SendHandle> SendHandle for With<'_, T> {
    fn shared(&self) -> &Arc<ConnectionShared> {
        self.target.shared()
    }

    fn options(&self) -> &CallOptions {
        &self.options
    }

    #[inline]
    fn topic(&self) -> Option<&Topic> {
        self.target.topic()
    }

    #[inline]
    fn check_open(&self) -> Result<(), SendError> {
        self.target.check_open()
    }

    fn outgoing(&self) -> &Stack {
        self.target.outgoing()
    }

    fn peer(&self) -> Option<Arc<dyn RemotePeer>> {
        self.target.peer()
    }
}

/// Implements [`Outbound`] for the handles of one side. No method is an `async fn`: its future would hold the message once more.
macro_rules! impl_outbound {
    ($($ty:ty: $out:ident -> $in:ident;)*) => {$(
        impl<P: $crate::Protocol> $crate::Outbound<P::$out, P::$in> for $ty {
            fn send(&self, message: P::$out) -> impl Future<Output = Result<(), $crate::SendError>> + Send {
                $crate::outbound::send(self, message)
            }

            fn try_send(&self, message: P::$out) -> Result<(), $crate::SendError> {
                $crate::outbound::try_send(self, &message)
            }

            fn deliver(&self, message: P::$out) -> impl Future<Output = Result<(), $crate::CallError>> + Send {
                $crate::outbound::deliver(self, message)
            }

            fn call(&self, request: P::$out) -> impl Future<Output = Result<P::$in, $crate::CallError>> + Send {
                $crate::outbound::call(self, request)
            }

            fn call_streaming(
                &self,
                request: P::$out,
            ) -> impl Future<Output = Result<$crate::Streaming<P::$in>, $crate::CallError>> + Send {
                $crate::outbound::call_streaming(self, request)
            }

            fn upload(
                &self,
                variant: u16,
                requests: impl ::futures_core::Stream<Item = P::$out> + Send + 'static,
            ) -> impl Future<Output = Result<P::$in, $crate::CallError>> + Send {
                $crate::outbound::upload(self, variant, requests)
            }

            fn exchange(
                &self,
                variant: u16,
                requests: impl ::futures_core::Stream<Item = P::$out> + Send + 'static,
            ) -> impl Future<Output = Result<$crate::Streaming<P::$in>, $crate::CallError>> + Send {
                $crate::outbound::exchange(self, variant, requests)
            }
        }
    )*};
}
pub(crate) use impl_outbound;

pub(crate) fn try_send<E: Envelope>(
    handle: &impl SendHandle,
    message: &E,
) -> Result<(), SendError> {
    handle.check_open()?;
    match handle.origin() {
        None => {
            let message = handle.addressed(message);
            handle.shared().try_send(&message, handle.options())
        }
        Some(origin) => middleware::try_send(origin, message),
    }
}

pub(crate) async fn upload<Out: Envelope, In: Envelope>(
    handle: &impl SendHandle,
    variant: u16,
    requests: impl Stream<Item = Out> + Send + 'static,
) -> Result<In, CallError> {
    handle.check_open()?;
    let variant = row_of::<Out>(variant)?;
    match handle.origin() {
        None => {
            let (connection, topic) = (handle.shared(), handle.topic());
            upload_plain(connection, variant, topic, requests, handle.options()).await
        }
        Some(origin) => Box::pin(middleware::upload(origin, variant, requests)).await,
    }
}

/// The row of a variant that generated code asks for, which is one of its own.
fn row_of<E: Envelope>(variant: u16) -> Result<&'static Variant, SendError> {
    variant_of::<E>(variant).ok_or(SendError::Closed)
}

pub(crate) async fn send<E: Envelope>(
    handle: &impl SendHandle,
    message: E,
) -> Result<(), SendError> {
    handle.check_open()?;
    match handle.origin() {
        None => {
            let (message, connection) = (handle.addressed(&message), handle.shared());
            // Nearly always: what follows is a future of its own, which costs more than the message.
            if connection.send_now(&message, handle.options()) {
                return Ok(());
            }
            connection.send(&message, handle.options()).await
        }
        Some(origin) => Box::pin(middleware::send(origin, &message)).await,
    }
}

pub(crate) async fn deliver<E: Envelope>(
    handle: &impl SendHandle,
    message: E,
) -> Result<(), CallError> {
    handle.check_open()?;
    match handle.origin() {
        None => {
            let message = handle.addressed(&message);
            handle.shared().deliver(&message, handle.options()).await
        }
        Some(origin) => Box::pin(middleware::deliver(origin, &message)).await,
    }
}

pub(crate) async fn call<Out: Envelope, In: Envelope>(
    handle: &impl SendHandle,
    request: Out,
) -> Result<In, CallError> {
    handle.check_open()?;
    match handle.origin() {
        None => {
            let request = handle.addressed(&request);
            handle.shared().call(&request, handle.options()).await
        }
        Some(origin) => Box::pin(middleware::call(origin, &request)).await,
    }
}

pub(crate) async fn call_streaming<Out: Envelope, In: Envelope>(
    handle: &impl SendHandle,
    request: Out,
) -> Result<Streaming<In>, CallError> {
    handle.check_open()?;
    if let Some(origin) = handle.origin() {
        let (answers, surrounding) = Box::pin(middleware::open_stream(origin, Ok(request))).await?;
        return Ok(Streaming::answers(answers, None).with_middleware(surrounding));
    }
    let answers = handle
        .shared()
        .open_streams(
            Opening::Request(&handle.addressed(&request)),
            handle.options(),
        )
        .await?;
    Ok(Streaming::answers(answers, None))
}

pub(crate) async fn exchange<Out: Envelope, In: Envelope>(
    handle: &impl SendHandle,
    variant: u16,
    requests: impl Stream<Item = Out> + Send + 'static,
) -> Result<Streaming<In>, CallError> {
    handle.check_open()?;
    let variant = row_of::<Out>(variant)?;
    let connection = handle.shared();
    let send = |answers: &Answers| {
        let sending = Arc::clone(connection)
            .send_requests(Arc::clone(answers.recv_stream.recv_buffer()), requests);
        Some(Box::pin(sending) as Sending)
    };
    if let Some(origin) = handle.origin() {
        let opening = middleware::open_stream::<Out>(origin, Err(variant));
        let (answers, surrounding) = Box::pin(opening).await?;
        let sending = send(&answers);
        return Ok(Streaming::answers(answers, sending).with_middleware(surrounding));
    }
    let answers = connection
        .open_streams::<Out>(Opening::Stream(variant, handle.topic()), handle.options())
        .await?;
    let sending = send(&answers);
    Ok(Streaming::answers(answers, sending))
}

/// Sends through whatever a pointer leads to.
macro_rules! through {
    ($($ty:ty),*) => {$(
        impl<T, Out: Send, In> Outbound<Out, In> for $ty
        where
            T: Outbound<Out, In> + ?Sized,
        {
            fn send(&self, message: Out) -> impl Future<Output = Result<(), SendError>> + Send {
                T::send(self, message)
            }

            fn try_send(&self, message: Out) -> Result<(), SendError> {
                T::try_send(self, message)
            }

            fn deliver(&self, message: Out) -> impl Future<Output = Result<(), CallError>> + Send {
                T::deliver(self, message)
            }

            fn call(&self, request: Out) -> impl Future<Output = Result<In, CallError>> + Send {
                T::call(self, request)
            }

            fn call_streaming(
                &self,
                request: Out,
            ) -> impl Future<Output = Result<Streaming<In>, CallError>> + Send {
                T::call_streaming(self, request)
            }

            fn upload(
                &self,
                variant: u16,
                requests: impl Stream<Item = Out> + Send + 'static,
            ) -> impl Future<Output = Result<In, CallError>> + Send {
                T::upload(self, variant, requests)
            }

            fn exchange(
                &self,
                variant: u16,
                requests: impl Stream<Item = Out> + Send + 'static,
            ) -> impl Future<Output = Result<Streaming<In>, CallError>> + Send {
                T::exchange(self, variant, requests)
            }
        }
    )*};
}

through!(&T, Arc<T>);
