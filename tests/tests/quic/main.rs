//! Clients and servers over `quic://`, and peers that speak QUIC and not MSIP.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod certificates;
mod conversation;
mod ending;
mod hostile;
mod lossy;
mod relay;
mod resume;
