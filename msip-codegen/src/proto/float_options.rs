//! `inf` and `nan` as values of options whose type is a float: the pool takes them for the names of enum values.

use prost_types::field_descriptor_proto::Type;
use prost_types::{FileDescriptorProto, UninterpretedOption};

use super::extensions::Extensions;
use super::option_lists;
use super::symbols::{Lookup, Node, Symbols};

/// Finds the type of an option.
pub(crate) struct FloatOptions<'a> {
    symbols: &'a Symbols<'a>,
    extensions: &'a Extensions<'a>,
}

impl<'a> FloatOptions<'a> {
    pub(crate) fn new(symbols: &'a Symbols<'a>, extensions: &'a Extensions<'a>) -> Self {
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
        let extension = self.extensions.find(&first.name_part, scope)?;
        let (mut at, mut field) = (extension.file, extension.field);
        let mut scope = extension.scope.clone();
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
