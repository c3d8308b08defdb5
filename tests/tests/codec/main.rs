//! Bodies in every codec and compression.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod bodies;
mod compression;
mod decoded_size;
mod derived;
mod max_decoded;
mod negotiation;
mod python;
mod round_trips;
