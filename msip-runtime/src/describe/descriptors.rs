//! The descriptors of a derived schema.

use std::collections::{BTreeMap, BTreeSet};

use msip_schema::{
    Cardinality, Direction, EnumType, Field, FieldType, MessageType, Payload, Schema, TypeDef,
    TypeName, json_name,
};
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, FileDescriptorSet, MessageOptions, OneofDescriptorProto,
    descriptor_proto::ReservedRange,
};

/// The envelopes and types of a schema as an encoded `FileDescriptorSet`, after the files of well-known types.
///
/// It does not contain the options of MSIP, which are in the tables of variants.
pub(super) fn descriptor_set(schema: &Schema) -> Vec<u8> {
    let mut imports = BTreeSet::new();
    let envelopes = [Direction::ClientToServer, Direction::ServerToClient]
        .map(|direction| envelope(schema, direction, &mut imports));
    let mut enums = enums_by_parent(schema);
    let types = schema.types().iter();
    let messages = types.filter_map(|(name, ty)| match ty {
        TypeDef::Message(ty) => Some(DescriptorProto {
            enum_type: enums.remove(name.as_str()).unwrap_or_default(),
            ..message(name, ty, &mut imports)
        }),
        TypeDef::Enum(_) => None,
    });
    let messages: Vec<_> = messages.collect();
    let package = schema.package();
    let own = FileDescriptorProto {
        name: Some(format!("{}.proto", package.replace('.', "/"))),
        package: Some(package.to_owned()),
        dependency: imports.iter().map(|file| file.name.to_owned()).collect(),
        message_type: envelopes.into_iter().chain(messages).collect(),
        enum_type: enums.remove(package).unwrap_or_default(),
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    };
    let files = imports.iter().map(ImportedFile::file).chain([own]);
    FileDescriptorSet {
        file: files.collect(),
    }
    .encode_to_vec()
}

/// The enums that are declared in each package or message, by its full name.
fn enums_by_parent(schema: &Schema) -> BTreeMap<&str, Vec<EnumDescriptorProto>> {
    let mut enums: BTreeMap<&str, Vec<EnumDescriptorProto>> = BTreeMap::new();
    for (name, ty) in schema.types() {
        if let TypeDef::Enum(ty) = ty {
            let (parent, _) = name.as_str().rsplit_once('.').unwrap_or_default();
            enums.entry(parent).or_default().push(enumeration(name, ty));
        }
    }
    enums
}

/// A file of well-known types that derived types use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ImportedFile {
    name: &'static str,
    message: &'static str,
    has_seconds: bool,
}

const IMPORTED_FILES: [ImportedFile; 3] = [
    ImportedFile {
        name: "google/protobuf/duration.proto",
        message: "Duration",
        has_seconds: true,
    },
    ImportedFile {
        name: "google/protobuf/empty.proto",
        message: "Empty",
        has_seconds: false,
    },
    ImportedFile {
        name: "google/protobuf/timestamp.proto",
        message: "Timestamp",
        has_seconds: true,
    },
];

impl ImportedFile {
    fn file(&self) -> FileDescriptorProto {
        let fields = if self.has_seconds {
            vec![
                field_descriptor("seconds", 1, Type::Int64),
                field_descriptor("nanos", 2, Type::Int32),
            ]
        } else {
            Vec::new()
        };
        FileDescriptorProto {
            name: Some(self.name.to_owned()),
            package: Some("google.protobuf".to_owned()),
            message_type: vec![DescriptorProto {
                name: Some(self.message.to_owned()),
                field: fields,
                ..DescriptorProto::default()
            }],
            syntax: Some("proto3".to_owned()),
            ..FileDescriptorProto::default()
        }
    }
}

/// The full name, as in a descriptor; adds the import of a well-known type.
fn type_reference(name: &TypeName, imports: &mut BTreeSet<ImportedFile>) -> String {
    if name.is_well_known() {
        let file = IMPORTED_FILES
            .iter()
            .find(|file| file.message == name.short());
        imports.extend(file);
    }
    format!(".{name}")
}

fn envelope(
    schema: &Schema,
    direction: Direction,
    imports: &mut BTreeSet<ImportedFile>,
) -> DescriptorProto {
    let empty = TypeName::new("google.protobuf.Empty");
    let members = schema.envelope(direction).members.iter();
    let fields = members.map(|member| {
        let ty = match &member.payload {
            Payload::Message(name) => name,
            Payload::Empty => &empty,
        };
        FieldDescriptorProto {
            type_name: Some(type_reference(ty, imports)),
            oneof_index: Some(0),
            ..field_descriptor(&member.name, i32::from(member.number), Type::Message)
        }
    });
    let reserved = &schema.envelope(direction).reserved;
    DescriptorProto {
        name: Some(direction.envelope_name().to_owned()),
        field: fields.collect(),
        oneof_decl: vec![oneof("messages")],
        reserved_range: reserved_ranges(&reserved.numbers),
        reserved_name: reserved.names.clone(),
        ..DescriptorProto::default()
    }
}

fn message(
    name: &TypeName,
    message: &MessageType,
    imports: &mut BTreeSet<ImportedFile>,
) -> DescriptorProto {
    let mut proto = DescriptorProto {
        name: Some(name.short().to_owned()),
        ..DescriptorProto::default()
    };
    let mut oneofs: BTreeMap<&str, i32> = BTreeMap::new();
    for field in &message.fields {
        if let Some(name) = &field.oneof
            && !oneofs.contains_key(name.as_str())
        {
            oneofs.insert(name, index(proto.oneof_decl.len()));
            proto.oneof_decl.push(oneof(name));
        }
    }
    for field in &message.fields {
        let mut descriptor = field_of(name, field, imports, &mut proto.nested_type);
        if let Some(oneof) = &field.oneof {
            descriptor.oneof_index = oneofs.get(oneof.as_str()).copied();
        } else if field.cardinality == Cardinality::Optional
            && !matches!(field.ty, FieldType::Message(_))
        {
            // proto3 represents this as a oneof with one member, after the real ones.
            descriptor.proto3_optional = Some(true);
            descriptor.oneof_index = Some(index(proto.oneof_decl.len()));
            proto.oneof_decl.push(oneof(&format!("_{}", field.name)));
        }
        proto.field.push(descriptor);
    }
    proto.reserved_range = reserved_ranges(&message.reserved_numbers);
    proto.reserved_name = message.reserved_names.clone();
    proto
}

/// The end of a range in a descriptor is exclusive.
fn reserved_ranges(ranges: &[(u32, u32)]) -> Vec<ReservedRange> {
    ranges
        .iter()
        .map(|(first, last)| ReservedRange {
            start: Some(number(*first)),
            end: Some(number(last.saturating_add(1))),
        })
        .collect()
}

fn field_of(
    scope: &TypeName,
    field: &Field,
    imports: &mut BTreeSet<ImportedFile>,
    nested: &mut Vec<DescriptorProto>,
) -> FieldDescriptorProto {
    let descriptor = typed(&field.name, number(field.number), &field.ty, imports);
    match &field.cardinality {
        Cardinality::Implicit | Cardinality::Optional => descriptor,
        Cardinality::Repeated => FieldDescriptorProto {
            label: Some(Label::Repeated.into()),
            ..descriptor
        },
        Cardinality::Map(key) => {
            let entry = entry_name(&field.name);
            let value = FieldDescriptorProto {
                name: Some("value".to_owned()),
                number: Some(2),
                json_name: Some("value".to_owned()),
                ..descriptor
            };
            nested.push(DescriptorProto {
                name: Some(entry.clone()),
                field: vec![typed("key", 1, key, imports), value],
                options: Some(MessageOptions {
                    map_entry: Some(true),
                    ..MessageOptions::default()
                }),
                ..DescriptorProto::default()
            });
            FieldDescriptorProto {
                label: Some(Label::Repeated.into()),
                type_name: Some(format!(".{scope}.{entry}")),
                ..field_descriptor(&field.name, number(field.number), Type::Message)
            }
        }
    }
}

fn typed(
    name: &str,
    number: i32,
    ty: &FieldType,
    imports: &mut BTreeSet<ImportedFile>,
) -> FieldDescriptorProto {
    let kind = match ty {
        FieldType::Double => Type::Double,
        FieldType::Float => Type::Float,
        FieldType::Int32 => Type::Int32,
        FieldType::Int64 => Type::Int64,
        FieldType::Uint32 => Type::Uint32,
        FieldType::Uint64 => Type::Uint64,
        FieldType::Sint32 => Type::Sint32,
        FieldType::Sint64 => Type::Sint64,
        FieldType::Fixed32 => Type::Fixed32,
        FieldType::Fixed64 => Type::Fixed64,
        FieldType::Sfixed32 => Type::Sfixed32,
        FieldType::Sfixed64 => Type::Sfixed64,
        FieldType::Bool => Type::Bool,
        FieldType::String => Type::String,
        FieldType::Bytes => Type::Bytes,
        FieldType::Message(_) => Type::Message,
        FieldType::Enum(_) => Type::Enum,
    };
    let type_name = match ty {
        FieldType::Message(name) | FieldType::Enum(name) => Some(type_reference(name, imports)),
        _ => None,
    };
    FieldDescriptorProto {
        type_name,
        ..field_descriptor(name, number, kind)
    }
}

fn field_descriptor(name: &str, number: i32, ty: Type) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(ty.into()),
        json_name: Some(json_name(name)),
        ..FieldDescriptorProto::default()
    }
}

/// The name of the entry message of a map, as in `protoc`.
fn entry_name(field: &str) -> String {
    let mut name = json_name(field);
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    name + "Entry"
}

fn enumeration(name: &TypeName, ty: &EnumType) -> EnumDescriptorProto {
    // proto3 requires the value 0 to be first.
    let (zero, others): (Vec<_>, Vec<_>) = ty.values.iter().partition(|value| value.number == 0);
    let values = zero.into_iter().chain(others);
    let values = values.map(|value| EnumValueDescriptorProto {
        name: Some(value.name.clone()),
        number: Some(value.number),
        options: None,
    });
    EnumDescriptorProto {
        name: Some(name.short().to_owned()),
        value: values.collect(),
        ..EnumDescriptorProto::default()
    }
}

fn oneof(name: &str) -> OneofDescriptorProto {
    OneofDescriptorProto {
        name: Some(name.to_owned()),
        options: None,
    }
}

/// The index of a oneof; no message has 2 billion.
fn index(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

/// A field number, which has 29 bits.
fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
