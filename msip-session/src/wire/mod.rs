//! The wire format: frames and their payloads (docs/protocol.md).
//!
//! A [`Decoder`] cuts received bytes into [`Frame`]s, [`Payload::parse`] splits a message's payload into its parts, and a
//! codec decodes the body; each step can fail by itself. Frames are written straight into an outgoing buffer:
//! [`begin_frame`], the parts of the payload, [`finish_frame`].

pub mod broker;
mod control;
mod credit;
mod decoder;
mod error_text;
mod flags;
mod frame;
mod frame_batch;
mod frame_type;
mod header;
mod hello;
mod hello_proto;
mod id;
mod limits;
mod payload;
mod subscribe;
#[cfg(test)]
mod tests;
mod topic;

pub use control::{
    write_ack, write_cancel, write_close, write_credit, write_error, write_long_error, write_ping,
    write_pong,
};
pub use credit::{Credit, CreditError};
pub use decoder::{DecodeError, Decoder};
pub use error_text::{
    Code, ERROR_METADATA, ErrorRef, ErrorText, Escaped, MAX_DETAILS, MAX_DETAILS_LEN,
    MAX_ERROR_METADATA, MAX_LONG_TEXT_LEN, MAX_TEXT_LEN,
};
pub use flags::Flags;
pub use frame::{Frame, FrameTooLong, Mark, begin_frame, finish_frame};
pub use frame_batch::{FrameBatch, FrameRange, FrameRef};
pub use frame_type::FrameType;
pub use header::{
    HEADER_LEN, Header, HeaderError, MAGIC, RawHeader, RawKind, UnknownKind, VERSION,
};
pub use hello::{
    CHANNEL, CHANNELS, HelloError, HelloFrame, SCHEMA_DESCRIPTION, SECRET_LEN, SessionId,
    WelcomeError, WelcomeFrame, parse_hello, parse_welcome, write_hello, write_welcome,
};
pub use hello_proto::{
    Codec, Compression, Detail, Hello, Identity, Metadata, SchemaRule, Subscribe, Subscribed,
    Welcome,
};
pub use id::{MsgId, Side};
pub use limits::{DEFAULT_MAX_BODY, Limits};
pub use payload::{DEADLINE_LEN, write_deadline_and};
pub use payload::{Payload, PayloadError, split_error, write_metadata, write_topic};
pub use subscribe::{SubscribeError, SubscribeFrame, parse_subscribe, write_subscribe};
pub use topic::{Topic, TopicError};
