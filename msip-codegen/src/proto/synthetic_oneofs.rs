//! The oneofs that stand for proto3's `optional`, one for each such field, named as protoc names them.

use std::collections::HashSet;

use prost_types::DescriptorProto;

/// Gives the oneofs of optional fields names that no field and no other oneof has: the parser may take one of those.
pub(crate) fn rename(messages: &mut [DescriptorProto]) {
    // As deep as the parser allows: 31 levels.
    for message in messages {
        rename(&mut message.nested_type);
        // The fields of those oneofs, by the index of the oneof.
        let mut optional: Vec<Option<String>> = vec![None; message.oneof_decl.len()];
        for field in message.field.iter().filter(|field| field.proto3_optional()) {
            let own = field.oneof_index.and_then(|own| usize::try_from(own).ok());
            if let Some(own @ None) = own.and_then(|own| optional.get_mut(own)) {
                *own = Some(field.name().to_owned());
            }
        }
        let fields = message.field.iter().map(|field| field.name().to_owned());
        let oneofs = message.oneof_decl.iter().zip(&optional);
        let declared = oneofs.filter(|(_, field)| field.is_none());
        let mut taken: HashSet<String> = fields
            .chain(declared.map(|(oneof, _)| oneof.name().to_owned()))
            .collect();
        for (oneof, field) in message.oneof_decl.iter_mut().zip(&optional) {
            let Some(field) = field else {
                continue;
            };
            let mut name = if field.starts_with('_') {
                field.clone()
            } else {
                format!("_{field}")
            };
            while !taken.insert(name.clone()) {
                name.insert(0, 'X');
            }
            oneof.name = Some(name);
        }
    }
}
