//! The gateway in front of servers and brokers, by an HTTP client that sends what it is told, byte for byte.

#![allow(missing_docs)]

mod calls;
mod client;
mod events;
mod fixture;
mod hostile;
mod https;
mod process;
mod sessions;
mod streams;
