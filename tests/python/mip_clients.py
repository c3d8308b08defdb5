"""The published MIP client for Python, unchanged, against a broker: host and port are the arguments."""

import asyncio
import sys

from mip_client import Flags, FrameType, MIPClient

HOST, PORT = sys.argv[1], int(sys.argv[2])


class Peer:
    """A client, and what it hears, in its order."""

    def __init__(self, client_id=""):
        self.heard = asyncio.Queue()
        put = self.heard.put_nowait
        self.client = MIPClient(host=HOST, port=PORT, client_id=client_id, auto_reconnect=False)
        self.client.on_event(lambda m: put(("event", m.header.msg_id, m.topic, m.message)))
        self.client.on_ack(lambda msg_id: put(("ack", msg_id)))
        self.client.on_pong(lambda: put(("pong",)))
        self.client.on_error(lambda error: put(("error", str(error))))

    async def connected(self):
        await self.client.connect()
        # The id of the HELLO, by which it would come back.
        self.hello = int(self.client._client_id)
        await self.hears(("ack", self.hello))
        return self

    async def hears(self, *expected):
        for one in expected:
            heard = await asyncio.wait_for(self.heard.get(), 60)
            assert heard == one, f"{heard}, not {one}"

    async def is_let_go(self):
        await asyncio.wait_for(self.client._read_task, 60)

    def break_off(self):
        """As a cable that is pulled: no CLOSE."""
        self.client._read_task.cancel()
        self.client._writer.transport.abort()


async def subscribes_and_publishes():
    ada, bob = await Peer().connected(), await Peer().connected()
    await ada.hears(("ack", ada.client.subscribe("with/ack")))
    ada.client.subscribe("without/ack", require_ack=False)
    # It is answered in the order of the frames: the subscription is there.
    ada.client.ping()
    await ada.hears(("pong",))
    for flags in [Flags.NONE, Flags.ACK_REQUIRED, Flags.URGENT]:
        for topic in ["with/ack", "without/ack"]:
            sent = bob.client.publish(topic, "hello", flags)
            await bob.hears(("ack", sent))
            await ada.hears(("event", sent, topic, "hello"))
    await ada.hears(("ack", ada.client.unsubscribe("with/ack")))
    ada.client.unsubscribe("without/ack", require_ack=False)
    ada.client.ping()
    await ada.hears(("pong",))
    for topic in ["with/ack", "without/ack", "", "nobody/hears/it"]:
        await bob.hears(("ack", bob.client.publish(topic, "unheard")))
    own = ada.client.subscribe("own")
    await ada.hears(("ack", own))
    sent = ada.client.publish("own", "\u00fc")
    await ada.hears(("ack", sent), ("event", sent, "own", "\u00fc"))


async def many_messages_are_all_acknowledged_in_order():
    ada, bob = await Peer().connected(), await Peer().connected()
    await ada.hears(("ack", ada.client.subscribe("many")))
    sent = [bob.client.publish("many", str(number)) for number in range(2000)]
    await bob.hears(*[("ack", one) for one in sent])
    await ada.hears(*[("event", one, "many", str(number)) for number, one in enumerate(sent)])


async def comes_back_by_the_id_of_its_hello():
    first, other = await Peer().connected(), await Peer().connected()
    await first.hears(("ack", first.client.subscribe("resumed")))
    first.break_off()
    # The last may have been written to the old connection.
    for number in range(20):
        sent = other.client.publish("resumed", str(number))
        await other.hears(("ack", sent))
    again = await Peer(str(first.hello)).connected()
    heard = await asyncio.wait_for(again.heard.get(), 60)
    while heard != ("event", sent, "resumed", "19"):
        heard = await asyncio.wait_for(again.heard.get(), 60)
    live = other.client.publish("resumed", "live")
    await other.hears(("ack", live))
    await again.hears(("event", live, "resumed", "live"))
    # And once more, by the id of the last one.
    again.break_off()
    third = await Peer(str(again.hello)).connected()
    live = other.client.publish("resumed", "third")
    await other.hears(("ack", live))
    while heard != ("event", live, "resumed", "third"):
        heard = await asyncio.wait_for(third.heard.get(), 60)


async def shares_a_session_by_its_text():
    one, two = await Peer("robot-number-1").connected(), await Peer("robot-number-1").connected()
    await one.hears(("ack", one.client.subscribe("shared")))
    sent = two.client.publish("shared", "both")
    await two.hears(("ack", sent), ("event", sent, "shared", "both"))
    await one.hears(("event", sent, "shared", "both"))


async def says_goodbye():
    peer = await Peer().connected()
    peer.client.send_raw_frame(FrameType.CLOSE, b"")
    await peer.is_let_go()
    peer = await Peer().connected()
    try:
        await peer.client.disconnect()
    except asyncio.CancelledError:
        # A fault of that client: it cancels its own reader, and waits for it.
        pass


async def is_told_what_it_may_not_send():
    peer = await Peer().connected()
    peer.client.send_raw_frame(FrameType.EVENT, b"")
    text = "INVALID_ARGUMENT: EVENT comes from the broker, and not from a client"
    await peer.hears(("error", text))


async def main():
    tests = [
        subscribes_and_publishes,
        many_messages_are_all_acknowledged_in_order,
        comes_back_by_the_id_of_its_hello,
        shares_a_session_by_its_text,
        says_goodbye,
        is_told_what_it_may_not_send,
    ]
    for test in tests:
        await test()
        print("ok", test.__name__, flush=True)
    print(len(tests), "passed")


asyncio.run(main())
