//! The schema as a text.

use msip_schema::Schema;
use msip_schema::compare::Description;

use crate::typescript::doc;
use crate::typescript::fields::literal;
use crate::typescript::protocol_names::ProtocolNames;
use crate::write::Writer;

/// The description of the schema; `None` where it is too large for one.
pub(in crate::typescript) fn description(schema: &Schema) -> Option<String> {
    let text = Description::of(schema).to_text();
    let described = Description::parse(text.as_bytes()).ok()?;
    (described.fingerprint() == schema.fingerprint()).then_some(text)
}

/// A constant of its own, which is in no bundle that does not use it.
pub(super) fn write_description(names: &ProtocolNames<'_>, out: &mut Writer) {
    let Some(text) = description(names.schema) else {
        return;
    };
    out.separate();
    doc::write_or(
        "",
        "The schema as a text, for peers that have another version of it and compare them.",
        false,
        out,
    );
    out.line(format_args!("export const {} =", names.description));
    out.indent();
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let end = if lines.peek().is_some() { " +" } else { ";" };
        out.line(format_args!("{}{end}", literal(line)));
    }
    out.dedent();
}
