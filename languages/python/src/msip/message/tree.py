"""Messages as trees of values, by the tables of their fields: the mapping of docs/codecs.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

from msip.errors import DecodeError
from msip.json_value import JsonValue
from msip.message.enums import Enum
from msip.message.failures import EncodeError, within
from msip.message.fields import Field, Scalar
from msip.message.form import Form
from msip.message.scalars import found, read_key, read_scalar, write_key, write_scalar
from msip.message.wire import MAX_DEPTH, is_negative_zero

if TYPE_CHECKING:
    from msip.message.message import Message

__all__ = ["TOO_DEEP", "entered", "ignore", "problem", "read_enum", "read_message", "write_message"]

_M = TypeVar("_M", bound="Message")
_E = TypeVar("_E", bound=Enum)

TOO_DEEP = "more than 100 objects and arrays are inside of each other"


class _Unknown:
    """The name of an enum's value that the schema does not have: its field is left out."""


_UNKNOWN = _Unknown()


def write_message(message: Message, form: Form, depth: int) -> JsonValue:
    """A message as an object. Raises `EncodeError`."""
    if depth <= 0:
        raise EncodeError(TOO_DEEP)
    return {field.json: value for field, value in _written(message, form, depth - 1)}


def problem(message: Message) -> EncodeError | None:
    """The first thing in a message that cannot be written, found by its table."""
    try:
        # Of 100 messages inside of each other each may be in a list; deeper ones contain themselves.
        for _ in _written(message, Form.MESSAGE_PACK, 4 * MAX_DEPTH):
            pass
    except EncodeError as error:
        return error
    return None


def _written(message: Message, form: Form, depth: int) -> Iterator[tuple[Field, JsonValue]]:
    """The fields that are not absent, with their values."""
    for field in message._table():
        value = getattr(message, field.attribute)
        try:
            if field.member is not None:
                if isinstance(value, field.member):
                    yield field, _write_value(field, value.value, form, depth)
                elif value is not None and not _is_member(message, field.attribute, value):
                    raise EncodeError("expected a member of the oneof")
            elif field.key is not None:
                if not isinstance(value, dict):
                    raise EncodeError(f"expected a dict, found {found(value)}")
                if value:
                    yield field, _write_map(field, field.key, value, form, depth - 1)
            elif field.repeated:
                if not isinstance(value, (list, tuple)):
                    raise EncodeError(f"expected a list, found {found(value)}")
                if value:
                    yield field, _write_list(field, value, form, depth - 1)
            elif field.optional:
                if value is not None:
                    yield field, _write_value(field, value, form, depth)
            elif value is None:
                raise EncodeError("expected a value, found None")
            elif value or (isinstance(value, float) and is_negative_zero(value)):
                yield field, _write_value(field, value, form, depth)
        except EncodeError as error:
            raise EncodeError(error.reason, within(field.attribute, error.path)) from None


def _is_member(message: Message, oneof: str, value: object) -> bool:
    fields = message._table()
    return any(field.attribute == oneof and isinstance(value, field.member or ()) for field in fields)


def _write_list(field: Field, values: list[Any] | tuple[Any, ...], form: Form, depth: int) -> JsonValue:
    kind = field.kind
    if isinstance(kind, Scalar):
        try:
            return [write_scalar(kind, value, form) for value in values]
        except EncodeError:
            pass  # The loop says which one it is.
    out: list[JsonValue] = []
    for index, value in enumerate(values):
        try:
            out.append(_write_value(field, value, form, depth))
        except EncodeError as error:
            raise EncodeError(error.reason, within(f"[{index}]", error.path)) from None
    return out


def _write_map(field: Field, key_type: Scalar, values: dict[Any, Any], form: Form, depth: int) -> JsonValue:
    out: dict[str, JsonValue] = {}
    for key, value in values.items():
        try:
            out[write_key(key_type, key)] = _write_value(field, value, form, depth)
        except EncodeError as error:
            raise EncodeError(error.reason, within(f"[{found(key)}]", error.path)) from None
    return out


def _write_value(field: Field, value: Any, form: Form, depth: int) -> JsonValue:
    if isinstance(field.kind, Scalar):
        return write_scalar(field.kind, value, form)
    if issubclass(field.kind, Enum):
        return _write_enum(field.kind, value)
    return field.kind._tree_of(value, form, depth)


def _write_enum(enum: type[Enum], value: object) -> JsonValue:
    number = write_scalar(Scalar.INT32, value, Form.MESSAGE_PACK)
    return enum._tree_of(cast(int, number))


def entered(value: JsonValue, depth: int) -> dict[str, JsonValue]:
    """The object that a message is."""
    if not isinstance(value, dict):
        raise DecodeError(f"expected an object, found {found(value)}")
    if depth <= 0:
        raise DecodeError(TOO_DEEP)
    return value


def ignore(value: JsonValue, depth: int) -> None:
    """Passes over what the schema does not have; it is checked for its depth alone."""
    if isinstance(value, (dict, list)):
        if depth <= 0:
            raise DecodeError(TOO_DEEP)
        for inner in value.values() if isinstance(value, dict) else value:
            ignore(inner, depth - 1)


def read_message(message: type[_M], value: JsonValue, form: Form, depth: int) -> _M:
    """The message of an object. Raises `DecodeError`."""
    values = entered(value, depth)
    fields = _BY_NAME.get(message) or _by_name(message)
    out = message()
    seen: set[int] = set()
    for name, inner in values.items():
        known = fields.get(name)
        if known is None:
            ignore(inner, depth - 1)
            continue
        try:
            _set(out, known, inner, form, depth - 1, seen)
        except DecodeError as error:
            raise DecodeError(error.reason, within(known.json, error.path), error.code) from None
    return out


_BY_NAME: dict[type[Message], dict[str, Field]] = {}


def _by_name(message: type[Message]) -> dict[str, Field]:
    """The fields by both of their names, made once."""
    table = message._table()
    fields = {field.name: field for field in table} | {field.json: field for field in table}
    _BY_NAME[message] = fields
    return fields


def _set(out: Message, field: Field, value: JsonValue, form: Form, depth: int, seen: set[int]) -> None:
    """Sets one field. `seen` are the numbers of those that were there already."""
    if field.number in seen:
        raise DecodeError("the field occurs twice")
    seen.add(field.number)
    is_single = field.key is None and not field.repeated
    if value is None and not (is_single and not isinstance(field.kind, Scalar) and field.kind._takes_null()):
        return
    if field.member is not None and getattr(out, field.attribute) is not None:
        raise DecodeError("another field of its oneof is set, too")
    if field.key is not None:
        setattr(out, field.attribute, _read_map(field, field.key, value, form, depth))
    elif field.repeated:
        setattr(out, field.attribute, _read_list(field, value, form, depth))
    else:
        read = _read_value(field, value, form, depth)
        if read is not _UNKNOWN:
            setattr(out, field.attribute, read if field.member is None else field.member(read))


def _read_list(field: Field, value: JsonValue, form: Form, depth: int) -> list[Any]:
    if not isinstance(value, list):
        raise DecodeError(f"expected an array, found {found(value)}")
    if depth <= 0:
        raise DecodeError(TOO_DEEP)
    kind = field.kind
    if isinstance(kind, Scalar):
        try:
            return [read_scalar(kind, inner, form) for inner in value]
        except DecodeError:
            pass  # The loop says which one it is.
    out = []
    for index, inner in enumerate(value):
        try:
            read = _read_value(field, inner, form, depth - 1)
        except DecodeError as error:
            raise DecodeError(error.reason, within(f"[{index}]", error.path), error.code) from None
        if read is not _UNKNOWN:
            out.append(read)
    return out


def _read_map(field: Field, key_type: Scalar, value: JsonValue, form: Form, depth: int) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise DecodeError(f"expected an object, found {found(value)}")
    if depth <= 0:
        raise DecodeError(TOO_DEEP)
    out: dict[Any, Any] = {}
    for name, inner in value.items():
        try:
            key = read_key(key_type, name, form)
            if key in out:
                raise DecodeError("the key occurs twice")
            read = _read_value(field, inner, form, depth - 1)
        except DecodeError as error:
            raise DecodeError(error.reason, within(f"[{found(name)}]", error.path), error.code) from None
        if read is not _UNKNOWN:
            out[key] = read
    return out


def _read_value(field: Field, value: JsonValue, form: Form, depth: int) -> Any:
    if isinstance(field.kind, Scalar):
        return read_scalar(field.kind, value, form)
    if issubclass(field.kind, Enum):
        read = read_enum(field.kind, value)
        return _UNKNOWN if read is None else read
    return field.kind._of_tree(value, form, depth)


def read_enum(enum: type[_E], value: JsonValue) -> _E | None:
    """The member of an enum; None for a name that the schema does not have. Raises `DecodeError`."""
    if value is None and enum._takes_null():
        return enum._of(0)
    if isinstance(value, str):
        return enum._named(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return enum._of(cast(int, read_scalar(Scalar.INT32, value, Form.MESSAGE_PACK)))
    raise DecodeError(f"expected the name or the number of a value, found {found(value)}")
