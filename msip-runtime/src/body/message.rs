//! The trait of messages that can be a member of an envelope.

use super::Body;

/// A message that a body can carry.
///
/// Implemented for every prost message. Types that are not prost messages, such as enums with data, which have no
/// natural default, implement it themselves.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "not a message",
    note = "put `#[derive(Message)]` on it: a struct with named fields, or an enum with data"
)]
pub trait Message: Send + Sync + Sized + 'static {
    /// The length of [`encode_body`](Self::encode_body)'s output, in bytes.
    fn body_len(&self) -> usize;

    /// Appends the message in protobuf.
    fn encode_body(&self, buffer: &mut Vec<u8>);

    /// Reads a message from all of `body`. Fields of type `Bytes` share its memory.
    ///
    /// # Errors
    ///
    /// The reason why the bytes are not such a message.
    fn decode_body(body: Body<'_>) -> Result<Self, String>;
}

#[diagnostic::do_not_recommend]
impl<M> Message for M
where
    M: prost::Message + Default + 'static,
{
    #[inline]
    fn body_len(&self) -> usize {
        self.encoded_len()
    }

    #[inline]
    fn encode_body(&self, buffer: &mut Vec<u8>) {
        self.encode_raw(buffer);
    }

    #[inline]
    fn decode_body(body: Body<'_>) -> Result<Self, String> {
        M::decode(body).map_err(|error| error.to_string())
    }
}
