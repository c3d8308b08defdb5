"""A server of the protocol `rolling`, of the newer release, which says its URL, and then of each client what differs from its schema."""

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
        print(peer.schema_difference, flush=True)

    async def on_fetch_req(self, request: FetchReq, context: msip.Context[RollingPeer]) -> FetchRsp:
        return FetchRsp(value=request.name)

    async def on_forget_req(self, request: ForgetReq, context: msip.Context[RollingPeer]) -> ForgetRsp:
        return ForgetRsp()


async def main(url: str) -> None:
    async with RollingServer(url, Handler()) as server:
        print(server.urls[0], flush=True)
        await server.serve_forever()


asyncio.run(main(sys.argv[1]))
