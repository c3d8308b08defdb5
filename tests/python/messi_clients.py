"""Clients that Messi's own tool has generated, against a server of ours. The arguments: where they are, and the server's URI."""

import asyncio
import logging
import os
import sys
import traceback

sys.path.insert(0, sys.argv[1])

import chat_client  # noqa: E402

URI = sys.argv[2]
# How long anything may take.
LIMIT = 60


class Client(chat_client.ChatClient):
    """Puts what it hears in a queue."""

    def __init__(self, keep_alive_interval=LIMIT):
        # On a busy machine its own 2 s would be the time that a pong takes.
        super().__init__(URI, keep_alive_interval)
        self.heard = asyncio.Queue()

    async def on_connected(self):
        self.heard.put_nowait("connected")

    async def on_disconnected(self):
        self.heard.put_nowait("disconnected")

    async def on_connect_rsp(self, message):
        self.heard.put_nowait("welcome")

    async def on_message_ind(self, message):
        self.heard.put_nowait((message.user, message.text))

    async def hears(self, expected):
        heard = await asyncio.wait_for(self.heard.get(), LIMIT)
        assert heard == expected, f"{heard!r}, and {expected!r} was expected"

    async def enter(self, user):
        self.start()
        await self.hears("connected")
        self.init_connect_req().user = user
        self.send()
        await self.hears("welcome")

    def say(self, user, text):
        message = self.init_message_ind()
        message.user = user
        message.text = text
        self.send()

    def leave(self):
        # Its `stop` is swallowed while it is connected.
        self._close()
        self.stop()


async def a_chat():
    erik, asa = Client(), Client()
    await erik.enter("Erik")
    await asa.enter("Åsa")
    for client, user, text in [(erik, "Erik", "Hello"), (asa, "Åsa", "Hej ⚽"), (erik, "", ""), (asa, "Åsa", "x" * 100_000)]:
        client.say(user, text)
        await erik.hears((user, text))
        await asa.hears((user, text))
    return erik, asa


async def many_messages_in_order(erik, asa):
    for number in range(2000):
        erik.say("Erik", str(number))
    for client in (erik, asa):
        for number in range(2000):
            await client.hears(("Erik", str(number)))


async def a_keepalive():
    client = Client(keep_alive_interval=5)
    await client.enter("Ada")
    handle_pong = client._handle_pong
    answered = asyncio.Event()

    def tell():
        handle_pong()
        answered.set()

    client._handle_pong = tell
    await asyncio.wait_for(answered.wait(), LIMIT)
    client.say("Ada", "still here")
    await client.hears(("Ada", "still here"))
    return client


async def a_connection_that_is_lost(client):
    # The server closes at what no client may send; the client comes back by itself.
    client._writer.write(b"\x05\x00\x00\x00")
    await client.hears("disconnected")
    await client.hears("connected")
    client.init_connect_req().user = "Ada"
    client.send()
    await client.hears("welcome")


async def main():
    erik, asa = await a_chat()
    await many_messages_in_order(erik, asa)
    erik.leave()
    asa.leave()
    client = await a_keepalive()
    await a_connection_that_is_lost(client)
    client.leave()
    print("4 passed", flush=True)


async def run():
    try:
        await main()
    except BaseException:
        traceback.print_exc()
        status = 1
    else:
        status = 0
    sys.stderr.flush()
    # What its clients have begun never ends by itself.
    os._exit(status)


logging.basicConfig(level=logging.INFO)
asyncio.run(run())
