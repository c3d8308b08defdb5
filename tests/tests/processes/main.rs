//! Servers as processes of their own.

#![cfg(unix)]
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod accept_errors;
mod herd;
mod hostile_logs;
mod killed;
mod unix_sockets;
