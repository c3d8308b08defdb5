"""What a user of an untyped client implements, and what stands in where there is none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msip.client.handler import ClientHandler
from msip.context import Context
from msip.errors import Code, Status
from msip.untyped.message import UntypedMessage

if TYPE_CHECKING:
    from msip.untyped.client import UntypedClient

_MAX_WAITING = 16


class UntypedHandler(ClientHandler["UntypedClient"]):
    """Base of the handlers of untyped clients; all methods may be left out."""

    async def on_message(self, message: UntypedMessage, context: Context[UntypedClient]) -> None:
        """A message of a topic that is subscribed to. They come one after the other, in the order in which the broker has sent them."""

    async def on_request(self, message: UntypedMessage, context: Context[UntypedClient]) -> bytes | UntypedMessage:
        """A call, where a topic is served (`T/$in`): returns the body of the answer, whose variant is that of the request, or a message
        with another one. Calls come at the same time."""
        raise Status(Code.UNIMPLEMENTED, "nobody answers calls here")

    async def on_subscription_lost(self, client: UntypedClient, topic: str, status: Status) -> None:
        """A subscription has ended: the broker has refused it in a new session, or has withdrawn what allowed it."""


class MessageReader(UntypedHandler):
    """Keeps what comes for a loop that reads it. The next message waits until there is a place: the sender is held back."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[UntypedMessage | None] = asyncio.Queue(_MAX_WAITING)
        self._is_ended = False

    async def on_message(self, message: UntypedMessage, context: Context[UntypedClient]) -> None:
        if not self._is_ended:
            await self._waiting.put(message)

    async def next(self) -> UntypedMessage:
        """The next message. Raises `StopAsyncIteration` once the client is closed and all of them are read."""
        if self._is_ended and self._waiting.empty():
            raise StopAsyncIteration
        message = await self._waiting.get()
        if message is None:
            raise StopAsyncIteration
        return message

    def end(self) -> None:
        """No more is read: whoever waits for a message, or for a place, goes on."""
        self._is_ended = True
        while self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)
