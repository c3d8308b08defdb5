//! What a member of an envelope can be made of.

use super::Body;

/// A message that can stand in a body.
///
/// Every prost message is one. Types that are no prost messages, such as enums with data, which have no natural
/// default, implement it themselves.
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

    /// Reads a message from all of `body`. Nothing is copied where a field is `Bytes`.
    ///
    /// # Errors
    ///
    /// The decoder's words for bytes that are not such a message.
    fn decode_body(body: Body<'_>) -> Result<Self, String>;
}

#[diagnostic::do_not_recommend]
impl<M> Message for M
where
    M: prost::Message + Default + 'static,
{
    fn body_len(&self) -> usize {
        self.encoded_len()
    }

    fn encode_body(&self, buffer: &mut Vec<u8>) {
        self.encode_raw(buffer);
    }

    #[inline]
    fn decode_body(body: Body<'_>) -> Result<Self, String> {
        M::decode(body).map_err(|error| error.to_string())
    }
}
