//! WebSockets as raw peers see them: upgrades, frames, and the library of others at the other end.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod frames;
mod others;
mod over_tls;
mod raw_socket;
mod upgrades;
