"""The base class of messages."""

from __future__ import annotations

from typing import Any, ClassVar, Self, cast

from msip.json_value import JsonValue
from msip.message.failures import EncodeError
from msip.message.fields import Field
from msip.message.form import Form
from msip.message.scalars import found
from msip.message.tree import read_message, write_message
from msip.message.wire import MAX_DEPTH, new
from msip.record import field, record

__all__ = ["Message", "message_type"]

_TYPES: dict[str, type[Message]] = {}


def message_type(full_name: str) -> type[Message] | None:
    """The class of a message, by its full name, among the modules that have been imported."""
    if full_name not in _TYPES and full_name.startswith("google.protobuf."):
        # These modules are imported when they are needed.
        from msip.message import any, json_messages, wrappers  # noqa: F401
    return _TYPES.get(full_name)


class _Registered:
    """Registers each subclass under its full name, for `Any`."""

    __slots__ = ()

    def __init_subclass__(cls, **arguments: object) -> None:
        super().__init_subclass__(**arguments)
        name = cls.__dict__.get("_full_name")
        if name and issubclass(cls, Message):
            _TYPES[name] = cls


@record
class Message(_Registered):
    """A message of a schema. Generated classes derive from it.

    Messages are mutable, compare by their fields, and have no hash.
    """

    unknown_fields: bytes = field(default=b"", repr=False, kw_only=True)
    """Fields that the schema does not have, as they were received: `to_bytes` writes them again."""

    _full_name: ClassVar[str] = ""

    def to_bytes(self) -> bytes:
        """The message in protobuf. Raises `EncodeError`, which names the field, for a value that it cannot hold."""
        return self._write(MAX_DEPTH)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Self:
        """The message of these bytes, which are protobuf.

        Raises `DecodeError`, which says which field is malformed.
        """
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        return new(cls)._read(data, 0, len(data), MAX_DEPTH)

    def to_json(self) -> str:
        """The message in the canonical JSON of proto3, without white space (docs/codecs.md, "JSON").

        Raises `EncodeError` for a value that JSON or its field cannot hold.
        """
        from msip.message.json_text import write_json  # late: few programs speak it

        return write_json(self.to_value())

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The message of this JSON. What it has that the schema does not is ignored.

        Raises `DecodeError`, which says which field is malformed.
        """
        from msip.message.json_text import read_json  # late: few programs speak it

        return cls.from_value(read_json(text))

    def to_value(self, form: Form = Form.JSON) -> JsonValue:
        """The message as a tree of values, for JSON or for MessagePack.

        Raises `EncodeError` for a value that the form or its field cannot hold.
        """
        return self._to_tree(form, MAX_DEPTH)

    @classmethod
    def from_value(cls, value: JsonValue, form: Form = Form.JSON) -> Self:
        """The message of a tree of values. What it has that the schema does not is ignored.

        Raises `DecodeError`, which says which field is malformed.
        """
        return cls._from_tree(value, form, MAX_DEPTH)

    def _write(self, depth: int) -> bytes:
        """The message in protobuf, in which `depth` more messages may be inside of each other."""
        raise NotImplementedError

    def _read(self, data: bytes, at: int, end: int, depth: int, is_new: bool = True) -> Self:
        """Reads fields from a range of bytes, and sets the others unless the message has them already. Returns itself."""
        raise NotImplementedError

    def _keep_unknown(self, fields: bytes | bytearray) -> None:
        """Keeps fields that the schema does not have, behind those that are there already."""
        if not self.unknown_fields:
            self.unknown_fields = bytes(fields)
            return
        # A message that comes in many parts has them merged one by one: a bytearray grows without being copied each time.
        kept = self.unknown_fields
        grown = kept if isinstance(kept, bytearray) else bytearray(kept)
        grown += fields
        self.unknown_fields = cast(bytes, grown)

    def _to_tree(self, form: Form, depth: int) -> JsonValue:
        """The message as a tree in which `depth` more objects and arrays may be inside of each other."""
        return write_message(self, form, depth)

    @classmethod
    def _from_tree(cls, value: JsonValue, form: Form, depth: int) -> Self:
        """The message of a tree in which `depth` more objects and arrays may be inside of each other."""
        return read_message(cls, value, form, depth)

    @classmethod
    def _tree_of(cls, value: Any, form: Form, depth: int) -> JsonValue:
        """The tree of a field of this type."""
        if not isinstance(value, cls):
            raise EncodeError(f"expected {cls.__qualname__}, found {found(value)}")
        return value._to_tree(form, depth)

    @classmethod
    def _of_tree(cls, value: JsonValue, form: Form, depth: int) -> Any:
        """What a field of this type holds, of a tree."""
        return cls._from_tree(value, form, depth)

    @classmethod
    def _takes_null(cls) -> bool:
        """Whether null is a value in a tree, rather than the absence of one."""
        return False

    @classmethod
    def _fields(cls) -> tuple[Field, ...]:
        """The fields, as the schema declares them."""
        raise NotImplementedError

    @classmethod
    def _table(cls) -> tuple[Field, ...]:
        """The fields, made once."""
        fields = _TABLES.get(cls)
        if fields is None:
            fields = _TABLES[cls] = cls._fields()
        return fields


_TABLES: dict[type[Message], tuple[Field, ...]] = {}
