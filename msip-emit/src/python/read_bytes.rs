//! `_read`: one loop over the fields of a message, without a call for what is short.

use msip_schema::{Cardinality, Field, FieldType};

use super::layout::{MessageClass, attributes_in_order, complexity_mark, is_packable, plain_field};
use super::module::{Module, Target, Wire, scalar, tag};
use super::read_value::Before;

/// Up to this many tags of two bytes or more are compared one after the other; of more, half are left out at a time.
const LINEAR: usize = 6;

/// From this many tags on, lengths are read by a function: type checkers give up on a function of too many branches.
const MANY: usize = 32;

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
}
