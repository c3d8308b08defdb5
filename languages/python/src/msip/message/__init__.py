"""What generated messages stand on: their base class, enums, well-known types, and their mapping to JSON and MessagePack."""

from __future__ import annotations

from msip.errors import DecodeError
from msip.json_value import JsonValue
from msip.message.any import Any
from msip.message.deprecation import deprecated
from msip.message.enums import Enum, NullValue
from msip.message.failures import EncodeError
from msip.message.fields import Field, Scalar
from msip.message.form import Float32, Form
from msip.message.json_messages import ListValue, Struct, Value
from msip.message.message import Message, message_type
from msip.message.well_known import Duration, Empty, FieldMask, Timestamp
from msip.message.wrappers import (
    BoolValue,
    BytesValue,
    DoubleValue,
    FloatValue,
    Int32Value,
    Int64Value,
    StringValue,
    UInt32Value,
    UInt64Value,
)

__all__ = [
    "Any",
    "BoolValue",
    "BytesValue",
    "DecodeError",
    "DoubleValue",
    "Duration",
    "Empty",
    "EncodeError",
    "Enum",
    "Field",
    "FieldMask",
    "Float32",
    "FloatValue",
    "Form",
    "Int32Value",
    "Int64Value",
    "JsonValue",
    "ListValue",
    "Message",
    "NullValue",
    "Scalar",
    "StringValue",
    "Struct",
    "Timestamp",
    "UInt32Value",
    "UInt64Value",
    "Value",
    "deprecated",
    "message_type",
]
