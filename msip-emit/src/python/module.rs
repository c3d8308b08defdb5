//! One module under construction: its text, and what it imports.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use msip_schema::{FieldType, TypeName};

use super::layout::{Layout, Package};
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
        }
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

    /// Two empty lines, as between the classes of a module.
    pub(super) fn part(&mut self) {
        self.out.separate();
        self.out.separate();
    }

    /// The text, with `head` above the imports and the names that it exports. Also returns whether it has imports that go up to the root.
    pub(super) fn finish(
        self,
        head: impl FnOnce(&mut Writer),
        exported: &[String],
    ) -> (String, bool) {
        let Self {
            package,
            out,
            plain,
            packages,
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
            if !packages.is_empty() {
                out.separate();
            }
            let imports = packages
                .iter()
                .map(|other| (super::layout::segments(other), package.alias(other)));
            for line in relative_imports(&package.segments, imports) {
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

/// Names as Python's tools sort them: constants, classes, and then the others.
fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_by_key(|name| {
        let has_lower = name.chars().any(char::is_lowercase);
        let has_upper = name.chars().any(char::is_uppercase);
        let kind = if has_upper && !has_lower && name.len() > 1 {
            0
        } else if name.starts_with(char::is_uppercase) {
            1
        } else {
            2
        };
        (kind, natural(name))
    });
    names
}

/// A name by which others are sorted: its runs of digits are numbers.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.len() - rest.trim_start_matches(|c: char| !c.is_ascii_digit()).len();
        let (text, behind) = rest.split_at(text);
        let digits = behind.len()
            - behind
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len();
        let (digits, behind) = behind.split_at(digits);
        // A number of more digits than fit is greater than all others.
        parts.push((text.to_owned(), digits.parse().unwrap_or(u64::MAX)));
        rest = behind;
    }
    parts
}

/// The lines that import the modules of other packages, each under its alias.
fn relative_imports<'m>(
    from: &[String],
    modules: impl Iterator<Item = (Vec<String>, &'m str)>,
) -> Vec<String> {
    // By the module that they are imported from: those far away first. Those with other names have a line each.
    let mut sources: BTreeMap<(Reverse<usize>, String, Option<String>), Vec<String>> =
        BTreeMap::new();
    for (to, alias) in modules {
        // At most all but the last, which is what is imported.
        let outer = &to[..to.len().saturating_sub(1)];
        let shared = from.iter().zip(outer).take_while(|(a, b)| a == b).count();
        let between = outer[shared..].join(".");
        let name = to.last().map_or("", String::as_str);
        let dots = Reverse(from.len() - shared + 1);
        if name == alias {
            sources
                .entry((dots, between, None))
                .or_default()
                .push(name.to_owned());
        } else {
            sources
                .entry((dots, between, Some(name.to_owned())))
                .or_default()
                .push(format!("{name} as {alias}"));
        }
    }
    let lines = sources.into_iter().map(|((dots, between, _), names)| {
        format!(
            "from {}{between} import {}",
            ".".repeat(dots.0),
            sorted(names.into_iter()).join(", ")
        )
    });
    lines.collect()
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
    fn imports_are_relative() {
        let list = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        for (from, to, alias, line) in [
            ("chat", "shared", "shared", "from .. import shared"),
            (
                "fleet.v1",
                "shared.v1",
                "shared_v1",
                "from ...shared import v1 as shared_v1",
            ),
            (
                "fleet.v1",
                "fleet.v2",
                "fleet_v2",
                "from .. import v2 as fleet_v2",
            ),
            (
                "fleet",
                "fleet.v1",
                "fleet_v1",
                "from . import v1 as fleet_v1",
            ),
            ("fleet.v1", "fleet", "fleet", "from ... import fleet"),
            ("a.b.c", "a.b.d.e", "x", "from ..d import e as x"),
        ] {
            assert_eq!(
                relative_imports(&list(from), [(list(to), alias)].into_iter()),
                [line]
            );
        }
        let many = ["plant", "mesh", "plant.cell"].map(|to| (list(to), to));
        let lines = relative_imports(
            &list("shapes"),
            many.into_iter()
                .map(|(to, name)| (to, name.rsplit('.').next().unwrap_or(name))),
        );
        assert_eq!(
            lines,
            ["from .. import mesh, plant", "from ..plant import cell"]
        );
    }

    #[test]
    fn names_are_sorted_as_tools_do() {
        let names = ["b", "Zone1", "A", "SHORT", "a10", "a9", "Chat", "CHAT"].map(str::to_owned);
        assert_eq!(
            sorted(names.into_iter()),
            ["CHAT", "SHORT", "A", "Chat", "Zone1", "a9", "a10", "b"]
        );
    }

    #[test]
    fn tags_are_varints() {
        assert_eq!(tag_bytes(tag(1, Wire::Sized)), r#"b"\x0a""#);
        assert_eq!(tag_bytes(tag(16, Wire::Varint)), r#"b"\x80\x01""#);
    }
}
