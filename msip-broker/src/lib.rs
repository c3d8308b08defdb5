//! A broker: sessions find each other by topic, and a message is delivered as its kind asks (docs/broker.md).
//!
//! - [`topic`] has topics and filters, and what one filter covers of another.
//! - [`access`] decides who may publish, subscribe, serve and request what.
//! - [`mip`] serves the peers of MIP.
//! - [`msip`] ties the sessions of MSIP peers to the router.
//! - [`router`] has subscriptions, groups, kept state and the sessions' queues: values without I/O, of which a connection
//!   drives its [`router::Publisher`] and its [`router::SessionHandle`].

pub mod access;
pub mod mip;
pub mod msip;
pub mod router;
pub mod topic;
