//! One module under construction: its text, and what it imports.

use std::collections::BTreeSet;

use msip_schema::{FieldType, TypeName};

use super::imports::sorted;
use super::layout::{Layout, Package};
use super::names::TAG_TABLE;
use super::well_known::WellKnown;
use crate::write::{CodeEscape, StringLiterals, Writer};

/// The module of the runtime that generated methods call.
const WIRE: &str = "msip.message.wire";
const FAILURES: &str = "msip.message.failures";

/// How long a line of generated code is where it can be broken.
pub(super) const LINE_LEN: usize = 88;

/// A module under construction.
#[derive(Debug)]
pub(super) struct Module<'l, 'a> {
    pub(super) layout: &'l Layout<'a>,
    pub(super) package: &'l Package<'a>,
    pub(super) out: Writer,
    /// Whether the message that is written has so many fields that its code must be short.
    pub(super) has_many_arms: bool,
    /// Modules that are imported as they are, such as `datetime`.
    plain: BTreeSet<&'static str>,
    /// Other packages of the schema.
    packages: BTreeSet<&'a str>,
    /// Those of them that are imported below the classes.
    late: BTreeSet<&'a str>,
    /// The tags whose short fields are in a table.
    tag_tables: BTreeSet<u32>,
}

/// What a field of a message or an enum type is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A class of messages, by its path.
    Message(String),
    /// A class of enums, by its path.
    Enum(String),
    /// A value of Python's, with the path of the class that converts it.
    Native { class: String, ty: &'static str },
}

impl<'l, 'a> Module<'l, 'a> {
    pub(super) fn new(layout: &'l Layout<'a>, package: &'l Package<'a>) -> Self {
        let mut out = Writer::new("    ");
        out.reserve(package.taken.iter().cloned());
        Self {
            layout,
            package,
            out,
            has_many_arms: false,
            plain: BTreeSet::new(),
            packages: BTreeSet::new(),
            late: BTreeSet::new(),
            tag_tables: BTreeSet::new(),
        }
    }

    /// The table of the short fields of a tag, which is of one byte.
    pub(super) fn tag_table(&mut self, tag: u32) -> String {
        self.wire("short_fields");
        self.tag_tables.insert(tag);
        format!("{TAG_TABLE}{tag}")
    }

    /// Imports a name that generated methods use.
    pub(super) fn wire(&mut self, name: &str) -> String {
        self.out.import(WIRE, name)
    }

    /// Imports a name of the errors that generated methods use.
    pub(super) fn failures(&mut self, name: &str) -> String {
        self.out.import(FAILURES, name)
    }

    /// Imports a name of the standard library.
    pub(super) fn import(&mut self, module: &str, name: &str) -> String {
        self.out.import(module, name)
    }

    /// Imports a module as it is, and returns its name.
    pub(super) fn plain(&mut self, module: &'static str) -> &'static str {
        self.plain.insert(module);
        module
    }

    /// The path of the class of a message or an enum.
    pub(super) fn class_path(&mut self, name: &TypeName) -> String {
        if let Some(well_known) = WellKnown::of(name) {
            self.plain("msip.message");
            return well_known.class_path();
        }
        let (path, package) = self.layout.path(self.package, name);
        self.packages.extend(package);
        path
    }

    /// What a field of this type is made with; `None` for scalars.
    pub(super) fn target(&mut self, ty: &FieldType) -> Option<Target> {
        let (FieldType::Message(name) | FieldType::Enum(name)) = ty else {
            return None;
        };
        let class = self.class_path(name);
        Some(match (WellKnown::of(name), ty) {
            (Some(WellKnown::Native { ty, .. }), _) => {
                if ty.starts_with("datetime.") {
                    self.plain("datetime");
                }
                Target::Native { class, ty }
            }
            (_, FieldType::Enum(_)) => Target::Enum(class),
            _ => Target::Message(class),
        })
    }

    /// The type of one value of a field, as an annotation.
    pub(super) fn annotation(&mut self, ty: &FieldType) -> String {
        match self.target(ty) {
            Some(Target::Message(class) | Target::Enum(class)) => class,
            Some(Target::Native { ty, .. }) => ty.to_owned(),
            None => scalar(ty).annotation.to_owned(),
        }
    }

    /// Imports the packages so far that import this one themselves, now that its classes are there.
    pub(super) fn late_imports(&mut self, is_late: impl Fn(&str) -> bool) {
        self.late = self
            .packages
            .iter()
            .copied()
            .filter(|other| is_late(other))
            .collect();
        if self.late.is_empty() {
            return;
        }
        self.part();
        self.out
            .line("# These packages import this one, and find its messages.");
        for line in self.package.imports(self.late.iter().copied()) {
            self.out.line(line);
        }
    }

    /// What separates the classes, and the imports below them, from what follows.
    pub(super) fn after_classes(&mut self) {
        self.out.separate();
        if self.late.is_empty() {
            self.out.separate();
        }
    }

    /// Two empty lines, as between the classes of a module.
    pub(super) fn part(&mut self) {
        self.out.separate();
        self.out.separate();
    }

    /// The text, with `head` above the imports and the names that it exports. Also returns whether it has imports that go up to the root.
    pub(super) fn finish(
        mut self,
        head: impl FnOnce(&mut Writer),
        exported: &[String],
    ) -> (String, bool) {
        let short_fields = match self.tag_tables.is_empty() {
            true => String::new(),
            false => self.wire("short_fields"),
        };
        let Self {
            package,
            out,
            plain,
            mut packages,
            late,
            tag_tables,
            ..
        } = self;
        let reaches_root = packages.iter().any(|other| {
            let segments = package.segments.first();
            super::layout::segments(other).first() != segments
        });
        let text = out.finish_with(|out, imports| {
            head(out);
            out.line("from __future__ import annotations");
            for is_own in [false, true] {
                let plain: Vec<&str> = plain
                    .iter()
                    .copied()
                    .filter(|module| module.starts_with("msip") == is_own)
                    .collect();
                let imports: Vec<_> = imports
                    .iter()
                    .filter(|(module, _)| module.starts_with("msip") == is_own)
                    .collect();
                if !plain.is_empty() || !imports.is_empty() {
                    out.separate();
                }
                for module in plain {
                    out.line(format_args!("import {module}"));
                }
                for (module, names) in imports {
                    let names = names.map(|import| match import.local == import.name {
                        true => import.name.to_owned(),
                        false => format!("{} as {}", import.name, import.local),
                    });
                    import_line(module, &sorted(names), out);
                }
            }
            packages.retain(|other| !late.contains(other));
            if !packages.is_empty() {
                out.separate();
            }
            for line in package.imports(packages.into_iter()) {
                out.line(line);
            }
            out.separate();
            out.line("__all__ = [");
            out.indent();
            for name in sorted(exported.iter().cloned()) {
                out.line(format_args!("{},", literal(&name)));
            }
            out.dedent();
            out.line("]");
            if !tag_tables.is_empty() {
                out.separate();
                out.line("# Of each tag: the fields whose value, or length, is of one byte.");
            }
            for tag in tag_tables {
                out.line(format_args!(
                    "{TAG_TABLE}{tag} = {short_fields}({})",
                    tag_bytes(tag)
                ));
            }
            out.separate();
            out.separate();
        });
        (text, reaches_root)
    }
}

fn import_line(module: &str, names: &[String], out: &mut Writer) {
    let line = format!("from {module} import {}", names.join(", "));
    if line.len() <= LINE_LEN {
        out.line(line);
        return;
    }
    out.line(format_args!("from {module} import ("));
    out.indent();
    for name in names {
        out.line(format_args!("{name},"));
    }
    out.dedent();
    out.line(")");
}

/// What a scalar type is in Python.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScalarType {
    pub(super) annotation: &'static str,
    pub(super) zero: &'static str,
    /// Its name in `msip.message.Scalar` and, in lower case, in the functions of the runtime.
    pub(super) name: &'static str,
    pub(super) wire: Wire,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Varint,
    Fixed64,
    Fixed32,
    Sized,
}

impl Wire {
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Varint => 0,
            Self::Fixed64 => 1,
            Self::Sized => 2,
            Self::Fixed32 => 5,
        }
    }
}

/// What a type of a field is on the wire; enums are `int32`, messages are bytes.
pub(super) fn scalar(ty: &FieldType) -> ScalarType {
    use FieldType as F;
    let (annotation, zero, name, wire) = match ty {
        F::Double => ("float", "0.0", "DOUBLE", Wire::Fixed64),
        F::Float => ("float", "0.0", "FLOAT", Wire::Fixed32),
        F::Int32 | F::Enum(_) => ("int", "0", "INT32", Wire::Varint),
        F::Int64 => ("int", "0", "INT64", Wire::Varint),
        F::Uint32 => ("int", "0", "UINT32", Wire::Varint),
        F::Uint64 => ("int", "0", "UINT64", Wire::Varint),
        F::Sint32 => ("int", "0", "SINT32", Wire::Varint),
        F::Sint64 => ("int", "0", "SINT64", Wire::Varint),
        F::Fixed32 => ("int", "0", "FIXED32", Wire::Fixed32),
        F::Fixed64 => ("int", "0", "FIXED64", Wire::Fixed64),
        F::Sfixed32 => ("int", "0", "SFIXED32", Wire::Fixed32),
        F::Sfixed64 => ("int", "0", "SFIXED64", Wire::Fixed64),
        F::Bool => ("bool", "False", "BOOL", Wire::Varint),
        F::String => ("str", "\"\"", "STRING", Wire::Sized),
        F::Bytes | F::Message(_) => ("bytes", "b\"\"", "BYTES", Wire::Sized),
    };
    ScalarType {
        annotation,
        zero,
        name,
        wire,
    }
}

/// The literal of a text.
pub(super) fn literal(text: &str) -> String {
    StringLiterals {
        quote: '"',
        code: CodeEscape::Fixed,
        special: &[],
    }
    .literal(text)
}

/// The tag of a field.
pub(super) fn tag(number: u32, wire: Wire) -> u32 {
    number << 3 | wire.number()
}

/// The literal of a tag's bytes.
pub(super) fn tag_bytes(tag: u32) -> String {
    let mut text = String::from("b\"");
    let mut rest = tag;
    loop {
        let byte = rest & 0x7f;
        rest >>= 7;
        let byte = if rest == 0 { byte } else { byte | 0x80 };
        text.push_str(&format!("\\x{byte:02x}"));
        if rest == 0 {
            break;
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_varints() {
        assert_eq!(tag_bytes(tag(1, Wire::Sized)), r#"b"\x0a""#);
        assert_eq!(tag_bytes(tag(16, Wire::Varint)), r#"b"\x80\x01""#);
    }
}
