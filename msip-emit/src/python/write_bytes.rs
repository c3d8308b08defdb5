//! `_write`: a straight line of code over the fields, without a call for what is short.

use msip_schema::{Cardinality, Field, FieldType};

use super::layout::{MessageClass, complexity_mark, is_packable, members, plain_field};
use super::module::{Module, Target, Wire, literal, scalar, tag, tag_bytes};

pub(super) fn write(module: &mut Module<'_, '_>, message: &MessageClass<'_>, path: &str) {
    module.out.separate();
    let complex = complexity_mark(message);
    module.out.line(format_args!(
        "def _write(self, depth: int) -> bytes:{complex}"
    ));
    module.out.indent();
    let too_deep = module.failures("unwritably_deep");
    module.out.line("if depth < 0:");
    module.out.line(format_args!("    raise {too_deep}()"));
    if message.ty.fields.is_empty() {
        module.out.line("return self.unknown_fields");
        module.out.dedent();
        return;
    }
    module.out.line("out: list[bytes] = []");
    module.out.line("try:");
    module.out.indent();
    for attribute in by_number(message) {
        match plain_field(message.ty, attribute) {
            Some(field) => module.write_field(message, field),
            None => module.write_oneof(message, attribute, path),
        }
    }
    module.out.line("if self.unknown_fields:");
    module.out.line("    out.append(self.unknown_fields)");
    module.out.line("return b\"\".join(out)");
    module.out.dedent();
    let (failures, unwritable) = (
        module.failures("WRITE_FAILURES"),
        module.failures("unwritable"),
    );
    module.out.line(format_args!("except {failures} as error:"));
    module.out.line(format_args!(
        "    raise {unwritable}(self, error) from None"
    ));
    module.out.dedent();
}

/// The attributes by ascending number; a oneof has the least of its members.
fn by_number<'m>(message: &MessageClass<'m>) -> Vec<&'m str> {
    let mut fields: Vec<&Field> = message.ty.fields.iter().collect();
    fields.sort_by_key(|field| field.number);
    let mut attributes: Vec<&str> = Vec::new();
    for field in fields {
        let attribute = field.oneof.as_deref().unwrap_or(&field.name);
        if !attributes.contains(&attribute) {
            attributes.push(attribute);
        }
    }
    attributes
}

impl Module<'_, '_> {
    fn write_field(&mut self, message: &MessageClass<'_>, field: &Field) {
        let attribute = message
            .attributes
            .get(field.name.as_str())
            .map_or("", String::as_str);
        let local = format!("v{}", field.number);
        match &field.cardinality {
            Cardinality::Map(key) => {
                let key_local = format!("k{}", field.number);
                self.out.line(format_args!(
                    "for {key_local}, {local} in self.{attribute}.items():"
                ));
                self.out.indent();
                self.write_entry_part("key", 1, key, &key_local);
                self.write_entry_part("value", 2, &field.ty, &local);
                self.out.line("raw = key + value");
                self.write_sized(field.number, "raw");
                self.out.dedent();
            }
            Cardinality::Repeated if is_packable(field) && !field.expanded => {
                self.out
                    .line(format_args!("if {local} := self.{attribute}:"));
                self.out.indent();
                let pack = self.wire(&format!("pack_{}", scalar(&field.ty).name.to_lowercase()));
                self.out.line(format_args!("raw = {pack}({local})"));
                self.write_sized(field.number, "raw");
                self.out.dedent();
            }
            Cardinality::Repeated => {
                self.out
                    .line(format_args!("for {local} in self.{attribute}:"));
                self.out.indent();
                self.write_value(field, &local);
                self.out.dedent();
            }
            Cardinality::Implicit if !matches!(field.ty, FieldType::Message(_)) => {
                match &field.ty {
                    FieldType::Bool => {
                        self.out.line(format_args!("if self.{attribute}:"));
                        let tag = tag(field.number, Wire::Varint);
                        let bytes = tag_bytes(tag);
                        let bytes = format!("{}\\x01\"", bytes.trim_end_matches('"'));
                        self.out.line(format_args!("    out.append({bytes})"));
                        return;
                    }
                    FieldType::Double | FieldType::Float => {
                        let is_negative_zero = self.wire("is_negative_zero");
                        self.out.line(format_args!("{local} = self.{attribute}"));
                        self.out
                            .line(format_args!("if {local} or {is_negative_zero}({local}):"));
                    }
                    _ => self
                        .out
                        .line(format_args!("if {local} := self.{attribute}:")),
                }
                self.out.indent();
                self.write_value(field, &local);
                self.out.dedent();
            }
            Cardinality::Implicit | Cardinality::Optional => {
                self.out.line(format_args!(
                    "if ({local} := self.{attribute}) is not None:"
                ));
                self.out.indent();
                self.write_value(field, &local);
                self.out.dedent();
            }
        }
    }

    fn write_oneof(&mut self, message: &MessageClass<'_>, oneof: &str, path: &str) {
        let attribute = message.attributes.get(oneof).map_or("", String::as_str);
        let Some(first) = members(message.ty, oneof).next() else {
            return;
        };
        let local = format!("o{}", first.number);
        self.out.line(format_args!(
            "if ({local} := self.{attribute}) is not None:"
        ));
        self.out.indent();
        let mut keyword = "if";
        for field in members(message.ty, oneof) {
            let class = message
                .oneof_classes
                .get(field.name.as_str())
                .map_or("", String::as_str);
            self.out.line(format_args!(
                "{keyword} isinstance({local}, {path}.{class}):"
            ));
            self.out.indent();
            self.write_value(field, &format!("{local}.value"));
            self.out.dedent();
            keyword = "elif";
        }
        let error = self.failures("EncodeError");
        self.out.line("else:");
        self.out.line(format_args!(
            "    raise {error}(\"expected a member of the oneof\", {})",
            literal(attribute)
        ));
        self.out.dedent();
    }

    /// Appends one value with its tag.
    fn write_value(&mut self, field: &Field, value: &str) {
        let number = field.number;
        match self.target(&field.ty) {
            Some(Target::Message(_)) => {
                self.out
                    .line(format_args!("raw = {value}._write(depth - 1)"));
                self.write_sized(number, "raw");
                return;
            }
            Some(Target::Native { class, .. }) => {
                self.out
                    .line(format_args!("raw = {class}._pack({value}, depth - 1)"));
                self.write_sized(number, "raw");
                return;
            }
            Some(Target::Enum(_)) | None => {}
        }
        match &field.ty {
            FieldType::String => {
                self.out.line(format_args!("raw = {value}.encode()"));
                self.write_sized(number, "raw");
            }
            FieldType::Bytes => self.write_sized(number, value),
            ty => {
                let written = self.written(number, ty, value);
                self.out.line(format_args!("out.append({written})"));
            }
        }
    }

    /// Appends bytes with their tag and length.
    fn write_sized(&mut self, number: u32, raw: &str) {
        self.out.line(format_args!("size = len({raw})"));
        let varint = self.wire("varint");
        let head = self.short_or(number, Wire::Sized, "size", "size < 128", &varint);
        self.out.line(format_args!("out.append({head})"));
        self.out.line(format_args!("out.append({raw})"));
    }

    /// The expression of a tag and a varint, which `function` makes unless it `is_short`.
    fn short_or(
        &mut self,
        number: u32,
        wire: Wire,
        value: &str,
        is_short: &str,
        function: &str,
    ) -> String {
        let tag = tag(number, wire);
        let bytes = tag_bytes(tag);
        if tag < 128 {
            let table = self.tag_table(tag);
            return format!("{table}[{value}] if {is_short} else {function}({value}, {bytes})");
        }
        let short = self.wire("SHORT");
        format!("{bytes} + ({short}[{value}] if {is_short} else {function}({value}))")
    }

    /// The expression of a value with its tag, of a type that has no length.
    fn written(&mut self, number: u32, ty: &FieldType, value: &str) -> String {
        let scalar = scalar(ty);
        let bytes = tag_bytes(tag(number, scalar.wire));
        match ty {
            FieldType::Bool => {
                let bytes = bytes.trim_end_matches('"');
                format!("{bytes}\\x01\" if {value} else {bytes}\\x00\"")
            }
            FieldType::Double => format!("{bytes} + {}({value})", self.wire("f64")),
            FieldType::Float => format!("{bytes} + {}({value})", self.wire("f32")),
            _ => {
                let function = self.wire(&scalar.name.to_lowercase());
                let is_zigzag = matches!(ty, FieldType::Sint32 | FieldType::Sint64);
                if scalar.wire != Wire::Varint || is_zigzag {
                    return format!("{bytes} + {function}({value})");
                }
                let is_short = format!("0 <= {value} < 128");
                self.short_or(number, scalar.wire, value, &is_short, &function)
            }
        }
    }

    /// Sets `local` to a map's key or value with its tag.
    fn write_entry_part(&mut self, local: &str, number: u32, ty: &FieldType, value: &str) {
        let raw = match self.target(ty) {
            Some(Target::Message(_)) => format!("{value}._write(depth - 2)"),
            Some(Target::Native { class, .. }) => format!("{class}._pack({value}, depth - 2)"),
            Some(Target::Enum(_)) | None => match ty {
                FieldType::String => format!("{value}.encode()"),
                FieldType::Bytes => value.to_owned(),
                ty => {
                    let written = self.written(number, ty, value);
                    self.out.line(format_args!("{local} = {written}"));
                    return;
                }
            },
        };
        self.out.line(format_args!("raw = {raw}"));
        self.out.line("size = len(raw)");
        let varint = self.wire("varint");
        let head = self.short_or(number, Wire::Sized, "size", "size < 128", &varint);
        self.out.line(format_args!("{local} = ({head}) + raw"));
    }
}
