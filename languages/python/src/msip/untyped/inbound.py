"""What a broker sends, given to the handler of an untyped client."""

from __future__ import annotations

from typing import Any, cast

from msip.connection.inbound import Inbound
from msip.context import Context
from msip.errors import Code, Status
from msip.protocol import Member, Shape
from msip.session import events
from msip.untyped.handler import UntypedHandler
from msip.untyped.message import UntypedMessage


class UntypedInbound(Inbound):
    """Handles messages by their topics, whatever they are."""

    def _is_wanted(self, event: events.Message) -> bool:
        return True

    async def _cleared(self, member: Member, context: Context[Any]) -> None:
        """An empty body is one like others: only a STATE is cleared by it."""
        await self._handled(member, b"", context)

    def _handled(self, member: Member, message: Any, context: Context[Any]) -> Any:
        """What the handler's method returns."""
        handler = cast(UntypedHandler, self._handler)
        told = UntypedMessage(message, context.topic, member.number, member.kind, context.metadata)
        return (handler.on_request if member.shape is Shape.CALL else handler.on_message)(told, context)

    def _answer(self, number: int, member: Member, answer: Any, context: Context[Any]) -> None:
        variant = member.number
        if isinstance(answer, UntypedMessage):
            variant, answer = answer.variant, answer.body
        if not isinstance(answer, bytes | bytearray | memoryview):
            raise TypeError(f"on_request has to answer with bytes or an UntypedMessage, not {answer!r:.80}")
        if not answer:
            raise Status(Code.INTERNAL, "the answer is empty, which no answer can be")
        assert self.codec is not None
        body, compressed = self.codec.encode(member, cast(Any, answer))
        self._session.answer(number, body, context.answer_metadata(), compressed=compressed, variant=variant)
