//! The limit: what an expert writes by hand for exactly this load, with tokio, a 24-byte header and prost.
//!
//! Large reads into one buffer per connection, all frames of a read handled in place, all answers in one write. No task,
//! channel, map or allocation per message, and none of what a library has to have: no deadlines, no limits, no flow
//! control, no cancellation, no sessions. A message is decoded into one that is there, so that its memory is used again.

mod client;
mod frame;
mod server;
mod way;
mod websocket;

pub(crate) use client::drive;
pub(crate) use server::serve;
pub(crate) use way::{Way, trusting};
