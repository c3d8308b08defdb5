//! Files of a descriptor set, as if they had been parsed: what a compiler of protobuf has written, read by programs that run.

use std::collections::HashMap;

use msip_schema::{Code, Diagnostic, Direction, Span, json_name};
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value,
};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FieldOptions, FileDescriptorProto, FileDescriptorSet,
    UninterpretedOption, uninterpreted_option::NamePart,
};

use super::report::Report;

/// The largest set that is read, in bytes.
const MAX_SET_LEN: usize = 16 * 1024 * 1024;

/// The files of a set by their names, and the names of those that declare protocols.
#[derive(Debug, Default)]
pub(crate) struct SetFiles {
    pub(crate) files: HashMap<String, FileDescriptorProto>,
    pub(crate) protocols: Vec<String>,
}

/// Reads an encoded set; what is wrong with it is reported.
pub(crate) fn read(encoded: &[u8], report: &mut Report) -> Option<SetFiles> {
    let mut wrong = |text: String| {
        let help =
            "write the set anew, with all imports: `protoc --include_imports --descriptor_set_out`";
        report.push(Diagnostic::new(Code::INVALID_SCHEMA, Span::NONE, text).help(help));
    };
    if encoded.len() > MAX_SET_LEN {
        wrong("the descriptor set is larger than 16 MiB".to_owned());
        return None;
    }
    let set = match FileDescriptorSet::decode(encoded) {
        Ok(set) => set,
        Err(error) => {
            wrong(format!("the descriptor set is malformed: {error}"));
            return None;
        }
    };
    // It keeps options that are extensions, which the types of prost drop.
    let pool = match DescriptorPool::decode(encoded) {
        Ok(pool) => pool,
        Err(error) => {
            let error = error.to_string();
            let line = error.lines().next().unwrap_or_default();
            wrong(format!("the descriptor set cannot be used: {line}"));
            return None;
        }
    };
    let mut read = SetFiles::default();
    for mut file in set.file {
        let name = file.name().to_owned();
        let prefix = match file.package() {
            "" => String::new(),
            package => format!("{package}."),
        };
        for message in &mut file.message_type {
            let full = format!("{prefix}{}", message.name());
            message_as_parsed(message, pool.get_message_by_name(&full));
        }
        let mut messages = file.message_type.iter();
        let envelopes = [Direction::ClientToServer, Direction::ServerToClient];
        if messages.any(|message| {
            envelopes
                .iter()
                .any(|direction| direction.envelope_name() == message.name())
        }) {
            read.protocols.push(name.clone());
        }
        read.files.insert(name, file);
    }
    Some(read)
}

/// A message as the parser leaves it: MSIP's options are not interpreted, and names in JSON are there where they were written.
fn message_as_parsed(message: &mut DescriptorProto, descriptor: Option<MessageDescriptor>) {
    for field in &mut message.field {
        let known = descriptor.as_ref();
        let known = known.and_then(|known| known.get_field_by_name(field.name()));
        field_as_parsed(field, known.as_ref());
    }
    for nested in &mut message.nested_type {
        let known = descriptor.as_ref().and_then(|known| {
            let mut all = known.child_messages();
            all.find(|child| child.name() == nested.name())
        });
        message_as_parsed(nested, known);
    }
}

fn field_as_parsed(field: &mut FieldDescriptorProto, descriptor: Option<&FieldDescriptor>) {
    if field.json_name.as_deref() == Some(&*json_name(field.name())) {
        field.json_name = None;
    }
    let Some(options) = descriptor.map(FieldDescriptor::options) else {
        return;
    };
    let own = own_options(&options);
    if !own.is_empty() {
        let options = field.options.get_or_insert_with(FieldOptions::default);
        options.uninterpreted_option.extend(own);
    }
}

/// MSIP's options, in the order of their numbers.
fn own_options(options: &DynamicMessage) -> Vec<UninterpretedOption> {
    let extensions = options.extensions();
    let own = extensions.filter(|(extension, _)| extension.full_name().starts_with("msip."));
    own.filter_map(|(extension, value)| {
        let mut option = UninterpretedOption {
            name: vec![NamePart {
                name_part: extension.full_name().to_owned(),
                is_extension: true,
            }],
            ..UninterpretedOption::default()
        };
        match (extension.kind(), value) {
            (Kind::Enum(values), Value::EnumNumber(number)) => {
                let value = values.get_value(*number)?;
                option.identifier_value = Some(value.name().to_owned());
            }
            (_, Value::Bool(value)) => option.identifier_value = Some(value.to_string()),
            (_, Value::U32(value)) => option.positive_int_value = Some((*value).into()),
            (_, Value::String(value)) => option.string_value = Some(value.clone().into_bytes()),
            // MSIP has options of no other type.
            _ => return None,
        }
        Some(option)
    })
    .collect()
}
