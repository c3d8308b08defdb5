"""What goes with a message besides its body: its key to a broker, and that it clears a STATE."""

from __future__ import annotations

from copy import copy
from typing import Any

from msip.codec.keys import key_only
from msip.connection.failures import not_sent
from msip.errors import Code
from msip.protocol import Kind, Member, Shape
from msip.record import record
from msip.wire.metadata import Metadata


@record
class Clearing(Metadata):
    """Metadata of a message that clears the STATE that it would set: of the message only the key counts.

    ::

        await fleet.position_state(PositionState(vehicle_id="7"), metadata=msip.Clearing())
    """


def with_cleared(member: Member, message: Any, metadata: Metadata | None) -> Metadata | None:
    """The metadata that say which STATE is cleared.

    Raises:
        CallError: INVALID_ARGUMENT where the member is no STATE.
    """
    if member.kind is not Kind.STATE or member.shape is Shape.CALL:
        raise not_sent(Code.INVALID_ARGUMENT, f"`{member.name}` is no STATE: it cannot be cleared")
    cleared = key_only(member, message)
    if not cleared:
        return metadata
    metadata = copy(metadata) if metadata is not None else Metadata()
    metadata.cleared = cleared
    return metadata


def with_key(metadata: Metadata | None, key: str) -> Metadata:
    """The metadata of a message to a topic with the key that the schema names, unless the sender has said another."""
    if metadata is None:
        return Metadata(key=key)
    if metadata.key:
        return metadata
    metadata = copy(metadata)
    metadata.key = key
    return metadata
