//! The table of a message's fields, by which JSON and error texts are made.

use msip_schema::{Cardinality, json_name};

use super::layout::MessageClass;
use super::module::{Module, Target, literal, scalar};

pub(super) fn write(module: &mut Module<'_, '_>, message: &MessageClass<'_>, path: &str) {
    let ty = message.ty;
    module.out.separate();
    module.out.line("@classmethod");
    module
        .out
        .line("def _fields(cls) -> tuple[msip.message.Field, ...]:");
    module.out.indent();
    if ty.fields.is_empty() {
        module.out.line("return ()");
        module.out.dedent();
        return;
    }
    module.out.line("return (");
    module.out.indent();
    for field in &ty.fields {
        let kind = match module.target(&field.ty) {
            Some(Target::Message(class) | Target::Enum(class) | Target::Native { class, .. }) => {
                class
            }
            None => format!("msip.message.Scalar.{}", scalar(&field.ty).name),
        };
        let json = field
            .json_name
            .clone()
            .unwrap_or_else(|| json_name(&field.name));
        let schema_name = field.oneof.as_deref().unwrap_or(&field.name);
        let attribute = message
            .attributes
            .get(schema_name)
            .map_or(schema_name, String::as_str);
        let mut line = format!(
            "msip.message.Field({}, {}, {kind}, {}, {}",
            literal(&field.name),
            field.number,
            literal(&json),
            literal(attribute)
        );
        match &field.cardinality {
            Cardinality::Implicit => {}
            Cardinality::Optional => line.push_str(", optional=True"),
            Cardinality::Repeated => line.push_str(", repeated=True"),
            Cardinality::Map(key) => {
                line.push_str(&format!(", key=msip.message.Scalar.{}", scalar(key).name))
            }
        }
        if let Some(class) = message.oneof_classes.get(field.name.as_str()) {
            line.push_str(&format!(", member={path}.{class}"));
        }
        line.push_str("),");
        module.out.line(line);
    }
    module.out.dedent();
    module.out.line(")");
    module.out.dedent();
}
