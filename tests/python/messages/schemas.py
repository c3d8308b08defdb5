"""The messages of a schema, ours and Google's, and random contents for them."""

from __future__ import annotations

import importlib
import random
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message as GoogleMessage
from grpc_tools import protoc
from msip.message import Message, message_type

ENVELOPES = ("ClientToServer", "ServerToClient")

Pair = tuple[type[GoogleMessage], type[Message]]


def load(root: str, include: str, options: str, files: list[str]) -> dict[str, Pair]:
    """The messages of these files, by full name: Google's from what protoc says, ours from the modules below `root`."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        google = str(Path(grpc_tools.__file__).parent / "_proto")
        includes = [f"-I{folder}" for folder in (include, options, google)]
        if protoc.main(["protoc", *includes, f"--descriptor_set_out={out}", "--include_imports", *files]) != 0:
            raise SystemExit("protoc refuses a schema that we accept")
        files_set = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files_set.file:
        pool.Add(file)
    pairs: dict[str, Pair] = {}
    for file in files_set.file:
        if file.package in ("msip", "google.protobuf"):
            continue
        # Files of options are in proto2; no message of ours can hold what they declare.
        if file.syntax != "proto3" or not any(message.name not in ENVELOPES for message in file.message_type):
            continue
        top, dot, rest = file.package.partition(".")
        # Python has a module of that name itself.
        mark = "_" if top in sys.stdlib_module_names else ""
        importlib.import_module(f"{root}.{top}{mark}{dot}{rest}")
        for message in file.message_type:
            _add(pool.FindMessageTypeByName(f"{file.package}.{message.name}"), pairs)
    return pairs


def _add(descriptor: Descriptor, pairs: dict[str, Pair]) -> None:
    for nested in descriptor.nested_types:
        _add(nested, pairs)
    if descriptor.GetOptions().map_entry or descriptor.name in ENVELOPES:
        return
    ours = message_type(descriptor.full_name)
    if ours is None:
        sys.exit(f"there is no class for {descriptor.full_name}")
    pairs[descriptor.full_name] = (message_factory.GetMessageClass(descriptor), ours)


INTEGERS = {
    FieldDescriptor.TYPE_INT32: 32,
    FieldDescriptor.TYPE_SINT32: 32,
    FieldDescriptor.TYPE_SFIXED32: 32,
    FieldDescriptor.TYPE_INT64: 64,
    FieldDescriptor.TYPE_SINT64: 64,
    FieldDescriptor.TYPE_SFIXED64: 64,
    FieldDescriptor.TYPE_UINT32: -32,
    FieldDescriptor.TYPE_FIXED32: -32,
    FieldDescriptor.TYPE_UINT64: -64,
    FieldDescriptor.TYPE_FIXED64: -64,
}
"""How many bits each type has; below zero where it has no sign."""

FLOATS = [0.0, -0.0, 1.0, -1.5, 0.1, 1e-30, 3.5e30, float("inf"), float("-inf"), float("nan")]
TEXTS = ["", "a", "zoë", "\U0001f600", "\x00\n\"\\", "x" * 200]
WELL_KNOWN = "google.protobuf."


class Contents:
    """Fills messages of Google's with random contents that both sides can express."""

    def __init__(self, seed: int, pairs: dict[str, Pair]) -> None:
        self._random = random.Random(seed)
        self._pairs = pairs

    def message(self, kind: type[GoogleMessage]) -> GoogleMessage:
        """A message with random contents."""
        message = kind()
        self._fill(message, 4)
        return message

    def _fill(self, message: GoogleMessage, depth: int) -> None:
        descriptor = message.DESCRIPTOR
        if descriptor.full_name.startswith(WELL_KNOWN):
            self._fill_well_known(message, depth)
            return
        for field in descriptor.fields:
            if self._random.random() < 0.4:
                continue
            kind = field.message_type
            if kind is not None and kind.GetOptions().map_entry:
                self._fill_map(message, field, depth)
            elif field.is_repeated:
                for _ in range(self._random.choice([0, 1, 2, 5])):
                    if kind is None:
                        getattr(message, field.name).append(self._scalar(field))
                    elif depth > 0:
                        self._fill(getattr(message, field.name).add(), depth - 1)
            elif kind is None:
                setattr(message, field.name, self._scalar(field))
            elif depth > 0:
                getattr(message, field.name).SetInParent()
                self._fill(getattr(message, field.name), depth - 1)

    def _fill_map(self, message: GoogleMessage, field: FieldDescriptor, depth: int) -> None:
        key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
        for _ in range(self._random.choice([0, 1, 3])):
            name = self._scalar(key)
            if value.message_type is None:
                getattr(message, field.name)[name] = self._scalar(value)
            elif depth > 0:
                self._fill(getattr(message, field.name)[name], depth - 1)

    def _fill_well_known(self, message: GoogleMessage, depth: int) -> None:
        random = self._random
        match message.DESCRIPTOR.name:
            case "Timestamp":
                message.seconds = random.choice([0, 1, -1, -62_135_596_800, 253_402_300_799, random.randrange(1 << 31)])
                message.nanos = random.choice([0, 1000, 500_000_000, 999_999_000])
            case "Duration":
                sign = random.choice([1, -1])
                message.seconds = sign * random.choice([0, 1, 315_576_000_000, random.randrange(1 << 31)])
                message.nanos = sign * random.choice([0, 1000, 500_000_000, 999_999_000])
            case "FieldMask":
                message.paths.extend(random.choice([[], ["user_name"], ["a.b_c", "d"]]))
            case "Any":
                if random.random() < 0.8:
                    google, _ = self._pairs[random.choice(sorted(self._pairs))]
                    packed = google()
                    if depth > 2:
                        self._fill(packed, 0)
                    message.Pack(packed)
            case "Struct":
                for _ in range(random.choice([0, 1, 3])):
                    self._fill(message.fields[random.choice(TEXTS)], depth - 1)
            case "ListValue":
                for _ in range(random.choice([0, 1, 3])):
                    self._fill(message.values.add(), depth - 1)
            case "Value":
                # A null by itself is an absence in Python.
                match random.randrange(5 if depth > 0 else 3):
                    case 0:
                        message.number_value = random.choice(FLOATS[:7])
                    case 1:
                        message.string_value = random.choice(TEXTS)
                    case 2:
                        message.bool_value = random.random() < 0.5
                    case 3:
                        message.struct_value.SetInParent()
                        self._fill(message.struct_value, depth - 1)
                    case 4:
                        message.list_value.SetInParent()
                        self._fill(message.list_value, depth - 1)
            case "Empty":
                pass
            case _:
                message.value = self._scalar(message.DESCRIPTOR.fields_by_name["value"])

    def _scalar(self, field: FieldDescriptor) -> bool | int | float | str | bytes:
        random = self._random
        if field.type in INTEGERS:
            bits = INTEGERS[field.type]
            least, greatest = (0, (1 << -bits) - 1) if bits < 0 else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
            near = [number for number in (-1, 0, 1, 127, 128, 300) if least <= number <= greatest]
            return random.choice([least, greatest, random.randint(least, greatest), *near])
        match field.type:
            case FieldDescriptor.TYPE_BOOL:
                return random.random() < 0.5
            case FieldDescriptor.TYPE_STRING:
                return random.choice(TEXTS)
            case FieldDescriptor.TYPE_BYTES:
                return random.choice([b"", b"\x00", b"\xff\xfe", random.randbytes(130)])
            case FieldDescriptor.TYPE_ENUM:
                if field.enum_type.full_name == "google.protobuf.NullValue":
                    return 0
                known = [value.number for value in field.enum_type.values]
                return random.choice([*known, 99, -7])
            case _:
                return random.choice([*FLOATS, random.uniform(-1e9, 1e9)])
