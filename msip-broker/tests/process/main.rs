//! The program, as a process of its own: how it starts and stops, what it says, and what it stands.

#![cfg(unix)]
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod admin;
#[cfg(target_os = "linux")]
mod attacks;
#[cfg(all(feature = "tls", feature = "quic", feature = "websocket"))]
mod certificates;
mod crowd;
mod faults;
mod hostile;
mod keys;
mod limits;
#[cfg(feature = "middleman")]
mod middleman;
mod mip;
mod msip;
mod packaging;
mod process;
mod signals;
mod slow;
mod starting;
