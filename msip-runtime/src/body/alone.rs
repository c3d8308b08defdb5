//! A member's message by itself: taken out of the body of an envelope, and put into one. For dialects that name a message
//! beside it.

use std::borrow::Cow;

use bytes::Bytes;
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint},
};

#[cfg(feature = "msgpack")]
use super::msgpack::{MsgpackReader, MsgpackWriter};
use super::{
    Body,
    choice::Codec,
    json::{JsonReader, JsonWriter},
    member::with_member,
    tree::{Node, TreeReader, TreeWriter},
};

/// What the message of a member is where it stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum MessageForm {
    /// The message, in the codec.
    #[default]
    Encoded,
    /// Nothing: `google.protobuf.Empty`.
    Empty,
    /// The bytes of a `google.protobuf.BytesValue`.
    Bytes,
    /// The text of a `google.protobuf.StringValue`.
    Text,
}

/// One member of an envelope, as far as its body needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageAlone<'a> {
    pub(crate) codec: Codec,
    pub(crate) number: u16,
    /// The name in the schema.
    pub(crate) name: &'a str,
    pub(crate) form: MessageForm,
}

impl MessageAlone<'_> {
    /// Appends the body of an envelope that holds the message. Where the message is encoded it is not looked at: whoever
    /// decodes the body does.
    ///
    /// # Errors
    ///
    /// A text that is not UTF-8.
    pub(crate) fn wrap(&self, message: &[u8], body: &mut Vec<u8>) -> Result<(), String> {
        match self.codec {
            Codec::Protobuf => self.wrap_protobuf(message, body),
            Codec::Json => {
                let mut writer = JsonWriter::new(body);
                writer.begin_map(1);
                writer.key(self.name);
                match self.form {
                    MessageForm::Bytes => writer.bytes(message),
                    MessageForm::Text => writer.text(text(message)?),
                    MessageForm::Encoded if !is_no_json(message) => {
                        body.extend_from_slice(message);
                    }
                    MessageForm::Encoded | MessageForm::Empty => body.extend_from_slice(b"{}"),
                }
                body.push(b'}');
                Ok(())
            }
            #[cfg(feature = "msgpack")]
            Codec::MessagePack => {
                const NIL: &[u8] = &[0xc0];
                let mut writer = MsgpackWriter::new(body);
                writer.begin_map(1);
                writer.key(self.name);
                match self.form {
                    MessageForm::Bytes => writer.bytes(message),
                    MessageForm::Text => writer.text(text(message)?),
                    MessageForm::Encoded if !message.is_empty() && message != NIL => {
                        body.extend_from_slice(message);
                    }
                    MessageForm::Encoded | MessageForm::Empty => writer.begin_map(0),
                }
                Ok(())
            }
            #[cfg(not(feature = "msgpack"))]
            Codec::MessagePack => Err(NOT_BUILT.to_owned()),
        }
    }

    fn wrap_protobuf(&self, message: &[u8], body: &mut Vec<u8>) -> Result<(), String> {
        let message: Cow<'_, [u8]> = match self.form {
            MessageForm::Encoded => message.into(),
            MessageForm::Empty => Cow::Borrowed(&[]),
            MessageForm::Bytes => message.to_vec().encode_to_vec().into(),
            MessageForm::Text => text(message)?.to_owned().encode_to_vec().into(),
        };
        encode_key(u32::from(self.number), WireType::LengthDelimited, body);
        encode_varint(message.len() as u64, body);
        body.extend_from_slice(&message);
        Ok(())
    }

    /// Appends the message of the body of an envelope.
    ///
    /// # Errors
    ///
    /// The body is not one of this member.
    pub(crate) fn unwrap(&self, body: &[u8], message: &mut Vec<u8>) -> Result<(), String> {
        if self.form == MessageForm::Empty {
            return Ok(());
        }
        match self.codec {
            Codec::Protobuf => self.unwrap_protobuf(body, message),
            Codec::Json => {
                let reader = JsonReader::new(body).map_err(|error| error.to_string())?;
                self.unwrap_tree(reader, message, |reader, message| {
                    let rest = reader.rest().trim();
                    let value = rest.strip_suffix('}').ok_or("the body has no end")?;
                    message.extend_from_slice(value.trim_end().as_bytes());
                    Ok(())
                })
            }
            #[cfg(feature = "msgpack")]
            Codec::MessagePack => {
                self.unwrap_tree(MsgpackReader::new(body), message, |reader, message| {
                    message.extend_from_slice(reader.rest());
                    Ok(())
                })
            }
            #[cfg(not(feature = "msgpack"))]
            Codec::MessagePack => Err(NOT_BUILT.to_owned()),
        }
    }

    fn unwrap_protobuf(&self, body: &[u8], message: &mut Vec<u8>) -> Result<(), String> {
        let body = Bytes::copy_from_slice(body);
        let member = with_member(self.number, Body::from(&body), <[u8]>::to_vec)
            .map_err(|error| error.to_string())?;
        match self.form {
            MessageForm::Encoded | MessageForm::Empty => message.extend_from_slice(&member),
            MessageForm::Bytes => {
                let value = Vec::decode(&*member).map_err(|error| error.to_string())?;
                message.extend_from_slice(&value);
            }
            MessageForm::Text => {
                let value = String::decode(&*member).map_err(|error| error.to_string())?;
                message.extend_from_slice(value.as_bytes());
            }
        }
        Ok(())
    }

    /// Reads a map of one entry. `rest` takes the value of it as it is.
    fn unwrap_tree<'b, R: TreeReader<'b>>(
        &self,
        mut reader: R,
        message: &mut Vec<u8>,
        rest: impl FnOnce(&R, &mut Vec<u8>) -> Result<(), &'static str>,
    ) -> Result<(), String> {
        let shown = |error: super::tree::TreeError| error.to_string();
        if reader.value().map_err(shown)? != Node::Map || reader.key().map_err(shown)?.is_none() {
            return Err("the body holds no member".to_owned());
        }
        match self.form {
            MessageForm::Encoded | MessageForm::Empty => rest(&reader, message)?,
            MessageForm::Bytes => {
                let value = reader.value().map_err(shown)?;
                message.extend_from_slice(&R::bytes_of(&value).map_err(shown)?);
            }
            MessageForm::Text => match reader.value().map_err(shown)? {
                Node::Text(text) => message.extend_from_slice(text.as_bytes()),
                found => return Err(format!("expected text, found {found}")),
            },
        }
        Ok(())
    }
}

#[cfg(not(feature = "msgpack"))]
const NOT_BUILT: &str = "MessagePack needs the feature `msgpack`";

fn text(message: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(message)
        .map_err(|error| format!("byte {} is not UTF-8", error.valid_up_to()))
}

/// Whether this says nothing, in JSON: a sender that has no argument sends either.
fn is_no_json(message: &[u8]) -> bool {
    matches!(message.trim_ascii(), b"" | b"null")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(codec: Codec, form: MessageForm) -> MessageAlone<'static> {
        MessageAlone {
            codec,
            number: 3,
            name: "add",
            form,
        }
    }

    #[test]
    fn a_message_goes_into_an_envelope_and_comes_out_of_it() {
        let cases: &[(Codec, MessageForm, &[u8], &[u8])] = &[
            (
                Codec::Json,
                MessageForm::Encoded,
                b"{\"a\":2}",
                b"{\"add\":{\"a\":2}}",
            ),
            (
                Codec::Json,
                MessageForm::Bytes,
                b"\x00\xff",
                b"{\"add\":\"AP8=\"}",
            ),
            (
                Codec::Json,
                MessageForm::Text,
                "a\"\u{fc}".as_bytes(),
                "{\"add\":\"a\\\"\u{fc}\"}".as_bytes(),
            ),
            (Codec::Json, MessageForm::Empty, b"", b"{\"add\":{}}"),
            (
                Codec::Protobuf,
                MessageForm::Encoded,
                b"\x08\x02",
                b"\x1a\x02\x08\x02",
            ),
            (
                Codec::Protobuf,
                MessageForm::Bytes,
                b"\x00\xff",
                b"\x1a\x04\x0a\x02\x00\xff",
            ),
            (Codec::Protobuf, MessageForm::Bytes, b"", b"\x1a\x00"),
            (
                Codec::Protobuf,
                MessageForm::Text,
                b"ab",
                b"\x1a\x04\x0a\x02ab",
            ),
            (Codec::Protobuf, MessageForm::Empty, b"", b"\x1a\x00"),
            #[cfg(feature = "msgpack")]
            (
                Codec::MessagePack,
                MessageForm::Encoded,
                b"\x81\xa1a\x02",
                b"\x81\xa3add\x81\xa1a\x02",
            ),
            #[cfg(feature = "msgpack")]
            (
                Codec::MessagePack,
                MessageForm::Bytes,
                b"\x00\xff",
                b"\x81\xa3add\xc4\x02\x00\xff",
            ),
            #[cfg(feature = "msgpack")]
            (
                Codec::MessagePack,
                MessageForm::Text,
                b"ab",
                b"\x81\xa3add\xa2ab",
            ),
            #[cfg(feature = "msgpack")]
            (
                Codec::MessagePack,
                MessageForm::Empty,
                b"",
                b"\x81\xa3add\x80",
            ),
        ];
        for (codec, form, message, body) in cases {
            let alone = alone(*codec, *form);
            let mut wrapped = Vec::new();
            alone.wrap(message, &mut wrapped).unwrap();
            assert_eq!(&wrapped, body, "{codec} {form:?}");
            let mut unwrapped = Vec::new();
            alone.unwrap(body, &mut unwrapped).unwrap();
            assert_eq!(&unwrapped, message, "{codec} {form:?}");
        }
    }

    #[test]
    fn no_argument_is_a_message_with_defaults() {
        let json = alone(Codec::Json, MessageForm::Encoded);
        for message in ["", " ", "null", " null\n"] {
            let mut body = Vec::new();
            json.wrap(message.as_bytes(), &mut body).unwrap();
            assert_eq!(body, b"{\"add\":{}}", "{message:?}");
        }
    }

    #[test]
    fn white_space_around_a_value_is_left_out() {
        let mut message = Vec::new();
        alone(Codec::Json, MessageForm::Encoded)
            .unwrap(b" { \"add\" : {\"a\" : 1} } ", &mut message)
            .unwrap();
        assert_eq!(message, b"{\"a\" : 1}");
    }

    #[test]
    fn what_is_no_member_is_refused() {
        for form in [MessageForm::Encoded, MessageForm::Bytes, MessageForm::Text] {
            for body in [&b""[..], b"[]", b"{}", b"{\"add\"", b"\x12\x01a"] {
                for codec in [Codec::Json, Codec::Protobuf] {
                    let unwrapped = alone(codec, form).unwrap(body, &mut Vec::new());
                    assert!(unwrapped.is_err(), "{codec} {form:?} {body:02x?}");
                }
            }
        }
        let wrapped = alone(Codec::Json, MessageForm::Text).wrap(b"\xff", &mut Vec::new());
        assert_eq!(wrapped, Err("byte 0 is not UTF-8".to_owned()));
    }
}
