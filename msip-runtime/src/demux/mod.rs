//! Many endpoints behind one connection to a broker: what the connection receives is sorted by topic, and each endpoint has an
//! inbox of its own.
//!
//! An endpoint is a client of a protocol at a topic, or a service, which has one more for each client that the broker introduces
//! to it. Each runs the ordinary dispatch of its protocol in a task, by the session that all of them share: answers,
//! acknowledgments, streams, deadlines and cancellations go by the numbers of their exchanges, and need no sorting.
//!
//! One-way messages count against the credit of the session, which is granted again as they are sorted: each client of a service,
//! and each client endpoint, has a window of its own besides, which the broker keeps to
//! ([`PeerWindow`](crate::service::PeerWindow)). One whose handlers are slow holds up no other.

mod endpoints;
mod grant;
mod inform;
#[cfg(all(test, shuttle))]
mod interleavings;
mod running;
mod sorter;
mod table;
mod topic_filter;
mod window;

pub(crate) use endpoints::{
    ClientEndpoint, EndpointId, Endpoints, Introduced, ServiceEndpoint, VirtualPeer,
};
pub(crate) use inform::{as_topic, to_peer};
pub(crate) use running::{Running, RunningGuard};
pub(crate) use sorter::Demux;
pub(crate) use topic_filter::{TopicFilter, TopicFilterError};
