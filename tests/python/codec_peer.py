"""A client in Python that says messages of every kind in JSON and MessagePack, and checks what comes back.

    codec_peer.py HOST:PORT DESCRIPTOR_SET

JSON is that of the `protobuf` package's json_format; the tree of MessagePack is made here, from the descriptors.
"""

import os
import base64
import json
import math
import random
import socket
import struct
import sys

import msgpack
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)

HEADER = struct.Struct(">4sBBHHHIQ")
HELLO, PUBLISH, ACK, ERROR = 1, 4, 6, 7
ACK_REQUIRED = 1
COMMAND, STATE = 2, 3
JSON, MESSAGE_PACK = 2, 3
MESSAGES = 400


class Client:
    """One connection, in one codec."""

    def __init__(self, address, codec):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.last_id = 1
        name = b"sampler"
        hello = b"\x0a" + bytes([len(name)]) + name  # protocol
        hello += b"\x1a\x01" + bytes([codec])  # codecs
        hello += b"\x52\x10" + bytes(16)  # session_secret
        self.write(HELLO, 0, STATE, 0, 1, os.urandom(8) + hello)
        frame_type, _, _, payload = self.read()
        assert frame_type == ACK, payload
        welcome = payload[8:]
        assert bytes([0x10, codec]) in welcome, welcome

    def write(self, frame_type, flags, kind, variant, msg_id, payload):
        header = HEADER.pack(b"MSIP", 1, flags, frame_type, kind, variant, len(payload), msg_id)
        self.socket.sendall(header + payload)

    def read_exact(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError("the server has closed")
            data += more
        return data

    def read(self):
        _, _, _, frame_type, _, variant, payload_len, msg_id = HEADER.unpack(self.read_exact(HEADER.size))
        return frame_type, variant, msg_id, self.read_exact(payload_len)

    def call(self, variant, body):
        """Says a request, and returns the body of its answer."""
        self.last_id += 1
        self.write(PUBLISH, ACK_REQUIRED, COMMAND, variant, self.last_id, b"\0\0" + body)
        while True:
            frame_type, answered, msg_id, payload = self.read()
            if msg_id == self.last_id and frame_type in (ACK, ERROR):
                if frame_type == ERROR:
                    raise RuntimeError(f"{payload.decode()}\nfor {body!r}")
                assert answered == variant, answered
                return payload


def random_float(rng, is_single):
    value = rng.choice([
        rng.uniform(-1e6, 1e6),
        float(rng.randint(-100, 100)) or 1.0,
        1e300,
        5e-324,
        math.inf,
        -math.inf,
        math.nan,
        0.1,
    ])
    if is_single:
        # json_format writes the largest float with digits that it then finds too large, and the smallest with more
        # digits than they need.
        value = rng.choice([value if abs(value) < 1e38 and abs(value) > 1e-30 else 0.1, math.inf, math.nan, 3.402823e38, 1.5e-38])
        value = struct.unpack("f", struct.pack("f", value))[0]
    return value


def random_text(rng):
    return "".join(rng.choice("aZ\"\\\n\0\x7fé\u2028😀/<>&' ") for _ in range(rng.randint(0, 12)))


def random_int(rng, low, high):
    return rng.choice([low, high, 0, 1, rng.randint(low, high), max(low, min(high, 2**53 + 1))])


RANGES = {
    "INT32": (-(2**31), 2**31 - 1), "SINT32": (-(2**31), 2**31 - 1), "SFIXED32": (-(2**31), 2**31 - 1),
    "INT64": (-(2**63), 2**63 - 1), "SINT64": (-(2**63), 2**63 - 1), "SFIXED64": (-(2**63), 2**63 - 1),
    "UINT32": (0, 2**32 - 1), "FIXED32": (0, 2**32 - 1),
    "UINT64": (0, 2**64 - 1), "FIXED64": (0, 2**64 - 1),
}
TYPE_NAMES = {
    value.number: value.name.removeprefix("TYPE_")
    for value in descriptor_pb2.FieldDescriptorProto.Type.DESCRIPTOR.values
}


def random_scalar(rng, field):
    name = TYPE_NAMES[field.type]
    if name in RANGES:
        return random_int(rng, *RANGES[name])
    if name in ("DOUBLE", "FLOAT"):
        return random_float(rng, name == "FLOAT")
    if name == "BOOL":
        return rng.random() < 0.5
    if name == "STRING":
        return random_text(rng)
    if name == "BYTES":
        return rng.randbytes(rng.randint(0, 40))
    assert name == "ENUM", name
    if field.enum_type.full_name == "google.protobuf.NullValue":
        return 0
    return rng.choice([0, 1, -1, 77, -(2**31)])


def random_value(rng, value, depth):
    kind = rng.randint(0, 5 if depth else 3)
    if kind == 0:
        value.null_value = 0
    elif kind == 1:
        value.number_value = rng.choice([0.0, -1.5, 1e300, 7.0])
    elif kind == 2:
        value.string_value = random_text(rng)
    elif kind == 3:
        value.bool_value = rng.random() < 0.5
    elif kind == 4:
        value.struct_value.SetInParent()
        for _ in range(rng.randint(0, 3)):
            random_value(rng, value.struct_value.fields[random_text(rng)], depth - 1)
    else:
        value.list_value.SetInParent()
        for _ in range(rng.randint(0, 3)):
            random_value(rng, value.list_value.values.add(), depth - 1)


def fill(rng, message, depth, classes):
    """Fills a message in: each field half of the time."""
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Timestamp":
        message.seconds = rng.choice([-62135596800, 253402300799, 0, rng.randint(-(10**10), 10**10)])
        message.nanos = rng.choice([0, 1, 999999999, 500000000, 123456000])
        return
    if name == "google.protobuf.Duration":
        sign = rng.choice([1, -1])
        message.seconds = sign * rng.choice([0, 1, 315576000000, rng.randint(0, 10**6)])
        message.nanos = sign * rng.choice([0, 1, 999999999, 500000000, 123456000])
        if abs(message.seconds) == 315576000000:
            message.nanos = 0
        return
    if name == "google.protobuf.FieldMask":
        message.paths.extend(rng.sample(["user_name", "a.b_c", "x"], rng.randint(0, 3)))
        return
    if name == "google.protobuf.Value":
        return random_value(rng, message, 3)
    if name == "google.protobuf.Any":
        inner = classes["sampler.Leaf"]() if rng.random() < 0.5 else duration_pb2.Duration()
        fill(rng, inner, 1, classes)
        message.Pack(inner)
        return
    for field in message.DESCRIPTOR.fields:
        is_needed = name.startswith("google.protobuf.")
        if not is_needed and rng.random() < 0.5:
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
            for _ in range(rng.randint(0, 4)):
                entries = getattr(message, field.name)
                if value.message_type:
                    fill(rng, entries[random_scalar(rng, key)], depth - 1, classes)
                else:
                    entries[random_scalar(rng, key)] = random_scalar(rng, value)
        elif field.is_repeated:
            for _ in range(rng.randint(0, 4)):
                if field.message_type:
                    fill(rng, getattr(message, field.name).add(), depth - 1, classes)
                else:
                    getattr(message, field.name).append(random_scalar(rng, field))
        elif field.message_type:
            if field.message_type.full_name == message.DESCRIPTOR.full_name and depth <= 0:
                continue
            getattr(message, field.name).SetInParent()
            fill(rng, getattr(message, field.name), depth - 1, classes)
        else:
            setattr(message, field.name, random_scalar(rng, field))


def tree(message):
    """The tree that a message is in MessagePack."""
    name = message.DESCRIPTOR.full_name
    if name in ("google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask"):
        return message.ToJsonString()
    if name == "google.protobuf.Value":
        kind = message.WhichOneof("kind")
        value = getattr(message, kind)
        if kind == "null_value":
            return None
        return tree(value) if kind in ("struct_value", "list_value") else value
    if name == "google.protobuf.Struct":
        return {key: tree(value) for key, value in message.fields.items()}
    if name == "google.protobuf.ListValue":
        return [tree(value) for value in message.values]
    if name == "google.protobuf.Any":
        inner = duration_pb2.Duration() if message.Is(duration_pb2.Duration.DESCRIPTOR) else CLASSES["sampler.Leaf"]()
        assert message.Unpack(inner)
        if isinstance(inner, duration_pb2.Duration):
            return {"@type": message.type_url, "value": tree(inner)}
        return {"@type": message.type_url, **tree(inner)}
    if name.startswith("google.protobuf.") and name.endswith("Value"):
        return message.value
    result = {}
    for field, value in message.ListFields():
        if field.message_type and field.message_type.GetOptions().map_entry:
            entry = field.message_type.fields_by_name["value"]
            result[field.json_name] = {map_key(key): leaf(entry, item) for key, item in value.items()}
        elif field.is_repeated:
            result[field.json_name] = [leaf(field, item) for item in value]
        else:
            result[field.json_name] = leaf(field, value)
    return result


def map_key(key):
    return str(key).lower() if isinstance(key, bool) else str(key)


def leaf(field, value):
    if field.message_type:
        return tree(value)
    if field.enum_type:
        if field.enum_type.full_name == "google.protobuf.NullValue":
            return None
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else value
    return value


def plain(value):
    """A tree in which what is equal is equal: NaN too, and bytes are no texts."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return ("NaN",) if math.isnan(value) else ("float", value)
    if isinstance(value, bytes):
        return ("bytes", base64.b64encode(value))
    return value


def check(expected, found, body):
    if expected != found:
        sys.exit(f"expected {expected!r}\nfound    {found!r}\nin       {body!r}")


def main(address, descriptors):
    pool = descriptor_pool.Default()
    # Importing them has put them into the pool, as this Python's package has them.
    for module in (any_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2):
        assert module.DESCRIPTOR
    with open(descriptors, "rb") as file:
        files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    for item in files.file:
        if not item.name.startswith("google/protobuf/"):
            pool.Add(item)
    for name in ("ClientToServer", "ServerToClient", "Leaf"):
        full_name = f"sampler.{name}"
        CLASSES[full_name] = message_factory.GetMessageClass(pool.FindMessageTypeByName(full_name))
    in_json, in_msgpack = Client(address, JSON), Client(address, MESSAGE_PACK)
    rng = random.Random(20240229)
    for number in range(MESSAGES):
        name = rng.choice(["kinds", "well_known"])
        request = CLASSES["sampler.ClientToServer"]()
        member = getattr(request, f"{name}_req")
        member.SetInParent()
        fill(rng, member, 2, CLASSES)
        expected = CLASSES["sampler.ServerToClient"]()
        getattr(expected, f"{name}_rsp").CopyFrom(member)
        variant = request.DESCRIPTOR.fields_by_name[f"{name}_req"].number

        said = json_format.MessageToJson(
            request,
            preserving_proto_field_name=number % 3 == 1,
            use_integers_for_enums=number % 5 == 1,
            indent=rng.choice([None, 2]),
            ensure_ascii=rng.random() < 0.5,
        )
        body = in_json.call(variant, said.encode())
        check(plain(json.loads(json_format.MessageToJson(expected))), plain(json.loads(body)), body)
        back = json_format.Parse(body, CLASSES["sampler.ServerToClient"]())
        check(expected.SerializeToString(deterministic=True), back.SerializeToString(deterministic=True), body)

        body = in_msgpack.call(variant, msgpack.packb(tree(request)))
        check(plain(tree(expected)), plain(msgpack.unpackb(body)), body)
    print(f"{MESSAGES} messages in JSON and {MESSAGES} in MessagePack")


CLASSES = {}

if __name__ == "__main__":
    main(*sys.argv[1:])
