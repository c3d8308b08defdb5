//! Messages of a schema that is known only while the program runs, between protobuf and canonical JSON.

use std::{fmt, sync::Arc};

use thiserror::Error;

use super::{
    descriptor_pool::{DescriptorPool, MessageId},
    json::{JsonReader, JsonWriter},
    tree::{TreeError, Unknown, read_tree, write_tree},
};

/// Translates messages between protobuf and [canonical JSON], by descriptors that are read while the program runs: for
/// gateways and tools, whose peers write JSON by hand.
///
/// It is cheap to clone.
///
/// ```
/// # use msip_runtime::prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};
/// # use msip_runtime::prost::Message as _;
/// use msip_runtime::untyped::JsonTranslator;
///
/// # let field = FieldDescriptorProto {
/// #     name: Some("user".into()), number: Some(1), r#type: Some(9), label: Some(1), ..Default::default()
/// # };
/// # let message = DescriptorProto { name: Some("ConnectReq".into()), field: vec![field], ..Default::default() };
/// # let file = FileDescriptorProto {
/// #     package: Some("chat".into()), message_type: vec![message], ..Default::default()
/// # };
/// # let descriptor_set = FileDescriptorSet { file: vec![file] }.encode_to_vec();
/// let translator = JsonTranslator::new(&descriptor_set)?;
/// let connect = translator.message("chat.ConnectReq").expect("it is in the set");
/// let protobuf = connect.to_protobuf(br#"{"user": "ada"}"#, 1024)?;
/// assert_eq!(protobuf, b"\x0a\x03ada");
/// assert_eq!(connect.to_json(&protobuf)?, br#"{"user":"ada"}"#);
/// # Ok::<_, msip_runtime::untyped::JsonError>(())
/// ```
///
/// [canonical JSON]: https://protobuf.dev/programming-guides/json/
#[derive(Debug, Clone)]
pub struct JsonTranslator(Arc<DescriptorPool>);

/// One message type of a [`JsonTranslator`].
#[derive(Clone)]
pub struct JsonMessage {
    pool: Arc<DescriptorPool>,
    id: MessageId,
}

/// What cannot be translated: the path of the field, and why; escaped, and cut where it quotes the input.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct JsonError(String);

impl From<TreeError> for JsonError {
    fn from(error: TreeError) -> Self {
        Self(error.to_string())
    }
}

impl JsonTranslator {
    /// Reads an encoded `google.protobuf.FileDescriptorSet`, which has to hold everything that its files import.
    ///
    /// # Errors
    ///
    /// It is malformed, or names a type that it does not hold.
    pub fn new(descriptor_set: &[u8]) -> Result<Self, JsonError> {
        let pool = DescriptorPool::new(descriptor_set).map_err(JsonError)?;
        Ok(Self(Arc::new(pool)))
    }

    /// The message type of this full name, such as `chat.v1.ConnectReq`; `None` where the set has none.
    #[must_use]
    pub fn message(&self, full_name: &str) -> Option<JsonMessage> {
        let id = self.0.find(full_name)?;
        Some(JsonMessage {
            pool: Arc::clone(&self.0),
            id,
        })
    }
}

impl JsonMessage {
    /// Reads the message from JSON, and returns it in protobuf. A field that the schema does not have is refused, and so is
    /// the name of an enum's value: whoever writes JSON by hand is told of a slip. Memory and time are in proportion to the
    /// input; objects and arrays may be nested 100 deep, and the output may have `max_len` bytes.
    ///
    /// # Errors
    ///
    /// It is not JSON, or not of this message.
    pub fn to_protobuf(&self, json: &[u8], max_len: usize) -> Result<Vec<u8>, JsonError> {
        let reader = JsonReader::new(json)?;
        let protobuf = read_tree(
            &self.pool,
            self.id,
            reader,
            json.len(),
            max_len,
            Unknown::Refuse,
        )?;
        Ok(protobuf)
    }

    /// Writes the message as JSON. Fields that the schema does not have are left out.
    ///
    /// # Errors
    ///
    /// It is malformed, or has no JSON: it is nested deeper than 100, a time is out of range, or an `Any` is of a type that
    /// the descriptors do not have.
    pub fn to_json(&self, protobuf: &[u8]) -> Result<Vec<u8>, JsonError> {
        let mut json = Vec::with_capacity(protobuf.len().saturating_mul(2));
        write_tree(
            &self.pool,
            self.id,
            protobuf,
            &mut JsonWriter::new(&mut json),
        )?;
        Ok(json)
    }
}

impl fmt::Debug for JsonMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JsonMessage").field(&self.id).finish()
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::{
        DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
        FileDescriptorProto, FileDescriptorSet,
    };

    use super::*;

    fn field(name: &str, number: i32, ty: i32, type_name: Option<&str>) -> FieldDescriptorProto {
        FieldDescriptorProto {
            name: Some(name.to_owned()),
            number: Some(number),
            label: Some(1),
            r#type: Some(ty),
            type_name: type_name.map(str::to_owned),
            ..FieldDescriptorProto::default()
        }
    }

    /// `message M { string user_name = 1; M inner = 2; E how = 3; } enum E { NO = 0; YES = 1; }`
    fn message() -> JsonMessage {
        let values = [("NO", 0), ("YES", 1)].map(|(name, number)| EnumValueDescriptorProto {
            name: Some(name.to_owned()),
            number: Some(number),
            ..EnumValueDescriptorProto::default()
        });
        let file = FileDescriptorProto {
            package: Some("p".to_owned()),
            message_type: vec![DescriptorProto {
                name: Some("M".to_owned()),
                field: vec![
                    field("user_name", 1, 9, None),
                    field("inner", 2, 11, Some(".p.M")),
                    field("how", 3, 14, Some(".p.E")),
                ],
                ..DescriptorProto::default()
            }],
            enum_type: vec![EnumDescriptorProto {
                name: Some("E".to_owned()),
                value: values.into(),
                ..EnumDescriptorProto::default()
            }],
            ..FileDescriptorProto::default()
        };
        let set = FileDescriptorSet { file: vec![file] }.encode_to_vec();
        let translator = JsonTranslator::new(&set).unwrap();
        assert!(translator.message("p.N").is_none());
        translator.message("p.M").unwrap()
    }

    #[test]
    fn a_message_goes_there_and_back() {
        let message = message();
        let json = br#"{"userName":"ada","inner":{"userName":"bob"},"how":"YES"}"#;
        let protobuf = message.to_protobuf(json, 100).unwrap();
        assert_eq!(protobuf, b"\x0a\x03ada\x12\x05\x0a\x03bob\x18\x01");
        assert_eq!(message.to_json(&protobuf).unwrap(), json);
        // The names of the schema are understood too.
        let named = message.to_protobuf(br#"{"user_name":"ada"}"#, 100).unwrap();
        assert_eq!(named, b"\x0a\x03ada");
    }

    #[test]
    fn slips_are_told() {
        let message = message();
        let deep = ["{\"inner\":".repeat(10_000), "}".repeat(10_000)].concat();
        for (json, told) in [
            (r#"{"usrName":"ada"}"#, "usrName: no such field"),
            (r#"{"inner":{"x":1}}"#, "inner.x: no such field"),
            (
                r#"{"how":"MAYBE"}"#,
                "how: expected a value of its enum, found \"MAYBE\"",
            ),
            (r#"{"userName":1}"#, "userName: expected text, found 1"),
            (
                r#"{"userName":"0123456789"}"#,
                "more than 8 bytes in protobuf",
            ),
            ("[]", "expected an object, found an array"),
            (
                "",
                "invalid JSON at byte 0: expected a value, found the end",
            ),
            (
                &deep,
                "inner.inner.inner.inner.inner.inner.inner.inner: nested deeper than 100 levels",
            ),
        ] {
            let error = message.to_protobuf(json.as_bytes(), 8).unwrap_err();
            assert_eq!(error.to_string(), told);
        }
        assert!(message.to_json(b"\x0a\x7f").is_err(), "cut off");
    }
}
