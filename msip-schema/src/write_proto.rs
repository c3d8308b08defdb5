//! A schema back as the text of a `.proto` file: how a team that began with Rust types hands it to others.

mod fields;
mod options;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::{Direction, EnumType, Envelope, OPTIONS_FILE, Payload, Schema, TypeDef, TypeName};

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
        let imports = scope.imports();
        if !imports.is_empty() {
            out.blank();
        }
        for import in imports {
            out.line(&format!("import \"{import}\";"));
        }
        for direction in [Direction::ClientToServer, Direction::ServerToClient] {
            scope.write_envelope(self.envelope(direction), &mut out);
        }
        for name in scope.children(self.package()) {
            out.blank();
            scope.write_type(name, &mut out);
        }
        Some(out.text)
    }
}

/// Text under construction.
#[derive(Default)]
struct Text {
    text: String,
    depth: usize,
}

impl Text {
    fn line(&mut self, line: &str) {
        if !line.is_empty() {
            self.text.extend(std::iter::repeat_n("  ", self.depth));
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn blank(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    fn comment(&mut self, doc: &str) {
        for line in doc.trim_end().lines() {
            let line = line.trim_end();
            if line.is_empty() {
                self.line("//");
            } else {
                self.line(&format!("// {line}"));
            }
        }
    }

    /// `head {`, what `body` writes, and `}`.
    fn block(&mut self, head: &str, body: impl FnOnce(&mut Self)) {
        let start = self.text.len();
        self.line(&format!("{head} {{"));
        let opened = self.text.len();
        self.depth += 1;
        body(self);
        self.depth -= 1;
        if self.text.len() == opened {
            self.text.truncate(start);
            self.line(&format!("{head} {{}}"));
        } else {
            self.line("}");
        }
    }
}

/// The names of a schema, and how they are said in its file.
struct Scope<'a> {
    schema: &'a Schema,
    /// The types that stand in each package or message, by its full name.
    children: BTreeMap<&'a str, Vec<&'a TypeName>>,
}

impl<'a> Scope<'a> {
    fn new(schema: &'a Schema) -> Self {
        let mut children: BTreeMap<&str, Vec<&TypeName>> = BTreeMap::new();
        for name in schema.types().keys().filter(|name| !name.is_well_known()) {
            let (parent, _) = name.as_str().rsplit_once('.').unwrap_or_default();
            // A type whose parent is not there stands in the package.
            let is_there = schema.types().contains_key(&TypeName::new(parent));
            let parent = if is_there { parent } else { schema.package() };
            children.entry(parent).or_default().push(name);
        }
        Self { schema, children }
    }

    fn children(&self, parent: &str) -> &[&'a TypeName] {
        self.children.get(parent).map_or(&[], Vec::as_slice)
    }

    /// How a type is mentioned: by the shortest name that cannot mean another.
    fn mention(&self, name: &TypeName) -> String {
        let full = name.as_str();
        let own = full.strip_prefix(self.schema.package());
        let relative = own.and_then(|rest| rest.strip_prefix('.')).unwrap_or(full);
        let first = relative.split('.').next().unwrap_or(relative);
        let is_nested_name = |other: &TypeName| other.short() == first && other != name;
        let is_package_name = self.schema.package().split('.').any(|part| part == first);
        if self.schema.types().keys().any(is_nested_name) || is_package_name {
            format!(".{full}")
        } else {
            relative.to_owned()
        }
    }

    /// The files that declare what is used: of well-known types, and of our options.
    fn imports(&self) -> BTreeSet<String> {
        let mut imports = BTreeSet::new();
        for direction in [Direction::ClientToServer, Direction::ServerToClient] {
            for member in &self.schema.envelope(direction).members {
                match &member.payload {
                    Payload::Empty => imports.extend(file_of(&TypeName::new(TypeName::EMPTY))),
                    Payload::Message(name) => imports.extend(file_of(name)),
                }
                if !options::of(self.schema, member).is_empty() {
                    imports.insert(OPTIONS_FILE.to_owned());
                }
            }
        }
        for ty in self.schema.types().values() {
            if let TypeDef::Message(message) = ty {
                let mentioned = message.fields.iter().filter_map(|field| match &field.ty {
                    crate::FieldType::Message(name) | crate::FieldType::Enum(name) => Some(name),
                    _ => None,
                });
                imports.extend(mentioned.filter_map(file_of));
            }
        }
        imports
    }

    fn write_envelope(&self, envelope: &Envelope, out: &mut Text) {
        out.blank();
        out.comment(&envelope.doc);
        let name = envelope.direction.envelope_name();
        out.block(&format!("message {name}"), |out| {
            fields::write_reserved(&envelope.reserved.numbers, &envelope.reserved.names, out);
            out.block("oneof messages", |out| {
                for member in &envelope.members {
                    out.comment(&member.doc);
                    let ty = match &member.payload {
                        Payload::Message(name) => self.mention(name),
                        Payload::Empty => self.mention(&TypeName::new(TypeName::EMPTY)),
                    };
                    let mut options = options::of(self.schema, member);
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

    fn write_type(&self, name: &TypeName, out: &mut Text) {
        match self.schema.types().get(name) {
            Some(TypeDef::Message(message)) => {
                out.comment(&message.doc);
                out.block(&format!("message {}", name.short()), |out| {
                    for (index, nested) in self.children(name.as_str()).iter().enumerate() {
                        if index > 0 {
                            out.blank();
                        }
                        self.write_type(nested, out);
                    }
                    self.write_fields(message, out);
                });
            }
            Some(TypeDef::Enum(ty)) => write_enum(name, ty, out),
            None => {}
        }
    }
}

fn write_enum(name: &TypeName, ty: &EnumType, out: &mut Text) {
    out.comment(&ty.doc);
    out.block(&format!("enum {}", name.short()), |out| {
        let mut seen = BTreeSet::new();
        if !ty.values.iter().all(|value| seen.insert(value.number)) {
            out.line("option allow_alias = true;");
        }
        if ty.deprecated {
            out.line("option deprecated = true;");
        }
        // proto3 wants the value 0 first.
        let (zero, others): (Vec<_>, Vec<_>) =
            ty.values.iter().partition(|value| value.number == 0);
        for value in zero.into_iter().chain(others) {
            out.comment(&value.doc);
            let options: &[String] = if value.deprecated {
                &[options::DEPRECATED.to_owned()]
            } else {
                &[]
            };
            out.line(&format!(
                "{} = {}{};",
                value.name,
                value.number,
                options::bracketed(options)
            ));
        }
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

/// A text as `.proto` files quote it.
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                // Writing into a String cannot fail.
                let _ = write!(quoted, "\\{:03o}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests;
