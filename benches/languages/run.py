#!/usr/bin/env python3
"""Compares MSIP's packages for Python and Node with those that users of these languages have otherwise.

    python3 benches/languages/run.py --quick                     one of each, to see that all work
    python3 benches/languages/run.py --page docs/performance.md  all of it, and the tables of the page

What the contenders need is installed below target/languages, in versions that stay. A trial is a server process and a client process
over loopback. In each repetition another contender begins, and the median of the repetitions counts.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

HERE = pathlib.Path(__file__).parent.resolve()
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), "languages")
PROTO = HERE / "proto"

CALLS = {"1": "calls, 1 at a time", "64": "calls, 64 at a time"}
ONE_WAY = "one-way messages"
START = "from start to answer, ms"


@dataclass(frozen=True)
class Contender:
    """A peer: the command of its server, which prints its port, and of its client."""

    name: str
    command: list[str]
    environment: dict[str, str]

    def trial(self, kind: str, amount: float) -> tuple[float, float]:
        """What a client prints of a load, and the processor time of both processes for one of it, in microseconds.

        Of `start` it is how long the client runs, in milliseconds.
        """
        server = subprocess.Popen([*self.command, "server"], env=self.environment, stdout=subprocess.PIPE, text=True)
        try:
            port = server.stdout.readline().strip()
            begun, before = time.perf_counter(), processor_time(server.pid)
            client = subprocess.run(
                [*self.command, "client", port, kind, str(amount)],
                env=self.environment,
                stdout=subprocess.PIPE,
                text=True,
                timeout=120,
                check=False,
            )
            took, after = time.perf_counter() - begun, processor_time(server.pid)
        finally:
            server.terminate()
            server.communicate()
        if client.returncode != 0:
            sys.exit(f"{self.name}: the client of {kind} has failed")
        if kind == "start":
            return 1000 * took, 0
        figure, count, processor = json.loads(client.stdout)
        return figure, 1e6 * (processor + after - before) / count


def processor_time(process: int) -> float:
    """What a process has used so far, in seconds, as Linux tells it."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a load takes")
    parser.add_argument("--repeat", type=int, default=3, help="how often each is run")
    parser.add_argument("--quick", action="store_true", help="one of each, for 0.2 s")
    parser.add_argument("--only", choices=["python", "node"], help="one language alone")
    parser.add_argument("--page", type=pathlib.Path, help="the page whose tables are written")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seconds, arguments.repeat = 0.2, 1
    languages = {"python": python, "node": node}
    for name, language in languages.items():
        if arguments.only in (None, name):
            talkers, encoders, aims = language()
            tables = [talk(talkers, arguments, *aims), messages(encoders, arguments)]
            text = "\n\n".join(tables)
            print(f"{name}\n\n{text}\n", flush=True)
            if arguments.page:
                write(arguments.page, name, text)


def talk(contenders: list[Contender], arguments: argparse.Namespace, ours: str, theirs: str) -> str:
    """The table of what goes over a network."""
    loads = [("1", arguments.seconds), ("64", arguments.seconds), ("one-way", int(20_000 * arguments.seconds)), ("start", 0)]
    figures: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for number in range(arguments.repeat):
        for load, amount in loads:
            for index in range(len(contenders)):
                contender = contenders[(index + number) % len(contenders)]
                figures.setdefault((load, contender.name), []).append(contender.trial(load, amount))
    lines = [f"| | {' | '.join(contender.name for contender in contenders)} | {ours} : {theirs} |"]
    lines.append(f"| --- |{' ---: |' * (len(contenders) + 1)}")

    def row(load: str, index: int, name: str) -> None:
        medians = {contender.name: statistics.median(run[index] for run in figures[load, contender.name]) for contender in contenders}
        # So that a higher one is always better.
        ratio = medians[ours] / medians[theirs] if name.endswith("a second") else medians[theirs] / medians[ours]
        shown = " | ".join(f"{median:,.0f}" for median in medians.values())
        lines.append(f"| {name} | {shown} | {ratio:.2f} |")

    for load, name in {**CALLS, "one-way": ONE_WAY}.items():
        row(load, 0, f"{name}, a second")
        row(load, 1, f"{name}, µs of processor time")
    row("start", 0, START)
    return "\n".join(lines)


def messages(contenders: dict[str, tuple[list[str], dict[str, str]]], arguments: argparse.Namespace) -> str:
    """The table of encoding and decoding, in nanoseconds for each message."""
    figures: dict[str, list[dict[str, list[float]]]] = {name: [] for name in contenders}
    for _ in range(arguments.repeat):
        for name, (command, environment) in contenders.items():
            said = subprocess.check_output([*command, str(arguments.seconds)], env=environment, text=True)
            figures[name].append(json.loads(said))
    lines = [f"| µs for each message | {' | '.join(contenders)} |", f"| --- |{' ---: |' * len(contenders)}"]
    for size in ("small", "large"):
        _, _, length, *others = next(iter(figures.values()))[0][size]
        rows = {0: "encode", 1: "decode"}
        if others:
            rows |= {3: "make and encode", 4: "decode and read all"}
        for index, what in rows.items():
            medians = (statistics.median(run[size][index] for run in figures[name]) for name in contenders)
            shown = " | ".join(f"{1e6 / median:,.2f}" for median in medians)
            lines.append(f"| {what}, {size} ({length:,.0f} B) | {shown} |")
    return "\n".join(lines)


def python() -> tuple:
    """The contenders of Python."""
    environment = TARGET / "python"
    interpreter = environment / "bin/python"
    requirements = HERE / "python/requirements.txt"
    stamp = environment / "installed.txt"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        run(sys.executable, "-m", "venv", "--clear", environment)
        run(interpreter, "-m", "pip", "install", "--quiet", "-r", requirements)
        shutil.copy(requirements, stamp)
    generated = TARGET / "generated/python"
    (generated / "better").mkdir(parents=True, exist_ok=True)
    msip_gen("--python", generated / "ours")
    path = {**os.environ, "PATH": f"{environment / 'bin'}:{os.environ['PATH']}"}
    run(
        *[interpreter, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"--python_out={generated}", f"--grpc_python_out={generated}"],
        f"--plugin=protoc-gen-python_betterproto2={environment / 'bin/protoc-gen-python_betterproto2'}",
        *[f"--python_betterproto2_out={generated / 'better'}", "notes.proto", "rpc.proto"],
        environment=path,
    )
    path["PYTHONPATH"] = os.pathsep.join([str(generated), str(ROOT / "languages/python/src")])
    msip, grpc = ([str(interpreter), str(HERE / f"python/{name}_peer.py")] for name in ("msip", "grpc"))
    talkers = [
        Contender("msip", msip, path),
        Contender("msip, uvloop", [*msip, "--uvloop"], path),
        Contender("grpc.aio", grpc, path),
        Contender("grpc.aio, uvloop", [*grpc, "--uvloop"], path),
    ]
    script = [str(interpreter), str(HERE / "python/messages.py")]
    encoders = {name: ([*script, name], path) for name in ("msip", "protobuf", "betterproto2")}
    return talkers, encoders, ("msip", "grpc.aio")


def node() -> tuple:
    """The contenders of Node."""
    folder = TARGET / "node"
    folder.mkdir(parents=True, exist_ok=True)
    lock, stamp = HERE / "node/package-lock.json", folder / "installed.json"
    if not stamp.exists() or stamp.read_text() != lock.read_text():
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "node" / name, folder)
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", folder=folder)
        shutil.copy(lock, stamp)
    generated = folder / "generated"
    for name in ("ours", "es", "ts_proto"):
        (generated / name).mkdir(parents=True, exist_ok=True)
    msip_gen("--typescript", generated / "ours")
    binaries = folder / "node_modules/.bin"
    template = {
        "version": "v2",
        "plugins": [
            {"local": str(binaries / "protoc-gen-es"), "out": str(generated / "es"), "opt": ["target=ts"]},
            {
                "local": str(binaries / "protoc-gen-ts_proto"),
                "out": str(generated / "ts_proto"),
                "opt": ["forceLong=bigint", "esModuleInterop=true", "outputServices=none"],
            },
        ],
    }
    run(binaries / "buf", "generate", PROTO, "--template", json.dumps(template), folder=folder)
    built = folder / "built"
    for name in ("msip_peer", "connect_peer", "messages_msip", "messages_protobuf_es", "messages_ts_proto"):
        run(
            *[binaries / "esbuild", HERE / f"node/{name}.ts", "--bundle", "--platform=node", "--format=esm", "--log-level=warning"],
            *[f"--outfile={built / name}.mjs", f"--alias:#ours={generated / 'ours'}", f"--alias:#es={generated / 'es'}"],
            *[f"--alias:#ts_proto={generated / 'ts_proto'}", f"--alias:msip={ROOT / 'languages/typescript/src'}"],
            "--banner:js=import{createRequire}from'module';const require=createRequire(import.meta.url);",
            environment={**os.environ, "NODE_PATH": str(folder / "node_modules")},
        )
    talkers = [
        Contender(name, ["node", str(built / f"{file}.mjs")], dict(os.environ))
        for name, file in (("msip", "msip_peer"), ("connect-es", "connect_peer"))
    ]
    encoders = {
        name: (["node", str(built / f"messages_{file}.mjs")], dict(os.environ))
        for name, file in (("msip", "msip"), ("protobuf-es", "protobuf_es"), ("ts-proto", "ts_proto"))
    }
    return talkers, encoders, ("msip", "connect-es")


def msip_gen(*arguments: object) -> None:
    run("cargo", "run", "--quiet", "--locked", "-p", "msip-cli", "--", "gen", *arguments, PROTO, folder=ROOT)


def run(*command: object, folder: pathlib.Path | None = None, environment: dict[str, str] | None = None) -> None:
    output = subprocess.DEVNULL if "generate" not in map(str, command) else None
    subprocess.run([str(part) for part in command], cwd=folder, env=environment, check=True, stdout=output)


def write(page: pathlib.Path, name: str, text: str) -> None:
    """Puts tables between the marks of a language, which are on lines of their own."""
    begin, end = f"<!-- languages: {name} -->\n", "\n<!-- end of languages -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = f"\n{rest}".partition(end)
    page.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
