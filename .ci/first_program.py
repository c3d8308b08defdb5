#!/usr/bin/env python3
"""Builds and runs the README's first program outside of the workspace, as a reader of the README would.

The Cargo.toml and all files are the README's own text, but for the path to this repository. It has the default features
of msip-runtime: a codec that is not among them must be refused with the feature's name.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"`([\w./-]+)`[^\n`]*:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(binaries):
    """What is wrong with a server and a client that run."""
    server = subprocess.Popen([binaries / "first-server", "tcp://127.0.0.1:0"], text=True, stdout=subprocess.PIPE)
    try:
        url = server.stdout.readline().split()[-1]
        cases = [("", 0, "hello, ada"), ("?codec=json", 1, "feature `json`")]
        for query, code, text in cases:
            command = [binaries / "first-client", "ada", url + query]
            # Enter ends it.
            client = subprocess.run(command, input="\n", text=True, capture_output=True, timeout=60)
            said = client.stdout + client.stderr
            if client.returncode != code or text not in said:
                yield f"first-client at {url}{query} ends with {client.returncode}, not {code} and `{text}`:\n{said}"
    finally:
        server.kill()
        server.wait()


def main():
    repository = pathlib.Path.cwd()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")).resolve()
    files = dict(BLOCK.findall((repository / "README.md").read_text(encoding="utf-8")))
    needed = {"Cargo.toml", "build.rs", "src/lib.rs"}
    if not needed <= files.keys():
        print(f"the README shows {sorted(files)}, and not all of {sorted(needed)}")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if name == "Cargo.toml":
                text = text.replace('"../msip/', f'"{repository.as_posix()}/')
            path.write_text(text, encoding="utf-8")
        # The versions that everything else is tested with; cargo drops what is not needed.
        shutil.copy(repository / "Cargo.lock", folder)
        command = ["cargo", "build", "--bins"]
        environment = dict(os.environ, CARGO_TARGET_DIR=str(target), CARGO_PROFILE_DEV_DEBUG="false")
        built = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)
    sys.stdout.write(built.stderr)
    if built.returncode != 0:
        return built.returncode
    mistakes = ["the README's program builds with warnings"] if "\nwarning" in "\n" + built.stderr else []
    mistakes += run(target / "debug")
    if mistakes:
        print(*mistakes, sep="\n")
        return 1
    print("it builds, and its client is greeted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
