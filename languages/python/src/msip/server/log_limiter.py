"""Lines about peers that fail before they are served: one a second for each address."""

from __future__ import annotations

import logging
import time

_log = logging.getLogger("msip")
_MAX_ADDRESSES = 1024


class LogLimiter:
    """Keeps strangers from filling the log."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, int]] = {}

    def say(self, address: str, text: str) -> None:
        """Logs a line about this address, unless there was one in the last second."""
        host = address.rpartition(":")[0] or address
        now = time.monotonic()
        last, unsaid = self._last.pop(host, (0.0, 0))
        if last and now - last < 1.0:
            self._last[host] = (last, unsaid + 1)
            return
        self._last[host] = (now, 0)
        while len(self._last) > _MAX_ADDRESSES:
            del self._last[next(iter(self._last))]
        shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text[:256])
        _log.warning("%s was not served: %s%s", address, shown, f" ({unsaid} lines unsaid)" if unsaid else "")
