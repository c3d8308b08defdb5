//! The fields of messages, by their names in JSON.

use std::borrow::Cow;

use msip_schema::{Field, MessageType, json_name};

/// The name of a field in JSON.
pub(crate) fn name_in_json(field: &Field) -> Cow<'_, str> {
    match field.json_name.as_deref().filter(|name| !name.is_empty()) {
        Some(own) => own.into(),
        None => json_name(&field.name).into(),
    }
}

/// The field of this name, or of this name in JSON.
pub(crate) fn find_field<'a>(message: &'a MessageType, name: &str) -> Option<&'a Field> {
    let mut fields = message.fields.iter();
    fields.find(|field| field.name == name || name_in_json(field) == name)
}
