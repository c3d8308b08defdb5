//! The attack kit: what a hostile peer costs others, measured.
//!
//! A server runs in a process of its own ([`AttackOnServer`]), a well-behaved client calls it all the time, and attackers
//! connect and send what they like. Or a client runs in a process of its own ([`AttackOnClient`]) with one
//! connection to a hostile server and one to a good one, which it calls all the time. Measured are the latency of the
//! well-behaved calls before and during the attack, and the memory, file descriptors, processor time and log lines of the
//! process that is attacked, beside what the attackers spent.
//!
//! # How to write an attack
//!
//! It is a test in `tests/tests/attacks`, in the file of its kind, without `async`: the kit has threads of its own.
//!
//! ```ignore
//! #[test]
//! fn pings() {
//!     AttackOnServer::new("pings whose answers are not read")
//!         .settings("outgoing_queue=64KiB")
//!         .attackers(4)
//!         .within(Bounds { memory: 4 * MIB, lines: 20, descriptors: 10 })
//!         .run(async |target| {
//!             let mut attacker = target.enter().await;
//!             attacker.send(&ping.repeat(10_000)).await;
//!             attacker
//!         });
//! }
//! ```
//!
//! - The function is run once for each attacker, all at once. What it returns is kept until everything was measured: an
//!   attacker that is returned stays connected, one that is dropped resets its connection.
//! - [`Bounds`] are what the attack may cost beyond what there was before it. A bound leaves room for another machine, and fails
//!   clearly without what it shows: one that was measured as 1 MiB is 4 MiB where the fault costs 400.
//! - Others must not notice: see [`Latency`]. Every attack is held to it.
//! - [`RawMessage`] makes messages with any variant, body, compression, metadata and topic; [`raw`](crate::raw) has every
//!   other frame, [`body`] bodies that are worth sending.
//! - Attacks run one at a time. Each should be over in a second. One in which others wait too long is run up to three times.
//! - [`Report`] has the figures, for what only one attack shows; all of them are printed (`--nocapture`).

mod attacker;
pub mod body;
mod bounds;
mod broker;
mod bystander;
mod control;
mod on_client;
mod on_server;
mod program;
mod raw_message;
mod samples;
mod served;
mod stdin;
mod usage;
mod watched;

pub use attacker::Attacker;
pub use bounds::{Bounds, Report};
pub use bystander::report_latency;
pub use on_client::{AttackOnClient, HostileServer};
pub use on_server::{AttackOnServer, Target};
pub use raw_message::RawMessage;
pub use samples::Latency;
pub use served::Served;
pub use stdin::end_with_stdin;

/// Bytes in a KiB.
pub const KIB: u64 = 1024;

/// Bytes in a MiB.
pub const MIB: u64 = 1024 * KIB;
