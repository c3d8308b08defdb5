//! Protobuf's own types that Python has values for.

use msip_schema::TypeName;

/// What fields of a well-known type hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WellKnown {
    /// The class of this name of `msip.message`.
    Class(&'static str),
    /// An enum of `msip.message`.
    Enum(&'static str),
    /// A value of this type of Python's, which the class of this name of `msip.message` converts.
    Native {
        class: &'static str,
        ty: &'static str,
    },
}

impl WellKnown {
    pub(super) fn of(name: &TypeName) -> Option<Self> {
        let native = |class, ty| Some(Self::Native { class, ty });
        match name.as_str().strip_prefix("google.protobuf.")? {
            "Any" => Some(Self::Class("Any")),
            "Empty" => Some(Self::Class("Empty")),
            "NullValue" => Some(Self::Enum("NullValue")),
            "Timestamp" => native("Timestamp", "datetime.datetime"),
            "Duration" => native("Duration", "datetime.timedelta"),
            "FieldMask" => native("FieldMask", "list[str]"),
            "Struct" => native("Struct", "dict[str, msip.JsonValue]"),
            "Value" => native("Value", "msip.JsonValue"),
            "ListValue" => native("ListValue", "list[msip.JsonValue]"),
            "DoubleValue" => native("DoubleValue", "float"),
            "FloatValue" => native("FloatValue", "float"),
            "Int64Value" => native("Int64Value", "int"),
            "UInt64Value" => native("UInt64Value", "int"),
            "Int32Value" => native("Int32Value", "int"),
            "UInt32Value" => native("UInt32Value", "int"),
            "BoolValue" => native("BoolValue", "bool"),
            "StringValue" => native("StringValue", "str"),
            "BytesValue" => native("BytesValue", "bytes"),
            _ => None,
        }
    }

    /// The path of its class, which is a message or an enum.
    pub(super) fn class_path(self) -> String {
        let (Self::Class(class) | Self::Enum(class) | Self::Native { class, .. }) = self;
        format!("msip.message.{class}")
    }
}
