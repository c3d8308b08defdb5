//! Raw messages and exchanges: bodies are bytes and variants are numbers. The public face of it is [`crate::untyped`].

mod decompress;
mod exchange;
mod frame;
mod handle;
mod inbound;
mod message;
mod readiness;
mod relay;
mod relayed;
mod responder;
mod responses;
mod sender;
mod service;
mod subscribe;
mod table;

pub use decompress::decompress;
pub use exchange::{PlainCall, Reply, UntypedExchange};
pub use handle::{Handle, PendingDelivery, UntypedPeer};
pub use inbound::{Event, IdleInbound, Inbound, MessageRef, Messages};
pub use message::UntypedMessage;
pub use relay::relay;
pub use relayed::{CallToRelay, Relayed, RelayedCall};
pub use responder::{Acknowledgment, Forwarded, Responder};
pub use responses::{Requests, Responses};
pub use sender::UntypedSender;
pub use service::{Service, Untyped};
pub use subscribe::{Grant, SubscribeOptions, SubscribeRequest, Subscribed};
pub use table::{VariantRow, VariantTable};

pub(crate) use readiness::Readiness;
pub(crate) use service::RawService;
