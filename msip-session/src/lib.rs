//! The MSIP protocol without I/O: wire format and session as plain values.
//!
//! This crate is for authors of a driver: a runtime, a broker, a client core of another language, a fuzzer. It has no
//! sockets, no tasks, no clock and no generated types; bodies are bytes, and members of an envelope are numbers. Users of
//! MSIP use [`msip-runtime`](https://docs.rs/msip-runtime) instead, which is such a driver.
//!
//! - [`wire`] is the format: a [`Decoder`](wire::Decoder) cuts bytes into frames, and functions write them.
//! - [`Session`] is the protocol: one side of a session, which turns frames and times into frames and events.
//! - [`Budget`] bounds the memory of many sessions together.
//!
//! # How to drive a session
//!
//! Times are `Duration`s since a moment of the driver's choice. The driver does these things, in any order:
//!
//! 1. **Begin** with [`Session::connecting`], which queues HELLO, or [`Session::accepting`], which waits for it.
//! 2. **Read** while [`Session::is_read_paused`] is false: tell the session with [`Session::received`], decode, and pass
//!    each frame to [`Session::handle_frame`]. A frame without metadata can go to [`Session::handle_fast`] or
//!    [`Session::handle_item`] first, which cost less, and return `None` where it is a frame for the slow path.
//! 3. **Act** on the [`Event`]. [`Event::Hello`] is answered with [`Session::welcome`] or [`Session::refuse`]. A message
//!    ([`Event::Incoming`]) goes to a handler; when that has returned, the driver answers with [`Session::reply`] or
//!    [`Session::acknowledge`], and lets the peer send more with [`Session::consumed`] (one-way messages and deliveries)
//!    or [`Session::items_consumed`] (stream items). While [`Session::is_backlogged`] no further handler begins, and reading
//!    goes on.
//! 4. **Send** with [`Session::send`], [`Session::deliver`], [`Session::call`], [`Session::ping`] and
//!    [`Session::send_item`], which encode straight into the outgoing queue, or return [`Blocked`]. Whoever is blocked for
//!    capacity tries again after [`Event::Capacity`], after an outcome, and after each write.
//! 5. **Write** each chunk of [`Session::poll_transmit`], and hand it back with [`Session::transmitted`].
//! 6. **Sleep** until [`Session::poll_timeout`] at the latest, then call [`Session::handle_timeout`]. While the session
//!    [closes](Session::is_closing), call [`Session::linger`] before, and [`Session::end_streams`] after.
//! 7. **End** when [`Session::is_finished`], or with an error: a [`Fault`] goes to [`Session::handle_fault`], whose last
//!    frames are written before the transport is closed. When the connection is lost, [`Session::suspend`] keeps a session
//!    that is [resumable](Session::is_resumable), and [`Session::lost`] ends any other; both return the exchanges that have
//!    ended.
//!
//! Every exchange that the driver opens has a [`Token`], by which events name it, and a [`Slot`], by which the driver gives
//! it up ([`Session::forget`]). A call of the peer has an [`InboundSlot`]. Each exchange has exactly one [`Outcome`].
//!
//! A suspended session continues with a further connection: the client makes the handshake with
//! [`Session::reconnecting`], and both sides call [`Session::resume`] (the server: [`Session::welcome_back`]). Meanwhile one of which
//! nothing is open can be [parked](Session::park), in little memory.
//!
//! # Example
//!
//! Two sessions in one thread (`examples/two_sessions.rs`):
//!
//! ```
#![doc = include_str!("../examples/two_sessions.rs")]
//! ```
//!
//! The protocol is specified in `docs/protocol.md` of the repository.

mod budget;
mod dropped;
#[cfg(test)]
mod error_texts;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod session;
pub mod wire;

pub use budget::{Budget, Evict, MemoryUse};
pub use dropped::Dropped;
pub use msip_schema::MsgKind;
pub use session::{
    BareHead, BareMessage, Batch, Blocked, Busy, CallShape, Class, Config, CreditBatcher,
    EndedStreams, Event, FastFrame, Fault, FaultKind, IdleSession, InboundSlot, Incoming, Item,
    ItemBatch, ItemHead, ItemTarget, Lost, NotBare, Outcome, ParkedSession, PeerTerms, Reply,
    ReplyTo, RequestHead, Session, Slot, StateKey, StreamSide, SubscribeHead, SubscribeReply,
    SubscribeRequest, Suspended, TimedOut, Token, Transmit, first_frame, is_droppable, is_resumed,
    refuse_late,
};
