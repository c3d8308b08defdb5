//! Messages: an interface, and the functions around it.

use msip_schema::{Cardinality, MessageType, TypeName};

use super::fields::{Oneof, Property, Slot, Types, literal, slots};
use super::function::function;
use super::{decode, doc, encode, json};
use crate::write::Writer;

/// Writes the interface of a message.
pub(super) fn write_interface(
    types: &Types<'_, '_>,
    name: &TypeName,
    message: &MessageType,
    out: &mut Writer,
) {
    let Some(home) = types.home(name) else {
        return;
    };
    let own = home.identifiers;
    out.separate();
    doc::write(&message.doc, message.deprecated, out);
    out.line(format_args!("export interface {} {{", own.name));
    out.indent();
    for slot in &slots(message) {
        match slot {
            Slot::Field(property) => write_property(types, property, out),
            Slot::Oneof(oneof) => write_oneof(types, oneof, out),
        }
    }
    out.line("/** Fields that the schema does not know, as they came. */");
    out.line("$unknown?: Uint8Array;");
    out.dedent();
    out.line("}");
}

/// Writes the functions of a message, and its table for JSON.
pub(super) fn write_functions(
    types: &Types<'_, '_>,
    name: &TypeName,
    message: &MessageType,
    out: &mut Writer,
) {
    let Some(home) = types.home(name) else {
        return;
    };
    let own = home.identifiers;
    let slots = slots(message);
    let init = types.import_type("Init", out);
    let init = format!("{init}<{}>", own.name);
    let ty = &own.name;
    let core = types.modules.messages();
    let run = out.import(&core, "encode");
    function(
        "Encodes the message in protobuf; throws an EncodeError that names the field and the value.",
        &format!("{}(message: {init}): Uint8Array", own.encode()),
        &format!("{run}({}, message)", own.write()),
        out,
    );
    let run = out.import(&core, "decode");
    function(
        "Decodes the message from protobuf; throws a DecodeError that names the field, and a TooLargeError for more than `max` bytes in memory.",
        &format!("{}(bytes: Uint8Array, max?: number): {ty}", own.decode()),
        &format!("{run}({}, bytes, max)", own.read()),
        out,
    );
    function(
        "A whole message: what is left out is zero, empty or absent.",
        &format!("{}(init: {init} = {{}}): {ty}", own.create()),
        &format!("{}({}(init))", own.decode(), own.encode()),
        out,
    );
    encode::write(types, name, own, &slots, out);
    decode::write(types, own, &slots, out);

    let message_type = types.import_type("MessageType", out);
    out.separate();
    doc::write_or(
        "",
        "The message as a type: its name, and how it is encoded.",
        false,
        out,
    );
    out.line(format_args!(
        "export const {}: {message_type}<{ty}> = {{ name: {}, encode: {}, decode: {} }};",
        own.message_type(),
        literal(name.as_str()),
        own.encode(),
        own.decode(),
    ));
    json::write(types, name, own, &slots, out);
}

fn write_property(types: &Types<'_, '_>, property: &Property<'_>, out: &mut Writer) {
    let Property { field, name } = property;
    let value = types.value(&field.ty, out);
    doc::write(&field.doc, field.deprecated, out);
    match &field.cardinality {
        Cardinality::Implicit => out.line(format_args!("{name}: {value};")),
        Cardinality::Optional => out.line(format_args!("{name}?: {value};")),
        Cardinality::Repeated => out.line(format_args!("{name}: {value}[];")),
        Cardinality::Map(key) => {
            let key = types.value(key, out);
            out.line(format_args!("{name}: Map<{key}, {value}>;"));
        }
    }
}

fn write_oneof(types: &Types<'_, '_>, oneof: &Oneof<'_>, out: &mut Writer) {
    doc::write(oneof.doc, false, out);
    out.line(format_args!("{}?:", oneof.name));
    out.indent();
    let last = oneof.cases.len().saturating_sub(1);
    for (index, Property { field, name }) in oneof.cases.iter().enumerate() {
        let value = types.value(&field.ty, out);
        doc::write(&field.doc, field.deprecated, out);
        let end = if index == last { ";" } else { "" };
        out.line(format_args!(
            "| {{ case: {}; value: {value} }}{end}",
            literal(name)
        ));
    }
    out.dedent();
}
