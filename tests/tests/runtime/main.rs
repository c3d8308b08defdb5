//! Clients and servers that talk: sends, calls, streams, sessions, limits and middleware.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod addresses;
mod answers;
mod attached;
#[cfg(unix)]
mod authenticators;
mod authorize;
mod backlog;
mod blame;
mod cleared;
mod conversation;
mod deadlines;
mod drain;
mod ended;
mod errors;
mod given_up_calls;
mod handoff;
mod identity;
mod lifecycle;
mod login;
mod long_bodies;
mod memory_limit;
mod metadata;
mod middleware;
mod own_transports;
mod parked;
mod portions;
mod pressure;
mod resting;
mod resume;
mod rooms;
mod runtime_gone;
mod sender;
mod slow_receivers;
mod streams;
mod testing;
mod topics;
mod typed_topics;
#[cfg(unix)]
mod unix_sockets;
mod untyped;
mod untyped_login;
mod waiting_calls;
