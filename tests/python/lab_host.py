"""A server of the protocol `lab` at the URLs that it is given, or with `attach` a service of the topic that a URL names. It says where
it listens, and ends when its standard input does."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from typing import TypeVar

import msip
from lab import (
    ActReq,
    ActRsp,
    AskReq,
    CountReq,
    CountRsp,
    EchoReq,
    EchoRsp,
    LabPeer,
    LabServer,
    LabServerHandler,
    NoteInd,
    SaveInd,
    ShoutReq,
    ShoutRsp,
    SumReq,
    SumRsp,
)


class Handler(LabServerHandler):
    async def on_echo_req(self, request: EchoReq, context: msip.Context[LabPeer]) -> EchoRsp:
        return EchoRsp(text=request.text, ballast=request.ballast)

    async def on_note_ind(self, message: NoteInd, context: msip.Context[LabPeer]) -> None:
        # What comes back says that it was heard.
        await context.peer.note_ind(message)

    async def on_save_ind(self, message: SaveInd, context: msip.Context[LabPeer]) -> None:
        if message.number == 13:
            raise msip.Status(msip.Code.FAILED_PRECONDITION, "not thirteen")
        await context.peer.save_ind(message)

    async def on_act_req(self, request: ActReq, context: msip.Context[LabPeer]) -> ActRsp:
        match request.what:
            case "panic":
                raise RuntimeError("asked to")
            case "hang":
                await asyncio.Event().wait()
            case "ask":
                answer = await context.peer.ask_req(AskReq(question="who?"))
                return ActRsp(done=answer.answer)
            case "leave":
                context.peer.disconnect(msip.Status(msip.Code.ABORTED, "asked to"))
                return ActRsp(done="gone")
        raise msip.Status(msip.Code.NOT_FOUND, "no such thing")

    async def on_count_req(self, request: CountReq, context: msip.Context[LabPeer]) -> AsyncIterator[CountRsp]:
        number = request.from_
        while number < request.to or request.to == 0:
            yield CountRsp(number=number, ballast=b"x" * request.ballast_len)
            number += 1

    async def on_sum_req(self, requests: AsyncIterator[SumReq], context: msip.Context[LabPeer]) -> SumRsp:
        return SumRsp(sum=sum([request.number async for request in requests]))

    async def on_shout_req(
        self, requests: AsyncIterator[ShoutReq], context: msip.Context[LabPeer]
    ) -> AsyncIterator[ShoutRsp]:
        async for request in requests:
            yield ShoutRsp(text=request.text.upper())


async def authenticate(request: msip.ConnectRequest) -> msip.Principal:
    secret = os.environ["LAB_SECRET"]
    if request.credential.decode() != secret:
        raise msip.Status(msip.Code.UNAUTHENTICATED, "another secret")
    return msip.Principal("secret", user="known")


N = TypeVar("N", CountRsp, SumReq)


def not_thirteen(item: N) -> N:
    if item.number == 13:
        raise msip.Status(msip.Code.FAILED_PRECONDITION, "not thirteen")
    return item


class Service(Handler):
    """Says of clients through a broker what becomes of them."""

    async def on_client_connected(self, peer: LabPeer) -> None:
        print(f"connected {peer.id:016x} at {peer.topic}", flush=True)

    async def on_client_gone(self, peer: LabPeer) -> None:
        print(f"gone {peer.id:016x}", flush=True)

    async def on_act_req(self, request: ActReq, context: msip.Context[LabPeer]) -> ActRsp:
        match request.what:
            case "everyone":
                return ActRsp(done=str(self.server.everyone().note_ind(NoteInd(number=100))))
            case "others":
                return ActRsp(done=str(self.server.others(context.peer).note_ind(NoteInd(number=101))))
            case "peers":
                return ActRsp(done=str(len(self.server.peers)))
            case "remaining":
                assert context.time_limit is not None
                return ActRsp(done=str(int(context.time_limit * 1000)))
        return await super().on_act_req(request, context)

    async def on_count_req(self, request: CountReq, context: msip.Context[LabPeer]) -> AsyncIterator[CountRsp]:
        async for item in super().on_count_req(request, context):
            # Who begins between is superstitious.
            yield not_thirteen(item) if 1 <= request.from_ < 13 else item

    async def on_sum_req(self, requests: AsyncIterator[SumReq], context: msip.Context[LabPeer]) -> SumRsp:
        return SumRsp(sum=sum([not_thirteen(request).number async for request in requests]))

    server: LabServer


async def attach(url: str) -> None:
    service = Service()
    async with LabServer.attach(url, service, name="lab-service") as server:
        service.server = server
        print(server.urls[0], flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def main(urls: list[str]) -> None:
    hook = authenticate if "LAB_SECRET" in os.environ else None
    async with LabServer(urls, Handler(), authenticate=hook, name="lab-host") as server:
        for url in server.urls:
            print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
asyncio.run(attach(sys.argv[2]) if sys.argv[1] == "attach" else main(sys.argv[1:]))
