"""A chat server: everyone who connects and gives a name can talk to everyone else in the room.

    python chat_server.py                                     (at tcp://127.0.0.1:7400)
    python chat_server.py unix:///tmp/chat.sock tcp://127.0.0.1:7401

Clients of every language can enter it: `python chat_client.py ada`, or the chat-client of the Rust examples.
"""

import asyncio
import logging
import re
import signal
import sys

from chat import (
    ChatPeer,
    ChatServer,
    ChatServerHandler,
    ConnectReq,
    ConnectRsp,
    JoinedInd,
    LeftInd,
    MessageInd,
    Person,
    PresenceReq,
    WhoReq,
    WhoRsp,
)

import msip

# How long a member may take to answer whether anyone is at the keyboard.
PATIENCE = 2.0


class Room(ChatServerHandler):
    """A room that people enter under a name. One room serves all clients."""

    def __init__(self) -> None:
        self.members: dict[str, ChatPeer] = {}
        self.server: ChatServer | None = None

    async def on_connect_req(self, request: ConnectReq, context: msip.Context[ChatPeer]) -> ConnectRsp:
        peer, name = context.peer, request.user
        if re.fullmatch(r"[\w-]{1,20}", name) is None:
            raise msip.Status(msip.Code.INVALID_ARGUMENT, "a name has 1 to 20 letters, digits, `-` or `_`")
        if "name" in peer.data:
            raise msip.Status(msip.Code.FAILED_PRECONDITION, f"you are in the room already, as {peer.data['name']}")
        if name in self.members:
            raise msip.Status(msip.Code.ALREADY_EXISTS, f"somebody is in the room as {name} already")
        self.members[name] = peer
        peer.data["name"] = name
        print(f"{name} entered", flush=True)
        self.tell_others(peer, JoinedInd(user=name))
        return ConnectRsp(motd="welcome; /who tells who is here", users=sorted(self.members))

    async def on_message_ind(self, message: MessageInd, context: msip.Context[ChatPeer]) -> None:
        name = context.peer.data.get("name")
        # A one-way message has no answer: one from a client that has not entered is ignored.
        if name is not None:
            self.tell_others(context.peer, MessageInd(user=name, text=message.text))

    async def on_who_req(self, request: WhoReq, context: msip.Context[ChatPeer]) -> WhoRsp:
        # The answer has to travel too.
        patience = min(PATIENCE, (context.time_limit or PATIENCE) / 2)

        async def ask(name: str, member: ChatPeer) -> Person:
            try:
                answer = await member.presence_req(PresenceReq(), timeout=patience, metadata=context.follow_up())
            except msip.MsipError:
                return Person(user=name, active=False)
            return Person(user=name, active=answer.active)

        members = sorted(self.members.items())
        return WhoRsp(people=list(await asyncio.gather(*(ask(name, member) for name, member in members))))

    async def on_client_disconnected(self, peer: ChatPeer, reason: msip.Status) -> None:
        name = peer.data.pop("name", None)
        if name is None:
            return
        del self.members[name]
        print(f"{name} left: {reason}", flush=True)
        self.tell_others(peer, LeftInd(user=name))

    def tell_others(self, peer: ChatPeer, message: MessageInd | JoinedInd | LeftInd) -> None:
        """Says something to everyone who has entered, but for one. It waits for nobody."""
        assert self.server is not None
        others = self.server.others(peer).where(lambda other: "name" in other.data)
        match message:
            case MessageInd():
                others.message_ind(message)
            case JoinedInd():
                others.joined_ind(message)
            case LeftInd():
                others.left_ind(message)


async def main(urls: list[str]) -> None:
    room = Room()
    async with ChatServer(urls, room, name="chat-server.py") as server:
        room.server = server
        for url in server.urls:
            print(f"listening at {url} (Ctrl-C stops)", flush=True)
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        await stopped.wait()
    print("goodbye", flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(sys.argv[1:] or ["tcp://127.0.0.1:7400"]))
