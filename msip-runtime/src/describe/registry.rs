//! The registry of the types of a derived schema.

use msip_schema::{
    Cardinality, EnumType, EnumValue, Field, FieldType, MessageType, Oneof, Span, TypeDef,
    TypeName, Types,
};

use crate::decoded_size::{BOX_COST, FieldLayout, MessageSize};

use super::reserved::{merged, without_duplicates};
use super::type_names::{TypeNames, folded};

/// Collects the types of a protocol, each once.
#[derive(Debug)]
pub struct Registry {
    package: String,
    names: TypeNames,
    types: Types,
    sizes: Vec<MessageSize>,
}

/// The type of one value of a field.
#[derive(Debug, Clone)]
pub struct ValueType {
    ty: FieldType,
    is_boxed: bool,
}

/// The type of a field, and how many values it has.
#[derive(Debug, Clone)]
pub struct FieldShape {
    ty: FieldType,
    cardinality: Cardinality,
    layout: FieldLayout,
}

impl ValueType {
    pub(super) fn new(ty: FieldType) -> Self {
        Self {
            ty,
            is_boxed: false,
        }
    }

    /// The same in a box.
    #[must_use]
    pub(super) fn boxed(self) -> Self {
        Self {
            is_boxed: true,
            ..self
        }
    }

    /// One value, with the default zero.
    #[must_use]
    pub fn implicit(self) -> FieldShape {
        self.with(Cardinality::Implicit)
    }

    /// An optional value.
    #[must_use]
    pub fn optional(self) -> FieldShape {
        self.with(Cardinality::Optional)
    }

    /// A list of values.
    #[must_use]
    pub fn repeated(self) -> FieldShape {
        self.with(Cardinality::Repeated)
    }

    /// A map of values.
    #[must_use]
    pub fn keyed_by(self, key: Self) -> FieldShape {
        self.with(Cardinality::Map(key.ty))
    }

    fn with(self, cardinality: Cardinality) -> FieldShape {
        FieldShape {
            ty: self.ty,
            cardinality,
            layout: FieldLayout {
                is_boxed: self.is_boxed,
                ..FieldLayout::default()
            },
        }
    }

    /// The name of the message; `None` for other types.
    pub(super) fn message_name(&self) -> Option<&TypeName> {
        match &self.ty {
            FieldType::Message(name) => Some(name),
            _ => None,
        }
    }
}

impl FieldShape {
    /// The elements of its list are of this type.
    #[must_use]
    pub(super) fn list_of<T>(mut self) -> Self {
        self.layout.element = size_of::<T>();
        self
    }

    /// The pairs of its map are of these types; it is a `BTreeMap`, or else a `HashMap`.
    #[must_use]
    pub(super) fn map_of<K, V>(mut self, is_tree: bool) -> Self {
        self.layout.element = size_of::<(K, V)>();
        self.layout.is_tree = is_tree;
        self
    }
}

/// The description of a message.
#[derive(Debug, Clone)]
pub struct MessageShape {
    message: MessageType,
    layouts: Vec<FieldLayout>,
    /// What its oneofs take in boxes, in bytes.
    boxed_len: usize,
}

impl MessageShape {
    /// A message without fields, with this comment.
    #[must_use]
    pub fn new(doc: &str) -> Self {
        Self {
            message: MessageType {
                doc: doc.to_owned(),
                ..MessageType::default()
            },
            layouts: Vec::new(),
            boxed_len: 0,
        }
    }

    /// A oneof that was added last is in a box of this many bytes.
    #[must_use]
    pub(super) fn with_box(mut self, len: usize) -> Self {
        self.boxed_len += len + BOX_COST;
        self
    }

    /// Adds a field.
    #[must_use]
    pub fn field(self, name: &str, number: u32, shape: FieldShape, doc: &str) -> Self {
        self.push(name, number, shape, None, doc)
    }

    /// Adds a oneof with this comment, and its members.
    #[must_use]
    pub fn oneof(
        mut self,
        name: &str,
        doc: &str,
        members: impl FnOnce(Self, &str) -> Self,
    ) -> Self {
        self.message.oneofs.push(Oneof {
            name: name.to_owned(),
            doc: doc.to_owned(),
            ..Oneof::default()
        });
        members(self, name)
    }

    /// Adds a member of a oneof of the message.
    #[must_use]
    pub fn member(self, name: &str, number: u32, ty: ValueType, oneof: &str, doc: &str) -> Self {
        self.push(name, number, ty.optional(), Some(oneof.to_owned()), doc)
    }

    /// Adds a member of a oneof of the message without a payload.
    #[must_use]
    pub fn empty_member(self, name: &str, number: u32, oneof: &str, doc: &str) -> Self {
        let empty = ValueType::new(FieldType::Message(TypeName::new("google.protobuf.Empty")));
        self.member(name, number, empty, oneof, doc)
    }

    /// Marks the message as deprecated.
    #[must_use]
    pub fn deprecated(mut self) -> Self {
        self.message.deprecated = true;
        self
    }

    /// Marks the field that was added last as deprecated.
    #[must_use]
    pub fn last_deprecated(mut self) -> Self {
        if let Some(field) = self.message.fields.last_mut() {
            field.deprecated = true;
        }
        self
    }

    /// Reserves the numbers from `first` to `last`.
    #[must_use]
    pub fn reserved(mut self, first: u32, last: u32) -> Self {
        self.message.reserved_numbers.push((first, last));
        self
    }

    /// Reserves a name.
    #[must_use]
    pub fn reserved_name(mut self, name: &str) -> Self {
        self.message.reserved_names.push(name.to_owned());
        self
    }

    /// The message, in the form that a `.proto` file can have.
    fn finish(self) -> MessageType {
        let mut message = self.message;
        // A name of a oneof is nowhere on the wire, so it is what yields.
        let mut taken: Vec<String> = message
            .fields
            .iter()
            .map(|field| folded(&field.name))
            .collect();
        for index in 0..message.oneofs.len() {
            let own = message.oneofs[index].name.clone();
            let mut name = own.clone();
            let mut number = 2_u32;
            while taken.contains(&folded(&name)) {
                name = format!("{own}{number}");
                number += 1;
            }
            taken.push(folded(&name));
            if name != own {
                message.oneofs[index].name.clone_from(&name);
                let members = message.fields.iter_mut();
                for member in members.filter(|field| field.oneof.as_ref() == Some(&own)) {
                    member.oneof = Some(name.clone());
                }
            }
        }
        message.reserved_numbers = merged(message.reserved_numbers);
        message.reserved_names = without_duplicates(message.reserved_names);
        message
    }

    fn push(
        mut self,
        name: &str,
        number: u32,
        shape: FieldShape,
        oneof: Option<String>,
        doc: &str,
    ) -> Self {
        if let Some(name) = &oneof
            && self.message.oneofs.iter().all(|known| known.name != *name)
        {
            // It is all that its message contains, so the comment is on the message.
            self.message.oneofs.push(Oneof {
                name: name.clone(),
                ..Oneof::default()
            });
        }
        self.layouts.push(FieldLayout {
            number,
            ..shape.layout
        });
        self.message.fields.push(Field {
            name: name.to_owned(),
            json_name: None,
            number,
            ty: shape.ty,
            cardinality: shape.cardinality,
            oneof,
            expanded: false,
            doc: doc.to_owned(),
            deprecated: false,
            span: Span::NONE,
        });
        self
    }
}

/// The description of an enum without data.
#[derive(Debug, Clone)]
pub struct EnumShape {
    name: &'static str,
    ty: EnumType,
}

impl EnumShape {
    /// An enum without values, with this name and comment.
    #[must_use]
    pub fn new(name: &'static str, doc: &str) -> Self {
        Self {
            name,
            ty: EnumType {
                doc: doc.to_owned(),
                ..EnumType::default()
            },
        }
    }

    /// Adds a value.
    #[must_use]
    pub fn value(mut self, name: &str, number: i32, doc: &str) -> Self {
        self.ty.values.push(EnumValue {
            name: name.to_owned(),
            number,
            doc: doc.to_owned(),
            deprecated: false,
            span: Span::NONE,
        });
        self
    }

    /// Marks the enum as deprecated.
    #[must_use]
    pub fn deprecated(mut self) -> Self {
        self.ty.deprecated = true;
        self
    }

    /// Marks the value that was added last as deprecated.
    #[must_use]
    pub fn last_deprecated(mut self) -> Self {
        if let Some(value) = self.ty.values.last_mut() {
            value.deprecated = true;
        }
        self
    }
}

impl Registry {
    pub(super) fn new(package: &str) -> Self {
        Self {
            package: package.to_owned(),
            names: TypeNames::new(package),
            types: Types::new(),
            sizes: Vec::new(),
        }
    }

    /// The types, and the sizes of the messages among them.
    pub(super) fn finish(self) -> (Types, Vec<MessageSize>) {
        (self.types, self.sizes)
    }

    /// Adds the message `T`, if it is not there yet, and returns it as the type of a field.
    ///
    /// `name` is its short name, to which a number is added if another type has it already.
    pub fn message<T: 'static>(
        &mut self,
        name: &'static str,
        shape: impl FnOnce(&mut Self) -> MessageShape,
    ) -> ValueType {
        if let Some(known) = self.names.known::<T>() {
            return ValueType::new(FieldType::Message(known));
        }
        let full = self.names.message::<T>(name);
        let mut shape = shape(self);
        let layouts = std::mem::take(&mut shape.layouts);
        let size = size_of::<T>() + shape.boxed_len;
        self.sizes
            .push(MessageSize::derived(full.to_string(), size, layouts));
        self.add_message(full.clone(), shape.finish());
        ValueType::new(FieldType::Message(full))
    }

    /// Adds the enum `T`, if it is not there yet, and returns it as the type of a field.
    pub fn enumeration<T: 'static>(&mut self, shape: impl FnOnce() -> EnumShape) -> ValueType {
        if let Some(known) = self.names.known::<T>() {
            return ValueType::new(FieldType::Enum(known));
        }
        let mut shape = shape();
        let values: Vec<&str> = shape
            .ty
            .values
            .iter()
            .map(|value| value.name.as_str())
            .collect();
        let (full, around) = self.names.enumeration::<T>(shape.name, &values);
        if let Some(around) = around {
            self.add_message(around, MessageType::default());
        }
        shape.ty.package.clone_from(&self.package);
        self.types.insert(full.clone(), TypeDef::Enum(shape.ty));
        ValueType::new(FieldType::Enum(full))
    }

    fn add_message(&mut self, name: TypeName, mut message: MessageType) {
        message.package.clone_from(&self.package);
        self.types.insert(name, TypeDef::Message(message));
    }
}
