//! The function that writes a message, field by field.

use msip_schema::{Cardinality, Field, FieldType, TypeName};

use super::fields::{
    LENGTH_DELIMITED, Oneof, Property, Slot, Types, is_packed, literal, message_of, tag, wire_type,
};
use super::modules::{Identifiers, core_type};
use crate::write::Writer;

/// Writes the function.
pub(super) fn write(
    types: &Types<'_, '_>,
    name: &TypeName,
    own: &Identifiers,
    slots: &[Slot<'_>],
    out: &mut Writer,
) {
    let init = types.import_type("Init", out);
    let writer = types.import_type("Writer", out);
    out.separate();
    out.line("/** Writes the fields. */");
    out.line(format_args!(
        "export function {}(message: {init}<{}>, writer: {writer}): void {{",
        own.write(),
        own.name
    ));
    out.indent();
    // Bytes are the same in every language: fields are in the order of their numbers.
    let mut ordered: Vec<&Slot<'_>> = slots.iter().collect();
    ordered.sort_by_key(|slot| match slot {
        Slot::Field(property) => Some(property.field.number),
        Slot::Oneof(oneof) => oneof.cases.iter().map(|case| case.field.number).min(),
    });
    for slot in ordered {
        match slot {
            Slot::Field(property) => write_field(types, name, property, out),
            Slot::Oneof(oneof) => write_oneof(types, name, oneof, out),
        }
    }
    let raw = types.wire("putRaw", out);
    out.line(format_args!(
        "if (message.$unknown !== undefined) {raw}(writer, message.$unknown);"
    ));
    out.dedent();
    out.line("}");
}

/// The name of a field in errors.
fn full_name(message: &TypeName, field: &Field) -> String {
    literal(&format!("{message}.{}", field.name))
}

/// The statement that writes one value.
fn statement(
    types: &Types<'_, '_>,
    ty: &FieldType,
    tag: u32,
    value: &str,
    full: &str,
    out: &mut Writer,
) -> String {
    match message_of(ty) {
        None => {
            let put = types.scalar("put", ty, out);
            format!("{put}(writer, {tag}, {value}, {full});")
        }
        Some(name) => {
            let write = types.function("write", name, out);
            // What is no object of its own, such as a `StringValue`, is written as it is.
            let is_value = core_type(name).is_some_and(|(_, ty)| ty.is_some());
            let put = types.wire(if is_value { "putValue" } else { "putMessage" }, out);
            format!("{put}(writer, {tag}, {value}, {write}, {full});")
        }
    }
}

fn write_field(
    types: &Types<'_, '_>,
    message: &TypeName,
    property: &Property<'_>,
    out: &mut Writer,
) {
    let Property { field, name } = property;
    let (ty, full) = (&field.ty, full_name(message, field));
    let value = format!("message.{name}");
    let own_tag = tag(field.number, wire_type(ty));
    match &field.cardinality {
        Cardinality::Implicit => {
            let is_set = is_not_zero(ty, &value);
            let write = statement(types, ty, own_tag, &value, &full, out);
            out.line(format_args!(
                "if ({value} !== undefined && {is_set}) {write}"
            ));
        }
        Cardinality::Optional => {
            let write = statement(types, ty, own_tag, &value, &full, out);
            out.line(format_args!("if ({value} !== undefined) {write}"));
        }
        Cardinality::Repeated if is_packed(ty) && !field.expanded => {
            let write = statement(types, ty, 0, "item", &full, out);
            out.line(format_args!(
                "if ({value} !== undefined && {value}.length > 0) {{"
            ));
            out.indent();
            let packed = tag(field.number, LENGTH_DELIMITED);
            let [open, close] =
                ["putOpenPacked", "putClosePacked"].map(|name| types.wire(name, out));
            out.line(format_args!("const start = {open}(writer, {packed});"));
            out.line(format_args!("for (const item of {value}) {write}"));
            out.line(format_args!("{close}(writer, start);"));
            out.dedent();
            out.line("}");
        }
        Cardinality::Repeated => {
            let write = statement(types, ty, own_tag, "item", &full, out);
            out.line(format_args!("if ({value} !== undefined) {{"));
            out.indent();
            out.line(format_args!("for (const item of {value}) {write}"));
            out.dedent();
            out.line("}");
        }
        Cardinality::Map(key) => {
            out.line(format_args!("if ({value} !== undefined) {{"));
            out.indent();
            out.line(format_args!("for (const [key, value] of {value}) {{"));
            out.indent();
            let entry = tag(field.number, LENGTH_DELIMITED);
            let [open, close] = ["putOpen", "putClose"].map(|name| types.wire(name, out));
            out.line(format_args!(
                "const start = {open}(writer, {entry}, {full});"
            ));
            let write = statement(types, key, tag(1, wire_type(key)), "key", &full, out);
            out.line(write);
            let write = statement(types, ty, tag(2, wire_type(ty)), "value", &full, out);
            out.line(write);
            out.line(format_args!("{close}(writer, start);"));
            out.dedent();
            out.line("}");
            out.dedent();
            out.line("}");
        }
    }
}

fn write_oneof(types: &Types<'_, '_>, message: &TypeName, oneof: &Oneof<'_>, out: &mut Writer) {
    let value = format!("message.{}", oneof.name);
    out.line(format_args!("switch ({value}?.case) {{"));
    out.indent();
    for Property { field, name } in &oneof.cases {
        let (ty, full) = (&field.ty, full_name(message, field));
        let tag = tag(field.number, wire_type(ty));
        let write = statement(types, ty, tag, &format!("{value}.value"), &full, out);
        out.line(format_args!("case {}:", literal(name)));
        out.indent();
        out.line(write);
        out.line("break;");
        out.dedent();
    }
    out.dedent();
    out.line("}");
}

/// Whether a value is not that of an absent field.
fn is_not_zero(ty: &FieldType, value: &str) -> String {
    match ty {
        FieldType::Int64
        | FieldType::Uint64
        | FieldType::Sint64
        | FieldType::Fixed64
        | FieldType::Sfixed64 => format!("{value} !== 0n"),
        FieldType::Bool => format!("{value} !== false"),
        FieldType::String => format!("{value} !== \"\""),
        FieldType::Bytes => format!("{value}.length !== 0"),
        // Minus zero is another number than zero.
        FieldType::Float | FieldType::Double => format!("!Object.is({value}, 0)"),
        _ => format!("{value} !== 0"),
    }
}
