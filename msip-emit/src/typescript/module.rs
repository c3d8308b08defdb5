//! The module of a package: its types, and its protocol with the client.

use msip_schema::TypeDef;

use super::fields::{Types, write_imports};
use super::modules::{Module, Modules};
use super::{enums, messages, protocol};
use crate::rust::Sides;
use crate::write::Writer;

/// The indentation of TypeScript.
pub(super) const INDENT: &str = "  ";

/// The text of a module.
pub(super) fn write(modules: &Modules<'_>, module: &Module<'_>, sides: Sides) -> String {
    let mut out = Writer::new(INDENT);
    out.reserve(module.declared.iter().cloned());
    let types = Types {
        modules,
        module,
        is_beside: false,
    };
    for &(name, ty) in &module.types {
        match ty {
            TypeDef::Message(message) => messages::write_interface(&types, name, message, &mut out),
            TypeDef::Enum(ty) => enums::write(&types, name, ty, &mut out),
        }
    }
    for &(name, ty) in &module.types {
        if let TypeDef::Message(message) = ty {
            messages::write_functions(&types, name, message, &mut out);
        }
    }
    if let Some(names) = &module.protocol {
        protocol::write(&types, names, sides, &mut out);
    }
    finish(out, &modules.header(module.package))
}

/// The text with its first line and its imports.
pub(super) fn finish(out: Writer, header: &str) -> String {
    out.finish_with(|head, imports| {
        head.line(header);
        head.line("");
        let start = imports.iter().next().is_some();
        write_imports(head, imports);
        if start {
            head.line("");
        }
    })
}
