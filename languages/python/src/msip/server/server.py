"""The server: what generated servers derive from."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, Unpack, cast

from msip.arguments import check_handler, check_settings
from msip.client.options import ClientOptions
from msip.errors import ClosedError, Code, MsipError, Status
from msip.protocol import Protocol
from msip.server.authenticate import Authenticate, ConnectRequest, Principal
from msip.server.broadcast import Audience
from msip.server.handler import ServerHandler
from msip.server.handshake import NOT_AUTHENTICATED, Handshake, LeftError, check_fingerprint, close_stream
from msip.server.log_limiter import LogLimiter
from msip.server.peer import Peer
from msip.server.served import Served
from msip.server.sessions import Sessions
from msip.session import Session, negotiate
from msip.session_settings import of_server
from msip.settings import ServerSettings
from msip.transport.connect import describe
from msip.transport.listen import Listener, upgrade
from msip.transport.stream import ByteStream, StreamError
from msip.transport.tls import server_context
from msip.url import Address, ServiceUrl, UrlError
from msip.wire.hello import SCHEMA_DESCRIPTION, Codec, Hello

if TYPE_CHECKING:
    from msip.compatibility.peer_schemas import PeerSchemas

_log = logging.getLogger("msip")

P = TypeVar("P", bound=Peer)
# Refusals of credentials are answered at multiples of this after the HELLO, so that the time says nothing.
_REFUSED_AFTER = 0.05
# Without a free descriptor accepting pauses for so long.
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.005, 1.0


class BindError(MsipError):
    """A server cannot listen at an address."""


class Server(Generic[P]):
    """A server of a protocol, on asyncio.

    ::

        async with ChatServer("tcp://127.0.0.1:7400", Room()) as server:
            await server.serve_forever()

    It listens at one or several addresses, and one handler serves all clients.
    """

    protocol: ClassVar[Protocol]
    peer_type: ClassVar[type[Peer]]

    def __init__(
        self,
        url: str | Iterable[str],
        handler: ServerHandler[P],
        *,
        authenticate: Authenticate | None = None,
        settings: ServerSettings | None = None,
        tls: ssl.SSLContext | None = None,
        name: str = "",
        version: str = "",
    ) -> None:
        """Nothing is bound yet: that is `start`, or ``async with``.

        Of several URLs the first has the settings of the server; the others have those of their transports. `authenticate` says who
        a client is before anything else is done for it; without it every client that can connect is served, and nobody has an
        identity. `tls` replaces what the settings say of certificates.

        Raises:
            UrlError: a URL is not one at which a server can listen.
            SettingError: a setting cannot be used.
        """
        check_settings(settings, ServerSettings)
        check_handler(handler, ServerHandler)
        urls = [
            ServiceUrl.parse(each)
            for each in (url if isinstance(url, Iterable) and not isinstance(url, str) else [url])
        ]
        if not urls:
            raise UrlError("a server needs a URL at which to listen")
        base = settings or ServerSettings()
        self._settings = base.with_url(urls[0].settings, urls[0].address.scheme)
        self._places = [(_listenable(each), self._of_place(each, base)) for each in urls]
        self._handler = handler
        self._authenticate = authenticate
        self._session_settings = of_server(self._settings, name, version)
        self._tls = tls
        self._listeners: list[Listener] = []
        self._contexts: dict[int, ssl.SSLContext | None] = {}
        self._accepting: list[asyncio.Task[None]] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self._connection_count = 0
        self._connected: dict[Served, None] = {}
        self._sessions = Sessions(
            self._settings.max_detached_sessions, self._settings.session_expiry, self._session_ended
        )
        self._limiter = LogLimiter()
        self._schemas: PeerSchemas | None = None
        self._is_draining = False
        self._closed: asyncio.Future[None] | None = None

    @classmethod
    def attach(
        cls,
        url: str,
        handler: ServerHandler[P],
        *,
        strict_schema: bool = False,
        **options: Unpack[ClientOptions],
    ) -> Self:
        """A server that serves a topic of a broker, instead of listening: ``tcp://broker:9000/room1``, or ``…/devices/+`` for many.

        ::

            async with ChatServer.attach("tcp://broker:9000/room1", Room()) as server:
                await server.serve_forever()

        Handlers stay as they are. The connection is that of a client, with its settings and credential. With `strict_schema` the
        topic accepts the schema of its first service alone. What is different: docs/python.md, "Services behind a broker".

        Raises:
            UrlError: the URL names no topic, or one that cannot be served.
            SettingError: a setting cannot be used.
        """
        # It is one of these servers itself.
        from msip.attached.server import attached_type

        attached = attached_type(cls)(url, handler, strict_schema=strict_schema, **options)
        return cast(Self, attached)

    def _of_place(self, url: ServiceUrl, base: ServerSettings) -> ServerSettings:
        return base.with_url(url.settings, url.address.scheme)

    # What users do.

    async def start(self) -> Self:
        """Listens, and serves from now on.

        Raises:
            BindError: an address cannot be listened at.
            SettingError: a certificate is missing or cannot be used.
        """
        if self._closed is not None:
            raise ClosedError(Code.FAILED_PRECONDITION, "the server was started before: make another one")
        loop = asyncio.get_running_loop()
        self._closed = loop.create_future()
        self._session_settings.budget.add_relief(self._sessions.end_oldest)
        handshakes = asyncio.Semaphore(self._settings.max_handshakes)
        try:
            for address, settings in self._places:
                if not (address.is_confidential or settings.insecure):
                    raise BindError(
                        Code.FAILED_PRECONDITION,
                        f"others could read what is sent to {address}: listen at tls://, or set `insecure` where the network"
                        " between is trusted",
                    )
                context = self._context(address, settings)
                self._listeners.append(await self._bind(address, settings))
                self._contexts[len(self._listeners) - 1] = context
        except BaseException:
            self._stop_listening()
            self._session_settings.budget.remove_relief(self._sessions.end_oldest)
            raise
        for number, listener in enumerate(self._listeners):
            _log.info("listening at %s", listener.address)
            accept = self._accept(number, listener, handshakes)
            self._accepting.append(loop.create_task(accept, name=f"msip: listener at {listener.address}"))
        return self

    async def serve_forever(self) -> None:
        """Waits until the server is closed. Cancelling this does not close it: ``async with`` does."""
        if self._closed is None:
            await self.start()
        assert self._closed is not None
        await asyncio.shield(self._closed)

    async def close(self) -> None:
        """Listens no more, tells the clients, lets open calls finish within `drain_timeout`, and ends the rest.

        Nothing is pending after it.
        """
        if self._closed is None or self._is_draining:
            return
        self._is_draining = True
        for task in self._accepting:
            task.cancel()
        if self._accepting:
            await asyncio.wait(self._accepting)
        self._stop_listening()
        for served in list(self._connected):
            served.disconnect(Status(Code.UNAVAILABLE, "the server shuts down"))
        try:
            if self._connections:
                await asyncio.wait(self._connections, timeout=self._settings.drain_timeout + 1)
        finally:
            for served in self._sessions:
                served.end(Status(Code.UNAVAILABLE, "the server shuts down"))
            for task in self._connections:
                task.cancel()
        self._sessions.end_detached()
        while tasks := self._connections | self._endings:
            await asyncio.wait(tasks)
        self._session_settings.budget.remove_relief(self._sessions.end_oldest)
        if not self._closed.done():
            self._closed.set_result(None)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def urls(self) -> list[str]:
        """Where it listens, with the ports that the system has chosen."""
        return [str(listener.address) for listener in self._listeners]

    @property
    def peers(self) -> list[P]:
        """The clients that are connected."""
        return [cast(P, served.peer) for served in self._connected if served.is_admitted]

    @property
    def memory(self) -> int:
        """The bytes that all sessions hold which share its `max_memory`."""
        return self._session_settings.budget.used

    def reload_tls(self) -> None:
        """Reads the files of certificates again, for connections from now on. Where one cannot be used all stays as it was.

        Raises:
            SettingError: a file cannot be used.
        """
        contexts = {number: self._context(address, settings) for number, (address, settings) in enumerate(self._places)}
        self._contexts = contexts

    def _connected_but(self, but: Peer | None) -> Iterable[Audience]:
        """What is kept of the clients that are connected, but for one; for broadcasts."""
        return (served for served in list(self._connected) if served.is_admitted and served.peer is not but)

    def _everyone(self) -> Iterable[Audience]:
        """The same of all."""
        return self._connected_but(None)

    # Listening.

    def _context(self, address: Address, settings: ServerSettings) -> ssl.SSLContext | None:
        if address.scheme not in ("tls", "wss"):
            return None
        return self._tls or server_context(settings, address.scheme)

    async def _bind(self, address: Address, settings: ServerSettings) -> Listener:
        try:
            return await Listener.bind(address, settings.mode)
        except OSError as error:
            why = error.strerror or str(error)
            raise BindError(Code.UNAVAILABLE, f"cannot listen at {address}: {why}") from error

    def _streams(self, number: int) -> Callable[[], ByteStream]:
        """What makes the streams of this listener."""
        address, settings = self._places[number]
        if address.scheme not in ("ws", "wss"):
            return ByteStream
        from msip.transport.websocket import ServerWebSocket  # late: few programs speak it
        from msip.transport.websocket_accept import Accepting

        return partial(ServerWebSocket, Accepting(address.scheme, address.path, settings.origin))

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.close()

    async def _accept(self, number: int, listener: Listener, handshakes: asyncio.Semaphore) -> None:
        """Accepts connections; further ones wait in the system while too many shake hands."""
        pause = _SHORTEST_PAUSE
        while True:
            await handshakes.acquire()
            try:
                accepted = await listener.accept()
            except OSError as error:
                handshakes.release()
                if error.errno in _NO_DESCRIPTOR:
                    _log.warning("cannot accept at %s: %s; trying again in %g s", listener.address, error, pause)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            except BaseException:
                handshakes.release()
                raise
            pause = _SHORTEST_PAUSE
            self._own(self._serve(accepted, number, listener.address, handshakes), self._connections, "connection")

    def _own(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]], what: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"msip: {what}")
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(_report)

    # One connection.

    async def _serve(
        self, accepted: socket.socket, number: int, listens: Address, handshakes: asyncio.Semaphore
    ) -> None:
        """Everything about one connection, from its handshake to its end."""
        self._connection_count += 1
        try:
            try:
                begun = await self._begin(accepted, number, listens)
            finally:
                handshakes.release()
            if begun is None:
                return
            served, stream = begun
            self._connected[served] = None
            try:
                await served.run(stream)
            finally:
                if not served.session.is_connected:
                    self._connected.pop(served, None)
            await self._after(served)
        finally:
            self._connection_count -= 1

    async def _after(self, served: Served) -> None:
        """A connection has ended: its session is kept, or has ended too."""
        if served.session.is_connected:
            # Another connection has it.
            return
        if served.session.is_over:
            self._sessions.remove(served)
            await served.gone()
        else:
            self._sessions.detached(served)

    def _session_ended(self, served: Served) -> None:
        """A session without a connection has ended."""
        self._own(served.gone(), self._endings, "end of a session")

    async def _begin(self, accepted: socket.socket, number: int, listens: Address) -> tuple[Served, ByteStream] | None:
        """The handshakes. `None` where the client is not served."""
        limit = self._settings.handshake_timeout
        stream: ByteStream | None = None
        handshake: Handshake | None = None
        address = _address_of(accepted, listens)
        try:
            async with asyncio.timeout(limit):
                stream = await upgrade(accepted, self._contexts.get(number), self._streams(number), limit)
                handshake = Handshake(stream, self._session_settings)
                hello = await handshake.hello()
                return await self._admit(stream, handshake, hello, listens, address)
        except TimeoutError:
            self._limiter.say(address, f"its handshake took longer than {limit:g} s")
            if handshake is not None and handshake.has_hello:
                await handshake.refuse(Status(Code.UNAVAILABLE, "the handshake took too long: try again"))
        except StreamError as error:
            self._limiter.say(address, str(error))
        except LeftError as error:
            self._limiter.say(address, str(error))
            if stream is not None:
                await close_stream(stream)
        except (OSError, ssl.SSLError) as error:
            self._limiter.say(address, f"the handshake failed: {error}")
        except asyncio.CancelledError:
            if stream is not None:
                stream.abort()
            raise
        if stream is not None and stream.is_open:
            stream.abort()
        return None

    async def _admit(
        self, stream: ByteStream, handshake: Handshake, hello: Hello, listens: Address, address: str
    ) -> tuple[Served, ByteStream] | None:
        """Decides about a HELLO: begins a session, resumes one, or refuses."""
        info = describe(stream, listens.scheme)
        request = ConnectRequest(
            hello.credential,
            hello.client_name,
            hello.client_version,
            hello.fingerprint,
            address,
            info.is_confidential,
            info.credential,
        )
        try:
            principal = await self._principal(handshake, request)
            if principal is None and self._authenticate is not None:
                return None
            return self._session_for(stream, handshake, hello, request, principal), stream
        except Status as status:
            self._limiter.say(address, str(status))
            await handshake.refuse(status)
            return None

    async def _principal(self, handshake: Handshake, request: ConnectRequest) -> Principal | None:
        """Who the client is. Raises what it is told; `None` also where it has left."""
        if self._is_draining:
            raise Status(Code.UNAVAILABLE, "the server shuts down")
        if self._authenticate is None:
            return None
        loop = asyncio.get_running_loop()
        since = loop.time()
        asking = loop.create_task(_awaited(self._authenticate, request), name="msip: authenticate")
        leaving = loop.create_task(handshake.wait_left())
        either: list[asyncio.Task[Any]] = [asking, leaving]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                return None
            return asking.result()
        except Status as status:
            if status.code is not Code.UNAUTHENTICATED:
                raise
            self._limiter.say(request.address, str(status))
            passed = loop.time() - since
            await asyncio.sleep(_REFUSED_AFTER - passed % _REFUSED_AFTER)
            raise NOT_AUTHENTICATED from None
        except asyncio.CancelledError:
            raise
        except Exception as error:
            _log.error("authenticate failed", exc_info=error)
            raise Status(Code.INTERNAL, "authentication failed") from None
        finally:
            for task in either:
                task.cancel()
            await asyncio.wait(either)

    def _session_for(
        self,
        stream: ByteStream,
        handshake: Handshake,
        hello: Hello,
        request: ConnectRequest,
        principal: Principal | None,
    ) -> Served:
        """The session that a client asks for. Raises `Status` where it does not get one."""
        check_fingerprint(hello, self.protocol, self._settings.schema)
        known = self._sessions.find(hello.session_id)
        owner = principal.owner if principal is not None else request.transport_credential
        if known is not None and not (known.session.owns(hello.session_secret) and known.owner == owner):
            raise NOT_AUTHENTICATED
        is_taken_over = known is not None and known.driver.stream is not None
        if self._connection_count - is_taken_over > self._settings.max_connections:
            raise Status(
                Code.RESOURCE_EXHAUSTED,
                f"too many connections: this server takes {self._settings.max_connections} at once, try again later",
            )
        compress = self._settings.compressions_for == "anyone" or (
            principal is not None and bool(principal.subject or principal.user)
        )
        peer_id = known.peer_id if known is not None else int.from_bytes(os.urandom(8)) | 1
        welcome = negotiate(hello, self.protocol, self._session_settings, peer_id=peer_id, compress=compress)
        now = asyncio.get_running_loop().time()
        if known is not None:
            if known.session.is_behind:
                raise Status(Code.RESOURCE_EXHAUSTED, "the handlers of this session's messages are too far behind")
            if is_taken_over:
                known.take_over()
            self._sessions.attached(known)
            known.session.resume(handshake.accepting, welcome, now)
            known.principal, known.request, known.is_resumed = principal, request, True
            return known
        session = Session.accept(self.protocol, self._session_settings, handshake.accepting, welcome, now)
        served = Served(
            session,
            hello.session_id,
            welcome,
            self.protocol,
            self.peer_type,
            self._handler,
            self._settings,
            principal,
            request,
        )
        if hello.fingerprint != self.protocol.fingerprint:
            self._compare(served, hello, Codec(welcome.codec))
        self._sessions.add(served)
        return served

    def _compare(self, served: Served, hello: Hello, codec: Codec) -> None:
        """Compares the schema of a client that has another fingerprint."""
        from msip.compatibility.peer_schemas import PeerSchemas  # late: most clients have the same schema
        from msip.server.schema_check import SchemaCheck

        if self._schemas is None:
            self._schemas = PeerSchemas(self.protocol, "client")
        describes = SCHEMA_DESCRIPTION in hello.extensions
        limit = self._settings.handshake_timeout
        served.schema_check = SchemaCheck(self._schemas, hello.fingerprint, describes, codec, served.outbound, limit)
        served.is_admitted = self._settings.schema != "compatible"


def _listenable(url: ServiceUrl) -> Address:
    """The address of a URL at which a server of this package can listen."""
    if url.topic:
        raise UrlError(f'the URL names the topic "{url.topic}": a direct connection has none, leave it out')
    return url.only_address


def _address_of(accepted: socket.socket, listens: Address) -> str:
    if listens.scheme == "unix":
        return listens.path
    try:
        host, port = accepted.getpeername()[:2]
    except OSError:
        return "a client that has left"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _awaited(authenticate: Authenticate, request: ConnectRequest) -> Principal:
    return await authenticate(request)


def _report(task: asyncio.Task[None]) -> None:
    """A fault of ours in the task of a connection."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a fault in %s", task.get_name(), exc_info=error)
