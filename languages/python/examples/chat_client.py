"""A chat client: lines that you type are said in the room, and what others say is printed.

    python chat_client.py ada
    python chat_client.py ada 'tls://127.0.0.1:7400?ca=certs/ca.pem'

`/who` asks who is there, `/quit` leaves. Stop the server and start it again: the client comes back by itself.
"""

import asyncio
import sys

from chat import (
    ChatClient,
    ChatClientHandler,
    ConnectReq,
    JoinedInd,
    LeftInd,
    MessageInd,
    PresenceReq,
    PresenceRsp,
    WhoReq,
)

import msip


class Screen(ChatClientHandler):
    """Prints what happens in the room."""

    def __init__(self, user: str) -> None:
        self.user = user

    async def on_connected(self, client: ChatClient) -> None:
        # After each connect, the first and every later one: the place to log in.
        welcome = await client.connect_req(ConnectReq(user=self.user))
        print(f"{welcome.motd}; here are {', '.join(welcome.users)}", flush=True)

    async def on_disconnected(self, client: ChatClient, reason: msip.Status) -> None:
        print(f"disconnected: {reason}", flush=True)

    async def on_message_ind(self, message: MessageInd, context: msip.Context[ChatClient]) -> None:
        print(f"{message.user}: {message.text}", flush=True)

    async def on_joined_ind(self, message: JoinedInd, context: msip.Context[ChatClient]) -> None:
        print(f"{message.user} entered", flush=True)

    async def on_left_ind(self, message: LeftInd, context: msip.Context[ChatClient]) -> None:
        print(f"{message.user} left", flush=True)

    async def on_presence_req(self, request: PresenceReq, context: msip.Context[ChatClient]) -> PresenceRsp:
        return PresenceRsp(active=True)


async def main(user: str, url: str) -> None:
    async with ChatClient(url, Screen(user), name="chat-client.py") as chat:
        while line := await asyncio.to_thread(sys.stdin.readline):
            text = line.strip()
            try:
                if text == "/quit":
                    break
                if text == "/who":
                    people = (await chat.who_req(WhoReq())).people
                    print(", ".join(f"{each.user}{'' if each.active else ' (away)'}" for each in people), flush=True)
                elif text:
                    await chat.message_ind(MessageInd(text=text))
            except msip.MsipError as error:
                print(f"not said: {error}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "tcp://127.0.0.1:7400"))
    except msip.ConnectError as error:
        sys.exit(str(error))
