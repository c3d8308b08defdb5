"""Protobuf's well-known types: as Python's own values in fields, and as messages where a message is needed.

A field of `google.protobuf.Timestamp` is a `datetime`. `Timestamp` is the message itself: for members of a protocol that
carry one, and inside of an `Any`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any as Anything
from typing import ClassVar, Generic, Self, TypeVar, cast

from msip.errors import DecodeError
from msip.json_value import JsonValue
from msip.message.failures import READ_FAILURES, WRITE_FAILURES, EncodeError, too_deep, unreadable, unwritable
from msip.message.fields import Field, Scalar
from msip.message.form import Form
from msip.message.message import Message
from msip.message.scalars import found, write_scalar
from msip.message.wire import int32, int64, new, read_int64, read_varint, sized, skip_field
from msip.record import field, record

__all__ = ["Duration", "Empty", "FieldMask", "Timestamp", "WellKnown"]

T = TypeVar("T")


@record
class WellKnown(Message, Generic[T]):
    """A message that Python has a type for: fields hold that."""

    @classmethod
    def of(cls, value: T) -> Self:
        """The message of a value."""
        raise NotImplementedError

    def native(self) -> T:
        """The value of the message. Raises `DecodeError` where Python's type cannot hold it."""
        raise NotImplementedError

    @classmethod
    def _pack(cls, value: T, depth: int) -> bytes:
        """A value in protobuf."""
        return cls.of(value)._write(depth)

    @classmethod
    def _unpack(cls, data: bytes, at: int, end: int, depth: int, before: T | None = None) -> T:
        """The value of a range of bytes; `before` is what the field had already."""
        if before is None:
            return new(cls)._read(data, at, end, depth).native()
        return cls.of(before)._read(data, at, end, depth, False).native()

    @classmethod
    def _tree_of(cls, value: Anything, form: Form, depth: int) -> JsonValue:
        return cls.of(value)._to_tree(form, depth)

    @classmethod
    def _of_tree(cls, value: JsonValue, form: Form, depth: int) -> Anything:
        return cls._from_tree(value, form, depth).native()


@record
class _SecondsAndNanos(WellKnown[T]):
    seconds: int = 0
    nanos: int = 0

    @classmethod
    def _split(cls, value: T) -> tuple[int, int]:
        """The seconds and nanoseconds of a value."""
        raise NotImplementedError

    @staticmethod
    def _joined(seconds: int, nanos: int) -> T:
        """The value of so many seconds and nanoseconds. Raises `DecodeError` where Python's type cannot hold it."""
        raise NotImplementedError

    @classmethod
    def of(cls, value: T) -> Self:
        """The message of a value."""
        return cls(*cls._split(value))

    def native(self) -> T:
        """The value, without the nanoseconds that are no whole microsecond. Raises `DecodeError` where Python's type cannot hold it."""
        return self._joined(self.seconds, self.nanos)

    @classmethod
    def _unpack(cls, data: bytes, at: int, end: int, depth: int, before: T | None = None) -> T:
        # As it is mostly written: both parts in their order, and nothing else. What is not so, or malformed, is read as a message.
        if before is None:
            begin, seconds, nanos = at, 0, 0
            try:
                if at < end and data[at] == 8:
                    seconds, at = read_int64(data, at + 1)
                if at < end and data[at] == 16:
                    nanos, at = read_varint(data, at + 1)
            except READ_FAILURES:
                at = -1
            if at == end and nanos < 0x80000000 and depth >= 0:
                return cls._joined(seconds, nanos)
            return new(cls)._read(data, begin, end, depth).native()
        return cls.of(before)._read(data, at, end, depth, False).native()

    @classmethod
    def _pack(cls, value: T, depth: int) -> bytes:
        return _written(*cls._split(value))

    def _write(self, depth: int) -> bytes:
        try:
            return _written(self.seconds, self.nanos) + self.unknown_fields
        except WRITE_FAILURES as error:
            raise unwritable(self, error) from None

    def _read(self, data: bytes, at: int, end: int, depth: int, is_new: bool = True) -> Self:
        if depth < 0:
            raise too_deep()
        if is_new:
            self.seconds = self.nanos = 0
            self.unknown_fields = b""
        unknown = bytearray()
        tag = 0
        try:
            while at < end:
                start = at
                tag = data[at]
                if tag == 8:
                    self.seconds, at = read_int64(data, at + 1)
                elif tag == 16:
                    value, at = read_varint(data, at + 1)
                    self.nanos = ((value & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000
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

    @classmethod
    def _fields(cls) -> tuple[Field, ...]:
        return (
            Field("seconds", 1, Scalar.INT64, "seconds", "seconds"),
            Field("nanos", 2, Scalar.INT32, "nanos", "nanos"),
        )


def _written(seconds: int, nanos: int) -> bytes:
    out = int64(seconds, b"\x08") if seconds else b""
    return out + int32(nanos, b"\x10") if nanos else out


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_FIRST_SECOND = -62_135_596_800
_LAST_SECOND = 253_402_300_799


@record
class Timestamp(_SecondsAndNanos[datetime]):
    """A point in time: `google.protobuf.Timestamp`."""

    _full_name: ClassVar[str] = "google.protobuf.Timestamp"

    @classmethod
    def _split(cls, value: datetime) -> tuple[int, int]:
        # It must be aware: have a time zone.
        if not isinstance(value, datetime):
            raise EncodeError(f"expected a datetime, found {found(value)}")
        if value.tzinfo is None:
            raise EncodeError(f"expected a datetime with a time zone, such as UTC, found {found(value)}")
        since = value - _EPOCH
        return since.days * 86_400 + since.seconds, since.microseconds * 1000

    @staticmethod
    def _joined(seconds: int, nanos: int) -> datetime:
        try:
            return _EPOCH + timedelta(0, seconds, nanos // 1000)
        except OverflowError:
            raise DecodeError(f"a time outside of the years 1 to 9999: {seconds} s since 1970") from None

    def _to_tree(self, form: Form, depth: int) -> JsonValue:
        if not _FIRST_SECOND <= self.seconds <= _LAST_SECOND:
            raise EncodeError(f"a time outside of the years 1 to 9999: {self.seconds} s since 1970")
        if not 0 <= self.nanos <= 999_999_999:
            raise EncodeError(f"{self.nanos} ns in a time: expected 0 to 999999999")
        time = _EPOCH + timedelta(seconds=self.seconds)
        return f"{time:%Y}".rjust(4, "0") + f"{time:-%m-%dT%H:%M:%S}{_fraction(self.nanos)}Z"

    @classmethod
    def _from_tree(cls, value: JsonValue, form: Form, depth: int) -> Self:
        match = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise DecodeError(f"expected a time such as 2024-02-29T11:00:00Z, found {found(value)}")
        year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
        try:
            time = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError as error:
            raise DecodeError(f"{error}: {found(value)}") from None
        seconds = (time - _EPOCH) // timedelta(seconds=1)
        if match[8]:
            hours, minutes = int(match[9]), int(match[10])
            if hours > 23 or minutes > 59:
                raise DecodeError(f"expected a time such as 2024-02-29T11:00:00Z, found {found(value)}")
            offset = hours * 3600 + minutes * 60
            seconds += offset if match[8] == "-" else -offset
        if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
            raise DecodeError(f"a time outside of the years 1 to 9999: {found(value)}")
        return cls(seconds, int((match[7] or "").ljust(9, "0")))


_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)
_MAX_DURATION = 315_576_000_000


@record
class Duration(_SecondsAndNanos[timedelta]):
    """A length of time: `google.protobuf.Duration`."""

    _full_name: ClassVar[str] = "google.protobuf.Duration"

    @classmethod
    def _split(cls, value: timedelta) -> tuple[int, int]:
        if not isinstance(value, timedelta):
            raise EncodeError(f"expected a timedelta, found {found(value)}")
        seconds, micros = value.days * 86_400 + value.seconds, value.microseconds
        if seconds < 0 and micros:
            # Both have the same sign in protobuf; only the first has one in Python.
            seconds, micros = seconds + 1, micros - 1_000_000
        return seconds, micros * 1000

    @staticmethod
    def _joined(seconds: int, nanos: int) -> timedelta:
        micros = abs(nanos) // 1000
        try:
            return timedelta(0, seconds, micros if nanos >= 0 else -micros)
        except OverflowError:
            raise DecodeError(f"a duration of {seconds} s is too long") from None

    def _to_tree(self, form: Form, depth: int) -> JsonValue:
        if not -_MAX_DURATION <= self.seconds <= _MAX_DURATION:
            raise EncodeError(f"a duration of more than 10,000 years: {self.seconds} s")
        if abs(self.nanos) > 999_999_999 or self.seconds * self.nanos < 0:
            raise EncodeError(f"a duration of {self.seconds} s and {self.nanos} ns")
        sign = "-" if self.seconds < 0 or self.nanos < 0 else ""
        return f"{sign}{abs(self.seconds)}{_fraction(abs(self.nanos))}s"

    @classmethod
    def _from_tree(cls, value: JsonValue, form: Form, depth: int) -> Self:
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise DecodeError(f"expected a duration such as 1.500s, found {found(value)}")
        seconds, nanos = int(match[2]), int((match[3] or "").ljust(9, "0"))
        if seconds > _MAX_DURATION:
            raise DecodeError(f"a duration of more than 10,000 years: {found(value)}")
        return cls(-seconds, -nanos) if match[1] else cls(seconds, nanos)


def _fraction(nanos: int) -> str:
    """The digits behind a second: none, 3, 6 or 9."""
    if nanos == 0:
        return ""
    digits = f"{nanos:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}"


@record
class FieldMask(WellKnown[list[str]]):
    """Names of fields: `google.protobuf.FieldMask`."""

    paths: list[str] = field(default_factory=list)

    _full_name: ClassVar[str] = "google.protobuf.FieldMask"

    @classmethod
    def of(cls, value: list[str]) -> Self:
        """The message of these names."""
        return cls(value)

    def native(self) -> list[str]:
        """The names."""
        return self.paths

    def _write(self, depth: int) -> bytes:
        try:
            paths = b"".join([b"\n" + sized(path.encode()) for path in self.paths])
        except WRITE_FAILURES as error:
            raise unwritable(self, error) from None
        return paths + self.unknown_fields

    def _read(self, data: bytes, at: int, end: int, depth: int, is_new: bool = True) -> Self:
        if depth < 0:
            raise too_deep()
        if is_new:
            self.paths = []
            self.unknown_fields = b""
        unknown = bytearray()
        tag = 0
        try:
            while at < end:
                start = at
                tag, at = read_varint(data, at)
                if tag == 10:
                    size, at = read_varint(data, at)
                    stop = at + size
                    if stop > end:
                        raise IndexError
                    self.paths.append(data[at:stop].decode())
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
        paths = [_camel(cast(str, write_scalar(Scalar.STRING, path, form))) for path in self.paths]
        for path, written in zip(self.paths, paths, strict=True):
            if "," in path or _snake(written) != path:
                raise EncodeError(f"the path {found(path)} cannot be written in JSON")
        return ",".join(paths)

    @classmethod
    def _from_tree(cls, value: JsonValue, form: Form, depth: int) -> Self:
        if not isinstance(value, str):
            raise DecodeError(f"expected paths such as userName,a.b, found {found(value)}")
        if not value:
            return cls()
        paths = [_snake(path) for path in value.split(",")]
        for path, written in zip(paths, value.split(","), strict=True):
            if "_" in written or not path:
                raise DecodeError(f"expected paths such as userName,a.b, found {found(value)}")
        return cls(paths)

    @classmethod
    def _fields(cls) -> tuple[Field, ...]:
        return (Field("paths", 1, Scalar.STRING, "paths", "paths", repeated=True),)


def _camel(path: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), path)


def _snake(path: str) -> str:
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), path)


@record
class Empty(Message):
    """Nothing: `google.protobuf.Empty`."""

    _full_name: ClassVar[str] = "google.protobuf.Empty"

    def _write(self, depth: int) -> bytes:
        return self.unknown_fields

    def _read(self, data: bytes, at: int, end: int, depth: int, is_new: bool = True) -> Self:
        if depth < 0:
            raise too_deep()
        if is_new:
            self.unknown_fields = b""
        start = at
        try:
            while at < end:
                at = skip_field(data, at, end, depth)
            if at > end:
                raise IndexError
        except READ_FAILURES as error:
            raise unreadable(self, 0, error) from None
        if at > start:
            self._keep_unknown(data[start:at])
        return self

    @classmethod
    def _fields(cls) -> tuple[Field, ...]:
        return ()
