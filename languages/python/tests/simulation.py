"""A simulation of two sessions: a link that is cut anywhere and chunks anyhow, random work on both sides, and its rules.

Time is simulated, and everything is drawn from one seed, so that a failure can be repeated.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from math import inf

from msip.errors import Code, Status
from msip.protocol import Member
from msip.session import Accepting, Cause, Session, Settings, negotiate
from msip.session import events as ev
from pair import ALARM, BOTH, ECHO, LINE, NOTE, ORDER, POSITION, PROTOCOL, UPLOAD, URGENT_ORDER, WATCH

CALLS = (ECHO, ECHO, ECHO, ALARM, WATCH, UPLOAD, BOTH)
MESSAGES = (NOTE, ORDER, ORDER, URGENT_ORDER, POSITION, LINE)


class Watched(Session):
    """A session that notes what no correct peer would have sent."""

    unexpected: list[str]

    def _limit(self, id: int, what: str) -> None:
        # Calls that run for a connection that is lost are more than their caller knows of, and may take the place of others.
        if self._orphans <= self.settings.max_calls:
            self.__dict__.setdefault("unexpected", []).append(what)
        super()._limit(id, what)

    def _receive_ping(self, id: int, payload: bytes) -> None:
        # Pings share the allowance of what is not wanted, and are.
        count = len(self.__dict__.setdefault("unexpected", []))
        super()._receive_ping(id, payload)
        del self.unexpected[count:]


@dataclass
class Sent:
    """Something that a side has begun, and how it has ended."""

    member: Member
    label: bytes
    outcome: str = ""
    unsent_items: int = 0
    received_items: list[bytes] = field(default_factory=list)
    is_cancelled: bool = False
    deadline: float = inf


class Node:
    """One side: its program, which sends at random and handles what comes."""

    def __init__(self, name: str, world: World, session: Session) -> None:
        self.name = name
        self.world = world
        self.session = session
        self.random = world.random
        self.open: dict[int, Sent] = {}
        self.ended: list[Sent] = []
        self.begun: set[bytes] = set()
        """The labels of calls whose handlers have begun, and of messages that were handled."""
        self.handled_orders: list[bytes] = []
        self.serving: dict[int, tuple[ev.Request, list[bytes]]] = {}
        self.complete: set[int] = set()
        self.cancelled: set[int] = set()
        self.messages: deque[ev.Message] = deque()
        self.unread: deque[tuple[int, int]] = deque()
        self.acknowledged: set[bytes] = set()
        self.closed: list[ev.Closed] = []

    # --- Sending

    def act(self) -> None:
        """One random thing that a program may do."""
        choice = self.random.random()
        if choice < 0.35:
            self.call()
        elif choice < 0.6:
            self.send()
        elif choice < 0.7:
            self.send_items()
        elif choice < 0.9:
            self.handle()
        elif choice < 0.93 and self.open:
            id = self.random.choice(list(self.open))
            self.session.cancel(id, self.world.now)
            sent = self.open.pop(id)
            sent.is_cancelled = True
            self.ended.append(sent)
        elif choice < 0.94 and self.session.is_connected and self.session.queued < 500:
            self.open[self.session.ping(self.world.now)] = Sent(ECHO, b"ping")

    def label(self) -> bytes:
        self.world.labels += 1
        return b"%s-%d" % (self.name.encode(), self.world.labels)

    def padding(self) -> bytes:
        return b"." * self.random.choice((0, 0, 1, 100, self.world.large))

    def call(self) -> None:
        member = self.random.choice(CALLS)
        if not self.session.can_send(member):
            return
        label = self.label()
        timeout = self.random.choice((member.timeout, 0.0001, 0.05, 2.0, 60.0))
        body = b"" if member.request_stream else label + b"|" + self.padding()
        id = self.session.call(member, body, now=self.world.now, timeout=timeout)
        sent = self.open[id] = Sent(member, label)
        sent.unsent_items = self.random.randrange(40) if member.request_stream else 0
        if timeout is not None:
            sent.deadline = self.world.now + timeout
        if member.request_stream and not self.open[id].unsent_items:
            self.session.item(id, b"", True)

    def send(self) -> None:
        member = self.random.choice(MESSAGES)
        if not self.session.can_send(member):
            return
        label = self.label()
        body = label + b"|" + self.padding()
        key = self.random.choice("abc")
        timeout = self.random.choice((None, None, 100.0)) if member in (ORDER, URGENT_ORDER) else None
        id = self.session.send(member, body, now=self.world.now, timeout=timeout, key=key)
        if member in (ORDER, URGENT_ORDER):
            self.open[id] = Sent(member, label)
            self.world.sent[label] = member

    def send_items(self) -> None:
        for id, sent in list(self.open.items()):
            while sent.unsent_items and self.session.can_send_item(id, 10):
                sent.unsent_items -= 1
                self.session.item(id, b"item|" + self.padding(), last=not sent.unsent_items)
                if self.random.random() < 0.3:
                    break

    # --- Handling

    def handle(self) -> None:
        """Some handlers return."""
        for _ in range(self.random.randrange(8)):
            if self.messages:
                message = self.messages.popleft()
                label = message.body.split(b"|")[0]
                if message.delivery:
                    self.handled_orders.append(label)
                    if self.random.random() < 0.1:
                        self.session.fail(message.id, Status(Code.NOT_FOUND, "no such thing"))
                    else:
                        self.session.acknowledge(message.id)
                        self.acknowledged.add(label)
                self.session.finished(0, 1, message.size)
            if self.unread:
                id, size = self.unread.popleft()
                self.session.finished(id, 1, size)
        for id in self.random.sample(list(self.serving), min(len(self.serving), 3)):
            self.answer(id)

    def answer(self, id: int) -> None:
        request, items = self.serving[id]
        if id in self.cancelled:
            self.session.fail(id, Status(Code.CANCELLED, "stopped"))
        elif request.streaming and id not in self.complete and self.random.random() < 0.9:
            return
        elif self.random.random() < 0.1:
            self.session.fail(id, Status(Code.ABORTED, "a conflict", headers={"why": "chance"}))
        elif request.member.response_stream:
            while self.session.can_send_item(id, 10) and len(items) < 30:
                items.append(b"answer-%d" % len(items))
                self.session.answer_item(id, items[-1])
            if len(items) < 30 and id in self.session._inbound:
                return
            self.session.answer_end(id)
        else:
            self.session.answer(id, b"re:" + request.body + self.padding())
        del self.serving[id]
        self.cancelled.discard(id)
        self.complete.discard(id)

    # --- Events

    def drain_events(self) -> None:
        while (event := self.session.poll()) is not None:
            self.on(event)

    def on(self, event: ev.Event) -> None:
        world = self.world
        match event:
            case ev.Request(id=id, body=body):
                label = body.split(b"|")[0]
                world.check(not body or label not in self.begun, f"the call {label!r} has begun twice")
                world.check(id not in self.serving, f"{id} is served twice")
                self.begun.add(label)
                self.serving[id] = (event, [])
            case ev.RequestItem(id=id, size=size):
                world.check(id in self.serving and id not in self.complete, f"an item of {id}, which is not open")
                self.unread.append((id, size))
            case ev.RequestEnd(id=id):
                world.check(id not in self.complete, f"{id} is complete twice")
                self.complete.add(id)
            case ev.Cancelled(id=id):
                world.check(id in self.serving and id not in self.cancelled, f"{id} is cancelled, and not served")
                self.cancelled.add(id)
            case ev.Message(body=body):
                label = body.split(b"|")[0]
                world.check(label not in self.begun, f"{label!r} has come twice")
                self.begun.add(label)
                self.messages.append(event)
            case ev.Answer(id=id, body=body):
                sent = self.end(id, "answer")
                if not sent.member.request_stream:
                    world.check(body.startswith(b"re:" + sent.label + b"|"), f"{body!r} answers {sent.label!r}")
            case ev.AnswerItem(id=id, body=body, size=size):
                self.open[id].received_items.append(body)
                self.unread.append((id, size))
            case ev.AnswerEnd(id=id):
                sent = self.end(id, "answer")
                world.check(
                    sent.received_items == [b"answer-%d" % number for number in range(30)],
                    f"{sent.label!r} has got {len(sent.received_items)} items",
                )
            case ev.Acknowledged(id=id):
                sent = self.end(id, "acknowledged")
                peer = world.peer_of(self)
                world.check(sent.label in peer.acknowledged, f"{sent.label!r} is acknowledged, and was not handled")
            case ev.Failed(id=id, cause=cause):
                sent = self.end(id, cause.value)
                peer = world.peer_of(self)
                is_safe = cause.is_safe_to_repeat and not sent.member.request_stream
                world.check(
                    not (is_safe and sent.label in peer.begun), f"{sent.label!r} has run, and is told as {cause.value}"
                )
                world.check(cause is not Cause.UNREADABLE, f"an answer could not be read: {event}")
            case ev.Pong(id=id):
                self.end(id, "pong")
            case ev.Closed():
                self.closed.append(event)
            case ev.TransportDead():
                world.cut()
            case ev.Connected(session_lost=session_lost):
                if session_lost:
                    world.check(not self.open, f"{len(self.open)} exchanges are open in a session that was lost")
            case ev.Refused():
                world.check(False, f"refused: {event}")

    def end(self, id: int, outcome: str) -> Sent:
        self.world.check(id in self.open, f"{outcome} of {id}, which is not open")
        sent = self.open.pop(id)
        sent.outcome = outcome
        self.ended.append(sent)
        return sent


class World:
    """Both sides, the link between them, and the time."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 0.0
        self.labels = 0
        self.sent: dict[bytes, Member] = {}
        """The deliveries of both sides."""
        self.large = self.random.choice((200, 2000, 20_000))
        choose = self.random.choice
        window = choose((3, 64, 1024)), choose((1000, 65_536, 1 << 20))
        stream = choose((2, 16)), choose((500, 1 << 18))

        def settings() -> Settings:
            return Settings(
                max_calls=choose((4, 64, 1024)),
                outgoing_queue=choose((1000, 65_536, 8 << 20)),
                session_deliveries=choose((5, 10_000)),
                session_buffer=choose((1 << 17, 16 << 20)),
                ping_interval=choose((1.0, 10.0)),
                window_items=window[0],
                window_bytes=window[1],
                stream_items=stream[0],
                stream_bytes=stream[1],
            )

        self.server_settings = settings()
        client_settings = settings()
        # A HELLO does not say how many calls a client takes.
        client_settings.max_calls = 1024
        self.client = Node(
            "client", self, Watched.connect(PROTOCOL, client_settings, 0.0, random=self.random.randbytes)
        )
        self.server: Node | None = None
        self.accepting: Accepting | None = None
        self.is_linked = False
        self.to_server = bytearray()
        self.to_client = bytearray()
        self.forgets = self.random.random() < 0.3
        self.cuts = 0

    def check(self, holds: bool, text: str) -> None:
        if not holds:
            raise AssertionError(f"seed {self.seed}, time {self.now:.3f}: {text}")

    def peer_of(self, node: Node) -> Node:
        if node is self.client:
            assert self.server is not None
            return self.server
        return self.client

    # --- The link

    def connect(self) -> None:
        """A new transport."""
        self.is_linked = True
        self.client.session.begin(self.now)
        self.accepting = Accepting(self.server_settings, self.now)

    def cut(self) -> None:
        """The transport is gone, with what was on its way: some of it may still arrive, at one side or both."""
        if not self.is_linked:
            return
        self.cuts += 1
        self.is_linked = False
        self.move(self.random.randrange(len(self.to_server) + 1), self.random.randrange(len(self.to_client) + 1))
        self.to_server.clear()
        self.to_client.clear()
        self.accepting = None
        self.client.session.lost(self.now)
        if self.server is not None:
            self.server.session.lost(self.now)
        self.settle()

    def accept(self, data: bytes) -> None:
        """The server reads a HELLO, and finds the session or begins one."""
        assert self.accepting is not None
        hello = self.accepting.receive(data, self.now)
        if hello is None:
            return
        accepting, self.accepting = self.accepting, None
        welcome = negotiate(hello, PROTOCOL, self.server_settings, peer_id=self.random.getrandbits(60))
        server = self.server
        if server is not None and not server.session.is_over and server.session.session_id == hello.session_id:
            if not (self.forgets and self.random.random() < 0.2):
                self.check(server.session.owns(hello.session_secret), "the secret is another one")
                if server.session.is_connected:
                    server.session.take_over(self.now)
                server.session.resume(accepting, welcome, self.now)
                return
            server.session.end(Status(Code.UNAVAILABLE, "forgotten"))
            self.settle()
        session = Watched.accept(PROTOCOL, self.server_settings, accepting, welcome, self.now)
        if server is None:
            self.server = Node("server", self, session)
        else:
            server.session = session
            server.messages.clear()
            server.unread.clear()
            server.serving.clear()
            server.cancelled.clear()
            server.complete.clear()

    def move(self, to_server: int, to_client: int) -> None:
        """So many bytes arrive."""
        if to_server:
            data = bytes(self.to_server[:to_server])
            del self.to_server[:to_server]
            if self.accepting is not None:
                self.accept(data)
            elif self.server is not None:
                self.server.session.receive(data, self.now)
        if to_client:
            data = bytes(self.to_client[:to_client])
            del self.to_client[:to_client]
            self.client.session.receive(data, self.now)

    def transmit(self) -> None:
        if self.is_linked:
            self.to_server += self.client.session.transmit()
            if self.server is not None and self.accepting is None:
                self.to_client += self.server.session.transmit()

    def settle(self) -> None:
        """Both sides handle their events."""
        self.client.drain_events()
        if self.server is not None:
            self.server.drain_events()

    # --- Running

    def step(self) -> None:
        random = self.random
        if not self.is_linked and random.random() < 0.2:
            self.connect()
        for node in (self.client, self.server):
            if node is not None and random.random() < 0.8:
                node.act()
        if random.random() < 0.7:
            self.transmit()
        chunk = random.choice((1, 30, 1000, 1 << 20))
        self.move(min(chunk, len(self.to_server)), min(random.choice((1, 30, 1000, 1 << 20)), len(self.to_client)))
        self.settle()
        if random.random() < 0.02:
            self.cut()
        self.advance(random.choice((0.0, 0.0, 0.001, 0.01, 0.3)))

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for node in (self.client, self.server):
            if node is not None:
                at = node.session.timeout()
                if at is not None and at <= self.now:
                    node.session.handle_timeout(self.now)
        self.settle()
        for node in (self.client, self.server):
            for sent in node.open.values() if node is not None else ():
                self.check(sent.deadline > self.now, f"{sent.label!r} is open after its deadline")

    def finish(self) -> None:
        """The link holds, handlers return, and the client closes: nothing may be left."""
        for round in range(4000):
            if not self.is_linked:
                self.connect()
            self.transmit()
            self.move(len(self.to_server), len(self.to_client))
            self.settle()
            for node in (self.client, self.server):
                if node is not None:
                    node.send_items()
                    node.handle()
            self.settle()
            self.advance(0.02)
            nodes = [node for node in (self.client, self.server) if node is not None]
            if round > 20 and not any(
                node.open or node.serving or node.messages or node.unread or node.session.queued for node in nodes
            ):
                break
        else:
            self.check(False, "something does not come to an end")
        self.check_rest()
        self.client.session.close(self.now, text="done")
        for _ in range(100):
            self.transmit()
            self.move(len(self.to_server), len(self.to_client))
            self.settle()
            self.advance(0.1)
        assert self.server is not None
        for node in (self.client, self.server):
            self.check(bool(node.closed) and node.closed[-1].is_clean, f"{node.name} is not closed: {node.closed}")

    def check_rest(self) -> None:
        assert self.server is not None
        for node in (self.client, self.server):
            session = node.session
            self.check(not node.open, f"{node.name} waits for {[sent.label for sent in node.open.values()]}")
            self.check(not node.serving, f"{node.name} serves {list(node.serving)}")
            for part in ("_outbound", "_placeholders", "_aliases", "_abandoned", "_inbound", "_resend", "_handling"):
                self.check(not getattr(session, part), f"{node.name}: {part} has {getattr(session, part)}")
            for part in ("_call_count", "_delivery_count", "_kept_cost", "_inbound_size", "_orphans", "_unfinished"):
                self.check(getattr(session, part) == 0, f"{node.name}: {part} is {getattr(session, part)}")
            unexpected = session.__dict__.get("unexpected")
            self.check(not unexpected, f"{node.name} was sent what no correct peer sends: {unexpected}")
            handled = node.handled_orders
            self.check(len(handled) == len(set(handled)), f"{node.name} has handled a delivery twice")
            for member in (ORDER, URGENT_ORDER):
                numbers = [int(label.partition(b"-")[2]) for label in handled if self.sent[label] is member]
                self.check(numbers == sorted(numbers), f"{node.name} has handled {member.name} out of order: {numbers}")
        for node in (self.client, self.server):
            peer = self.peer_of(node)
            if not self.forgets:
                lost = [sent.label for sent in node.ended if sent.outcome == "acknowledged"]
                self.check(set(lost) <= set(peer.handled_orders), f"{node.name}: an acknowledged delivery was lost")
                self.check(
                    not [sent for sent in node.ended if sent.outcome == "lost" and sent.member is ORDER],
                    f"{node.name}: a delivery is lost though its session lives",
                )

    def run(self, steps: int) -> None:
        self.connect()
        for _ in range(steps):
            self.step()
        self.finish()
