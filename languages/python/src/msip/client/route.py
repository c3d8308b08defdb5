"""Which of several addresses a client tries next."""

from __future__ import annotations

from collections.abc import Iterator

from msip.url import Address, ServiceUrl


class Route:
    """The addresses of a service: the one of the session first, then the others in their order."""

    def __init__(self, url: ServiceUrl, order: str) -> None:
        self._addresses = list(url.addresses)
        if order == "random":
            import random  # late: few programs draw

            random.shuffle(self._addresses)
        self._current = 0
        self._is_left = False

    def round(self) -> Iterator[Address]:
        """The addresses to try, each once; `used` says which one it became."""
        count = len(self._addresses)
        first = self._current
        skipped = 1 if self._is_left and count > 1 else 0
        self._is_left = False
        for place in range(skipped, count):
            self._current = (first + place) % count
            yield self._addresses[self._current]
        self._current = first

    def leave(self) -> None:
        """The server at the address in use goes away: the next round is without it."""
        self._is_left = True
