"""The session without I/O: calls, deliveries, streams, credit, resumption (docs/protocol.md)."""

from __future__ import annotations

from msip.session import events
from msip.session.accepting import Accepting, RefusedError
from msip.session.events import Cause, Event
from msip.session.negotiation import negotiate
from msip.session.receiving_messages import DESCRIBE
from msip.session.session import Session
from msip.session.settings import Settings

__all__ = ["DESCRIBE", "Accepting", "Cause", "Event", "RefusedError", "Session", "Settings", "events", "negotiate"]
