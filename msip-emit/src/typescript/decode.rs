//! The function that reads a message, field by field.

use msip_schema::{Cardinality, FieldType};

use super::decoded_size;
use super::fields::{
    LENGTH_DELIMITED, LINE, Oneof, Property, Slot, Types, is_packed, literal, message_of, tag,
    wire_type, zero,
};
use super::modules::Identifiers;
use crate::write::Writer;

/// Writes the function.
pub(super) fn write(
    types: &Types<'_, '_>,
    own: &Identifiers,
    slots: &[Slot<'_>],
    out: &mut Writer,
) {
    let reader = types.import_type("Reader", out);
    let [tag, unknown] = ["takeTag", "takeUnknown"].map(|name| types.wire(name, out));
    let properties = slots.iter().filter_map(|slot| match slot {
        Slot::Oneof(_) => None,
        Slot::Field(Property { field, name }) => Some(match &field.cardinality {
            Cardinality::Implicit => format!("{name}: {}", zero(&field.ty)),
            Cardinality::Optional => return None,
            Cardinality::Repeated => format!("{name}: []"),
            Cardinality::Map(_) => format!("{name}: new Map()"),
        }),
    });
    let properties: Vec<String> = properties.collect();
    out.separate();
    out.line("/** Reads the fields, of a new message or in addition to those of another. */");
    write_head(&reader, own, &properties, out);
    out.indent();
    out.line("while (reader.position < reader.end) {");
    out.indent();
    out.line(format_args!("const tag = {tag}(reader);"));
    out.line("switch (tag) {");
    out.indent();
    for slot in slots {
        match slot {
            Slot::Field(property) => read_field(types, property, out),
            Slot::Oneof(oneof) => read_oneof(types, oneof, out),
        }
    }
    out.line("default:");
    out.indent();
    out.line(format_args!(
        "message.$unknown = {unknown}(reader, tag, message.$unknown);"
    ));
    out.dedent();
    out.dedent();
    out.line("}");
    out.dedent();
    out.line("}");
    out.line("return message;");
    out.dedent();
    out.line("}");
}

/// Writes the signature, whose second parameter is a message of which nothing is set unless one is given.
fn write_head(reader: &str, own: &Identifiers, properties: &[String], out: &mut Writer) {
    let (read, name) = (own.read(), &own.name);
    let empty = match properties {
        [] => "{}".to_owned(),
        properties => format!("{{ {} }}", properties.join(", ")),
    };
    let line =
        format!("export function {read}(reader: {reader}, message: {name} = {empty}): {name} {{");
    if line.len() <= LINE {
        out.line(line);
        return;
    }
    out.line(format_args!("export function {read}("));
    out.indent();
    out.line(format_args!("reader: {reader},"));
    out.line(format_args!("message: {name} = {{"));
    out.indent();
    for property in properties {
        out.line(format_args!("{property},"));
    }
    out.dedent();
    out.line("},");
    out.dedent();
    out.line(format_args!("): {name} {{"));
}

/// The expression that reads one value; `into` is the message that it adds to.
fn expression(
    types: &Types<'_, '_>,
    ty: &FieldType,
    path: &str,
    into: Option<&str>,
    out: &mut Writer,
) -> String {
    let path = literal(path);
    match message_of(ty) {
        None => {
            let take = types.scalar("take", ty, out);
            format!("{take}(reader, {path})")
        }
        Some(name) => {
            let read = types.function("read", name, out);
            let take = types.wire("takeMessage", out);
            match (into, decoded_size::message(types, name)) {
                (None, None) => format!("{take}(reader, {path}, {read})"),
                (Some(into), None) => format!("{take}(reader, {path}, {read}, {into})"),
                (into, Some(size)) => {
                    let into = into.unwrap_or("undefined");
                    format!("{take}(reader, {path}, {read}, {into}, {size})")
                }
            }
        }
    }
}

fn read_field(types: &Types<'_, '_>, property: &Property<'_>, out: &mut Writer) {
    let Property { field, name } = property;
    let ty = &field.ty;
    let target = format!("message.{name}");
    let own_tag = tag(field.number, wire_type(ty));
    match &field.cardinality {
        Cardinality::Implicit | Cardinality::Optional => {
            let value = expression(types, ty, name, Some(&target), out);
            case(own_tag, &[format!("{target} = {value};")], out);
        }
        Cardinality::Repeated => {
            let value = expression(types, ty, name, None, out);
            let push = format!("{target}.push({value});");
            if is_packed(ty) {
                out.line(format_args!(
                    "case {}: {{",
                    tag(field.number, LENGTH_DELIMITED)
                ));
                out.indent();
                let open = types.wire("takeOpenPacked", out);
                let width = argument(decoded_size::width(ty));
                out.line(format_args!(
                    "const end = {open}(reader, {}{width});",
                    literal(name)
                ));
                out.line(format_args!("while (reader.position < reader.end) {push}"));
                out.line("reader.end = end;");
                out.line("break;");
                out.dedent();
                out.line("}");
            }
            case(own_tag, &[push], out);
        }
        Cardinality::Map(key) => read_entry(types, property, key, out),
    }
}

/// One more argument of a call.
fn argument(number: Option<usize>) -> String {
    number.map_or_else(String::new, |number| format!(", {number}"))
}

fn case(tag: u32, statements: &[String], out: &mut Writer) {
    out.line(format_args!("case {tag}:"));
    out.indent();
    for statement in statements {
        out.line(statement);
    }
    out.line("break;");
    out.dedent();
}

fn read_entry(types: &Types<'_, '_>, property: &Property<'_>, key: &FieldType, out: &mut Writer) {
    let Property { field, name } = property;
    let ty = &field.ty;
    out.line(format_args!(
        "case {}: {{",
        tag(field.number, LENGTH_DELIMITED)
    ));
    out.indent();
    let [open, close, next, unknown] =
        ["takeOpen", "takeClose", "takeTag", "takeUnknown"].map(|name| types.wire(name, out));
    let size = argument(decoded_size::entry(types, ty));
    out.line(format_args!(
        "const end = {open}(reader, {}{size});",
        literal(name)
    ));
    let key_type = types.value(key, out);
    out.line(format_args!("let key: {key_type} = {};", zero(key)));
    let value_type = types.value(ty, out);
    let read_key = expression(types, key, name, None, out);
    let read_value = expression(types, ty, name, Some("value"), out);
    let value = match message_of(ty) {
        None => {
            out.line(format_args!("let value: {value_type} = {};", zero(ty)));
            "value".to_owned()
        }
        Some(held) => {
            out.line(format_args!("let value: {value_type} | undefined;"));
            let decode = types.function("decode", held, out);
            format!("value ?? {decode}(new Uint8Array(0))")
        }
    };
    out.line("while (reader.position < reader.end) {");
    out.indent();
    out.line(format_args!("const tag = {next}(reader);"));
    out.line(format_args!(
        "if (tag === {}) key = {read_key};",
        tag(1, wire_type(key))
    ));
    out.line(format_args!(
        "else if (tag === {}) value = {read_value};",
        tag(2, wire_type(ty))
    ));
    out.line(format_args!("else {unknown}(reader, tag, undefined);"));
    out.dedent();
    out.line("}");
    out.line(format_args!("{close}(reader, end);"));
    out.line(format_args!("message.{name}.set(key, {value});"));
    out.line("break;");
    out.dedent();
    out.line("}");
}

fn read_oneof(types: &Types<'_, '_>, oneof: &Oneof<'_>, out: &mut Writer) {
    let target = format!("message.{}", oneof.name);
    for Property { field, name } in &oneof.cases {
        let ty = &field.ty;
        let case_name = literal(name);
        let into = format!("{target}?.case === {case_name} ? {target}.value : undefined");
        let value = expression(types, ty, name, Some(&into), out);
        case(
            tag(field.number, wire_type(ty)),
            &[format!(
                "{target} = {{ case: {case_name}, value: {value} }};"
            )],
            out,
        );
    }
}
