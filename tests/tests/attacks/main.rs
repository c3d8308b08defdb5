//! Attacks on a server, or a client, that is a process of its own: each hurts only the peer that it comes from. A file for
//! each kind; `msip_tests::attack` says how to write one, and docs/hostile.md names them.

// What a process uses is read from /proc.
#![cfg(target_os = "linux")]

mod answers;
mod bodies;
mod bombs;
mod connections;
mod decoded;
mod floods;
mod hostile_servers;
mod kept_sessions;
mod logs;
mod memory;
mod messages;
mod metadata;
mod places;
mod stalls;
mod streams;
