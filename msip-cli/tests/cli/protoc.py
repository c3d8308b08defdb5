"""Runs protoc in one process, once for each line of standard input: its arguments, with tabs between them.

What it says of each follows a line `== N` on standard error, N from 0.
"""

import os
import pathlib
import sys

import grpc_tools
from grpc_tools import protoc

GOOGLE = pathlib.Path(grpc_tools.__file__).parent / "_proto"

for number, line in enumerate(sys.stdin):
    # Mistakes are written by C++, unbuffered, so they follow this line.
    os.write(2, f"== {number}\n".encode())
    protoc.main(["protoc", *line.rstrip("\n").split("\t"), f"-I{GOOGLE}"])
