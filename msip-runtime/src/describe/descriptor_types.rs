//! The types of a schema, from its descriptors.

use std::collections::BTreeMap;

use msip_schema::{
    Cardinality, EnumType, EnumValue, Field, FieldType, MessageType, Span, TypeDef, TypeName, Types,
};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

/// The type of each member of an envelope, by its number.
pub(super) fn payloads(set: &FileDescriptorSet, envelope: &str) -> BTreeMap<u32, TypeName> {
    let messages = set.file.iter().flat_map(|file| {
        let messages = file.message_type.iter();
        messages.map(|message| (full_name(file.package(), message.name()), message))
    });
    let mut fields = messages
        .filter(|(name, _)| name == envelope)
        .flat_map(|(_, message)| &message.field);
    let mut payloads = BTreeMap::new();
    for field in &mut fields {
        let name = TypeName::new(field.type_name().trim_start_matches('.'));
        payloads.insert(number(field), name);
    }
    payloads
}

/// Every message and enum, except for the entries of maps.
pub(super) fn types(set: &FileDescriptorSet) -> Types {
    let mut types = Types::new();
    for file in &set.file {
        for message in &file.message_type {
            add_message(&mut types, file.package(), message);
        }
        for item in &file.enum_type {
            add_enum(&mut types, file.package(), item);
        }
    }
    types
}

fn add_message(types: &mut Types, scope: &str, message: &DescriptorProto) {
    let name = full_name(scope, message.name());
    for nested in message
        .nested_type
        .iter()
        .filter(|nested| !is_entry(nested))
    {
        add_message(types, &name, nested);
    }
    for nested in &message.enum_type {
        add_enum(types, &name, nested);
    }
    let fields = message.field.iter().map(|field| field_of(message, field));
    let def = MessageType {
        fields: fields.collect(),
        ..MessageType::default()
    };
    types.insert(TypeName::new(name), TypeDef::Message(def));
}

fn add_enum(types: &mut Types, scope: &str, item: &EnumDescriptorProto) {
    let values = item.value.iter().map(|value| EnumValue {
        name: value.name().to_owned(),
        number: value.number(),
        doc: String::new(),
        deprecated: false,
        span: Span::NONE,
    });
    let def = EnumType {
        values: values.collect(),
        ..EnumType::default()
    };
    let name = TypeName::new(full_name(scope, item.name()));
    types.insert(name, TypeDef::Enum(def));
}

/// A field as the front end for `.proto` files reads it.
fn field_of(message: &DescriptorProto, field: &FieldDescriptorProto) -> Field {
    let entry = entry_of(message, field);
    let part = |number| {
        let parts = entry.into_iter().flat_map(|entry| &entry.field);
        parts.clone().find(|part| part.number() == number)
    };
    let (ty, cardinality) = match (part(1), part(2)) {
        (Some(key), Some(value)) => (field_type(value), Cardinality::Map(field_type(key))),
        _ => {
            let ty = field_type(field);
            let is_visible = field.proto3_optional()
                || field.oneof_index.is_some()
                || matches!(ty, FieldType::Message(_));
            let cardinality = match field.label() {
                Label::Repeated => Cardinality::Repeated,
                _ if is_visible => Cardinality::Optional,
                _ => Cardinality::Implicit,
            };
            (ty, cardinality)
        }
    };
    Field {
        name: field.name().to_owned(),
        json_name: field.json_name.clone(),
        number: number(field),
        ty,
        cardinality,
        oneof: field
            .oneof_index
            .filter(|_| !field.proto3_optional())
            .map(|index| index.to_string()),
        expanded: false,
        doc: String::new(),
        deprecated: false,
        span: Span::NONE,
    }
}

/// The message of a map's entries, where the field is a map.
fn entry_of<'a>(
    message: &'a DescriptorProto,
    field: &FieldDescriptorProto,
) -> Option<&'a DescriptorProto> {
    if field.label() != Label::Repeated || field.r#type() != Type::Message {
        return None;
    }
    let short = field.type_name().rsplit('.').next()?;
    message
        .nested_type
        .iter()
        .find(|nested| is_entry(nested) && nested.name() == short)
}

fn is_entry(message: &DescriptorProto) -> bool {
    let options = message.options.as_ref();
    options.is_some_and(|options| options.map_entry())
}

fn field_type(field: &FieldDescriptorProto) -> FieldType {
    let name = || TypeName::new(field.type_name().trim_start_matches('.'));
    match field.r#type() {
        Type::Double => FieldType::Double,
        Type::Float => FieldType::Float,
        Type::Int32 => FieldType::Int32,
        Type::Int64 => FieldType::Int64,
        Type::Uint32 => FieldType::Uint32,
        Type::Uint64 => FieldType::Uint64,
        Type::Sint32 => FieldType::Sint32,
        Type::Sint64 => FieldType::Sint64,
        Type::Fixed32 => FieldType::Fixed32,
        Type::Fixed64 => FieldType::Fixed64,
        Type::Sfixed32 => FieldType::Sfixed32,
        Type::Sfixed64 => FieldType::Sfixed64,
        Type::Bool => FieldType::Bool,
        Type::String => FieldType::String,
        Type::Bytes => FieldType::Bytes,
        Type::Enum => FieldType::Enum(name()),
        Type::Message | Type::Group => FieldType::Message(name()),
    }
}

fn number(field: &FieldDescriptorProto) -> u32 {
    u32::try_from(field.number()).unwrap_or(0)
}

fn full_name(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}
