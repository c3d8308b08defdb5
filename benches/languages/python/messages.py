"""Messages without a network: `CONTENDER SECONDS` prints how many a second are encoded and decoded, small and large."""

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

SMALL: dict[str, Any] = {
    "user": "ada",
    "text": "the analytical engine weaves algebraic patterns",
    "room": 7,
    "sent_at": 1_700_000_000_123,
    "urgent": True,
}


def large(small: type[Any], large: type[Any]) -> Any:
    return large(
        title="a report",
        lines=[small(**{**SMALL, "room": number}) for number in range(200)],
        counts={f"key-{number}": number * 1_000_003 for number in range(100)},
        samples=[number / 7 for number in range(500)],
        ids=list(range(0, 100_000, 200)),
    )


def rate(call: Callable[[], object], seconds: float) -> float:
    """How many a second, of the fastest of five runs: what is slower is other load on the machine."""
    count = 1
    while (took := timed(call, count)) < seconds / 10:
        count *= 2
    count = max(1, int(count * seconds / 5 / took))
    return count / min(timed(call, count) for _ in range(5))


def timed(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start


def main() -> None:
    contender, seconds = sys.argv[1], float(sys.argv[2])
    if contender == "msip":
        from ours.notes import Large, Small

        encode, decode = (lambda message: message.to_bytes()), (lambda kind: kind.from_bytes)
    elif contender == "protobuf":
        from notes_pb2 import Large, Small

        encode, decode = (lambda message: message.SerializeToString()), (lambda kind: kind.FromString)
    else:
        from better.notes import Large, Small

        encode, decode = bytes, (lambda kind: kind.parse)
    figures = {}
    for name, message in (("small", Small(**SMALL)), ("large", large(Small, Large))):
        encoded = encode(message)
        parse = decode(type(message))
        if parse(encoded) != message:
            sys.exit(f"{contender}: a {name} message does not come back")
        figures[name] = [rate(partial(encode, message), seconds), rate(partial(parse, encoded), seconds), len(encoded)]
    print(json.dumps(figures))


main()
