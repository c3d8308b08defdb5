//! Classes of messages and enums.

use msip_schema::{Cardinality, EnumType, Field, FieldType};

use super::doc::docstring;
use super::layout::{Class, ClassKind, MessageClass, attributes_in_order, members, plain_field};
use super::module::{Module, Target, literal, scalar};
use super::{read_bytes, table, write_bytes};

/// What a docstring says of what the schema calls deprecated.
const DEPRECATED: &str = "Deprecated.";

impl Module<'_, '_> {
    /// Writes all classes of the module: enums first, so that the defaults of fields may refer to them.
    pub(super) fn classes(&mut self) {
        let package = self.package;
        let is_enum = |class: &&Class<'_>| matches!(class.kind, ClassKind::Enum { .. });
        for class in package.classes.iter().filter(is_enum) {
            self.part();
            self.class(class, &[]);
        }
        for class in package.classes.iter().filter(|class| !is_enum(class)) {
            self.part();
            self.class(class, &[]);
        }
    }

    /// Writes a class. `outer` are the names of the classes that it is in.
    fn class(&mut self, class: &Class<'_>, outer: &[String]) {
        let mut path = outer.to_vec();
        path.push(class.name.clone());
        match &class.kind {
            ClassKind::Enum { ty, values } => self.enum_class(class, ty, values),
            ClassKind::Scope(nested) => {
                self.out.line(format_args!("class {}:", class.name));
                self.out.indent();
                let envelope = class
                    .full_name
                    .rsplit('.')
                    .next()
                    .unwrap_or(class.full_name);
                docstring(
                    &format!("The types that `{envelope}` declares."),
                    &[],
                    &mut self.out,
                );
                self.nested(nested, &path);
                self.out.dedent();
            }
            ClassKind::Message(message) => self.message_class(class, message, &path),
        }
    }

    fn nested(&mut self, classes: &[Class<'_>], path: &[String]) {
        let is_enum = |class: &&Class<'_>| matches!(class.kind, ClassKind::Enum { .. });
        for class in classes
            .iter()
            .filter(is_enum)
            .chain(classes.iter().filter(|class| !is_enum(class)))
        {
            self.out.separate();
            self.class(class, path);
        }
    }

    fn deprecated(&mut self, is_deprecated: bool) {
        if is_deprecated {
            self.plain("msip.message");
            self.out
                .line("@msip.message.deprecated(\"deprecated in the schema\")");
        }
    }

    fn enum_class(&mut self, class: &Class<'_>, ty: &EnumType, values: &[String]) {
        self.plain("msip.message");
        self.deprecated(ty.deprecated);
        self.out
            .line(format_args!("class {}(msip.message.Enum):", class.name));
        self.out.indent();
        docstring(&ty.doc, &notes(ty.deprecated), &mut self.out);
        self.out.separate();
        for (value, name) in ty.values.iter().zip(values) {
            self.out.line(format_args!("{name} = {}", value.number));
            docstring(&value.doc, &notes(value.deprecated), &mut self.out);
        }
        let is_renamed = ty
            .values
            .iter()
            .zip(values)
            .any(|(value, name)| value.name != *name);
        if is_renamed {
            self.out.separate();
            self.out.line("@classmethod");
            self.out.line("def _schema_names(cls) -> dict[str, int]:");
            self.out.indent();
            self.out.line("return {");
            self.out.indent();
            for value in &ty.values {
                self.out
                    .line(format_args!("{}: {},", literal(&value.name), value.number));
            }
            self.out.dedent();
            self.out.line("}");
            self.out.dedent();
        }
        self.out.dedent();
    }

    fn message_class(&mut self, class: &Class<'_>, message: &MessageClass<'_>, path: &[String]) {
        let ty = message.ty;
        self.plain("msip.message");
        self.deprecated(ty.deprecated);
        self.out.line("@msip.message.record");
        self.out
            .line(format_args!("class {}(msip.message.Message):", class.name));
        self.out.indent();
        docstring(&ty.doc, &notes(ty.deprecated), &mut self.out);
        self.nested(&message.nested, path);
        for field in ty.fields.iter().filter(|field| field.oneof.is_some()) {
            self.oneof_class(message, field);
        }
        self.fields(message, path);
        self.out.separate();
        self.out
            .line(format_args!("_full_name = {}", literal(class.full_name)));
        let path = path.join(".");
        write_bytes::write(self, message, &path);
        read_bytes::write(self, message, &path);
        table::write(self, message, &path);
        self.out.dedent();
    }

    /// The class of a oneof's member.
    fn oneof_class(&mut self, message: &MessageClass<'_>, field: &Field) {
        let Some(name) = message.oneof_classes.get(field.name.as_str()) else {
            return;
        };
        let annotation = self.annotation(&field.ty);
        self.out.separate();
        self.out.line("@msip.message.record");
        self.out.line(format_args!("class {name}:"));
        self.out.indent();
        let of = format!(
            "`{}` of the oneof `{}`.",
            field.name,
            field.oneof.as_deref().unwrap_or("")
        );
        let doc = if crate::write::is_blank(&field.doc) {
            &of
        } else {
            &field.doc
        };
        docstring(doc, &notes(field.deprecated), &mut self.out);
        self.out.separate();
        self.out.line(format_args!("value: {annotation}"));
        self.out.dedent();
    }

    fn fields(&mut self, message: &MessageClass<'_>, path: &[String]) {
        let ty = message.ty;
        if !ty.fields.is_empty() {
            self.out.separate();
        }
        for attribute in attributes_in_order(ty) {
            let name = message
                .attributes
                .get(attribute)
                .map_or(attribute, String::as_str);
            if let Some(field) = plain_field(ty, attribute) {
                let (annotation, default) = self.field_type(field, path);
                self.out
                    .line(format_args!("{name}: {annotation} = {default}"));
                docstring(&field.doc, &notes(field.deprecated), &mut self.out);
                continue;
            }
            let classes: Vec<String> = members(ty, attribute)
                .filter_map(|field| message.oneof_classes.get(field.name.as_str()))
                .map(|class| format!("{}.{class}", path.join(".")))
                .collect();
            self.out.line(format_args!(
                "{name}: {} | None = None",
                classes.join(" | ")
            ));
            let doc = ty
                .oneofs
                .iter()
                .find(|oneof| oneof.name == attribute)
                .map_or("", |oneof| &oneof.doc);
            docstring(doc, &[], &mut self.out);
        }
    }

    /// The annotation of a field, and its default.
    fn field_type(&mut self, field: &Field, path: &[String]) -> (String, String) {
        let annotation = self.annotation(&field.ty);
        match &field.cardinality {
            Cardinality::Repeated => (
                format!("list[{annotation}]"),
                "msip.message.field(default_factory=list)".to_owned(),
            ),
            Cardinality::Map(key) => (
                format!("dict[{}, {annotation}]", scalar(key).annotation),
                "msip.message.field(default_factory=dict)".to_owned(),
            ),
            // Null is a value of this type already.
            Cardinality::Optional if annotation == "msip.JsonValue" => {
                (annotation, "None".to_owned())
            }
            Cardinality::Optional => (format!("{annotation} | None"), "None".to_owned()),
            Cardinality::Implicit => match self.target(&field.ty) {
                Some(Target::Enum(class)) => {
                    let default = self.enum_default(&field.ty, &class, path);
                    (annotation, default)
                }
                Some(_) => (format!("{annotation} | None"), "None".to_owned()),
                None => (annotation, scalar(&field.ty).zero.to_owned()),
            },
        }
    }

    /// The default of an enum's field: its zero, named where the class of the enum is there already.
    fn enum_default(&self, ty: &FieldType, class: &str, path: &[String]) -> String {
        let FieldType::Enum(name) = ty else {
            return String::new();
        };
        let Some((package, place, zero)) = self.layout.enum_zero(name) else {
            return format!("{class}.NULL_VALUE");
        };
        if package == self.package.name {
            if let [only] = place {
                return format!("{only}.{zero}");
            }
            if let Some((short, scope)) = place.split_last()
                && scope == path
            {
                return format!("{short}.{zero}");
            }
        }
        format!("msip.message.field(default_factory=lambda: {class}.{zero})")
    }
}

fn notes(is_deprecated: bool) -> Vec<&'static str> {
    if is_deprecated {
        vec![DEPRECATED]
    } else {
        Vec::new()
    }
}
