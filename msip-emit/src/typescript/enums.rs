//! Enums: an object with their values, and the type of a value, known or not.

use msip_schema::{EnumType, TypeName};

use super::doc;
use super::fields::{Types, literal};
use super::names::value_prefix;
use crate::write::Writer;

/// Writes everything of an enum.
pub(super) fn write(types: &Types<'_, '_>, name: &TypeName, ty: &EnumType, out: &mut Writer) {
    let Some(home) = types.home(name) else {
        return;
    };
    let own = home.identifiers;
    let prefix = value_prefix(
        name.short(),
        ty.values.iter().map(|value| value.name.as_str()),
    );
    out.separate();
    doc::write(&ty.doc, ty.deprecated, out);
    out.line(format_args!("export const {} = {{", own.name));
    out.indent();
    for value in &ty.values {
        doc::write(&value.doc, value.deprecated, out);
        let name = value.name.strip_prefix(&prefix).unwrap_or(&value.name);
        let name = match name {
            // Without the brackets it would be the object's prototype.
            "__proto__" => "[\"__proto__\"]",
            name => name,
        };
        out.line(format_args!("{name}: {},", value.number));
    }
    out.dedent();
    out.line("} as const;");
    out.separate();
    doc::write(&ty.doc, ty.deprecated, out);
    out.line(format_args!(
        "export type {0} = (typeof {0})[keyof typeof {0}] | (number & {{}});",
        own.name
    ));

    let names = types.import_type("EnumNames", out);
    out.separate();
    doc::write_or("", "The names of the values in JSON.", false, out);
    out.line(format_args!(
        "export const {}: {names} = {{",
        own.enum_names()
    ));
    out.indent();
    out.line(format_args!("name: {},", literal(name.as_str())));
    let values = ty.values.iter();
    let values = values.map(|value| format!("[{}, {}]", literal(&value.name), value.number));
    out.line("values: [");
    out.indent();
    for value in values {
        out.line(format_args!("{value},"));
    }
    out.dedent();
    out.line("],");
    out.dedent();
    out.line("};");
}
