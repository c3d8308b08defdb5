"""A server of the protocol `rolling`, of the newer release, which says its URL, and then of each client what differs from its schema.

It is called with the URL at which it listens, or with `attach` and the URL of a topic.
"""

from __future__ import annotations

import asyncio
import sys

import msip
from rolling import (
    FetchReq,
    FetchRsp,
    ForgetReq,
    ForgetRsp,
    RollingPeer,
    RollingServer,
    RollingServerHandler,
)


class Handler(RollingServerHandler):
    async def on_client_connected(self, peer: RollingPeer) -> None:
        print(await peer.schema_compared(), flush=True)

    async def on_fetch_req(self, request: FetchReq, context: msip.Context[RollingPeer]) -> FetchRsp:
        return FetchRsp(value=request.name)

    async def on_forget_req(self, request: ForgetReq, context: msip.Context[RollingPeer]) -> ForgetRsp:
        return ForgetRsp()


async def main(*arguments: str) -> None:
    handler = Handler()
    if arguments[0] == "attach":
        making: RollingServer = RollingServer.attach(arguments[1], handler)
    else:
        making = RollingServer(arguments[0], handler)
    async with making as server:
        print(server.urls[0], flush=True)
        await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
