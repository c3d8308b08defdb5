"""Compiles each schema of a folder with protoc, in one process: NAME.proto becomes NAME.bin, or is named with its mistakes.

Usage: protoc.py FOLDER
"""

import os
import pathlib
import sys

import grpc_tools
from grpc_tools import protoc

folder = pathlib.Path(sys.argv[1])
google = pathlib.Path(grpc_tools.__file__).parent / "_proto"
for schema in sorted(folder.glob("*.proto")):
    # Mistakes are written by C++, unbuffered, so they follow this line.
    os.write(2, f"== {schema.stem}\n".encode())
    out = schema.with_suffix(".bin")
    protoc.main(["protoc", f"-I{folder}", f"-I{google}", f"--descriptor_set_out={out}", schema.name])
