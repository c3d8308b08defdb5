//! A descriptor pool: the messages and enums of a schema, indexed by number and by name for transcoding.

mod build;

use std::collections::HashMap;

use prost::encoding::WireType;

/// Every message and enum of a schema, imports included.
#[derive(Debug)]
pub(crate) struct DescriptorPool {
    messages: Vec<MessageDescriptor>,
    enums: Vec<EnumDescriptor>,
    names: HashMap<String, MessageId>,
}

/// The index of a message in its [`DescriptorPool`]. Only the pool makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessageId(usize);

/// The index of an enum in its [`DescriptorPool`]. Only the pool makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EnumId(usize);

/// One message.
#[derive(Debug)]
pub(crate) struct MessageDescriptor {
    /// By ascending number.
    pub(crate) fields: Vec<FieldDescriptor>,
    /// Set for a message that JSON does not write as its fields.
    pub(crate) well_known: Option<WellKnown>,
    /// The fields by their JSON names and by the names in the schema.
    names: HashMap<String, usize>,
}

/// The well-known types with a JSON form of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WellKnown {
    Any,
    Duration,
    FieldMask,
    ListValue,
    Struct,
    Timestamp,
    Value,
    Wrapper,
}

/// One field.
#[derive(Debug)]
pub(crate) struct FieldDescriptor {
    pub(crate) number: u32,
    /// Its name in JSON.
    pub(crate) name: String,
    /// The type of its values; for a map, of the values under its keys.
    pub(crate) kind: Kind,
    pub(crate) cardinality: Cardinality,
    /// The number of the oneof that it is a member of.
    pub(crate) oneof: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cardinality {
    Singular,
    Repeated,
    Map { key: Kind },
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(EnumId),
    Message(MessageId),
}

/// One enum.
#[derive(Debug)]
pub(crate) struct EnumDescriptor {
    /// `google.protobuf.NullValue`, which is written as null.
    pub(crate) is_null: bool,
    names: HashMap<i32, String>,
    numbers: HashMap<String, i32>,
}

impl DescriptorPool {
    /// The message of this full name, such as `chat.v1.ClientToServer`.
    pub(crate) fn find(&self, name: &str) -> Option<MessageId> {
        self.names.get(name).copied()
    }

    /// The message that the type URL of an `Any` names.
    pub(crate) fn type_of_url(&self, url: &str) -> Option<MessageId> {
        let (_, name) = url.rsplit_once('/')?;
        self.find(name)
    }

    pub(crate) fn message(&self, id: MessageId) -> &MessageDescriptor {
        // Only `new` makes ids, each a valid index.
        &self.messages[id.0]
    }

    pub(crate) fn enumeration(&self, id: EnumId) -> &EnumDescriptor {
        // Only `new` makes ids, each a valid index.
        &self.enums[id.0]
    }

    /// Whether null is a value of this type, rather than the absence of one.
    pub(crate) fn takes_null(&self, kind: Kind) -> bool {
        match kind {
            Kind::Enum(id) => self.enumeration(id).is_null,
            Kind::Message(id) => self.message(id).well_known == Some(WellKnown::Value),
            _ => false,
        }
    }
}

impl MessageDescriptor {
    /// The index of the field with this number, which probably is `last` again, or the next one.
    pub(crate) fn by_number(&self, number: u32, last: usize) -> Option<usize> {
        let is_at = |index: &usize| {
            self.fields
                .get(*index)
                .is_some_and(|field| field.number == number)
        };
        if let Some(index) = [last, last + 1].into_iter().find(is_at) {
            return Some(index);
        }
        self.fields
            .binary_search_by_key(&number, |field| field.number)
            .ok()
    }

    /// The index of the field with this name; `hint` is the one to try first.
    pub(crate) fn by_name(&self, name: &str, hint: usize) -> Option<usize> {
        if self
            .fields
            .get(hint)
            .is_some_and(|field| field.name == name)
        {
            return Some(hint);
        }
        self.names.get(name).copied()
    }
}

impl Kind {
    pub(crate) const fn wire_type(self) -> WireType {
        match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => WireType::SixtyFourBit,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => WireType::ThirtyTwoBit,
            Self::String | Self::Bytes | Self::Message(_) => WireType::LengthDelimited,
            _ => WireType::Varint,
        }
    }

    /// Whether repeated values of it are packed.
    pub(crate) const fn is_packed(self) -> bool {
        !matches!(self, Self::String | Self::Bytes | Self::Message(_))
    }
}

impl EnumDescriptor {
    pub(crate) fn name(&self, number: i32) -> Option<&str> {
        self.names.get(&number).map(String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Option<i32> {
        self.numbers.get(name).copied()
    }
}
