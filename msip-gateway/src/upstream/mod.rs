//! Where exchanges go: sessions with an MSIP server or a broker, one for each principal.

mod events;
mod pool;
mod principal;
mod refusals;
mod service;
mod session;
mod target;

pub(crate) use events::{EventReader, NextEvent};
pub(crate) use pool::Lease;
pub use pool::{Upstream, UpstreamLimits};
pub(crate) use principal::MAX_SESSION_NAME;
pub use principal::Principal;
pub(crate) use session::{Answers, fresh_number, request_message};
