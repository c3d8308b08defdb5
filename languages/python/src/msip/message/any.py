"""A message of any type."""

from __future__ import annotations

from typing import ClassVar, Self, TypeVar

from msip.errors import DecodeError
from msip.json_value import JsonValue
from msip.message.failures import (
    READ_FAILURES,
    WRITE_FAILURES,
    EncodeError,
    too_deep,
    unreadable,
    unwritable,
    within,
)
from msip.message.fields import Field, Scalar
from msip.message.form import Form
from msip.message.message import Message, message_type
from msip.message.scalars import found
from msip.message.tree import entered, ignore
from msip.message.well_known import Empty
from msip.message.wire import read_varint, sized, skip_field
from msip.record import record

__all__ = ["Any"]

M = TypeVar("M", bound=Message)

_MAX_ANYS = 4
"""How many may be inside of each other in a tree (docs/codecs.md, "Limits")."""


@record
class Any(Message):
    """A message of any type, in protobuf, with the name of its type: `google.protobuf.Any`."""

    type_url: str = ""
    """The name of the type behind a slash, such as `type.googleapis.com/fleet.v1.Position`."""
    value: bytes = b""
    """The message in protobuf."""

    _full_name: ClassVar[str] = "google.protobuf.Any"

    @classmethod
    def pack(cls, message: Message) -> Self:
        """The message in an `Any`."""
        return cls(f"type.googleapis.com/{message._full_name}", message.to_bytes())

    def type_name(self) -> str:
        """The full name of the type, such as `fleet.v1.Position`."""
        return self.type_url.rpartition("/")[2]

    def unpack(self, message: type[M]) -> M | None:
        """The message, if it is one of this class. Raises `DecodeError` where it is malformed."""
        return message.from_bytes(self.value) if self.type_name() == message._full_name else None

    def _write(self, depth: int) -> bytes:
        try:
            out = b""
            if self.type_url:
                out += b"\n" + sized(self.type_url.encode())
            if self.value:
                out += b"\x12" + sized(self.value)
        except WRITE_FAILURES as error:
            raise unwritable(self, error) from None
        return out + self.unknown_fields

    def _read(self, data: bytes, at: int, end: int, depth: int, is_new: bool = True) -> Self:
        if depth < 0:
            raise too_deep()
        if is_new:
            self.type_url = ""
            self.value = b""
            self.unknown_fields = b""
        unknown = bytearray()
        tag = 0
        try:
            while at < end:
                start = at
                tag, at = read_varint(data, at)
                if tag in (10, 18):
                    size, at = read_varint(data, at)
                    stop = at + size
                    if stop > end:
                        raise IndexError
                    if tag == 10:
                        self.type_url = data[at:stop].decode()
                    else:
                        self.value = data[at:stop]
                    at = stop
                else:
                    at = skip_field(data, start, end, depth)
                    unknown += data[start:at]
            if at > end:
                raise IndexError
        except READ_FAILURES as error:
            raise unreadable(self, tag, error) from None
        if unknown:
            self._keep_unknown(unknown)
        return self

    def _to_tree(self, form: Form, depth: int) -> JsonValue:
        if not self.type_url and not self.value:
            return {}
        kind = message_type(self.type_name())
        if kind is None:
            raise EncodeError(f"no module that is imported has the type {found(self.type_name())}")
        try:
            message = kind.from_bytes(self.value)
        except DecodeError as error:
            raise EncodeError(error.reason, within("value", error.path)) from None
        _count_anys(message)
        tree = message._to_tree(form, depth - 1 if _has_own_form(kind) else depth)
        if _has_own_form(kind):
            return {"@type": self.type_url, "value": tree}
        assert isinstance(tree, dict)
        return {"@type": self.type_url, **tree}

    @classmethod
    def _from_tree(cls, value: JsonValue, form: Form, depth: int) -> Self:
        values = entered(value, depth)
        if not values:
            return cls()
        url = values.get("@type")
        if not isinstance(url, str):
            raise DecodeError(f"expected the name of a type, found {found(url)}", "@type")
        kind = message_type(url.rpartition("/")[2])
        if kind is None or "/" not in url:
            raise DecodeError(f"no module that is imported has the type {found(url)}", "@type")
        try:
            url.encode()
        except UnicodeEncodeError:
            raise DecodeError(f"text with half of a surrogate pair: {found(url)}", "@type") from None
        rest: dict[str, JsonValue] = {name: inner for name, inner in values.items() if name != "@type"}
        if _has_own_form(kind):
            inner = rest.pop("value", None)
            ignore(rest, depth)
            try:
                message = kind._from_tree(inner, form, depth - 1)
            except DecodeError as error:
                raise DecodeError(error.reason, within("value", error.path), error.code) from None
        else:
            message = kind._from_tree(rest, form, depth)
        try:
            _count_anys(message)
        except EncodeError as error:
            raise DecodeError(error.reason) from None
        return cls(url, message.to_bytes())

    @classmethod
    def _fields(cls) -> tuple[Field, ...]:
        return (
            Field("type_url", 1, Scalar.STRING, "typeUrl", "type_url"),
            Field("value", 2, Scalar.BYTES, "value", "value"),
        )


def _has_own_form(kind: type[Message]) -> bool:
    """Whether the tree of a type is not that of its fields."""
    return kind._full_name.startswith("google.protobuf.") and kind._to_tree is not Message._to_tree or kind is Empty


def _count_anys(message: Message) -> None:
    """Refuses the fifth `Any` inside of others."""
    count = 1
    while isinstance(message, Any):
        count += 1
        if count > _MAX_ANYS:
            raise EncodeError(f"more than {_MAX_ANYS} Any are inside of each other")
        kind = message_type(message.type_name())
        if kind is None:
            return
        message = kind.from_bytes(message.value)
