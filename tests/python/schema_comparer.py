"""Compares descriptions: reads pairs of them from stdin, each behind its length, and says of each pair what a test compares."""

from __future__ import annotations

import sys

from msip.compatibility.compare import compare
from msip.compatibility.description import Description, DescriptionError
from msip.compatibility.fingerprint import fingerprint


def read() -> bytes:
    size = int.from_bytes(sys.stdin.buffer.read(4))
    return sys.stdin.buffer.read(size)


ours = Description(read())
while text := read():
    try:
        theirs = Description(text)
    except DescriptionError as error:
        print(error)
        continue
    comparison = compare(ours, theirs, ("here", "there"))
    counts = f"{comparison.count} {comparison.breaking_count} {comparison.breaks.text}"
    print(f"{fingerprint(theirs):016x} {counts}: {comparison.summary}")
