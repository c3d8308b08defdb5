//! The table of a message's fields, and the functions for JSON that it drives.

use msip_schema::{Cardinality, Field, FieldType, TypeName, json_name};

use super::doc;
use super::fields::{Property, Slot, Types, is_optional, literal, method};
use super::function::function;
use super::modules::Identifiers;
use crate::write::Writer;

/// Writes the table and the functions.
pub(super) fn write(
    types: &Types<'_, '_>,
    name: &TypeName,
    own: &Identifiers,
    slots: &[Slot<'_>],
    out: &mut Writer,
) {
    let table = types.import_type("MessageFields", out);
    out.separate();
    doc::write_or("", "The fields by their names in JSON.", false, out);
    out.line(format_args!(
        "export const {}: {table}<{}> = {{",
        own.fields(),
        own.name
    ));
    out.indent();
    out.line(format_args!("name: {},", literal(name.as_str())));
    if slots.is_empty() {
        out.line("fields: [],");
    } else {
        out.line("fields: [");
        out.indent();
        for slot in slots {
            match slot {
                Slot::Field(property) => write_row(types, property, None, out),
                Slot::Oneof(oneof) => {
                    for case in &oneof.cases {
                        write_row(types, case, Some(&oneof.name), out);
                    }
                }
            }
        }
        out.dedent();
        out.line("],");
    }
    out.dedent();
    out.line("};");

    let (init, json) = (
        types.import_type("Init", out),
        types.import_type("JsonValue", out),
    );
    let core = types.modules.messages();
    let run = out.import(&core, "toJson");
    function(
        "The message as JSON; throws an EncodeError that names the field.",
        &format!("{}(message: {init}<{}>): {json}", own.to_json(), own.name),
        &format!("{run}({}, message)", own.fields()),
        out,
    );
    let run = out.import(&core, "fromJson");
    function(
        "The message that JSON holds; throws a DecodeError that names the field.",
        &format!("{}(json: {json}): {}", own.of_json(), own.name),
        &format!("{run}({}, json)", own.fields()),
        out,
    );
}

fn write_row(
    types: &Types<'_, '_>,
    property: &Property<'_>,
    oneof: Option<&str>,
    out: &mut Writer,
) {
    let Property { field, name } = property;
    let mut row = vec![format!("property: {}", literal(name))];
    let json = json(field);
    if json != *name {
        row.push(format!("json: {}", literal(&json)));
    }
    if field.name != json {
        row.push(format!("proto: {}", literal(&field.name)));
    }
    match &field.ty {
        FieldType::Message(held) => {
            let table = types.table(held, "fields", out);
            row.push(format!("kind: \"message\", of: () => {table}"));
        }
        FieldType::Enum(held) => {
            let table = types.table(held, "names", out);
            row.push(format!("kind: \"enum\", of: () => {table}"));
        }
        scalar => row.push(format!("kind: \"{}\"", method(scalar))),
    }
    match &field.cardinality {
        Cardinality::Repeated => row.push("repeated: true".to_owned()),
        Cardinality::Map(key) => row.push(format!("key: \"{}\"", method(key))),
        _ => {}
    }
    match oneof {
        Some(oneof) => row.push(format!("oneof: {}", literal(oneof))),
        None if is_optional(field) => row.push("optional: true".to_owned()),
        None => {}
    }
    out.line(format_args!("{{ {} }},", row.join(", ")));
}

/// The name of a field in JSON.
fn json(field: &Field) -> String {
    match &field.json_name {
        Some(name) => name.clone(),
        None => json_name(&field.name),
    }
}
