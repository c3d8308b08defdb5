//! Raw messages and exchanges: bodies are bytes and variants are numbers. The public face of it is [`crate::untyped`].

mod exchange;
mod handle;
mod inbound;
mod message;
mod relay;
mod responder;
mod responses;
mod sender;
mod service;
mod table;

pub use exchange::{Exchange, Reply};
pub use handle::{Handle, Peer};
pub use inbound::{Event, Inbound, MessageRef, Messages};
pub use message::Message;
pub use relay::relay;
pub use responder::{Acknowledgment, Responder};
pub use responses::{Requests, Responses};
pub use sender::Sender;
pub use service::{Service, Untyped};
pub use table::{VariantRow, VariantTable};

pub(crate) use service::RawService;
