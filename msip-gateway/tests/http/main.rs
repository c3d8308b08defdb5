//! The gateway in front of servers and brokers, by an HTTP client that sends what it is told, byte for byte.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod calls;
mod client;
mod described;
mod events;
mod fixture;
mod hostile;
mod https;
mod jesus;
mod offers;
mod page;
mod process;
mod registry;
mod rest;
mod sessions;
#[cfg(unix)]
mod socket;
mod streams;
