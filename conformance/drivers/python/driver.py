"""The driver of Python: what control.proto says, with the typed client and server of `msip`.

It is started by the runner, with PYTHONPATH at languages/python/src.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import changed.conformance as changed
import conformance as protocol
import msip
import renamed.conformance as renamed
from conformance import control
from conformance.control import Command, Report
from exchange import Exchange, answered, encoded, requests, status, told

PROFILES = [
    "core",
    "metadata",
    "resume",
    "codecs",
    "gzip",
    "tcp",
    "tls",
    "unix",
    "websocket",
    "websocket-server",
    "topics",
    "services",
    "cleared-states",
    "versions",
]

VERSIONS: dict[control.Version, Any] = {
    control.Version.OWN: protocol,
    control.Version.RENAMED: renamed,
    control.Version.CHANGED: changed,
}
"""The module of each version."""

STOP = object()
"""The step after which a handler returns because the case is over."""


class Driver:
    """All that a process of the driver has."""

    def __init__(self) -> None:
        self.last = 0
        self.endpoints: dict[int, Any] = {}
        self.exchanges: dict[int, Exchange] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def number(self) -> int:
        self.last += 2
        return self.last

    def report(self, event: Any, id: int = 0) -> None:
        body = Report(id=id, report=event).to_bytes()
        sys.stdout.buffer.write(struct.pack(">I", len(body)) + body)
        sys.stdout.buffer.flush()

    def spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def answering(self, id: int, work: Awaitable[Any]) -> None:
        """Reports what came of a command."""
        try:
            event = await work or Report.Done_(control.Done())
        except asyncio.CancelledError:
            raise
        except Exception as error:
            event = Report.Failed(told(error))
        self.report(event, id)

    def take(self, command: Command) -> None:
        """Begins to do what was said."""
        id = command.id
        match command.command:
            case Command.Connect_(value=connect):
                self.spawn(self.answering(id, self.connect(connect)))
            case Command.Serve_(value=serve):
                self.spawn(self.answering(id, self.serve(serve)))
            case Command.Close_(value=close):
                self.spawn(self.answering(id, self.close(close.endpoint)))
            case Command.Ping_(value=ping):
                self.spawn(self.answering(id, self.ping(ping)))
            case Command.Disconnect_(value=disconnect):
                self.spawn(self.answering(id, self.disconnect(disconnect)))
            case Command.Broadcast_(value=broadcast):
                self.spawn(self.answering(id, self.broadcast(broadcast)))
            case Command.Reset_():
                # Not one of the tasks that it ends.
                self.resetting = asyncio.ensure_future(self.answering(id, self.reset()))
            case Command.Start_(value=start):
                begun = Exchange(start.read)
                self.exchanges[start.exchange] = begun
                begun.task = self.spawn(self.start(start, begun))
            case Command.Send_(value=step) | Command.End_(value=step):
                if exchange := self.exchanges.get(step.exchange):
                    exchange.items.put_nowait(step)
            case Command.Read_(value=step):
                if exchange := self.exchanges.get(step.exchange):
                    exchange.reading.allow(step.count)
            case Command.Cancel_(value=step):
                if (exchange := self.exchanges.get(step.exchange)) and exchange.task:
                    # A task that has not begun would end without a word.
                    asyncio.get_running_loop().call_soon(exchange.task.cancel)
            case Command.Answer_(value=step):
                if exchange := self.exchanges.get(step.exchange):
                    exchange.steps.put_nowait(step)
            case Command.Fail_(value=step):
                if exchange := self.exchanges.get(step.exchange):
                    exchange.steps.put_nowait(step)
                    exchange.items.put_nowait(step)

    # Clients and servers.

    async def connect(self, of: control.Connect) -> None:
        client_type, handler_type = CLIENTS[of.version]
        handler = handler_type(self, of.endpoint, set(of.held))
        client = client_type(of.url, handler, credential=of.credential or None, name="python")
        await client.connect()
        self.endpoints[of.endpoint] = client

    async def serve(self, of: control.Serve) -> Any:
        accounts = {account.credential.encode(): account for account in of.accounts}

        async def authenticate(request: msip.ConnectRequest) -> msip.Principal:
            account = accounts.get(request.credential)
            if account is None:
                raise msip.Status(msip.Code.UNAUTHENTICATED, "unknown credential")
            return msip.Principal(method="conformance", user=account.user, roles=tuple(account.roles))

        handler = SERVER_HANDLER(self, of.endpoint, set(of.held))
        if of.attach:
            server = protocol.ConformanceServer.attach(of.url, handler, name="python")
        else:
            server = protocol.ConformanceServer(
                of.url, handler, authenticate=authenticate if accounts else None, name="python"
            )
        await server.start()
        self.endpoints[of.endpoint] = server
        return Report.Serving_(control.Serving(url=of.url if of.attach else server.urls[0]))

    async def close(self, endpoint: int) -> None:
        await self.endpoints.pop(endpoint).close()

    async def ping(self, of: control.Ping) -> None:
        await self.endpoints[of.endpoint].ping(bytes(of.len))

    async def disconnect(self, of: control.Disconnect) -> None:
        self.endpoints[of.endpoint].disconnect(status(of.status))

    async def broadcast(self, of: control.Broadcast) -> Any:
        everyone = self.endpoints[of.endpoint].everyone()
        if of.clears:
            everyone = everyone.clearing()
        member = getattr(everyone, of.member)
        message = TO_CLIENT[of.member].message
        count = member() if message is None else member(message.from_bytes(of.message))
        return Report.Done_(control.Done(count=count))

    async def reset(self) -> None:
        for exchange in self.exchanges.values():
            exchange.steps.put_nowait(STOP)
            exchange.items.put_nowait(STOP)
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        open = [end for end in self.endpoints.values() if not isinstance(end, msip.Peer)]
        self.endpoints.clear()
        self.exchanges.clear()
        closing = [asyncio.ensure_future(end.close()) for end in open]
        if closing:
            _, late = await asyncio.wait(closing, timeout=2)
            for task in late:
                task.cancel()

    # Exchanges that this side begins.

    async def start(self, of: control.Start, exchange: Exchange) -> None:
        try:
            event = await self.begun(of, exchange)
        except (Exception, asyncio.CancelledError) as error:
            event = Report.ExchangeFailed_(control.ExchangeFailed(exchange=of.exchange, status=told(error)))
        self.exchanges.pop(of.exchange, None)
        self.report(event)

    async def begun(self, of: control.Start, exchange: Exchange) -> Any:
        end = self.endpoints[of.endpoint]
        said = TO_CLIENT if isinstance(end, msip.Peer) else {each.name: each for each in end.protocol.client_to_server}
        member = said[of.member]
        metadata = msip.CallMetadata(headers=of.headers, correlation_id=of.correlation_id)
        options: dict[str, Any] = {"metadata": msip.Clearing() if of.clears else metadata}
        if of.timeout_ms:
            options["timeout"] = of.timeout_ms / 1000
        arguments: list[Any] = [] if member.message is None else [member.message.from_bytes(of.message)]
        if member.request_stream:
            arguments = [requests(member, exchange)]
        begin = getattr(end, of.member)
        if member.response_stream:
            stream = begin(*arguments, **options)
            async with stream:
                while True:
                    try:
                        item = await exchange.reading.next(stream)
                    except StopAsyncIteration:
                        break
                    self.report(Report.Item_(control.Item(exchange=of.exchange, message=item.to_bytes())))
            return answered(of.exchange, None, stream.metadata)
        outcome = await begin(*arguments, **options)
        if member.shape is msip.Shape.CALL:
            return answered(of.exchange, outcome, metadata.answer)
        return Report.Sent_(control.Sent(exchange=of.exchange))


# Exchanges that the other side begins.


class Handlers:
    """What the handlers of clients and servers share; a method for each member is added below."""

    def __init__(self, driver: Driver, endpoint: int, held: set[str]) -> None:
        self.driver = driver
        self.endpoint = endpoint
        self.held = held

    def origin(self, end: Any) -> int:
        """How who has sent something is called."""
        if isinstance(end, msip.Peer):
            return int(end.data.setdefault("number", self.driver.number()))
        return self.endpoint

    def begin(self, member: msip.Member, message: Any, context: msip.Context[Any]) -> tuple[int, Exchange]:
        number = self.driver.number()
        exchange = Exchange()
        self.driver.exchanges[number] = exchange
        metadata, limit = context.metadata, context.time_limit
        # Who is behind a message of a server or broker, the message says; a server knows its peers itself, and must not believe them.
        own = context.peer.principal if isinstance(context.peer, msip.Peer) else None
        principal = metadata.identity or own
        self.driver.report(
            Report.Handling_(
                control.Handling(
                    endpoint=self.origin(context.peer),
                    exchange=number,
                    member=member.name,
                    message=b"" if member.request_stream else encoded(message),
                    headers=dict(metadata.headers),
                    correlation_id=metadata.correlation_id,
                    remaining_ms=0 if limit is None else int(limit * 1000),
                    user=principal.user if principal else "",
                )
            )
        )
        return number, exchange

    async def on_state_cleared(self, state: Any, context: msip.Context[Any]) -> None:
        self.driver.report(
            Report.Handling_(
                control.Handling(
                    endpoint=self.origin(context.peer),
                    exchange=self.driver.number(),
                    member=context.member.name,
                    message=encoded(state),
                    cleared=True,
                )
            )
        )

    def ended(self, number: int, has_returned: bool) -> None:
        self.driver.exchanges.pop(number, None)
        if not has_returned:
            self.driver.report(Report.HandlerDropped_(control.HandlerDropped(exchange=number)))

    async def read(self, number: int, exchange: Exchange, items: AsyncIterator[Any]) -> None:
        """Reads the request as far as it is told to."""
        why = None
        try:
            while True:
                item = await exchange.reading.next(items)
                self.driver.report(Report.Item_(control.Item(exchange=number, message=item.to_bytes())))
        except StopAsyncIteration:
            pass
        except msip.MsipError as error:
            why = told(error)
        self.driver.report(Report.ItemsEnded_(control.ItemsEnded(exchange=number, status=why)))

    async def returns(self, member: msip.Member, answer: msip.Member | None, message: Any, context: Any) -> Any:
        """Handles a call with one answer, or a message."""
        number, exchange = self.begin(member, message, context)
        if answer is None and member.name not in self.held:
            return self.ended(number, True)
        reader = asyncio.ensure_future(self.read(number, exchange, message)) if member.request_stream else None
        has_returned = False
        try:
            step = await exchange.steps.get()
            has_returned = True
            match step:
                case control.Answer():
                    context.headers.update(step.headers)
                    return None if answer is None or answer.message is None else answer.message.from_bytes(step.message)
                case control.Fail():
                    raise status(step.status)
            raise msip.Status(msip.Code.UNAVAILABLE, "the case is over")
        finally:
            if reader:
                reader.cancel()
            self.ended(number, has_returned)

    async def answers(
        self, member: msip.Member, answer: msip.Member, message: Any, context: Any
    ) -> AsyncGenerator[Any, None]:
        """Handles a call that is answered by a stream."""
        number, exchange = self.begin(member, message, context)
        reader = asyncio.ensure_future(self.read(number, exchange, message)) if member.request_stream else None
        has_returned = False
        try:
            while isinstance(step := await exchange.items.get(), control.Send):
                assert answer.message is not None
                item = answer.message.from_bytes(step.message)
                for _ in range(max(step.count, 1)):
                    yield item
            has_returned = True
            if isinstance(step, control.Fail):
                raise status(step.status)
        finally:
            if reader:
                reader.cancel()
            self.ended(number, has_returned)


class ClientEvents(Handlers):
    """What becomes of a client."""

    async def on_connected(self, client: Any) -> None:
        resumed = client.connection.is_resumed
        self.driver.report(Report.Connected_(control.Connected(endpoint=self.endpoint, resumed=resumed)))

    async def on_disconnected(self, client: Any, reason: msip.Status) -> None:
        self.driver.report(Report.Disconnected_(control.Disconnected(endpoint=self.endpoint)))

    async def on_session_lost(self, client: Any) -> None:
        self.driver.report(Report.SessionLost_(control.SessionLost(endpoint=self.endpoint)))

    async def on_closed_by_server(self, client: Any, reason: msip.Status) -> msip.Reconnect:
        self.driver.report(Report.Closed_(control.Closed(endpoint=self.endpoint, status=told(reason))))
        return msip.Reconnect.STOP


class ServerEvents(Handlers):
    """What becomes of the peers of a server."""

    async def on_client_connected(self, peer: Any) -> None:
        number = self.origin(peer)
        self.driver.endpoints[number] = peer
        principal = peer.principal
        self.driver.report(
            Report.Connected_(
                control.Connected(
                    endpoint=self.endpoint,
                    peer=number,
                    resumed=peer.is_resumed,
                    user=principal.user if principal else "",
                    roles=list(principal.roles) if principal else [],
                )
            )
        )

    async def on_client_disconnected(self, peer: Any, reason: msip.Status) -> None:
        self.driver.report(Report.Disconnected_(control.Disconnected(endpoint=self.origin(peer))))


def method(member: msip.Member, answer: msip.Member | None) -> Callable[..., Any]:
    """The handler of a member."""
    if member.response_stream and answer is not None:

        async def stream(self: Handlers, message: Any, context: Any) -> AsyncIterator[Any]:
            async with aclosing(self.answers(member, answer, message, context)) as items:
                async for item in items:
                    yield item

        return stream
    if member.message is None:

        async def nothing(self: Handlers, context: Any) -> Any:
            return await self.returns(member, answer, None, context)

        return nothing

    async def one(self: Handlers, message: Any, context: Any) -> Any:
        return await self.returns(member, answer, message, context)

    return one


def handler(events: type, base: type, heard: tuple[msip.Member, ...], said: tuple[msip.Member, ...]) -> Any:
    """A class of handlers of these members, whose answers the other direction has."""
    answers = {member.number: member for member in said}
    methods = {member.handler: method(member, answers.get(member.answer)) for member in heard if member.handler}
    return type(base)(base.__name__, (events, base), methods)


TO_CLIENT = {member.name: member for member in protocol.CONFORMANCE.server_to_client}
SERVER_HANDLER = handler(
    ServerEvents,
    protocol.ConformanceServerHandler,
    protocol.CONFORMANCE.client_to_server,
    protocol.CONFORMANCE.server_to_client,
)
CLIENTS = {
    version: (
        module.ConformanceClient,
        handler(
            ClientEvents,
            module.ConformanceClientHandler,
            module.CONFORMANCE.server_to_client,
            module.CONFORMANCE.client_to_server,
        ),
    )
    for version, module in VERSIONS.items()
}


async def main() -> None:
    """Does what standard input says until that ends."""
    driver = Driver()
    ready = control.Ready(language="python", profiles=PROFILES, fingerprint=protocol.CONFORMANCE.fingerprint)
    driver.report(Report.Ready_(ready))
    loop = asyncio.get_running_loop()
    input = asyncio.StreamReader(limit=1 << 25)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(input), sys.stdin)
    while True:
        try:
            (length,) = struct.unpack(">I", await input.readexactly(4))
            command = Command.from_bytes(await input.readexactly(length))
        except asyncio.IncompleteReadError:
            return
        driver.take(command)


if __name__ == "__main__":
    asyncio.run(main())
