"""What generated messages stand on: their base class, enums, well-known types, and their mapping to JSON and MessagePack."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from msip.errors import DecodeError
from msip.json_value import JsonValue
from msip.message.deprecation import deprecated
from msip.message.enums import Enum, NullValue
from msip.message.failures import EncodeError
from msip.message.fields import Field, Scalar
from msip.message.form import Float32, Form
from msip.message.message import Message, message_type
from msip.record import field, record

if TYPE_CHECKING:
    from msip.message.any import Any
    from msip.message.json_messages import ListValue, Struct, Value
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

# The messages that come with protobuf, and their modules, which are imported when one of them is needed.
_MODULES = {
    "Any": "any",
    "ListValue": "json_messages",
    "Struct": "json_messages",
    "Value": "json_messages",
    "Duration": "well_known",
    "Empty": "well_known",
    "FieldMask": "well_known",
    "Timestamp": "well_known",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'wrappers')}"), name)
    globals()[name] = found
    return found


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
    "field",
    "message_type",
    "record",
]
