"""The vectors and the malformed frames of docs/protocol.md, read from that very page and checked both ways."""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from pathlib import Path

from msip.errors import Code, Detail, MsipError
from msip.protocol import Kind
from msip.wire import header
from msip.wire.credit import pack_credit, parse_credit
from msip.wire.decoder import Decoder, Frame
from msip.wire.error_text import MAX_LONG_TEXT_LEN, format_error_text, parse_error_text
from msip.wire.hello import Codec, Compression, Hello, Welcome, parse_hello, parse_welcome
from msip.wire.limits import DEFAULT_MAX_BODY, MAX_ERROR_METADATA, max_payload
from msip.wire.metadata import Identity, Metadata
from msip.wire.payload import split_answer, split_message, split_metadata, with_length
from msip.wire.protobuf import put_text
from msip.wire.subscribe import Subscribe, Subscribed, parse_subscribe, write_subscribe

PAGE = Path(__file__).parents[3] / "docs" / "protocol.md"


class Block:
    """A fenced block: its name, its fields, and the bytes behind `hex:`."""

    def __init__(self, name: str, fields: dict[str, str], data: bytes) -> None:
        self.name = name
        self.fields = fields
        self.data = data

    def text(self, key: str) -> str:
        return self.fields.pop(key, "")

    def number(self, key: str) -> int:
        return int(self.fields.pop(key, "0"), 0)

    def hex(self, key: str) -> bytes:
        return bytes.fromhex(self.fields.pop(key, ""))

    def texts(self, key: str) -> list[str]:
        return [text for text in self.text(key).split(", ") if text]

    def pairs(self, key: str) -> list[tuple[str, str]]:
        return [(name, value) for name, _, value in (text.partition("=") for text in self.texts(key))]


def blocks(word: str) -> Iterator[Block]:
    lines = iter(PAGE.read_text(encoding="utf-8").splitlines())
    for line in lines:
        if not line.startswith(f"```{word} name="):
            continue
        fields: dict[str, str] = {}
        for field in iter(lambda: next(lines), "hex:"):
            key, _, value = field.partition(": ")
            fields[key] = value
        digits = "".join(iter(lambda: next(lines), "```"))
        yield Block(line.partition("name=")[2], fields, bytes.fromhex(digits))


def read_hello(block: Block) -> Hello:
    return Hello(
        session_id=block.number("session_id"),
        protocol=block.text("protocol"),
        fingerprint=block.number("fingerprint"),
        codecs=[Codec[name.removeprefix("CODEC_")] for name in block.texts("codecs")],
        compressions=[Compression[name.removeprefix("COMPRESSION_")] for name in block.texts("compressions")],
        keepalive_ms=block.number("keepalive_ms"),
        max_body=block.number("max_body"),
        credential=block.hex("credential"),
        client_name=block.text("client_name"),
        client_version=block.text("client_version"),
        session_secret=block.hex("session_secret"),
        awaited=[int(id, 0) for id in block.texts("awaited")],
        extensions={name: bytes.fromhex(value) for name, value in block.pairs("extensions")},
    )


def read_welcome(block: Block) -> Welcome:
    return Welcome(
        session_id=block.number("session_id"),
        fingerprint=block.number("fingerprint"),
        codec=Codec[block.text("codec").removeprefix("CODEC_")],
        compression=Compression[block.text("compression").removeprefix("COMPRESSION_")],
        resumed=block.text("resumed") == "true",
        keepalive_ms=block.number("keepalive_ms"),
        max_body=block.number("max_body"),
        max_open_calls=block.number("max_open_calls"),
        session_expiry_ms=block.number("session_expiry_ms"),
        peer_id=block.number("peer_id"),
        broker=block.text("broker") == "true",
        server_name=block.text("server_name"),
        server_version=block.text("server_version"),
        awaited=[int(id, 0) for id in block.texts("awaited")],
        extensions={name: bytes.fromhex(value) for name, value in block.pairs("extensions")},
    )


def read_subscribe(block: Block) -> Subscribe:
    grant = bytearray()
    for number, part in enumerate(("publish", "subscribe", "request"), 1):
        for topic in block.texts(f"subscribe.grant.{part}"):
            put_text(grant, number, topic)
    rule = block.text("subscribe.schema_rule")
    return Subscribe(
        group=block.text("subscribe.group"),
        protocol=block.text("subscribe.protocol"),
        fingerprint=block.number("subscribe.fingerprint"),
        grant=bytes(grant),
        by_peer=block.text("subscribe.by_peer") == "true",
        schema_rule=int(rule == "SCHEMA_RULE_STRICT"),
    )


def read_metadata(block: Block) -> Metadata:
    def optional(key: str) -> int | None:
        return block.number(key) if key in block.fields else None

    user = block.text("meta.identity.user")
    roles = block.texts("meta.identity.roles")
    return Metadata(
        deadline_ms=optional("meta.deadline_ms"),
        correlation_id=block.text("meta.correlation_id"),
        traceparent=block.text("meta.traceparent"),
        response_time_us=optional("meta.response_time_us"),
        idempotent=block.text("meta.idempotent") == "true",
        key=block.text("meta.key"),
        headers=dict(block.pairs("meta.headers")),
        identity=Identity(user=user, roles=roles) if user else None,
        details=[Detail(name, bytes.fromhex(value)) for name, value in block.pairs("meta.details")],
        cleared=block.hex("meta.cleared"),
    )


def encode(frame: Frame, payload: bytes) -> bytes:
    frame_type, flags, kind, variant, msg_id, _ = frame
    return header.HEADER.pack(header.MAGIC, 1, flags, frame_type, kind, variant, len(payload), msg_id) + payload


class Vectors(unittest.TestCase):
    def test_each_vector_is_read_and_written(self) -> None:
        names = []
        for block in blocks("vector"):
            with self.subTest(block.name):
                names.append(block.name)
                self.check(block)
        self.assertGreater(len(names), 40)

    def check(self, block: Block) -> None:
        [frame] = Decoder(max_payload(DEFAULT_MAX_BODY)).frames(block.data)
        frame_type, flags, kind, variant, msg_id, payload = frame
        self.assertEqual(header.FRAME_TYPES[frame_type], block.text("frame_type"))
        names = [name for bit, name in enumerate(header.FLAGS) if flags >> bit & 1]
        self.assertEqual("|".join(names) or "none", block.text("flags"))
        self.assertEqual(Kind(kind).name, block.text("kind"))
        self.assertEqual(variant, block.number("variant"))
        self.assertEqual(len(payload), block.number("payload_len"))
        self.assertEqual(msg_id, block.number("msg_id"))
        self.assertEqual(encode(frame, self.payload(block, frame)), block.data)
        left = {name for name in block.fields if not name.startswith("body.")}
        self.assertEqual(left, set(), "fields that nothing has compared")

    def payload(self, block: Block, frame: Frame) -> bytes:
        """Compares the payload with the fields, and writes it anew from the fields alone."""
        frame_type, flags, kind, _, msg_id, payload = frame
        has_metadata = bool(flags & header.META)
        if frame_type == header.HELLO:
            hello = read_hello(block)
            self.assertEqual(parse_hello(kind, msg_id, payload), hello)
            return hello.encode()
        if frame_type == header.ACK and "session_id" in block.fields:
            welcome = read_welcome(block)
            self.assertEqual(parse_welcome(msg_id, payload), welcome)
            return welcome.encode()
        if frame_type in (header.PUBLISH, header.EVENT, header.ACK):
            return self.message(block, frame)
        if frame_type in (header.SUBSCRIBE, header.UNSUBSCRIBE):
            options = read_subscribe(block) if has_metadata else None
            topic = block.text("topic")
            self.assertEqual(parse_subscribe(payload, has_metadata), (topic, options))
            return write_subscribe(topic, options)
        if frame_type in (header.ERROR, header.CLOSE):
            code, message = Code[block.text("code")], block.text("message")
            written = b""
            if has_metadata:
                metadata = read_metadata(block)
                encoded, payload = split_metadata(payload, MAX_ERROR_METADATA)
                self.assertEqual(Metadata.decode(encoded), metadata)
                written = with_length(metadata.encode())
            self.assertEqual(parse_error_text(payload, MAX_LONG_TEXT_LEN), (code, message))
            return written + format_error_text(code, message)
        if frame_type in (header.PING, header.PONG):
            data = block.hex("data")
            self.assertEqual(payload, data)
            return data
        if frame_type == header.CREDIT:
            credit = block.number("items"), block.number("bytes")
            self.assertEqual(parse_credit(payload, msg_id), credit)
            return pack_credit(*credit)
        self.assertEqual(payload, b"")
        return b""

    def message(self, block: Block, frame: Frame) -> bytes:
        frame_type, flags, _, _, _, payload = frame
        has_metadata = bool(flags & header.META)
        topic = block.text("topic")
        if frame_type == header.ACK:
            encoded, body = split_answer(payload, has_metadata, DEFAULT_MAX_BODY)
        else:
            encoded, found, body = split_message(payload, has_metadata, DEFAULT_MAX_BODY)
            self.assertEqual(found, topic)
        if block.fields.get("body.message") == "Subscribed":
            expected = Subscribed(block.text("body.protocol"), block.number("body.fingerprint"))
            self.assertEqual(Subscribed.decode(body), expected)
        elif "body.message" not in block.fields:
            self.assertEqual(body, block.hex("body"))
        written = b""
        if has_metadata:
            metadata = read_metadata(block)
            assert encoded is not None
            self.assertEqual(Metadata.decode(encoded), metadata)
            written = with_length(metadata.encode())
        if frame_type != header.ACK:
            written += with_length(topic.encode())
        return written + body

    def test_each_malformed_frame_is_refused_with_its_text(self) -> None:
        names = []
        for block in blocks("malformed"):
            with self.subTest(block.name):
                names.append(block.name)
                limit = block.number("max_payload") or max_payload(DEFAULT_MAX_BODY)
                with self.assertRaises(MsipError) as raised:
                    self.receive(block.data, limit, block.text("answers") == "HELLO")
                self.assertEqual(raised.exception.message, block.text("error"))
        self.assertGreater(len(names), 25)

    def receive(self, data: bytes, limit: int, answers_hello: bool) -> None:
        for frame_type, flags, kind, _, msg_id, payload in Decoder(limit).frames(data):
            has_metadata = bool(flags & header.META)
            if kind not in list(Kind):
                raise MsipError(
                    Code.INVALID_ARGUMENT, f"unknown msg_kind {kind}: 1 (EVENT) to 5 (METRIC) are understood"
                )
            if frame_type == header.HELLO:
                parse_hello(kind, msg_id, payload)
            elif frame_type == header.ACK and answers_hello:
                parse_welcome(msg_id, payload)
            elif frame_type == header.ACK:
                split_answer(payload, has_metadata, DEFAULT_MAX_BODY)
            elif frame_type == header.CREDIT:
                parse_credit(payload, msg_id)
            else:
                split_message(payload, has_metadata, DEFAULT_MAX_BODY)

    def test_frames_are_found_however_they_are_cut(self) -> None:
        data = b"".join(block.data for block in blocks("vector"))
        whole = list(Decoder(max_payload(DEFAULT_MAX_BODY)).frames(data))
        for size in (1, 2, 7, 23, 24, 25, 100):
            decoder = Decoder(max_payload(DEFAULT_MAX_BODY))
            frames = [
                frame for start in range(0, len(data), size) for frame in decoder.frames(data[start : start + size])
            ]
            self.assertEqual(frames, whole, f"chunks of {size} bytes")
            self.assertEqual(decoder.held, 0)

    def test_an_announced_length_reserves_nothing(self) -> None:
        decoder = Decoder(1 << 32)
        announcement = header.HEADER.pack(header.MAGIC, 1, 0, header.PUBLISH, 1, 1, (1 << 32) - 1, 4)
        self.assertEqual(list(decoder.frames(announcement + b"abc")), [])
        self.assertEqual(decoder.held, header.HEADER_LEN + 3)


if __name__ == "__main__":
    unittest.main()
