"""What generated code says of the fields of a message: the table that JSON and error texts are made from."""

from __future__ import annotations

from enum import Enum as PythonEnum
from typing import TYPE_CHECKING, Any

from msip.record import record

if TYPE_CHECKING:
    from msip.message.enums import Enum
    from msip.message.message import Message

__all__ = ["Field", "Scalar"]


class Scalar(PythonEnum):
    """The scalar types of protobuf."""

    DOUBLE = "double"
    FLOAT = "float"
    INT32 = "int32"
    INT64 = "int64"
    UINT32 = "uint32"
    UINT64 = "uint64"
    SINT32 = "sint32"
    SINT64 = "sint64"
    FIXED32 = "fixed32"
    FIXED64 = "fixed64"
    SFIXED32 = "sfixed32"
    SFIXED64 = "sfixed64"
    BOOL = "bool"
    STRING = "string"
    BYTES = "bytes"

    # That of an enum is a function of Python's, and slow.
    __hash__ = object.__hash__


@record(frozen=True)
class Field:
    """One field of a message."""

    name: str
    """As the schema spells it."""
    number: int
    kind: Scalar | type[Enum | Message]
    """The type of one value."""
    json: str
    """The name in JSON."""
    attribute: str
    """The attribute of the message's class; that of the oneof for its members."""
    optional: bool = False
    """Whether absence is visible."""
    repeated: bool = False
    key: Scalar | None = None
    """Of a map: the type of its keys."""
    member: type[Any] | None = None
    """Of a member of a oneof: the class that holds its value."""
