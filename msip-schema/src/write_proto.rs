//! A schema as the text of a `.proto` file: how a team that began with Rust types hands it to others.

mod options;
mod scope;
mod text;
mod types;

use std::collections::BTreeSet;

use crate::{Direction, Envelope, FieldType, OPTIONS_FILE, Payload, Schema, TypeDef, TypeName};
use scope::Scope;
use text::Text;

impl Schema {
    /// The schema as a `.proto` file, which has the same fingerprint.
    ///
    /// Comments are kept, and so is the order of fields; types are sorted by name. Methods of services are written as
    /// options of their requests. `None` if the schema uses types of other packages, which no single file can hold.
    pub fn to_proto(&self) -> Option<String> {
        let own = format!("{}.", self.package());
        let is_ours = |name: &TypeName| name.is_well_known() || name.as_str().starts_with(&own);
        if !self.types().keys().all(is_ours) {
            return None;
        }
        let mut out = Text::default();
        out.comment(self.doc());
        out.line("syntax = \"proto3\";");
        out.blank();
        out.line(&format!("package {};", self.package()));
        let scope = Scope::new(self);
        let imports = imports(&scope);
        if !imports.is_empty() {
            out.blank();
        }
        for import in imports {
            out.line(&format!("import \"{import}\";"));
        }
        for direction in [Direction::ClientToServer, Direction::ServerToClient] {
            write_envelope(&scope, self.envelope(direction), &mut out);
        }
        for name in scope.children(self.package()) {
            out.blank();
            types::write(&scope, name, &mut out);
        }
        Some(out.finish())
    }
}

/// The files to import: those of well-known types, and of the options.
fn imports(scope: &Scope<'_>) -> BTreeSet<String> {
    let mut imports = BTreeSet::new();
    for direction in [Direction::ClientToServer, Direction::ServerToClient] {
        for member in &scope.schema.envelope(direction).members {
            match &member.payload {
                Payload::Empty => imports.extend(file_of(&TypeName::new(TypeName::EMPTY))),
                Payload::Message(name) => imports.extend(file_of(name)),
            }
            if !options::of(scope.schema, member).is_empty() {
                imports.insert(OPTIONS_FILE.to_owned());
            }
        }
    }
    for ty in scope.schema.types().values() {
        if let TypeDef::Message(message) = ty {
            let mentioned = message.fields.iter().filter_map(|field| match &field.ty {
                FieldType::Message(name) | FieldType::Enum(name) => Some(name),
                _ => None,
            });
            imports.extend(mentioned.filter_map(file_of));
        }
    }
    imports
}

fn write_envelope(scope: &Scope<'_>, envelope: &Envelope, out: &mut Text) {
    out.blank();
    out.comment(&envelope.doc);
    let name = envelope.direction.envelope_name();
    out.block(&format!("message {name}"), |out| {
        types::write_reserved(&envelope.reserved.numbers, &envelope.reserved.names, out);
        out.block("oneof messages", |out| {
            for member in &envelope.members {
                out.comment(&member.doc);
                let ty = match &member.payload {
                    Payload::Message(name) => scope.mention(name),
                    Payload::Empty => scope.mention(&TypeName::new(TypeName::EMPTY)),
                };
                let mut options = options::of(scope.schema, member);
                if member.deprecated {
                    options.push(options::DEPRECATED.to_owned());
                }
                out.line(&format!(
                    "{ty} {} = {}{};",
                    member.name,
                    member.number,
                    options::bracketed(&options)
                ));
            }
        });
    });
}

/// The file that declares a well-known type.
fn file_of(name: &TypeName) -> Option<String> {
    let file = match name.as_str().strip_prefix("google.protobuf.")? {
        "Struct" | "Value" | "ListValue" | "NullValue" => "struct",
        "FieldMask" => "field_mask",
        "SourceContext" => "source_context",
        "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value"
        | "UInt32Value" | "BoolValue" | "StringValue" | "BytesValue" => "wrappers",
        "Type" | "Field" | "Enum" | "EnumValue" | "Option" | "Syntax" => "type",
        "Api" | "Method" | "Mixin" => "api",
        short => {
            return Some(format!(
                "google/protobuf/{}.proto",
                short.to_ascii_lowercase()
            ));
        }
    };
    Some(format!("google/protobuf/{file}.proto"))
}

#[cfg(test)]
mod tests;
