//! What reads one value behind its tag, in `_read`.

use std::fmt::Write as _;

use msip_schema::FieldType;

use super::module::{Module, Target, Wire, scalar};

/// The bytes of a varint behind the first that are read without a call, and the table of what each adds to it.
const BYTES: [(&str, &str); 5] = [
    ("second", "SECOND"),
    ("third", "THIRD"),
    ("fourth", "FOURTH"),
    ("fifth", "FIFTH"),
    ("sixth", "SIXTH"),
];

/// What a field holds already, with which a message that comes again is merged.
#[derive(Debug)]
pub(super) struct Before {
    /// The condition that there is something.
    pub(super) is_there: String,
    /// What it is then.
    pub(super) value: String,
    /// It, or None.
    pub(super) or_none: String,
}

impl Before {
    /// What is in an attribute or local that is None where there is nothing.
    pub(super) fn of(value: &str) -> Self {
        Self {
            is_there: format!("{value} is not None"),
            value: value.to_owned(),
            or_none: value.to_owned(),
        }
    }
}

impl Module<'_, '_> {
    /// Sets `start` behind the length that follows the tag, and `at` to the end of what it is the length of.
    pub(super) fn read_size(&mut self, end: &str, is_checked: bool) {
        if self.has_many_arms {
            let read_size = self.wire("read_size");
            self.out
                .line(format_args!("start, at = {read_size}(data, at + 1, {end})"));
            return;
        }
        let read_varint = self.wire("read_varint");
        self.out.line("size = data[at + 1]");
        self.out.line("if size < 128:");
        self.out.line("    start = at + 2");
        self.out.line("else:");
        self.out.line(format_args!(
            "    size, start = {read_varint}(data, at + 1)"
        ));
        self.out.line("at = start + size");
        if is_checked {
            self.out.line(format_args!("if at > {end}:"));
            self.out.line("    raise IndexError");
        }
    }

    /// Sets `value` to the varint that follows the tag, and `at` behind it.
    fn read_varint(&mut self, ty: &FieldType) {
        self.out.line("value = data[at + 1]");
        self.out.line("if value < 128:");
        self.out.line("    at += 2");
        if !self.has_many_arms {
            // A call takes as long as four bytes. Times in milliseconds have six, and most other numbers one or two.
            let most = match ty {
                FieldType::Int64 | FieldType::Uint64 => BYTES.len(),
                _ => 1,
            };
            let mut sum = String::new();
            for (place, (local, part)) in BYTES.iter().take(most).enumerate() {
                let part = self.wire(part);
                if place > 0 {
                    sum.push_str(" + ");
                }
                let _ = write!(sum, "{part}[{local}]");
                let offset = place + 2;
                self.out
                    .line(format_args!("elif ({local} := data[at + {offset}]) < 128:"));
                self.out.line(format_args!("    value += {sum}"));
                self.out.line(format_args!("    at += {}", offset + 1));
            }
        }
        let read = self.wire(match ty {
            FieldType::Int64 => "read_int64",
            _ => "read_varint",
        });
        self.out.line("else:");
        self.out.indent();
        self.out
            .line(format_args!("value, at = {read}(data, at + 1)"));
        match ty {
            FieldType::Int32 | FieldType::Enum(_) => {
                self.out.line("if value > 0x7FFFFFFF:");
                self.out
                    .line("    value = ((value & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000");
            }
            FieldType::Uint32 | FieldType::Sint32 => self.out.line("value &= 0xFFFFFFFF"),
            _ => {}
        }
        self.out.dedent();
    }

    /// Reads one value.
    pub(super) fn read_value(
        &mut self,
        ty: &FieldType,
        end: &str,
        depth: u32,
        before: Option<&Before>,
        store: &dyn Fn(&str) -> String,
    ) {
        let target = self.target(ty);
        let scalar = scalar(ty);
        match scalar.wire {
            Wire::Varint if *ty == FieldType::Bool => {
                let read_varint = self.wire("read_varint");
                self.out.line("if data[at + 1] == 1:");
                self.out.indent();
                self.out.line(store("True"));
                self.out.line("at += 2");
                self.out.dedent();
                self.out.line("else:");
                self.out.indent();
                self.out
                    .line(format_args!("value, at = {read_varint}(data, at + 1)"));
                self.out.line(store("value != 0"));
                self.out.dedent();
            }
            Wire::Varint => {
                self.read_varint(ty);
                let value = match (ty, target) {
                    (_, Some(Target::Enum(class))) => format!("{class}._of(value)"),
                    (FieldType::Sint32 | FieldType::Sint64, _) => {
                        "value >> 1 ^ -(value & 1)".to_owned()
                    }
                    _ => "value".to_owned(),
                };
                self.out.line(store(&value));
            }
            Wire::Fixed64 | Wire::Fixed32 => {
                let width = if scalar.wire == Wire::Fixed64 { 9 } else { 5 };
                let unpack = self.wire(&format!("{}_at", scalar.name.to_lowercase()));
                self.out.line("start = at + 1");
                self.out.line(format_args!("at += {width}"));
                self.out.line(format_args!("if at > {end}:"));
                self.out.line("    raise IndexError");
                self.out.line(store(&format!("{unpack}(data, start)[0]")));
            }
            Wire::Sized => {
                // Text and bytes that are cut off end behind their message, which is found at its end.
                self.read_size(end, matches!(ty, FieldType::Message(_)));
                match target {
                    Some(Target::Message(class)) => self.read_message(&class, depth, before, store),
                    Some(Target::Native { class, .. }) => {
                        let before = before
                            .map_or_else(String::new, |before| format!(", {}", before.or_none));
                        self.out.line(store(&format!(
                            "{class}._unpack(data, start, at, depth - {depth}{before})"
                        )));
                    }
                    Some(Target::Enum(_)) | None if *ty == FieldType::String => {
                        self.out.line(store("data[start:at].decode()"));
                    }
                    Some(Target::Enum(_)) | None => self.out.line(store("data[start:at]")),
                }
            }
        }
    }

    /// Reads a message, into the one that is there already where there may be one.
    fn read_message(
        &mut self,
        class: &str,
        depth: u32,
        before: Option<&Before>,
        store: &dyn Fn(&str) -> String,
    ) {
        let new = self.wire("new");
        let range = format!("data, start, at, depth - {depth}");
        let made = store(&format!("{new}({class})._read({range})"));
        let Some(before) = before else {
            self.out.line(made);
            return;
        };
        self.out.line(format_args!("if {}:", before.is_there));
        self.out
            .line(format_args!("    {}._read({range}, False)", before.value));
        self.out.line("else:");
        self.out.line(format_args!("    {made}"));
    }
}
