"""Messages of ours and of Google's are the same: as bytes and as JSON, both ways, with random contents.

Called with how many messages of each type are compared, the package of our modules, an include folder, the folder of MSIP's
options, and the files of a schema.
"""

from __future__ import annotations

import sys

from google.protobuf import json_format
from google.protobuf.message import Message as GoogleMessage
from msip.message import Form, Message
from schemas import Contents, load


def same(message: GoogleMessage, expected: GoogleMessage) -> bool:
    """Whether two messages say the same. The bytes inside of an `Any` may differ: its maps may be in another order."""
    if message.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True):
        return True
    pool = message.DESCRIPTOR.file.pool
    texts = [json_format.MessageToJson(each, sort_keys=True, descriptor_pool=pool) for each in (message, expected)]
    return "@type" in texts[0] and texts[0] == texts[1]


def compare(google: type[GoogleMessage], ours: type[Message], theirs: GoogleMessage) -> None:
    """Compares what each side makes of a message of the other."""
    message = ours.from_bytes(theirs.SerializeToString())
    assert message.unknown_fields == b"", "every field is known"
    written = message.to_bytes()
    assert same(google.FromString(written), theirs), "written again"
    # Lists are packed where theirs are, which reading does not tell.
    assert len(written) == theirs.ByteSize(), "written again, with another length"
    pool = google.DESCRIPTOR.file.pool
    text = json_format.MessageToJson(theirs, descriptor_pool=pool)
    assert same(google.FromString(ours.from_json(text).to_bytes()), theirs), f"of JSON {text}"
    own = message.to_json()
    assert same(json_format.Parse(own, google(), descriptor_pool=pool), theirs), f"as JSON {own}"
    tree = message.to_value(Form.MESSAGE_PACK)
    again = ours.from_value(tree, Form.MESSAGE_PACK)
    assert same(google.FromString(again.to_bytes()), theirs), f"as MessagePack {tree}"


def main() -> None:
    count, root, include, options, *files = sys.argv[1:]
    pairs = load(root, include, options, files)
    compared = 0
    for name, (google, ours) in sorted(pairs.items()):
        for seed in range(int(count)):
            theirs = Contents(seed, pairs).message(google)
            try:
                compare(google, ours, theirs)
            except Exception as error:
                raise SystemExit(f"{name}, seed {seed}: {type(error).__name__}: {error}\n{theirs}") from error
            compared += 1
    print(f"compared {compared} messages of {len(pairs)} types")


main()
