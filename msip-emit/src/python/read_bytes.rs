//! `_read`: one loop over the fields of a message, without a call for what is short.

use std::fmt::Write as _;

use msip_schema::{Cardinality, Field, FieldType};

use super::layout::{MessageClass, attributes_in_order, complexity_mark, is_packable, plain_field};
use super::module::{Module, Target, Wire, scalar, tag};

/// Up to this many tags of two bytes or more are compared one after the other; of more, half are left out at a time.
const LINEAR: usize = 6;

/// From this many tags on, lengths are read by a function: type checkers give up on a function of too many branches.
const MANY: usize = 32;

/// The bytes of a varint behind the first that are read without a call, and the table of what each adds to it.
const BYTES: [(&str, &str); 5] = [
    ("second", "SECOND"),
    ("third", "THIRD"),
    ("fourth", "FOURTH"),
    ("fifth", "FIFTH"),
    ("sixth", "SIXTH"),
];

pub(super) fn write(module: &mut Module<'_, '_>, message: &MessageClass<'_>, path: &str) {
    let own = module.import("typing", "Self");
    let (too_deep, failures, unreadable) = (
        module.failures("too_deep"),
        module.failures("READ_FAILURES"),
        module.failures("unreadable"),
    );
    module.out.separate();
    let complex = complexity_mark(message);
    module.out.line(format_args!(
        "def _read(self, data: bytes, at: int, end: int, depth: int, is_new: bool = True) -> {own}:{complex}"
    ));
    module.out.indent();
    module.out.line("if depth < 0:");
    module.out.line(format_args!("    raise {too_deep}()"));
    module.out.line("if is_new:");
    module.out.indent();
    for attribute in attributes_in_order(message.ty) {
        let zero = module.zero(message, attribute);
        let name = message
            .attributes
            .get(attribute)
            .map_or(attribute, String::as_str);
        module.out.line(format_args!("self.{name} = {zero}"));
    }
    module.out.line("self.unknown_fields = b\"\"");
    module.out.dedent();
    module.out.line("unknown: bytearray | None = None");
    module.out.line("tag = 0");
    module.out.line("try:");
    module.out.indent();
    module.out.line("while at < end:");
    module.out.indent();
    module.fields_to_read(message, path);
    module.out.dedent();
    module.out.line("if at > end:");
    module.out.line("    raise IndexError");
    module.out.dedent();
    module.out.line(format_args!("except {failures} as error:"));
    module.out.line(format_args!(
        "    raise {unreadable}(self, tag, error) from None"
    ));
    module.out.line("if unknown:");
    module.out.line("    self._keep_unknown(unknown)");
    module.out.line("return self");
    module.out.dedent();
}

/// What a field holds already, with which a message that comes again is merged.
#[derive(Debug)]
struct Before {
    /// The condition that there is something.
    is_there: String,
    /// What it is then.
    value: String,
    /// It, or None.
    or_none: String,
}

impl Before {
    /// What is in an attribute or local that is None where there is nothing.
    fn of(value: &str) -> Self {
        Self {
            is_there: format!("{value} is not None"),
            value: value.to_owned(),
            or_none: value.to_owned(),
        }
    }
}

/// What is read behind one tag.
#[derive(Debug, Clone, Copy)]
struct Arm<'m> {
    tag: u32,
    field: &'m Field,
    /// Whether it is an entry of a map, or packed values.
    is_whole: bool,
}

impl Arm<'_> {
    /// Whether another one of the same tag mostly follows.
    fn comes_in_runs(&self) -> bool {
        match self.field.cardinality {
            Cardinality::Map(_) => true,
            Cardinality::Repeated => !self.is_whole,
            _ => false,
        }
    }
}

/// The arms of a message by ascending tag.
fn arms<'m>(message: &MessageClass<'m>) -> Vec<Arm<'m>> {
    let mut arms = Vec::new();
    for field in &message.ty.fields {
        let is_map = matches!(field.cardinality, Cardinality::Map(_));
        let mut push = |wire, is_whole| {
            arms.push(Arm {
                tag: tag(field.number, wire),
                field,
                is_whole,
            });
        };
        if is_map || is_packable(field) {
            push(Wire::Sized, true);
        }
        if !is_map {
            push(scalar(&field.ty).wire, false);
        }
    }
    arms.sort_by_key(|arm| arm.tag);
    arms
}

impl Module<'_, '_> {
    /// What an attribute is in a message without fields.
    fn zero(&mut self, message: &MessageClass<'_>, attribute: &str) -> String {
        let Some(field) = plain_field(message.ty, attribute) else {
            return "None".to_owned();
        };
        match field.cardinality {
            Cardinality::Repeated => "[]".to_owned(),
            Cardinality::Map(_) => "{}".to_owned(),
            Cardinality::Optional => "None".to_owned(),
            Cardinality::Implicit => match (self.target(&field.ty), &field.ty) {
                (Some(Target::Enum(class)), FieldType::Enum(name)) => {
                    match self.layout.enum_zero(name) {
                        Some((_, _, zero)) => format!("{class}.{zero}"),
                        None => format!("{class}.NULL_VALUE"),
                    }
                }
                (Some(_), _) => "None".to_owned(),
                (None, ty) => scalar(ty).zero.to_owned(),
            },
        }
    }

    /// The body of the loop. Fields mostly come in the order of their numbers: once one is read, the next tag is compared with those
    /// that follow. A field that comes out of order is found in the loop's next round.
    fn fields_to_read(&mut self, message: &MessageClass<'_>, path: &str) {
        // `at` stays at the last byte of the tag: what is behind it, and short, is read and passed over in one step.
        let arms = arms(message);
        self.has_many_arms = arms.len() >= MANY;
        let short = arms.partition_point(|arm| arm.tag < 128);
        let (short, long) = arms.split_at(short);
        if short.is_empty() && long.is_empty() {
            self.unknown_field(true);
            return;
        }
        self.out.line("tag = data[at]");
        let mut is_open = false;
        for (index, arm) in short.iter().enumerate() {
            let keyword = if arm.comes_in_runs() { "while" } else { "if" };
            self.out.line(format_args!("{keyword} tag == {}:", arm.tag));
            self.out.indent();
            self.arm(message, path, arm);
            is_open = index + 1 == short.len() && long.is_empty() && !arm.comes_in_runs();
            if !is_open {
                self.out.line("if at >= end:");
                self.out.line("    break");
                self.out.line("tag = data[at]");
            }
            self.out.dedent();
        }
        let mut keyword = if is_open { "elif" } else { "if" };
        if !long.is_empty() {
            self.out.line(format_args!("{keyword} tag > 127:"));
            self.out.indent();
            let read_varint = self.wire("read_varint");
            self.out.line("start = at");
            self.out.line("at += 1");
            self.out.line("byte = data[at]");
            self.out.line("if byte < 128:");
            self.out.line("    tag = tag & 127 | byte << 7");
            self.out.line("else:");
            self.out
                .line(format_args!("    tag, at = {read_varint}(data, start)"));
            self.out.line("    at -= 1");
            self.long_arms(message, path, long);
            self.out.dedent();
            keyword = "elif";
        }
        let known: Vec<String> = short.iter().map(|arm| arm.tag.to_string()).collect();
        match known.as_slice() {
            [] => self.out.line("else:"),
            [only] => self.out.line(format_args!("{keyword} tag != {only}:")),
            known => self
                .out
                .line(format_args!("{keyword} tag not in ({}):", known.join(", "))),
        }
        self.out.indent();
        self.unknown_field(true);
        self.out.dedent();
    }

    /// Keeps a field that the schema does not have. `is_at_tag` says that `at`, not `start`, is where it begins.
    fn unknown_field(&mut self, is_at_tag: bool) {
        let skip_field = self.wire("skip_field");
        if is_at_tag {
            self.out.line("start = at");
        }
        self.out
            .line(format_args!("at = {skip_field}(data, start, end, depth)"));
        self.out.line("if unknown is None:");
        self.out.line("    unknown = bytearray()");
        self.out.line("unknown += data[start:at]");
    }

    /// The comparisons of a tag with those that are known.
    fn long_arms(&mut self, message: &MessageClass<'_>, path: &str, arms: &[Arm<'_>]) {
        if arms.len() > LINEAR {
            let (low, high) = arms.split_at(arms.len() / 2);
            let first = high.first().map_or(0, |arm| arm.tag);
            self.out.line(format_args!("if tag < {first}:"));
            self.out.indent();
            self.long_arms(message, path, low);
            self.out.dedent();
            self.out.line("else:");
            self.out.indent();
            self.long_arms(message, path, high);
            self.out.dedent();
            return;
        }
        let mut keyword = "if";
        for arm in arms {
            self.out.line(format_args!("{keyword} tag == {}:", arm.tag));
            self.out.indent();
            self.arm(message, path, arm);
            self.out.dedent();
            keyword = "elif";
        }
        self.out.line("else:");
        self.out.indent();
        self.unknown_field(false);
        self.out.dedent();
    }

    /// Reads one field.
    fn arm(&mut self, message: &MessageClass<'_>, path: &str, arm: &Arm<'_>) {
        let field = arm.field;
        let schema_name = field.oneof.as_deref().unwrap_or(&field.name);
        let attribute = message
            .attributes
            .get(schema_name)
            .map_or(schema_name, String::as_str)
            .to_owned();
        let target = format!("self.{attribute}");
        if let Cardinality::Map(key) = &field.cardinality {
            self.read_entry(field, key, &target);
            return;
        }
        if arm.is_whole {
            self.read_size("end", true);
            let unpack = self.wire(&format!("unpack_{}", scalar(&field.ty).name.to_lowercase()));
            let values = format!("{unpack}(data, start, at)");
            match self.target(&field.ty) {
                Some(Target::Enum(class)) => {
                    self.out
                        .line(format_args!("{target}.extend({class}._of_all({values}))"));
                }
                _ => self.out.line(format_args!("{target}.extend({values})")),
            }
            return;
        }
        if let Some(class) = message.oneof_classes.get(field.name.as_str()) {
            let class = format!("{path}.{class}");
            let local = format!("o{}", field.number);
            let is_message = matches!(field.ty, FieldType::Message(_));
            if is_message {
                self.out.line(format_args!("{local} = {target}"));
            }
            let before = Before {
                is_there: format!("isinstance({local}, {class})"),
                value: format!("{local}.value"),
                or_none: format!("{local}.value if isinstance({local}, {class}) else None"),
            };
            self.read_value(&field.ty, "end", 1, Some(&before), &|value| {
                format!("{target} = {class}({value})")
            });
            return;
        }
        match field.cardinality {
            Cardinality::Repeated => {
                self.read_value(&field.ty, "end", 1, None, &|value| {
                    format!("{target}.append({value})")
                });
            }
            _ => self.read_value(&field.ty, "end", 1, Some(&Before::of(&target)), &|value| {
                format!("{target} = {value}")
            }),
        }
    }

    /// Reads an entry of a map, which may miss its key or its value, or have them several times.
    fn read_entry(&mut self, field: &Field, key: &FieldType, target: &str) {
        let (key_local, local) = (format!("k{}", field.number), format!("v{}", field.number));
        self.read_size("end", true);
        self.out.line("limit = at");
        self.out.line("at = start");
        self.out
            .line(format_args!("{key_local} = {}", scalar(key).zero));
        let annotation = self.annotation(&field.ty);
        let (zero, is_message) = match self.target(&field.ty) {
            Some(Target::Message(class)) => (format!("{class}()"), true),
            Some(Target::Native { class, .. }) => (format!("{class}().native()"), true),
            Some(Target::Enum(class)) => (format!("{class}._of(0)"), false),
            None => (scalar(&field.ty).zero.to_owned(), false),
        };
        if is_message {
            let optional = if annotation == "msip.JsonValue" {
                ""
            } else {
                " | None"
            };
            self.out
                .line(format_args!("{local}: {annotation}{optional} = None"));
        } else {
            self.out.line(format_args!("{local} = {zero}"));
        }
        let (key_tag, value_tag) = (tag(1, scalar(key).wire), tag(2, scalar(&field.ty).wire));
        self.out.line("while at < limit:");
        self.out.indent();
        self.out.line("byte = data[at]");
        self.out.line(format_args!("if byte == {key_tag}:"));
        self.out.indent();
        self.read_value(key, "limit", 1, None, &|value| {
            format!("{key_local} = {value}")
        });
        self.out.dedent();
        self.out.line(format_args!("elif byte == {value_tag}:"));
        self.out.indent();
        self.read_value(&field.ty, "limit", 2, Some(&Before::of(&local)), &|value| {
            format!("{local} = {value}")
        });
        self.out.dedent();
        let skip_field = self.wire("skip_field");
        self.out.line("else:");
        self.out.line(format_args!(
            "    at = {skip_field}(data, at, limit, depth)"
        ));
        self.out.dedent();
        self.out.line("if at > limit:");
        self.out.line("    raise IndexError");
        if is_message {
            self.out.line(format_args!(
                "{target}[{key_local}] = {zero} if {local} is None else {local}"
            ));
        } else {
            self.out
                .line(format_args!("{target}[{key_local}] = {local}"));
        }
    }

    /// Sets `start` behind the length that follows the tag, and `at` to the end of what it is the length of.
    fn read_size(&mut self, end: &str, is_checked: bool) {
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
    fn read_value(
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
