//! Hostile input, and how each is handled; docs/hostile.md names these tests.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod answers;
mod catalogue;
mod echo;
mod floods;
mod frames;
mod handshake;
mod peers;
