//! The shapes of messages: a descriptor set, made ready for walking a message by number or by name.

use std::collections::HashMap;

use prost::{Message as _, encoding::WireType};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

/// Every message and enum of a schema, imports included.
#[derive(Debug)]
pub(crate) struct Shapes {
    messages: Vec<Shape>,
    enums: Vec<EnumShape>,
    names: HashMap<String, MessageId>,
}

/// The place of a message in its [`Shapes`], which alone make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessageId(usize);

/// The place of an enum in its [`Shapes`], which alone make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EnumId(usize);

/// One message.
#[derive(Debug)]
pub(crate) struct Shape {
    /// By ascending number.
    pub(crate) fields: Vec<Field>,
    /// Set where the message is written as something other than its fields.
    pub(crate) well_known: Option<WellKnown>,
    /// The fields by their JSON names and by the names in the schema.
    names: HashMap<String, usize>,
}

/// The well-known types that have a form of their own in JSON.
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
pub(crate) struct Field {
    pub(crate) number: u32,
    /// Its name in JSON.
    pub(crate) name: String,
    /// Of a map, the type of its values.
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
pub(crate) struct EnumShape {
    /// `google.protobuf.NullValue`, which is written as null.
    pub(crate) is_null: bool,
    names: HashMap<i32, String>,
    numbers: HashMap<String, i32>,
}

impl Shapes {
    /// Reads an encoded `google.protobuf.FileDescriptorSet`.
    ///
    /// # Errors
    ///
    /// It is malformed, or names a type that it does not hold.
    pub(crate) fn new(descriptor_set: &[u8]) -> Result<Self, String> {
        let set = FileDescriptorSet::decode(descriptor_set)
            .map_err(|error| format!("a malformed descriptor set: {error}"))?;
        let mut catalogue = Catalogue::default();
        for file in &set.file {
            for message in &file.message_type {
                catalogue.add_message(file.package(), message);
            }
            for item in &file.enum_type {
                catalogue.add_enum(file.package(), item);
            }
        }
        let messages = catalogue
            .messages
            .iter()
            .map(|(name, message)| catalogue.shape(name, message))
            .collect::<Result<_, _>>()?;
        let enums = catalogue
            .enums
            .iter()
            .map(|(name, item)| EnumShape::new(name, item));
        Ok(Self {
            messages,
            enums: enums.collect(),
            names: catalogue.message_ids,
        })
    }

    /// The message of this full name, such as `chat.v1.ClientToServer`.
    pub(crate) fn find(&self, name: &str) -> Option<MessageId> {
        self.names.get(name).copied()
    }

    /// The message that the type URL of an `Any` names.
    pub(crate) fn type_of_url(&self, url: &str) -> Option<MessageId> {
        let (_, name) = url.rsplit_once('/')?;
        self.find(name)
    }

    pub(crate) fn message(&self, id: MessageId) -> &Shape {
        // Only `new` makes ids, one for each place.
        &self.messages[id.0]
    }

    pub(crate) fn enumeration(&self, id: EnumId) -> &EnumShape {
        // Only `new` makes ids, one for each place.
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

impl Shape {
    /// The place of the field with this number, which probably is `last` again, or the one after it.
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

    /// The place of the field with this name; `hint` is where it probably is.
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

    /// Whether several values of it stand in one run of bytes.
    pub(crate) const fn is_packed(self) -> bool {
        !matches!(self, Self::String | Self::Bytes | Self::Message(_))
    }
}

impl EnumShape {
    fn new(full_name: &str, item: &EnumDescriptorProto) -> Self {
        let mut names = HashMap::new();
        let mut numbers = HashMap::new();
        for value in &item.value {
            // Of several names for one number the first is written.
            names
                .entry(value.number())
                .or_insert_with(|| value.name().to_owned());
            numbers.insert(value.name().to_owned(), value.number());
        }
        Self {
            is_null: full_name == "google.protobuf.NullValue",
            names,
            numbers,
        }
    }

    pub(crate) fn name(&self, number: i32) -> Option<&str> {
        self.names.get(&number).map(String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Option<i32> {
        self.numbers.get(name).copied()
    }
}

/// All types by name, before their fields are looked at.
#[derive(Debug, Default)]
struct Catalogue<'a> {
    messages: Vec<(String, &'a DescriptorProto)>,
    enums: Vec<(String, &'a EnumDescriptorProto)>,
    message_ids: HashMap<String, MessageId>,
    enum_ids: HashMap<String, EnumId>,
}

impl<'a> Catalogue<'a> {
    fn add_message(&mut self, scope: &str, message: &'a DescriptorProto) {
        let name = scoped(scope, message.name());
        self.message_ids
            .insert(name.clone(), MessageId(self.messages.len()));
        self.messages.push((name.clone(), message));
        for nested in &message.nested_type {
            self.add_message(&name, nested);
        }
        for nested in &message.enum_type {
            self.add_enum(&name, nested);
        }
    }

    fn add_enum(&mut self, scope: &str, item: &'a EnumDescriptorProto) {
        let name = scoped(scope, item.name());
        self.enum_ids.insert(name.clone(), EnumId(self.enums.len()));
        self.enums.push((name, item));
    }

    fn shape(&self, name: &str, message: &DescriptorProto) -> Result<Shape, String> {
        let mut fields = Vec::with_capacity(message.field.len());
        for field in &message.field {
            // Groups are of proto2, which no protocol is written in; one in an import is like an unknown field.
            if field.r#type() != Type::Group {
                fields.push((self.field(field)?, field.name()));
            }
        }
        fields.sort_by_key(|(field, _)| field.number);
        let mut names = HashMap::new();
        for (index, (field, name)) in fields.iter().enumerate() {
            names.insert(field.name.clone(), index);
            names.entry((*name).to_owned()).or_insert(index);
        }
        let fields: Vec<Field> = fields.into_iter().map(|(field, _)| field).collect();
        Ok(Shape {
            well_known: well_known(name, &fields),
            fields,
            names,
        })
    }

    fn field(&self, field: &FieldDescriptorProto) -> Result<Field, String> {
        let mut kind = self.kind(field)?;
        let mut cardinality = Cardinality::Singular;
        if field.label() == Label::Repeated {
            cardinality = Cardinality::Repeated;
            if let Kind::Message(MessageId(index)) = kind
                && let Some((_, entry)) = self.messages.get(index)
                && entry
                    .options
                    .as_ref()
                    .is_some_and(|options| options.map_entry())
            {
                let part = |number| {
                    let part = entry.field.iter().find(|part| part.number() == number);
                    part.ok_or_else(|| {
                        format!("a map entry {} without a field {number}", entry.name())
                    })
                };
                cardinality = Cardinality::Map {
                    key: self.kind(part(1)?)?,
                };
                kind = self.kind(part(2)?)?;
            }
        }
        let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
        Ok(Field {
            number: u32::try_from(field.number()).unwrap_or(0),
            name: match field.json_name() {
                "" => json_name(field.name()),
                name => name.to_owned(),
            },
            kind,
            cardinality,
            oneof: oneof.and_then(|index| usize::try_from(index).ok()),
        })
    }

    fn kind(&self, field: &FieldDescriptorProto) -> Result<Kind, String> {
        let type_name = field.type_name().trim_start_matches('.');
        let unknown = || format!("a field {} of the unknown type `{type_name}`", field.name());
        Ok(match field.r#type() {
            Type::Double => Kind::Double,
            Type::Float => Kind::Float,
            Type::Int32 => Kind::Int32,
            Type::Int64 => Kind::Int64,
            Type::Uint32 => Kind::Uint32,
            Type::Uint64 => Kind::Uint64,
            Type::Sint32 => Kind::Sint32,
            Type::Sint64 => Kind::Sint64,
            Type::Fixed32 => Kind::Fixed32,
            Type::Fixed64 => Kind::Fixed64,
            Type::Sfixed32 => Kind::Sfixed32,
            Type::Sfixed64 => Kind::Sfixed64,
            Type::Bool => Kind::Bool,
            Type::String => Kind::String,
            Type::Bytes => Kind::Bytes,
            Type::Enum => Kind::Enum(*self.enum_ids.get(type_name).ok_or_else(unknown)?),
            Type::Message | Type::Group => {
                Kind::Message(*self.message_ids.get(type_name).ok_or_else(unknown)?)
            }
        })
    }
}

/// The well-known type of this name, if its fields are what they should be.
fn well_known(name: &str, fields: &[Field]) -> Option<WellKnown> {
    let well_known = match name.strip_prefix("google.protobuf.")? {
        "Any" => WellKnown::Any,
        "Duration" => WellKnown::Duration,
        "FieldMask" => WellKnown::FieldMask,
        "ListValue" => WellKnown::ListValue,
        "Struct" => WellKnown::Struct,
        "Timestamp" => WellKnown::Timestamp,
        "Value" => WellKnown::Value,
        "BoolValue" | "BytesValue" | "DoubleValue" | "FloatValue" | "Int32Value" | "Int64Value"
        | "StringValue" | "UInt32Value" | "UInt64Value" => WellKnown::Wrapper,
        _ => return None,
    };
    (!fields.is_empty()).then_some(well_known)
}

fn scoped(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}

/// The name in JSON of a field that says none: an underscore goes, and the letter after it is a capital.
fn json_name(name: &str) -> String {
    let mut result = String::with_capacity(name.len());
    let mut is_after_underscore = false;
    for character in name.chars() {
        if character == '_' {
            is_after_underscore = true;
        } else {
            result.push(if is_after_underscore {
                character.to_ascii_uppercase()
            } else {
                character
            });
            is_after_underscore = false;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_names_are_those_of_protobuf() {
        for (name, json) in [
            ("user", "user"),
            ("text_len", "textLen"),
            ("_a__b_1c_", "AB1c"),
            ("aB_c", "aBC"),
        ] {
            assert_eq!(json_name(name), json, "{name}");
        }
    }

    #[test]
    fn a_descriptor_set_that_is_none_is_refused() {
        let error = Shapes::new(&[0xff]).expect_err("garbage");
        assert!(error.starts_with("a malformed descriptor set: "), "{error}");
    }
}
