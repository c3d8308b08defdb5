//! Bodies: the encoded envelope message that a frame carries (docs/protocol.md, "Body").
//!
//! Generated code encodes and decodes one member at a time with functions of this module that are not listed here. The
//! encoding on the wire is defined in this module alone.

mod choice;
pub(crate) mod compression;
mod depth;
#[cfg(any(feature = "json", feature = "msgpack"))]
mod descriptor_pool;
mod encoding;
pub(crate) mod integer;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "json")]
pub(crate) mod json_message;
pub(crate) mod key;
mod member;
mod message;
#[cfg(feature = "msgpack")]
mod msgpack;
#[cfg(any(feature = "json", feature = "msgpack"))]
mod transcoder;
#[cfg(any(feature = "json", feature = "msgpack"))]
mod tree;

pub use crate::protocol::{Body, BodyError};
pub(crate) use choice::Negotiable;
pub use choice::{Codec, Compression};
pub(crate) use depth::MAX as MAX_DEPTH;
pub(crate) use encoding::{BodyFormat, Encoding, EncodingParams, Prepared};
pub(crate) use key::{envelope, key_of, key_only, key_text};
#[doc(hidden)]
pub use member::{decode_member, decode_unit, encode_member, encode_unit, member_len, unit_len};
pub use message::Message;
#[cfg(any(feature = "json", feature = "msgpack"))]
pub(crate) use transcoder::ProtocolDescriptors;
