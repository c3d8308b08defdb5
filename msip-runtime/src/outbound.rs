//! Who can send: clients, peers, views of them, and references to any of these.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures_core::Stream;

use crate::{
    CallError, CallOptions, Client, Envelope, Outbound, Peer, PeerId, Protocol, SendError,
    Streaming,
    connection::{Answers, ConnectionShared, Opening, Sending, upload},
    middleware::{self, Origin, escort},
    options::NO_OPTIONS,
    with::With,
};

/// Sends now, or not at all: what the `try_` methods of a send trait do where nothing better is known, as in a mock.
///
/// # Errors
///
/// [`SendError::Full`] where the send would have to wait, else what it says.
pub fn send_now(send: impl Future<Output = Result<(), SendError>>) -> Result<(), SendError> {
    match pin!(send).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(SendError::Full),
    }
}

/// Something that has a connection, and options for what is sent through it.
trait Linked: Send + Sync {
    fn shared(&self) -> &Arc<ConnectionShared>;

    fn options(&self) -> &CallOptions {
        &NO_OPTIONS
    }

    /// The client to which it leads, where it is a server's.
    fn peer(&self) -> Option<PeerId> {
        None
    }

    /// What stands around what goes out, if anything does.
    fn around(&self) -> Option<Origin<'_>> {
        let connection = self.shared();
        Some(Origin {
            stack: connection.outgoing()?,
            connection,
            options: self.options(),
            peer: self.peer(),
        })
    }
}

impl<P: Protocol> Linked for Client<P> {
    fn shared(&self) -> &Arc<ConnectionShared> {
        Client::shared(self)
    }
}

impl<P: Protocol> Linked for Peer<P> {
    fn shared(&self) -> &Arc<ConnectionShared> {
        Peer::shared(self)
    }

    fn peer(&self) -> Option<PeerId> {
        Some(self.id())
    }
}

impl<T: Linked> Linked for With<'_, T> {
    fn shared(&self) -> &Arc<ConnectionShared> {
        self.target.shared()
    }

    fn options(&self) -> &CallOptions {
        &self.options
    }

    fn peer(&self) -> Option<PeerId> {
        self.target.peer()
    }
}

macro_rules! outbound {
    ($($ty:ty: $out:ident -> $in:ident;)*) => {$(
        impl<P: Protocol> Outbound<P::$out, P::$in> for $ty {
            async fn send(&self, message: P::$out) -> Result<(), SendError> {
                send(self, message).await
            }

            fn try_send(&self, message: P::$out) -> Result<(), SendError> {
                match self.around() {
                    None => self.shared().try_send(&message, self.options()),
                    Some(origin) => middleware::try_send(origin, &message),
                }
            }

            async fn deliver(&self, message: P::$out) -> Result<(), CallError> {
                deliver(self, message).await
            }

            async fn call(&self, request: P::$out) -> Result<P::$in, CallError> {
                call(self, request).await
            }

            async fn call_streaming(&self, request: P::$out) -> Result<Streaming<P::$in>, CallError> {
                call_streaming(self, request).await
            }

            async fn upload(
                &self,
                variant: u16,
                requests: impl Stream<Item = P::$out> + Send + 'static,
            ) -> Result<P::$in, CallError> {
                match self.around() {
                    None => upload(self.shared(), variant, requests, self.options()).await,
                    Some(origin) => Box::pin(middleware::upload(origin, variant, requests)).await,
                }
            }

            async fn exchange(
                &self,
                variant: u16,
                requests: impl Stream<Item = P::$out> + Send + 'static,
            ) -> Result<Streaming<P::$in>, CallError> {
                exchange(self, variant, requests).await
            }
        }
    )*};
}

outbound! {
    Client<P>: ClientToServer -> ServerToClient;
    With<'_, Client<P>>: ClientToServer -> ServerToClient;
    Peer<P>: ServerToClient -> ClientToServer;
    With<'_, Peer<P>>: ServerToClient -> ClientToServer;
}

async fn send<E: Envelope>(linked: &impl Linked, message: E) -> Result<(), SendError> {
    match linked.around() {
        None => linked.shared().send(&message, linked.options()).await,
        Some(origin) => Box::pin(middleware::send(origin, &message)).await,
    }
}

async fn deliver<E: Envelope>(linked: &impl Linked, message: E) -> Result<(), CallError> {
    match linked.around() {
        None => linked.shared().deliver(&message, linked.options()).await,
        Some(origin) => Box::pin(middleware::deliver(origin, &message)).await,
    }
}

async fn call<Out: Envelope, In: Envelope>(
    linked: &impl Linked,
    request: Out,
) -> Result<In, CallError> {
    match linked.around() {
        None => linked.shared().call(&request, linked.options()).await,
        Some(origin) => Box::pin(middleware::call(origin, &request)).await,
    }
}

async fn call_streaming<Out: Envelope, In: Envelope>(
    linked: &impl Linked,
    request: Out,
) -> Result<Streaming<In>, CallError> {
    if let Some(origin) = linked.around() {
        let (answers, escort) = Box::pin(escort(origin, Ok(request))).await?;
        return Ok(Streaming::answers(answers, None).escorted(escort));
    }
    let answers = linked
        .shared()
        .open_streams(Opening::Request(&request), linked.options())
        .await?;
    Ok(Streaming::answers(answers, None))
}

async fn exchange<Out: Envelope, In: Envelope>(
    linked: &impl Linked,
    variant: u16,
    requests: impl Stream<Item = Out> + Send + 'static,
) -> Result<Streaming<In>, CallError> {
    let connection = linked.shared();
    let send = |answers: &Answers| {
        let sending = Arc::clone(connection)
            .send_requests(Arc::clone(answers.recv_stream.recv_buffer()), requests);
        Some(Box::pin(sending) as Sending)
    };
    if let Some(origin) = linked.around() {
        let opening = escort::<Out>(origin, Err(variant));
        let (answers, escort) = Box::pin(opening).await?;
        let sending = send(&answers);
        return Ok(Streaming::answers(answers, sending).escorted(escort));
    }
    let answers = connection
        .open_streams::<Out>(Opening::Stream(variant), linked.options())
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
