//! The shared state of a connection, for senders, handlers and the driver: the session behind a lock, and the tasks that
//! wait for it.
//!
//! Senders encode straight into the session's outgoing queue and wake the driver, unless it is awake anyway. The lock
//! is held for one message at a time, or a few that go together, and never across an await. Wakers are collected while
//! it is held, and woken once it is released.

mod batch;
mod call;
mod call_to_answer;
mod cancellation;
mod capacity;
mod channels;
mod clock;
mod closed_connection;
mod deadline;
mod decoding;
mod describe_call;
mod draining;
mod driver_state;
mod exchange;
mod exchange_table;
mod fault_injection;
mod given_up;
mod inner;
mod instruments;
#[cfg(all(test, shuttle))]
pub(crate) mod interleavings;
mod login;
mod login_gate;
mod message;
mod metadata;
mod outgoing;
mod parked;
mod pending_reply;
mod permits;
mod received_items;
mod receiving;
mod recv_buffer;
mod recv_stream;
mod relay;
mod relayed_call;
mod reply_slot;
mod route;
mod running_calls;
mod schema_teller;
mod send;
mod send_stream;
mod serving;
mod session_slot;
mod shared;
mod signal;
mod stream;
mod stream_senders;
mod subscription_table;
mod subscriptions;
mod suspended;
mod wait_queue;
mod wake_list;

pub(crate) use batch::BatchTerms;
pub(crate) use call_to_answer::CallToAnswer;
pub use cancellation::Cancellation;
pub(crate) use closed_connection::ClosedConnection;
pub(crate) use deadline::PROTOCOL_TIMEOUT;
pub(crate) use decoding::ItemReader;
pub use draining::Draining;
pub(crate) use exchange::Delivering;
pub(crate) use fault_injection::FaultInjection;
pub(crate) use inner::{ConnectionInner, DriverStep};
pub(crate) use message::{Addressed, FromBody, Outgoing};
pub(crate) use metadata::add_key;
pub(crate) use outgoing::{check_clearable, metadata_of_cleared};
pub(crate) use parked::ParkedConnection;
pub use permits::CallPermit;
pub(crate) use received_items::ReceivedItems;
pub(crate) use recv_buffer::RecvBuffer;
pub(crate) use recv_stream::Taken;
pub(crate) use relay::{CallToOpen, NotRelayed};
pub(crate) use relayed_call::{BegunStream, Caller, CallerConnection, RelayEnd, RelayTarget};
pub(crate) use route::Route;
pub(crate) use send_stream::StreamTarget;
pub(crate) use serving::Completion;
pub(crate) use shared::{ConnectionShared, Terms};
pub(crate) use signal::{Raised, Signal};
pub(crate) use stream::{Answers, Opening, Requests, Sending, upload};
pub(crate) use subscription_table::{RefusedSubscription, SubscribeAsk};
pub(crate) use subscriptions::why_ended;
pub(crate) use suspended::SuspendedTimer;
