//! LOG and METRIC messages by datagrams over UDP, `udp://`, beside a connection of another transport; and peers that send
//! datagrams and have no key.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod agreement;
mod hostile;
mod lossy;
mod resume;
mod talk;
mod tap;
