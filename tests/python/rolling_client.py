"""A client of the protocol `rolling`, of the newer release: it calls the server at the URL that it is given, and says the answer."""

from __future__ import annotations

import asyncio
import sys

import msip
from rolling import CheckReq, CheckRsp, FetchReq, ProbeReq, ProbeRsp, RollingClient, RollingClientHandler


class Handler(RollingClientHandler):
    async def on_check_req(self, request: CheckReq, context: msip.Context[RollingClient]) -> CheckRsp:
        return CheckRsp(is_well=True)

    async def on_probe_req(self, request: ProbeReq, context: msip.Context[RollingClient]) -> ProbeRsp:
        return ProbeRsp()


async def main(url: str) -> None:
    async with RollingClient(url, Handler()) as client:
        print((await client.fetch_req(FetchReq(name="tea", max_age=5))).value)


asyncio.run(main(sys.argv[1]))
