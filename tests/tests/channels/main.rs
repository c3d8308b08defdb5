//! Channels: second ways for messages of some kinds.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod binding;
mod conversation;
mod ends;
mod gauge;
mod loss;
mod tap;
