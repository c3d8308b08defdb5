"""Publishes to topics of a broker, and hears them, without a schema.

::

    cargo run -p msip-broker
    python examples/topics.py hear 'fleet/+/position'                  (in another terminal)
    python examples/topics.py say fleet/7/position '52.5 north'        (in a third)

It speaks to the same topics as the Rust examples `broker-sub` and `broker-pub`. With `--group` several listeners share what comes.
"""

from __future__ import annotations

import argparse
import asyncio

from msip import UntypedClient


async def hear(url: str, topic: str, group: str) -> None:
    async with UntypedClient(url, "text") as client:
        await client.subscribe(topic, group=group)
        async for message in client.messages():
            print(message.topic, message.body.decode(errors="replace"), flush=True)


async def say(url: str, topic: str, text: str) -> None:
    async with UntypedClient(url, "text") as client:
        await client.publish(topic, text.encode(), acknowledged=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="tcp://127.0.0.1:9000", help="where the broker is")
    does = parser.add_subparsers(dest="does", required=True)
    hearing = does.add_parser("hear", help="print what is sent to a topic, or to all that a filter names")
    hearing.add_argument("topic")
    hearing.add_argument("--group", default="", help="share what comes with the others of this group")
    saying = does.add_parser("say", help="send a text to a topic")
    saying.add_argument("topic")
    saying.add_argument("text")
    args = parser.parse_args()
    work = hear(args.url, args.topic, args.group) if args.does == "hear" else say(args.url, args.topic, args.text)
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
