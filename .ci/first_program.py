#!/usr/bin/env python3
"""Builds the README's first program outside of the workspace, as a reader of the README would.

The Cargo.toml and all files are the README's own text, but for the path to this repository.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"`([\w./-]+)`[^\n`]*:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


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
        command = ["cargo", "check", "--bins"]
        environment = dict(os.environ, CARGO_TARGET_DIR=str(target))
        built = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)
    sys.stdout.write(built.stderr)
    if built.returncode == 0 and "\nwarning" in "\n" + built.stderr:
        print("the README's program builds with warnings")
        return 1
    return built.returncode


if __name__ == "__main__":
    sys.exit(main())
