//! Building a descriptor pool from an encoded descriptor set.

use std::collections::HashMap;

use msip_schema::json_name;
use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

use super::{
    Cardinality, DescriptorPool, EnumDescriptor, EnumId, FieldDescriptor, Kind, MessageDescriptor,
    MessageId, WellKnown,
};

impl DescriptorPool {
    /// Reads an encoded `google.protobuf.FileDescriptorSet`.
    ///
    /// # Errors
    ///
    /// It is malformed, or names a type that it does not hold.
    pub(crate) fn new(descriptor_set: &[u8]) -> Result<Self, String> {
        let set = FileDescriptorSet::decode(descriptor_set)
            .map_err(|error| format!("malformed descriptor set: {error}"))?;
        let mut builder = PoolBuilder::default();
        for file in &set.file {
            for message in &file.message_type {
                builder.add_message(file.package(), message);
            }
            for item in &file.enum_type {
                builder.add_enum(file.package(), item);
            }
        }
        let messages = builder
            .messages
            .iter()
            .map(|(name, message)| builder.message(name, message))
            .collect::<Result<_, _>>()?;
        let enums = builder
            .enums
            .iter()
            .map(|(name, item)| EnumDescriptor::new(name, item));
        Ok(Self {
            messages,
            enums: enums.collect(),
            names: builder.message_ids,
        })
    }
}

impl EnumDescriptor {
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
}

/// All types by name, before their fields are resolved.
#[derive(Debug, Default)]
struct PoolBuilder<'a> {
    messages: Vec<(String, &'a DescriptorProto)>,
    enums: Vec<(String, &'a EnumDescriptorProto)>,
    message_ids: HashMap<String, MessageId>,
    enum_ids: HashMap<String, EnumId>,
}

impl<'a> PoolBuilder<'a> {
    fn add_message(&mut self, scope: &str, message: &'a DescriptorProto) {
        let name = full_name(scope, message.name());
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
        let name = full_name(scope, item.name());
        self.enum_ids.insert(name.clone(), EnumId(self.enums.len()));
        self.enums.push((name, item));
    }

    fn message(&self, name: &str, message: &DescriptorProto) -> Result<MessageDescriptor, String> {
        let mut fields = Vec::with_capacity(message.field.len());
        for field in &message.field {
            // Groups exist in proto2 only, which no protocol uses; one in an import is treated as an unknown field.
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
        let fields: Vec<FieldDescriptor> = fields.into_iter().map(|(field, _)| field).collect();
        Ok(MessageDescriptor {
            well_known: well_known(name, &fields),
            fields,
            names,
        })
    }

    fn field(&self, field: &FieldDescriptorProto) -> Result<FieldDescriptor, String> {
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
                        format!("the map entry {} has no field {number}", entry.name())
                    })
                };
                cardinality = Cardinality::Map {
                    key: self.kind(part(1)?)?,
                };
                kind = self.kind(part(2)?)?;
            }
        }
        let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
        Ok(FieldDescriptor {
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
        let unknown = || {
            format!(
                "the field {} has the unknown type `{type_name}`",
                field.name()
            )
        };
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

/// The well-known type of this name.
fn well_known(name: &str, fields: &[FieldDescriptor]) -> Option<WellKnown> {
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

fn full_name(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_descriptor_set_is_refused() {
        let error = DescriptorPool::new(&[0xff]).expect_err("garbage");
        assert!(error.starts_with("malformed descriptor set: "), "{error}");
    }
}
