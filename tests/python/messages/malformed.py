"""Whatever bytes or text are read, `DecodeError` is all that is raised, and reading ends.

Called with how many inputs of each type are read, the package of our modules, an include folder, the folder of MSIP's options,
and the files of a schema.
"""

from __future__ import annotations

import faulthandler
import random
import sys
from collections.abc import Iterator

from msip.message import DecodeError, EncodeError, Form, Message
from schemas import Contents, load


def read(ours: type[Message], data: bytes) -> bool:
    """Whether the bytes are a message, which can be written again then."""
    try:
        message = ours.from_bytes(data)
    except DecodeError as error:
        assert error.reason and str(error), "it says what is wrong"
        return False
    assert ours.from_bytes(message.to_bytes()).to_bytes() == message.to_bytes()
    for form in Form:
        try:
            message.to_value(form)
        except EncodeError as error:
            # Such as a time after the year 9999, or an Any of an unknown type.
            assert error.reason
    return True


def mutations(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """The same with a mistake: cut off, with other bits, with bytes too many or too few."""
    yield data[: chance.randrange(len(data) + 1)]
    for _ in range(3):
        changed = bytearray(data)
        for _ in range(chance.choice([1, 2, 5])):
            at = chance.randrange(len(changed) + 1)
            match chance.randrange(3):
                case 0 if at < len(changed):
                    changed[at] ^= 1 << chance.randrange(8)
                case 1:
                    changed[at:at] = chance.randbytes(chance.choice([1, 2, 9]))
                case _:
                    del changed[at : at + chance.choice([1, 2, 9])]
        yield bytes(changed)
    yield chance.randbytes(chance.choice([1, 5, 50]))


def read_texts(ours: type[Message], text: str, chance: random.Random) -> None:
    """The same for JSON."""
    for _ in range(3):
        at, count = chance.randrange(len(text) + 1), chance.choice([0, 1, 4])
        inserted = chance.choice(["", "null", "1e999", "-", '"', "[", "{", '"a":', "\ud800", "NaN", "9" * 500])
        try:
            ours.from_json(text[:at] + inserted + text[at + count :]).to_bytes()
        except DecodeError as error:
            assert error.reason


def main() -> None:
    count, root, include, options, *files = sys.argv[1:]
    # A message that is never done being read says where.
    faulthandler.dump_traceback_later(300, exit=True)
    pairs = load(root, include, options, files)
    readable = unreadable = 0
    for name, (google, ours) in sorted(pairs.items()):
        chance = random.Random(name)
        for seed in range(int(count)):
            theirs = Contents(seed, pairs).message(google)
            data = theirs.SerializeToString()
            for malformed in mutations(data, chance):
                try:
                    if read(ours, malformed):
                        readable += 1
                    else:
                        unreadable += 1
                except Exception as error:
                    raise SystemExit(f"{name}: {type(error).__name__}: {error} for {malformed!r}") from error
            text = ours.from_bytes(data).to_json()
            try:
                read_texts(ours, text, chance)
            except Exception as error:
                raise SystemExit(f"{name}: {type(error).__name__}: {error} for a variation of {text}") from error
    print(f"{readable} were messages, {unreadable} were not")


main()
