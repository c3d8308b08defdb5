"""Messages without a network: `CONTENDER SECONDS` prints how many a second are encoded and decoded, small and large.

Google's messages keep their fields in C, and make a Python value of one whenever it is set or read; others have Python values from the
beginning. So it is measured, too, what a program does: it makes a message of its values and encodes it, and reads all fields of what it has
decoded.
"""

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


def read_small(message: Any) -> object:
    """All values of a message, as a program reads them."""
    return message.user, message.text, message.room, message.sent_at, message.urgent


def read_large(message: Any) -> object:
    for line in message.lines:
        read_small(line)
    return message.title, dict(message.counts), list(message.samples), list(message.ids)


def rate(call: Callable[[], object], seconds: float) -> float:
    """How many a second of processor time, of the fastest of 25 runs: what is slower is other load on the machine."""
    count = 1
    while (took := timed(call, count)) < seconds / 50:
        count *= 2
    count = max(1, int(count * seconds / 25 / took))
    return count / min(timed(call, count) for _ in range(25))


def timed(call: Callable[[], object], count: int) -> float:
    start = time.process_time()
    for _ in range(count):
        call()
    return time.process_time() - start


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
    figures = []
    sizes = (("small", lambda: Small(**SMALL), read_small), ("large", lambda: large(Small, Large), read_large))
    for name, make, read in sizes:
        message = make()
        encoded = encode(message)
        parse = decode(type(message))
        if parse(encoded) != message:
            sys.exit(f"{contender}: a {name} message does not come back")
        calls = {
            "encode": partial(encode, message),
            "decode": partial(parse, encoded),
            "make and encode": lambda: encode(make()),
            "decode and read all": lambda: read(parse(encoded)),
        }
        rates = [(what, rate(call, seconds)) for what, call in calls.items()]
        figures.append({"message": name, "bytes": len(encoded), "rates": rates})
    print(json.dumps(figures))


main()
