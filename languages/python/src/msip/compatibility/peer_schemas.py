"""The schemas of the peers of one client, or of one server.

A schema is asked for once, of the first peer that has its fingerprint. What it answers is kept if it has that fingerprint indeed, so that
no peer can answer for others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from msip.compatibility.compare import compare
from msip.compatibility.comparison import Comparison, Sides
from msip.compatibility.description import Description, DescriptionError
from msip.compatibility.difference import SchemaDifference
from msip.compatibility.fingerprint import fingerprint
from msip.errors import MsipError
from msip.protocol import Protocol
from msip.wire.error_text import escaped
from msip.wire.hello import Codec

__all__ = ["PeerSchemas"]

_log = logging.getLogger("msip")

_MAX_KNOWN: Final = 64
"""How many comparisons are kept. Of more the oldest is forgotten, and made again when it is needed."""
_OTHERS_ASK: Final = 1.0
"""How long a connection waits for another one to be told the same schema before it asks by itself."""
_MAX_LINES: Final = 16
"""How many lines are logged in a minute, at most: peers can make fingerprints up."""


class PeerSchemas:
    """What is known of the schemas of peers."""

    def __init__(self, own: Protocol, peer: str) -> None:
        """Those of the clients of a server, or of the servers of a client: `peer` is ``client`` or ``server``."""
        self._own = own
        self._peer = peer
        self._sides: Sides = (f"on the {'client' if peer == 'server' else 'server'}", f"on the {peer}")
        self._known: dict[int, Comparison] = {}
        self._asking: dict[int, asyncio.Lock] = {}
        self._comparing = asyncio.Lock()
        self._logged: deque[tuple[int, bool]] = deque(maxlen=_MAX_KNOWN)
        self._lines: deque[float] = deque(maxlen=_MAX_LINES)
        self._unsaid = 0

    async def difference(
        self, theirs: int, describes: bool, codec: Codec, ask: Callable[[], Awaitable[bytes]]
    ) -> SchemaDifference:
        """What differs from the schema of a peer, which `ask` asks for its description. Cancelled, it leaves nothing behind."""
        comparison: Comparison | str
        if describes:
            comparison = await self._comparison(theirs, ask)
        else:
            comparison = f"the {self._peer} cannot describe its schema"
        difference = SchemaDifference(self._own.fingerprint, theirs, codec, comparison)
        self._say(difference)
        return difference

    async def _comparison(self, theirs: int, ask: Callable[[], Awaitable[bytes]]) -> Comparison | str:
        known = self._known.get(theirs)
        if known is not None:
            return known
        turn = self._asking.setdefault(theirs, asyncio.Lock())
        is_held = False
        try:
            try:
                # A peer that does not answer keeps nobody waiting for long.
                async with asyncio.timeout(_OTHERS_ASK):
                    is_held = await turn.acquire()
            except TimeoutError:
                pass
            known = self._known.get(theirs)
            if known is not None:
                return known
            return await self._ask(theirs, ask)
        finally:
            if is_held:
                turn.release()
                # Who waits for it has it; who comes later asks by itself, or finds the comparison.
                if self._asking.get(theirs) is turn:
                    del self._asking[theirs]

    async def _ask(self, theirs: int, ask: Callable[[], Awaitable[bytes]]) -> Comparison | str:
        try:
            text = await ask()
        except MsipError as error:
            return f"the {self._peer} does not describe its schema: {escaped(str(error))}"
        async with self._comparing:
            # It is bounded, but takes longer than an event loop may.
            comparison = await asyncio.to_thread(self._read_and_compare, theirs, text)
        if isinstance(comparison, Comparison):
            while len(self._known) >= _MAX_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[theirs] = comparison
        return comparison

    def _read_and_compare(self, theirs: int, text: bytes) -> Comparison | str:
        try:
            ours = Description(self._own.description.encode())
        except DescriptionError as error:
            return f"this side cannot describe its schema: {error}"
        try:
            described = Description(text)
        except DescriptionError as error:
            return f"the {self._peer}'s description cannot be read: {error}"
        if fingerprint(described) != theirs:
            return f"the {self._peer}'s description is of another schema than its fingerprint"
        return compare(ours, described, self._sides)

    def _say(self, difference: SchemaDifference) -> None:
        """One line about a pair of fingerprints."""
        theirs = difference.their_fingerprint
        if (theirs, difference.is_compared) in self._logged:
            return
        now = time.monotonic()
        if len(self._lines) == _MAX_LINES and now < self._lines[0] + 60:
            self._unsaid += 1
            return
        self._lines.append(now)
        self._logged.append((theirs, difference.is_compared))
        unsaid, self._unsaid = self._unsaid, 0
        _log.log(
            logging.INFO if difference.is_harmless else logging.WARNING,
            "the %s has another version of %s (fingerprint %016x, ours is %016x): %s%s",
            self._peer,
            self._own.name,
            theirs,
            difference.our_fingerprint,
            difference,
            f" ({unsaid} lines unsaid)" if unsaid else "",
        )
