//! `inf` and `nan` as values of options whose type is a float: the pool takes them for the names of enum values.

use std::collections::HashMap;

use prost_types::field_descriptor_proto::Type;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, UninterpretedOption,
};

use super::files::Files;
use super::option_lists;
use super::symbols::{Lookup, Node, Symbols, candidates, join};

/// The extensions of all files, by which the type of an option is found.
pub(crate) struct FloatOptions<'a> {
    symbols: &'a Symbols<'a>,
    /// Each with its file and the scope in which its type is resolved.
    extensions: HashMap<String, (usize, String, &'a FieldDescriptorProto)>,
}

impl<'a> FloatOptions<'a> {
    pub(crate) fn new(files: &'a Files, symbols: &'a Symbols<'a>) -> Self {
        let mut extensions = HashMap::new();
        for (index, file) in files.files.iter().enumerate() {
            let mut add = |scope: &str, field: &'a FieldDescriptorProto| {
                let extension = (index, scope.to_owned(), field);
                extensions.insert(join(scope, field.name()), extension);
            };
            for field in &file.descriptor.extension {
                add(file.package(), field);
            }
            for message in &file.descriptor.message_type {
                nested(file.package(), message, &mut add);
            }
        }
        Self {
            symbols,
            extensions,
        }
    }

    /// Gives options whose value is `inf` or `nan` that number, if they are floats.
    pub(crate) fn interpret(&self, descriptor: &mut FileDescriptorProto) {
        option_lists::visit(descriptor, &mut |list, options| {
            for option in options {
                let number = match option.identifier_value() {
                    "inf" => f64::INFINITY,
                    "nan" => f64::NAN,
                    _ => continue,
                };
                if self.is_float(&list.scope, option) == Some(true) {
                    option.identifier_value = None;
                    option.double_value = Some(number);
                }
            }
        });
    }

    fn is_float(&self, scope: &str, option: &UninterpretedOption) -> Option<bool> {
        let (first, rest) = option.name.split_first()?;
        // Protobuf's own options are no floats.
        if !first.is_extension {
            return None;
        }
        let (mut at, mut scope, mut field) = candidates(&first.name_part, scope)
            .into_iter()
            .find_map(|name| self.extensions.get(&name))
            .map(|(at, scope, field)| (*at, scope.clone(), *field))?;
        for part in rest {
            let Lookup::Found(full, symbol) = self.symbols.resolve(field.type_name(), &scope, at)
            else {
                return None;
            };
            let Node::Message(message) = symbol.node else {
                return None;
            };
            (at, scope) = (symbol.file, full.to_owned());
            field = message
                .field
                .iter()
                .find(|field| field.name() == part.name_part)?;
        }
        let is_scalar = field.type_name.is_none();
        Some(is_scalar && matches!(field.r#type(), Type::Float | Type::Double))
    }
}

fn nested<'a>(
    scope: &str,
    message: &'a DescriptorProto,
    add: &mut impl FnMut(&str, &'a FieldDescriptorProto),
) {
    // As deep as the parser allows: 31 levels.
    let full = join(scope, message.name());
    for field in &message.extension {
        add(&full, field);
    }
    for message in &message.nested_type {
        nested(&full, message, add);
    }
}
