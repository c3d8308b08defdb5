//! Middleware around exchanges: limits, retries, metrics.
//!
//! A [`Middleware`] sees each exchange of a client or server, of every shape: what comes in, around its handler, where
//! it is given to the builder's `incoming`, and what goes out, around its send or call, where it is given to `outgoing`.
//! The first that a builder is given is the outermost. Without any, exchanges pay nothing for it; with some, each costs a box
//! per exchange.
//!
//! Built in are [`Authorize`], [`Timeout`], [`ConcurrencyLimit`], [`RateLimit`], [`Retry`], [`Tracing`] and, behind the feature
//! `metrics`, `Metrics`.
//!
//! ```
//! use msip_runtime::{CallError, Status, middleware::{ExchangeContext, Middleware, Next}};
//!
//! /// Lets in who knows the word.
//! struct Password(String);
//!
//! impl Middleware for Password {
//!     async fn handle(&self, exchange: &mut ExchangeContext, mut next: Next<'_>) -> Result<(), CallError> {
//!         if exchange.metadata().header("password") != Some(&self.0) {
//!             return Err(exchange.refuse(Status::unauthenticated("what is the password?")));
//!         }
//!         next.run(exchange).await
//!     }
//! }
//! // Server::<Chat>::builder(url).incoming(Password("swordfish".into()))
//! ```

mod authorize;
mod concurrency;
mod exchange;
#[cfg(feature = "metrics")]
mod metrics;
mod outgoing;
mod rate;
mod remote_peer;
mod retry;
mod streaming;
#[cfg(test)]
mod tests;
mod timeout;
mod trace;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

pub use authorize::{Authorize, AuthorizeBuilder, AuthorizeError};
pub use concurrency::ConcurrencyLimit;
pub use exchange::{Direction, ExchangeContext, Shape};
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
pub use rate::RateLimit;
pub use retry::Retry;
pub use timeout::Timeout;
pub use trace::Tracing;

pub(crate) use outgoing::{Origin, call, deliver, send, try_send, upload};
pub(crate) use remote_peer::RemotePeer;
pub(crate) use streaming::{StreamingMiddleware, open_stream};

use crate::{CallError, Identity, Variant};

/// Code around exchanges: it may look at them, refuse them, delay them, give them up, or try them again.
///
/// # Cancel safety
///
/// The future of `handle` is dropped where the exchange is cancelled: what must happen in any case belongs
/// in a `Drop`.
pub trait Middleware: Send + Sync + 'static {
    /// Handles an exchange; `next` is the rest of the chain, and runs as long as the exchange does: with a stream, to its
    /// end.
    ///
    /// An implementation is a plain `async fn`. What it returns is the result of the exchange, whatever `next` has
    /// returned. Where it succeeds without `next` having run, a message is taken for handled, and a call, which needs an
    /// answer, fails with `INTERNAL`.
    fn handle(
        &self,
        exchange: &mut ExchangeContext,
        next: Next<'_>,
    ) -> impl Future<Output = Result<(), CallError>> + Send;

    /// Whether a client with this identity, or with none, hears a broadcast of this message. It is asked of the middleware around
    /// what a server sends, for each client; a broadcast is encoded once for all of them, and passes through no
    /// [`handle`](Self::handle). Default: everyone does.
    ///
    /// It is called while the broadcast is sent, and must not wait.
    fn permits_broadcast(&self, message: &'static Variant, client: Option<&Identity>) -> bool {
        let _ = (message, client);
        true
    }
}

/// The rest of the chain of an exchange: further middleware, and at its end the handler, or the connection.
pub struct Next<'a> {
    layers: &'a [Arc<dyn Layer>],
    end: &'a mut (dyn ExchangeEnd + 'a),
}

impl Next<'_> {
    /// Goes on.
    ///
    /// A message or a call that goes out can go on several times, one after the other. A handler runs once, and
    /// requests that are a stream are sent once: a further try fails with `FAILED_PRECONDITION`.
    ///
    /// # Errors
    ///
    /// The result of the exchange: what the handler has returned, or why there is no answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the handler, or gives the call up.
    pub async fn run(&mut self, exchange: &mut ExchangeContext) -> Result<(), CallError> {
        match self.layers.split_first() {
            Some((layer, layers)) => {
                let end = &mut *self.end;
                layer.wrap(exchange, Next { layers, end }).await
            }
            None => self.end.run(exchange).await,
        }
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next")
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}

/// An exchange in the chain.
pub(crate) type Handling<'a> = Pin<Box<dyn Future<Output = Result<(), CallError>> + Send + 'a>>;

/// A middleware of whatever type.
trait Layer: Send + Sync {
    fn wrap<'a>(&'a self, exchange: &'a mut ExchangeContext, next: Next<'a>) -> Handling<'a>;

    fn permits(&self, message: &'static Variant, client: Option<&Identity>) -> bool;
}

impl<M: Middleware> Layer for M {
    fn wrap<'a>(&'a self, exchange: &'a mut ExchangeContext, next: Next<'a>) -> Handling<'a> {
        Box::pin(self.handle(exchange, next))
    }

    fn permits(&self, message: &'static Variant, client: Option<&Identity>) -> bool {
        self.permits_broadcast(message, client)
    }
}

/// The end of the chain.
pub(crate) trait ExchangeEnd: Send {
    fn run<'a>(&'a mut self, exchange: &'a mut ExchangeContext) -> Handling<'a>;
}

/// The middleware of a client or server, for both directions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stacks {
    /// Around what comes in.
    pub(crate) incoming: Stack,
    /// Around what goes out.
    pub(crate) outgoing: Stack,
}

/// Every middleware of one direction, the outermost first.
#[derive(Clone, Default)]
pub(crate) struct Stack(Option<Arc<Vec<Arc<dyn Layer>>>>);

impl Stack {
    /// Adds one inside of all others.
    pub(crate) fn push(&mut self, middleware: impl Middleware) {
        let layers = self.0.get_or_insert_default();
        Arc::make_mut(layers).push(Arc::new(middleware));
    }

    /// The stack, unless it is empty.
    pub(crate) fn installed(&self) -> Option<&Self> {
        self.0.as_ref().map(|_| self)
    }

    /// Whether a client with this identity hears a broadcast of this message.
    pub(crate) fn permits_broadcast(
        &self,
        message: &'static Variant,
        client: Option<&Identity>,
    ) -> bool {
        let mut layers = self.0.iter().flat_map(|layers| layers.iter());
        layers.all(|layer| layer.permits(message, client))
    }

    /// Takes an exchange through all of it.
    pub(crate) async fn run(
        &self,
        exchange: &mut ExchangeContext,
        end: &mut dyn ExchangeEnd,
    ) -> Result<(), CallError> {
        let layers = self.0.as_deref().map_or(&[][..], Vec::as_slice);
        Next { layers, end }.run(exchange).await
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.0.as_ref().map_or(0, |layers| layers.len());
        f.debug_tuple("Stack").field(&layers).finish()
    }
}
