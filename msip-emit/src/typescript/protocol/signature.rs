//! What the signatures of methods are made of.

use msip_schema::TypeName;

use crate::typescript::fields::{Types, type_module};
use crate::write::Writer;

pub(in crate::typescript) fn core_type(
    types: &Types<'_, '_>,
    name: &str,
    out: &mut Writer,
) -> String {
    out.import(&type_module(types.modules.core), name)
}

/// A constant of the messages' module, in the server's module too.
pub(in crate::typescript) fn in_scope(
    types: &Types<'_, '_>,
    constant: &str,
    out: &mut Writer,
) -> String {
    match types.messages_module() {
        None => constant.to_owned(),
        Some(module) => out.import(&module, constant),
    }
}

/// The type of what a member carries: `void` if that is nothing.
pub(in crate::typescript) fn content(
    types: &Types<'_, '_>,
    payload: Option<&TypeName>,
    out: &mut Writer,
) -> String {
    payload.map_or("void".to_owned(), |name| types.named(name, out))
}

/// The type of what is given to send a message.
pub(in crate::typescript) fn init(
    types: &Types<'_, '_>,
    payload: &TypeName,
    out: &mut Writer,
) -> String {
    let init = types.import_type("Init", out);
    format!("{init}<{}>", types.named(payload, out))
}
