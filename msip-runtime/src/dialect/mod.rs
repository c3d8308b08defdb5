//! Dialects: peers that speak another framing, translated at the edge, so that nothing behind it knows.
//!
//! A [`Dialect`] is a plain value that turns foreign bytes into MSIP frames and MSIP frames into foreign bytes. It has no
//! socket, no task and no clock: bytes, frames and the time are handed in, and what it answers goes to an [`Output`]. A
//! [`DialectStream`] wraps it around the stream of a connection, and is a stream itself, so that driver and session see an ordinary
//! peer. A native connection has no such stream around it, and pays nothing.
//!
//! # What a dialect is given
//!
//! - [`handle_frame`](Dialect::handle_frame): each frame that the session of this side writes, whole, in its order;
//! - [`handle_bytes`](Dialect::handle_bytes): what was read from the peer, of which it takes off what is complete. It must look at a
//!   length before it waits for that many bytes: what it leaves is kept;
//! - [`handle_timeout`](Dialect::handle_timeout): when the time that it has named by [`poll_timeout`](Dialect::poll_timeout) has
//!   come;
//! - [`handle_start`](Dialect::handle_start) once, before anything else, and [`handle_shutdown`](Dialect::handle_shutdown) when the
//!   session closes the connection.
//!
//! # What it owes
//!
//! What the session is given must be what a peer of docs/protocol.md would say. That is, on the side of a client:
//!
//! - the HELLO of the session is answered with a Welcome, or with an ERROR. A foreign peer knows no sessions, so the Welcome
//!   says that nothing was resumed: the client then tells its user what was open, and fails it with a definite error;
//! - each PUBLISH costs credit, which the dialect grants again by CREDIT when the peer is done with it, and never more;
//! - an EVENT may only be given within the credit that the session grants by CREDIT. What comes meanwhile the dialect keeps, within
//!   a bound, and then [takes no more bytes](Dialect::wants_bytes);
//! - ids of the accepting side have bit 63 set, and count up;
//! - a PING is answered with a PONG, by the peer or, while no bytes are taken, by the dialect.
//!
//! On the side of a server the session waits for a HELLO: the dialect writes one for its peer, in `handle_start` or at the
//! first bytes, and keeps the Welcome to itself. [`SessionPeer`](session_peer::SessionPeer) does all of this for either side. Where a foreign protocol ties answers to questions by order instead of by id,
//! the dialect keeps the ids of what is open, in order, per whatever the order holds for, and is bounded by the number of calls
//! that the session's Welcome allows.
//!
//! What a dialect cannot carry is refused before it is sent, by name: [`Carries`] says what that is. A frame that
//! is refused here all the same is answered with an ERROR, and never dropped.

mod carries;
mod client;
mod credit;
#[cfg(feature = "flyrpc")]
mod flyrpc;
mod greeting;
#[cfg(feature = "messi")]
pub(crate) mod messi;
mod mip;
mod output;
mod payload;
#[cfg_attr(
    not(any(feature = "flyrpc", feature = "messi")),
    expect(dead_code, reason = "for dialects of servers")
)]
mod protocol;
#[cfg_attr(
    not(any(feature = "flyrpc", feature = "messi")),
    expect(dead_code, reason = "for dialects of servers")
)]
mod server;
#[cfg(feature = "messi")]
mod session_peer;
mod stream;
mod texts;

use std::time::Duration;

use bytes::BytesMut;
use msip_session::wire::Header;

pub(crate) use carries::{Carries, Feature};
pub(crate) use client::ClientDialect;
#[cfg(all(any(test, fuzzing), feature = "flyrpc"))]
pub(crate) use flyrpc::fuzzing::run as fuzz_flyrpc;
pub(crate) use output::Output;
pub(crate) use protocol::DialectProtocol;
pub(crate) use server::{ListenerError, ServerDialect};
pub(crate) use stream::{DialectError, DialectStream};
pub(crate) use texts::Texts;

/// How much is kept of a peer beyond what the session takes, before nothing more is read; or one message of the largest. Behind it lie
/// the answers that a handler may wait for.
pub(crate) const MAX_KEPT: usize = 1024 * 1024;

/// The translation of one connection. See the [module](self).
///
/// Times count from when the connection was opened.
pub(crate) trait Dialect: Send + Unpin + 'static {
    /// The connection is there.
    fn handle_start(&mut self, _now: Duration, _output: &mut Output) {}

    /// The session of this side sends a frame.
    ///
    /// # Errors
    ///
    /// The connection cannot go on.
    fn handle_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError>;

    /// Takes off `input` what is complete, until that is all or [`wants_bytes`](Self::wants_bytes) is false.
    ///
    /// # Errors
    ///
    /// The peer has broken a rule of the dialect: the connection ends.
    fn handle_bytes(
        &mut self,
        input: &mut BytesMut,
        now: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError>;

    /// Whether more may be read from the peer. It may change with every frame of the session.
    fn wants_bytes(&self) -> bool {
        true
    }

    /// Whether nothing more comes for the session: what was given to it is the end. It may change with every frame of the session.
    fn is_over(&self) -> bool {
        false
    }

    /// The session closes the connection: the last that the peer is told.
    fn handle_shutdown(&mut self, _now: Duration, _output: &mut Output) {}

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    fn poll_timeout(&self) -> Option<Duration> {
        None
    }

    /// The time has come.
    ///
    /// # Errors
    ///
    /// The connection ends, as that of a peer that has kept silent for too long does.
    fn handle_timeout(&mut self, _now: Duration, _output: &mut Output) -> Result<(), DialectError> {
        Ok(())
    }
}
