//! A broker: sessions find each other by topic, and a message is delivered as its kind asks (docs/broker.md).
//!
//! - [`topic`] has topics and filters, and what one filter covers of another.
//! - [`access`] decides who may publish, subscribe, serve and request what.
//! - [`mip`] serves the peers of MIP, and `middleman` the clients of MiddleMan.
//! - [`msip`] ties the sessions of MSIP peers to the router.
//! - [`router`] has subscriptions, groups, kept state and the sessions' queues: values without I/O, of which a connection
//!   drives its [`router::Publisher`] and its [`router::SessionHandle`].
//! - [`Broker`] listens and serves, by a [`Config`]; what its connections share is a [`BrokerShared`].
//!
//! The program `msip-broker` is this library with arguments, signals and logs.
//!
//! # Features
//!
//! | feature | default | |
//! | --- | --- | --- |
//! | `cli` | yes | the program |
//! | `admin` | yes | the admin listener: metrics and lists over HTTP |
//! | `compression` | yes | compressed bodies are inflated for receivers that have not agreed to them; compiles C |
//! | `quic`, `tls`, `websocket` | yes | listeners at `quic://`, `tls://`, `ws://` and `wss://` |
//! | `middleman` | yes | listeners at `mm://`, and at `mm+tls://` with `tls`, for the clients of MiddleMan |
//! | `jwt` | no | peers that show a JSON Web Token |

pub mod access;
#[cfg(feature = "admin")]
mod admin;
mod broker;
mod clock;
pub mod config;
mod connections;
mod directory;
#[cfg(all(feature = "middleman", not(any(test, fuzzing))))]
mod middleman;
#[cfg(all(feature = "middleman", any(test, fuzzing)))]
#[doc(hidden)]
pub mod middleman;
pub mod mip;
pub mod msip;
pub mod router;
mod shared;
mod small_map;
pub mod topic;

pub use broker::{Broker, BrokerBuilder, BrokerError, BrokerReloader, KeysError};
pub use clock::Clock;
pub use config::{Config, ConfigErrors};
pub use connections::{ClosedConnection, ConnectionInfo, Connections, OpenConnection};
pub use directory::Directory;
pub use msip_runtime::DrainReport;
pub use shared::BrokerShared;
