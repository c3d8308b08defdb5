"""The codec of a connection: messages to bodies and back (docs/protocol.md, "Body")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msip.codec.compression import CompressionError, Compressor, TooLargeError
from msip.codec.envelope import MissingError, member_name, unwrap, wrap
from msip.codec.messagepack import ExceedsError, pack, unpack
from msip.codec.tree_size import json_exceeds, largest_message
from msip.errors import Code, DecodeError, Status
from msip.json_value import JsonValue
from msip.protocol import Member
from msip.wire.hello import Codec, Compression

if TYPE_CHECKING:
    from msip.message import Message

__all__ = ["BodyCodec"]

_DECODED_FACTOR = 16
_MIN_DECODED = 64 << 20
_MOST_OF_A_BYTE = 16 << 10
"""What no byte of a body exceeds in memory: half of a message with 1,500 fields that is empty."""


class BodyCodec:
    """Encodes and decodes the bodies of one connection."""

    __slots__ = ("_codec", "_compressor", "_counted_from", "_is_protobuf", "_max_body", "_max_decoded", "_threshold")

    def __init__(
        self,
        codec: Codec | int,
        compression: Compression | int = Compression.NONE,
        *,
        max_body: int = 4 << 20,
        threshold: int = 1024,
        max_decoded: int = 0,
    ) -> None:
        """`max_body` limits what is inflated, and `max_decoded` what a message may take in memory (0 is 16 times `max_body`, and at
        least 64 MiB); `threshold` is the smallest body that is compressed. Raises `Status`
        (UNIMPLEMENTED) for a compression that cannot be had here."""
        self._codec = Codec(codec)
        self._is_protobuf = self._codec is Codec.PROTOBUF
        self._max_body = max_body
        self._threshold = threshold
        self._max_decoded = max_decoded or max(_DECODED_FACTOR * max_body, _MIN_DECODED)
        # No message becomes so large of fewer bytes: they need not be counted.
        self._counted_from = self._max_decoded // _MOST_OF_A_BYTE
        self._compressor: Compressor | None = None
        if compression:
            self._compressor = Compressor(Compression(compression), max_body)

    @property
    def codec(self) -> Codec:
        """How bodies are encoded."""
        return self._codec

    def encode(self, member: Member, message: Message | None) -> tuple[bytes, bool]:
        """The body, and whether it is compressed. Raises `Status` where the message cannot be written, and `TypeError` where it is
        one of another class."""
        if message.__class__ is not member.message:
            _check_class(member, message)
        try:
            if self._is_protobuf:
                body = wrap(member.number, b"" if message is None else message.to_bytes())
            else:
                body = self._encode_tree(member, message)
        except ValueError as error:
            raise Status(Code.INTERNAL, f"cannot encode {member.name} ({member.number}): {error}") from error
        return self.compress(member, body)

    def compress(self, member: Member, body: bytes) -> tuple[bytes, bool]:
        """The body, compressed where that makes it smaller, and whether it is."""
        compressor = self._compressor
        if compressor is not None and member.compress and len(body) >= self._threshold:
            smaller = compressor.compress(body)
            if len(smaller) < len(body):
                return smaller, True
        return body, False

    def decode(self, member: Member, body: bytes, compressed: bool) -> Message | None:
        """The message of a body; None where the member carries nothing. Raises `Status`: INVALID_ARGUMENT, or
        RESOURCE_EXHAUSTED where it inflates beyond the limit."""
        if compressed:
            body = self.inflate(member, body)
        try:
            if self._is_protobuf:
                content = unwrap(member.number, body)
                if member.message is None:
                    return None
                if len(content) > self._counted_from:
                    self._check_decoded(member, content)
                return member.message.from_bytes(content)
            return self._decode_tree(member, body)
        except MissingError:
            text = f"the body does not contain {member.name} ({member.number}), which its header names"
            raise Status(Code.INVALID_ARGUMENT, text) from None
        except DecodeError as error:
            raise Status(error.code, f"malformed body of {member.name} ({member.number}): {error.message}") from None

    def _check_decoded(self, member: Member, content: bytes) -> None:
        """Refuses what would take too much memory, before it is decoded."""
        from msip.message.decoded_size import exceeds  # which few bodies need

        if member.message is not None and exceeds(member.message, content, self._max_decoded):
            raise self._too_large(member, content)

    def _too_large(self, member: Member, body: bytes) -> Status:
        return Status(
            Code.RESOURCE_EXHAUSTED,
            f"{member.name} ({member.number}) would take more than {self._max_decoded} bytes decoded (max_decoded), from a body of"
            f" {len(body)}: send less in one message, or raise the receiver's max_decoded",
        )

    def inflate(self, member: Member, body: bytes) -> bytes:
        """Inflates a body that came compressed. Raises `Status` as `decode` does."""
        label = f"{member.name} ({member.number})"
        if self._compressor is None:
            raise Status(Code.INVALID_ARGUMENT, f"a compressed body of {label}, and no compression was agreed")
        try:
            return self._compressor.inflate(body)
        except TooLargeError:
            text = f"decompressed body of {label} exceeds {self._max_body} bytes (max_body)"
            raise Status(Code.RESOURCE_EXHAUSTED, text) from None
        except CompressionError as error:
            raise Status(Code.INVALID_ARGUMENT, f"cannot decompress body of {label}: {error}") from None

    def _encode_tree(self, member: Member, message: Message | None) -> bytes:
        from msip.message import Form  # which protobuf has no use for

        name = member_name(member)
        if self._codec is Codec.JSON:
            text = "{}" if message is None else message.to_json()
            import json  # late: few programs speak it

            return f"{json.dumps(name)}".join(("{", f":{text}}}")).encode()
        tree: JsonValue = {} if message is None else message.to_value(Form.MESSAGE_PACK)
        return pack({name: tree})

    def _decode_tree(self, member: Member, body: bytes) -> Message | None:
        from msip.message import Form
        from msip.message.json_text import read_json

        form, envelope = Form.JSON, None
        counted = member.message if len(body) > self._counted_from else None
        if self._codec is Codec.JSON:
            if counted is not None and json_exceeds(counted, body, self._max_decoded):
                raise self._too_large(member, body)
            envelope = read_json(body)
        elif counted is not None:
            try:
                form, envelope = Form.MESSAGE_PACK, unpack(body, self._max_decoded, largest_message(counted))
            except ExceedsError:
                raise self._too_large(member, body) from None
        else:
            form, envelope = Form.MESSAGE_PACK, unpack(body)
        if not isinstance(envelope, dict):
            raise DecodeError("expected the envelope, which is a map")
        name = member_name(member)
        tree: JsonValue = None
        found = False
        for key in (name, member.name) if name != member.name else (name,):
            if envelope.get(key) is not None:
                if found:
                    raise DecodeError("two members are set", name)
                tree, found = envelope[key], True
        if not found:
            raise MissingError
        if member.message is None:
            return None
        try:
            return member.message.from_value(tree, form)
        except DecodeError as error:
            path = f"{name}.{error.path}" if error.path else name
            raise DecodeError(error.reason, path, error.code) from None


def _check_class(member: Member, message: object) -> None:
    """A message of another class may have bytes that the receiver reads as this one's."""
    expected = member.message
    if message is None if expected is None else isinstance(message, expected):
        return
    carries = "nothing" if expected is None else f"a {expected.__name__}"
    raise TypeError(f"{member.name} carries {carries}, not {message!r:.80}")
