//! The registry of the types of a derived schema.

use std::any::TypeId;
use std::collections::{HashMap, HashSet};

use msip_schema::{
    Cardinality, EnumType, EnumValue, Field, FieldType, MessageType, Oneof, Span, TypeDef,
    TypeName, Types,
};

/// Collects the types of a protocol, each once.
#[derive(Debug)]
pub struct Registry {
    package: String,
    names: HashMap<TypeId, TypeName>,
    taken: HashSet<TypeName>,
    types: Types,
}

/// The type of one value of a field.
#[derive(Debug, Clone)]
pub struct ValueType(pub(super) FieldType);

/// The type of a field, and how many values it has.
#[derive(Debug, Clone)]
pub struct FieldShape {
    ty: FieldType,
    cardinality: Cardinality,
}

impl ValueType {
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
        self.with(Cardinality::Map(key.0))
    }

    fn with(self, cardinality: Cardinality) -> FieldShape {
        FieldShape {
            ty: self.0,
            cardinality,
        }
    }

    /// The name of the message; `None` for other types.
    pub(super) fn message_name(&self) -> Option<&TypeName> {
        match &self.0 {
            FieldType::Message(name) => Some(name),
            _ => None,
        }
    }
}

/// The description of a message.
#[derive(Debug, Clone)]
pub struct MessageShape {
    message: MessageType,
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
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn field(self, name: &str, number: u32, shape: FieldShape, doc: &str) -> Self {
        self.push(name, number, shape, None, doc)
    }

    /// Adds a member of the message's oneof.
    #[must_use]
    pub fn member(self, name: &str, number: u32, ty: ValueType, oneof: &str, doc: &str) -> Self {
        self.push(name, number, ty.optional(), Some(oneof.to_owned()), doc)
    }

    /// Adds a member of the message's oneof without a payload.
    #[must_use]
    pub fn empty_member(self, name: &str, number: u32, oneof: &str, doc: &str) -> Self {
        let empty = ValueType(FieldType::Message(TypeName::new("google.protobuf.Empty")));
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
            // A derived oneof is all that its message contains, so the comment is on the message.
            self.message.oneofs.push(Oneof {
                name: name.clone(),
                ..Oneof::default()
            });
        }
        self.message.fields.push(Field {
            name: name.to_owned(),
            json_name: None,
            number,
            ty: shape.ty,
            cardinality: shape.cardinality,
            oneof,
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
            names: HashMap::new(),
            taken: HashSet::new(),
            types: Types::new(),
        }
    }

    pub(super) fn into_types(self) -> Types {
        self.types
    }

    /// Adds the message `T`, if it is not there yet, and returns it as the type of a field.
    ///
    /// `name` is its short name, to which a number is added if another type has it already.
    pub fn message<T: 'static>(
        &mut self,
        name: &'static str,
        shape: impl FnOnce(&mut Self) -> MessageShape,
    ) -> ValueType {
        let (full, is_new) = self.name_of::<T>(name);
        if is_new {
            let mut message = shape(self).message;
            message.package.clone_from(&self.package);
            self.types.insert(full.clone(), TypeDef::Message(message));
        }
        ValueType(FieldType::Message(full))
    }

    /// Adds the enum `T`, if it is not there yet, and returns it as the type of a field.
    pub fn enumeration<T: 'static>(&mut self, shape: impl FnOnce() -> EnumShape) -> ValueType {
        let mut shape = shape();
        let (full, is_new) = self.name_of::<T>(shape.name);
        if is_new {
            shape.ty.package.clone_from(&self.package);
            self.types.insert(full.clone(), TypeDef::Enum(shape.ty));
        }
        ValueType(FieldType::Enum(full))
    }

    fn name_of<T: 'static>(&mut self, short: &str) -> (TypeName, bool) {
        let id = TypeId::of::<T>();
        if let Some(known) = self.names.get(&id) {
            return (known.clone(), false);
        }
        let mut name = TypeName::new(format!("{}.{short}", self.package));
        let mut round = 2_u32;
        while self.taken.contains(&name) {
            name = TypeName::new(format!("{}.{short}{round}", self.package));
            round += 1;
        }
        self.taken.insert(name.clone());
        self.names.insert(id, name.clone());
        (name, true)
    }
}
