"""Mistakes of programs that no type checker has read: each is said, with what to write instead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msip
from lab import Heard, LabClient, LabPeer, LabServer, LabTest, Served, Text, lab

URL = "tcp://127.0.0.1:0"
WRONG: Any = None
"""Stands for what a type checker would refuse."""


class Mistaken(Served):
    """Handlers as they are written in a hurry."""

    def on_echo_req(self, request: Text, context: msip.Context[LabPeer]) -> Any:
        if request.text == "generator":
            return self.on_count_req(Text("1"), context)
        return Text("not async")

    def on_save_ind(self, message: Text, context: msip.Context[LabPeer]) -> Any:
        return None

    async def on_sum_req(self, requests: AsyncIterator[Text], context: msip.Context[LabPeer]) -> Text:
        return Unwritable()


class Unwritable(Text):
    def to_bytes(self) -> bytes:
        raise ValueError("text: expected text, found 5")


class MistakesTest(LabTest):
    def test_arguments_of_clients_and_servers(self) -> None:
        settings: Any = {"ping_interval": 5}
        handler: Any = Heard
        function: Any = print
        cases: list[tuple[Callable[[], object], str]] = [
            (lambda: LabClient(WRONG), "a URL is a text, such as tcp://127.0.0.1:7400, not None"),
            (
                lambda: LabClient(URL, settings=settings),
                "settings: expected msip.ClientSettings(…), found {'ping_interval': 5}",
            ),
            (lambda: LabClient(URL, handler), "the handler is the class Heard: expected an object of it, `Heard()`"),
            (
                lambda: LabClient(URL, function),
                "has to derive from the generated one, or from msip.ClientHandler; found <built-in",
            ),
            (lambda: LabServer(7400, Served()), "a URL is a text, such as tcp://127.0.0.1:7400, not 7400"),  # type: ignore[arg-type]
            (lambda: LabServer(URL, settings=settings, handler=Served()), "settings: expected msip.ServerSettings(…)"),
            (lambda: LabServer(URL, Served), "the handler is the class Served: expected an object of it, `Served()`"),  # type: ignore[arg-type]
            (lambda: LabServer.attach(f"{URL}/room", Served), "the handler is the class Served"),  # type: ignore[arg-type]
            (lambda: msip.BrokerConnection(URL, settings=settings), "settings: expected msip.ClientSettings(…)"),
        ]
        for made, text in cases:
            with self.assertRaises(TypeError) as caught:
                made()
            self.assertIn(text, str(caught.exception))

    def test_arguments_of_calls(self) -> None:
        headers: Any = {"lang": "en"}
        timeout: Any = "5s"

        async def work() -> None:
            async with lab() as (server, _), LabClient(server.urls[0]) as client:
                for call in (client.echo_req("a", metadata=headers), client.note_ind("a", metadata=headers)):
                    with self.assertRaisesRegex(
                        TypeError, r"metadata: expected msip.Metadata\(headers=…\), found {'lang'"
                    ):
                        await call
                with self.assertRaisesRegex(TypeError, "timeout: expected seconds, as an int or a float, found '5s'"):
                    await client.echo_req("a", timeout=timeout)
                self.assertEqual(await client.echo_req("a", timeout=5), "a")

        self.run_lab(work)

    def test_handlers_that_are_not_async(self) -> None:
        async def work() -> None:
            async with LabServer(URL, Mistaken()) as server, LabClient(server.urls[0]) as client:
                for asked, found in (("", "<?Text"), ("generator", "<async_generator")):
                    with self.assertLogs("msip", "ERROR") as logs, self.assertRaises(msip.CallError) as caught:
                        await client.echo_req(asked)
                    self.assertEqual(str(caught.exception), "INTERNAL: on_echo_req failed: TypeError")
                    text = "on_echo_req has to be written with `async def`, and without `yield`: it has returned "
                    self.assertRegex("\n".join(logs.output), text + found)
                with self.assertLogs("msip", "ERROR") as logs, self.assertRaises(msip.CallError):
                    await client.save_ind("now")
                self.assertIn("on_save_ind has to be written with `async def`", "\n".join(logs.output))

        self.run_lab(work)

    def test_an_answer_that_cannot_be_written_is_in_the_log_of_its_handler(self) -> None:
        async def work() -> None:
            async with LabServer(URL, Mistaken()) as server, LabClient(server.urls[0]) as client:
                with self.assertLogs("msip", "ERROR") as logs, self.assertRaises(msip.CallError) as caught:
                    await client.sum_req([])
                self.assertEqual(caught.exception.code, msip.Code.INTERNAL)
                [line] = logs.output
                self.assertRegex(line, "on_sum_req failed: cannot encode sum_rsp .*: text: expected text, found 5")

        self.run_lab(work)
