//! Draining: notifies handlers, and tasks beside them, when a connection or a server closes gracefully.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::signal::{Raised, Signal};

/// A future that is ready once a connection, or a server, closes gracefully: nothing new is accepted, and what is open is
/// to come to its end. From [`Call::draining`](crate::Call::draining), [`Peer::draining`](crate::Peer::draining) and
/// [`Server::draining`](crate::Server::draining).
///
/// A connection drains when either side has begun to close it: the server shuts down, or disconnects this client, or the
/// client closes. It counts as draining too once its session has ended.
///
/// Clones tell the same, and none needs the handler that it comes from.
///
/// # Cancel safety
///
/// Dropping it loses nothing.
///
/// # Examples
///
/// A stream that would never end by itself says goodbye in a drain. One that does not is ended with `UNAVAILABLE` after
/// `stream_drain`.
///
/// ```
/// # mod clock {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(Debug, ClientToServer)]
/// #     #[msip(protocol = "clock")]
/// #     pub enum ClientToServer {
/// #         #[msip(tag = 1, reply = STREAM)]
/// #         WatchReq(WatchReq),
/// #     }
/// #     #[derive(Debug, ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         WatchRsp(WatchRsp),
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct WatchReq {}
/// #     #[derive(Debug, Message)]
/// #     pub struct WatchRsp {
/// #         #[msip(tag = 1)]
/// #         pub time: u64,
/// #     }
/// # }
/// use clock::{Clock, HandleClientToServer, WatchReq, WatchRsp};
/// use futures_util::{StreamExt as _, stream};
/// use msip_runtime::prelude::*;
///
/// struct Ticker;
///
/// impl HandleClientToServer for Ticker {
///     async fn on_watch_req(
///         &self,
///         peer: &Peer<Clock>,
///         _: WatchReq,
///     ) -> Result<impl Stream<Item = Result<WatchRsp, Status>> + Send + 'static, Status> {
///         let ticks = stream::iter(0..).map(|time| Ok(WatchRsp { time }));
///         // The stream ends, and its reader sees an ordinary end.
///         Ok(ticks.take_until(peer.call().draining()))
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use clock::SendClientToServer as _;
/// # let server = Server::<Clock>::bind("mem://draining").await?;
/// # let url = server.local_url().to_string();
/// # let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// # let serving = tokio::spawn(server.serve_until(Ticker, async { let _ = stopped.await; }));
/// # let client = Client::<Clock>::connect(&url).await?;
/// # let mut ticks = client.watch_req(WatchReq {}).await?;
/// # assert!(ticks.next().await.is_some());
/// # let _ = stop.send(());
/// # while let Some(tick) = ticks.next().await {
/// #     tick?;
/// # }
/// # assert_eq!(serving.await?.cut_off, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "it is a future, and does nothing unless it is polled or asked"]
pub struct Draining(
    /// `None` where it drains already.
    Option<Raised>,
);

impl Draining {
    /// Of what drains once the signal is raised.
    pub(crate) fn of(signal: &Arc<Signal>) -> Self {
        Self(Some(Raised::of(signal)))
    }

    /// Of what drains already.
    pub(super) const fn already() -> Self {
        Self(None)
    }

    /// Whether it drains.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.as_ref().is_none_or(Raised::is_raised)
    }
}

impl Future for Draining {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(raised) => Pin::new(raised).poll(task),
            None => Poll::Ready(()),
        }
    }
}
