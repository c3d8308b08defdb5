"""The errors of the package: each has a code and a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

__all__ = ["ClosedError", "Code", "ConnectError", "DecodeError", "Detail", "MsipError", "NotReadyError", "Status"]


class Code(IntEnum):
    """The sixteen canonical RPC codes (docs/protocol.md, "Errors and close"); on the wire they are names."""

    CANCELLED = 1
    """The caller has cancelled the call."""
    UNKNOWN = 2
    """It is not known what happened; the call may have run."""
    INVALID_ARGUMENT = 3
    """The request can never succeed, whatever the state of the receiver."""
    DEADLINE_EXCEEDED = 4
    """The deadline passed first; the call may have run."""
    NOT_FOUND = 5
    """The requested entity does not exist."""
    ALREADY_EXISTS = 6
    """The entity to be created exists already."""
    PERMISSION_DENIED = 7
    """The caller is known and may not do this."""
    RESOURCE_EXHAUSTED = 8
    """A limit or a quota is used up."""
    FAILED_PRECONDITION = 9
    """The receiver is not in the state that the request needs."""
    ABORTED = 10
    """A conflict; a retry at a higher level may help."""
    OUT_OF_RANGE = 11
    """The request goes beyond what there is."""
    UNIMPLEMENTED = 12
    """The receiver does not know how to do this."""
    INTERNAL = 13
    """The receiver has a fault."""
    UNAVAILABLE = 14
    """The receiver is not available now; a retry may help."""
    DATA_LOSS = 15
    """Data are lost or damaged."""
    UNAUTHENTICATED = 16
    """The caller has no valid credential."""

    def __str__(self) -> str:
        return self.name


class MsipError(Exception):
    """What all errors of the package derive from: a code for programs, and a text for people."""

    def __init__(self, code: Code, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}" if self.message else self.code.name


class Detail:
    """A detail of an error: a message of any type, in protobuf."""

    __slots__ = ("type_name", "value")

    def __init__(self, type_name: str, value: bytes) -> None:
        self.type_name = type_name
        """The full name of its type, such as `fleet.v1.RetryInfo`."""
        self.value = value
        """The message in protobuf, whatever the codec of the connection is."""

    def __repr__(self) -> str:
        return f"Detail({self.type_name!r}, {self.value!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detail):
            return NotImplemented
        return self.type_name == other.type_name and self.value == other.value

    def __hash__(self) -> int:
        return hash((self.type_name, self.value))


class Status(MsipError):
    """How a call or a delivery has failed: raised to its sender, and raised by a handler to fail it.

    `headers` and `details` reach the other side only where it knows the extension `error-metadata`
    (docs/protocol.md, "Details of errors"): at most 64 details, of 16 KiB together.
    """

    def __init__(
        self,
        code: Code,
        message: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        details: Sequence[Detail] = (),
    ) -> None:
        super().__init__(code, message)
        self.headers: dict[str, str] = dict(headers) if headers else {}
        self.details: tuple[Detail, ...] = tuple(details)

    def __repr__(self) -> str:
        return f"Status({self.code.name}, {self.message!r})"


class ConnectError(MsipError):
    """A connection could not be opened, or its handshake was refused."""


class ClosedError(MsipError):
    """The connection, client or server is closed: nothing can be sent on it any more."""


class NotReadyError(MsipError):
    """An operation of a session that cannot be done now: `can_send` or `can_send_item` would have said so."""


class DecodeError(MsipError, ValueError):
    """Bytes, text or a value that is no message of this type: where, and what is wrong there."""

    def __init__(self, reason: str, path: str = "", code: Code = Code.INVALID_ARGUMENT) -> None:
        super().__init__(code, f"{path}: {reason}" if path else reason)
        self.path = path
        """The field, such as `room.members[3].name`; empty where the whole is meant."""
        self.reason = reason
