//! The extensions of all files, by which options are found.

use std::collections::HashMap;

use prost_types::{DescriptorProto, FieldDescriptorProto};

use super::files::Files;
use super::symbols::{candidates, join};

/// The extensions of all files, by full name.
pub(crate) struct Extensions<'a>(HashMap<String, Extension<'a>>);

/// An extension, with its file and the scope in which its type is resolved.
pub(crate) struct Extension<'a> {
    pub(crate) file: usize,
    pub(crate) scope: String,
    pub(crate) field: &'a FieldDescriptorProto,
}

impl<'a> Extensions<'a> {
    pub(crate) fn new(files: &'a Files) -> Self {
        let mut found = HashMap::new();
        for (file, proto) in files.files.iter().enumerate() {
            let mut add = |scope: &str, field: &'a FieldDescriptorProto| {
                let extension = Extension {
                    file,
                    scope: scope.to_owned(),
                    field,
                };
                found.insert(join(scope, field.name()), extension);
            };
            for field in &proto.descriptor.extension {
                add(proto.package(), field);
            }
            for message in &proto.descriptor.message_type {
                nested(proto.package(), message, &mut add);
            }
        }
        Self(found)
    }

    /// The extension that a name means in a scope.
    pub(crate) fn find(&self, name: &str, scope: &str) -> Option<&Extension<'a>> {
        let mut names = candidates(name, scope).into_iter();
        names.find_map(|name| self.0.get(&name))
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
