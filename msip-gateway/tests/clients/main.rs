//! Clients of other systems at the doors of a gateway, and what a gateway says of its protocols.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]
#![allow(clippy::print_stdout, reason = "who runs the tests reads it")]

mod ask;
mod jesus;
mod service;
