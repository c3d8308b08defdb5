//! The router: who hears what, without I/O. Times are `Duration`s since a moment of the caller's choice.
//!
//! A connection has a [`SessionHandle`], whose outbox it drains, and a [`Publisher`], by which it sends. A message never takes
//! a lock that all connections share: a publisher keeps the route of each topic that it sends to, until
//! a subscription or a right changes that concerns it. The others each lock one session, or one topic's kept values.

#[cfg(test)]
mod choices;
mod client;
mod control;
mod dead_letter;
mod exchange;
mod fault_injection;
mod handover;
mod inflated;
mod kept;
mod key;
mod limits;
mod open_calls;
mod outbox;
mod packed_about;
mod patience;
mod peer_sizes;
mod presence;
mod progress;
mod publication;
mod publisher;
mod rate;
mod refused;
mod route;
mod routes;
mod sending;
mod session;
#[cfg(test)]
mod simulation;
mod subscriptions;
mod sync;
#[cfg(test)]
mod tests;
mod wake;

pub use client::ClientAt;
pub use control::{
    Difference, Router, SessionInfo, SubscribeRequest, Subscribed, TopicInfo, Totals,
};
pub use dead_letter::{DEAD_CODE, DEAD_TEXT, DEAD_TOPIC};
pub use exchange::{Assigned, Exchange, Request};
pub use handover::Failed;
pub use key::{Dialect, SessionKey};
pub use limits::Limits;
pub use open_calls::{ClientPermit, OpenCall};
pub use outbox::{Delivery, OutboxItem, SubscriptionEnd, Target};
pub use presence::{About, Introduction, Presence, TopicSpoken};
pub use publication::{Frames, Publication, StateKey};
pub use publisher::{Published, Publisher};
pub use refused::{EndReason, Refused};
pub use session::SessionHandle;
pub use wake::WakeList;

#[cfg(test)]
use choices::Choice;
