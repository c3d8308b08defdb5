"""The comparison of two versions of a protocol, by numbers and names: those of types mean nothing on the wire, so that a type which was
split, merged or renamed is compared with what stands in its place."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from msip.compatibility.comparison import Breaks, Comparison, Sides
from msip.compatibility.description import Description, EnumType, Field, Member, MessageType, is_well_known
from msip.wire.error_text import escaped

__all__ = ["compare"]

_MAX_STEPS: Final = 131_072
"""How many fields and values are compared. Versions of one schema need as many as both have together, at most; descriptions that were made
to make this slow could ask for their product."""
_PATH_ENDS: Final = 4
"""How many fields of a path are written at each end, where there are more."""

_Types = dict[str, MessageType | EnumType]


def compare(ours: Description, theirs: Description, sides: Sides) -> Comparison:
    """What differs between two descriptions."""
    walk = _Walk(ours, theirs, sides)
    if ours.package != theirs.package:
        walk.add(None, f": package {walk.both(f'`{ours.package}`', f'`{theirs.package}`')}", Breaks.ALL)
    walk.members("client-to-server", ours.client_to_server, theirs.client_to_server)
    walk.members("server-to-client", ours.server_to_client, theirs.server_to_client)
    walk.types()
    return walk.comparison


class _Place:
    """Where two types stand, or two fields of them."""

    __slots__ = ("earlier", "name")

    def __init__(self, name: str, earlier: _Place | None) -> None:
        self.name = name
        self.earlier = earlier
        """What leads to it; None for a member."""

    def __str__(self) -> str:
        fields: list[str] = []
        at = self
        while at.earlier is not None:
            fields.append(at.name)
            at = at.earlier
        if not fields:
            return at.name
        fields.reverse()
        path = ".".join(fields)
        if len(fields) > 2 * _PATH_ENDS:
            path = f"{'.'.join(fields[:_PATH_ENDS])}…{'.'.join(fields[-_PATH_ENDS:])}"
        return f"{at.name}, field `{path}`"


class _Walk:
    """A comparison that goes on: each pair of types is compared once, where the path to it is shortest."""

    def __init__(self, ours: Description, theirs: Description, sides: Sides) -> None:
        self.comparison = Comparison(sides)
        self._our_types = ours.types
        self._their_types = theirs.types
        self._here, self._there = sides
        self._seen: set[tuple[str, str]] = set()
        self._due: deque[tuple[str, str, _Place]] = deque()

    def both(self, ours: str, theirs: str) -> str:
        """What something is on each side."""
        return f"{ours} {self._here}, {theirs} {self._there}"

    def add(self, place: _Place | None, what: str, breaks: Breaks) -> None:
        """Adds a difference; without a place it is one of the whole protocol."""
        self.comparison.add(lambda: "the protocol" if place is None else str(place), what, breaks)

    # Members.

    def members(self, direction: str, ours: list[Member], theirs: list[Member]) -> None:
        """Compares those of one direction."""
        our_names = {member.name: member.number for member in ours}
        their_names = {member.name: member.number for member in theirs}
        # A name that both have, under another number, is the same member nevertheless.
        moved = {name for name, number in our_names.items() if their_names.get(name, number) != number}
        for name in sorted(moved):
            what = f": number {self.both(str(our_names[name]), str(their_names[name]))}"
            self.add(_member_place(direction, name), what, Breaks.ALL)
        our_members = {member.number: member for member in ours}
        their_members = {member.number: member for member in theirs}
        for number in sorted(our_members.keys() | their_members.keys()):
            our, their = our_members.get(number), their_members.get(number)
            if our is not None and their is not None and not {our.name, their.name} & moved:
                self._member(_member_place(direction, our.name), our, their)
                continue
            for member, where in ((our, self._here), (their, self._there)):
                if member is not None and member.name not in moved:
                    self.add(_member_place(direction, member.name), f" ({number}): only {where}", Breaks.NOTHING)

    def _member(self, place: _Place, ours: Member, theirs: Member) -> None:
        if ours.name != theirs.name:
            what = f" ({ours.number}): named {self.both(f'`{ours.name}`', f'`{theirs.name}`')}"
            self.add(place, what, Breaks.NAMES)
        if ours.exchange != theirs.exchange:
            # A sender may ask for an acknowledgment of any message that is no call, whatever its schema says.
            is_one_way = {ours.exchange, theirs.exchange} <= {"one-way", "acknowledged"}
            what = f": {self.both(_exchange_in_words(ours), _exchange_in_words(theirs))}"
            self.add(place, what, Breaks.NOTHING if is_one_way else Breaks.ALL)
        elif ours.kind != theirs.kind:
            self.add(place, f": {self.both(ours.kind, theirs.kind)}", Breaks.ALL)
        if ours.message and theirs.message:
            if not self._named(ours.message, theirs.message, place):
                what = f": type {self.both(f'`{ours.message}`', f'`{theirs.message}`')}"
                self.add(place, what, Breaks.ALL)
        elif ours.message or theirs.message:
            empty, other = (self._here, self._there) if theirs.message else (self._there, self._here)
            self.add(place, f": without data {empty}, a message {other}", Breaks.NOTHING)

    def _named(self, ours: str, theirs: str, place: _Place) -> bool:
        """Whether two types that stand in the same place may be the same: both are known and are compared later, or have one name."""
        are_known = (_is_known(ours, self._our_types), _is_known(theirs, self._their_types))
        if are_known == (True, True):
            if (ours, theirs) not in self._seen:
                self._seen.add((ours, theirs))
                self._due.append((ours, theirs, place))
            return True
        return are_known == (False, False) and ours == theirs

    # Types.

    def types(self) -> None:
        """Compares the types that the members lead to. Nothing here recurses: types may be nested as deep as they like."""
        steps_left = _MAX_STEPS
        while self._due:
            our_name, their_name, place = self._due.popleft()
            ours, theirs = self._our_types[our_name], self._their_types[their_name]
            steps_left -= 1 + _len(ours) + _len(theirs)
            if steps_left < 0:
                self.comparison.is_cut_short = True
                return
            if our_name != their_name:
                self.add(place, f": type {self.both(f'`{our_name}`', f'`{their_name}`')}", Breaks.NOTHING)
            if isinstance(ours, MessageType) and isinstance(theirs, MessageType):
                self._messages(place, ours, theirs)
            elif isinstance(ours, EnumType) and isinstance(theirs, EnumType):
                self._enums(place, ours, theirs)
            else:
                # A description that calls a type one and declares it as the other.
                self.add(place, f": type {self.both(f'`{our_name}`', f'`{their_name}`')}", Breaks.ALL)

    def _messages(self, place: _Place, ours: MessageType, theirs: MessageType) -> None:
        our_names = {field.name: field for field in ours.fields}
        their_names = {field.name: field for field in theirs.fields}
        moved = {name for name, field in our_names.items() if their_names.get(name, field).number != field.number}
        for name in sorted(moved):
            our, their = our_names[name], their_names[name]
            what = f": number {self.both(str(our.number), str(their.number))}"
            self.add(_Place(name, place), what, Breaks.PROTOBUF)
            self._field(_Place(name, place), our, their)
        our_fields = {field.number: field for field in ours.fields}
        their_fields = {field.number: field for field in theirs.fields}
        common: list[int] = []
        for number in sorted(our_fields.keys() | their_fields.keys()):
            our_field, their_field = our_fields.get(number), their_fields.get(number)
            if our_field is not None and their_field is not None and not {our_field.name, their_field.name} & moved:
                common.append(number)
                self._names(_Place(our_field.name, place), our_field, their_field)
                self._field(_Place(our_field.name, place), our_field, their_field)
                continue
            for field, where in ((our_field, self._here), (their_field, self._there)):
                if field is not None and field.name not in moved:
                    self.add(_Place(field.name, place), f" ({number}): only {where}", Breaks.NOTHING)
        our_oneofs, their_oneofs = _oneofs(ours, common), _oneofs(theirs, common)
        for number in common:
            if our_oneofs.get(number) != their_oneofs.get(number):
                both = self.both(_oneof_in_words(our_oneofs.get(number)), _oneof_in_words(their_oneofs.get(number)))
                self.add(_Place(our_fields[number].name, place), f" ({number}): {both}", Breaks.ALL)

    def _names(self, place: _Place, ours: Field, theirs: Field) -> None:
        if ours.name != theirs.name:
            # Where the name in JSON has stayed, this is what the renamed field is written as.
            breaks = Breaks.NOTHING if ours.json_name == theirs.json_name else Breaks.NAMES
            what = f" ({ours.number}): named {self.both(f'`{ours.name}`', f'`{theirs.name}`')}"
            self.add(place, what, breaks)
        elif ours.json_name != theirs.json_name:
            # Each side also reads the name of the schema, but writes its own in JSON.
            our_name, their_name = escaped(ours.json_name), escaped(theirs.json_name)
            what = f" ({ours.number}): `{our_name}` in JSON {self._here}, `{their_name}` {self._there}"
            self.add(place, what, Breaks.NAMES)

    def _field(self, place: _Place, ours: Field, theirs: Field) -> None:
        breaks = self._types_of_fields(place, ours, theirs)
        if breaks is not Breaks.NOTHING:
            self.add(place, f" ({ours.number}): {self.both(_type_in_words(ours), _type_in_words(theirs))}", breaks)
        our_presence, their_presence = _presence_in_words(ours), _presence_in_words(theirs)
        if ours.is_single and theirs.is_single and our_presence != their_presence:
            self.add(place, f" ({ours.number}): {self.both(our_presence, their_presence)}", Breaks.NOTHING)

    def _types_of_fields(self, place: _Place, ours: Field, theirs: Field) -> Breaks:
        """What it breaks how many values two fields have, and of which type."""
        our_key, their_key = _key(ours), _key(theirs)
        if our_key and their_key:
            if our_key != their_key:
                return Breaks.ALL
        elif our_key and theirs.presence == "repeated":
            return _entries(our_key, ours.type, theirs, self._their_types)
        elif their_key and ours.presence == "repeated":
            return _entries(their_key, theirs.type, ours, self._our_types)
        elif ours.is_single != theirs.is_single or our_key or their_key:
            return Breaks.ALL
        if ours.type_name and theirs.type_name and ours.type.startswith("enum:") == theirs.type.startswith("enum:"):
            return Breaks.NOTHING if self._named(ours.type_name, theirs.type_name, place) else Breaks.ALL
        if ours.type == theirs.type:
            return Breaks.NOTHING
        # The same bytes, and every number is a value of an enum. In JSON one is a name.
        kinds = {ours.type.partition(".")[0], theirs.type.partition(".")[0]}
        return Breaks.NAMES if kinds == {"enum:", "int32"} else Breaks.ALL

    def _enums(self, place: _Place, ours: EnumType, theirs: EnumType) -> None:
        our_names = {name: number for number, name in ours.values}
        their_names = {name: number for number, name in theirs.values}
        moved = {name for name, number in our_names.items() if their_names.get(name, number) != number}
        for name in sorted(moved):
            both = self.both(str(our_names[name]), str(their_names[name]))
            self.add(place, f": value `{name}` is {both}", Breaks.PROTOBUF)
        our_values, their_values = _by_number(ours, moved), _by_number(theirs, moved)
        for number in sorted(our_values.keys() | their_values.keys()):
            our, their = our_values.get(number, []), their_values.get(number, [])
            if our and their:
                if set(our) == set(their):
                    continue
                # Of several names for one number the first is written, and all are read.
                is_read = our[0] in their and their[0] in our
                both = self.both(f"`{'`, `'.join(our)}`", f"`{'`, `'.join(their)}`")
                self.add(place, f": value {number} named {both}", Breaks.NOTHING if is_read else Breaks.NAMES)
            elif our or their:
                where = self._here if our else self._there
                self.add(place, f": value `{(our or their)[0]}` ({number}) only {where}", Breaks.NOTHING)


def _member_place(direction: str, name: str) -> _Place:
    return _Place(f"{direction} `{name}`", None)


def _exchange_in_words(member: Member) -> str:
    """What comes back, as a reader of logs expects it."""
    words = member.exchange.split(" ")
    if words[0] != "call":
        return "the answer of a call" if words[0] == "answer" else words[0]
    requests = "a stream of requests" if words[1] == "stream" else "a call"
    answers = "a stream of " if words[2] == "stream" else ""
    return f"{requests} answered by {answers}`{member.answer}`"


def _is_known(name: str, types: _Types) -> bool:
    # What a well-known type is made of is known to all, so its name says it.
    return name in types and not is_well_known(name)


def _len(of: MessageType | EnumType) -> int:
    return len(of.fields) if isinstance(of, MessageType) else len(of.values)


def _oneofs(message: MessageType, common: Iterable[int]) -> dict[int, int]:
    """For each field in a oneof with another one that both sides have, the lowest number of these."""
    shared = set(common)
    groups: dict[str, list[int]] = {}
    for field in message.fields:
        if field.is_in_oneof and field.number in shared:
            groups.setdefault(field.presence, []).append(field.number)
    return {number: group[0] for group in groups.values() if len(group) > 1 for number in group}


def _oneof_in_words(lowest: int | None) -> str:
    return "in no oneof of others" if lowest is None else f"in the oneof of field {lowest}"


def _key(field: Field) -> str:
    """The type of the keys of a map."""
    return field.presence.removeprefix("map:") if field.presence.startswith("map:") else ""


def _entries(key: str, value: str, entries: Field, types: _Types) -> Breaks:
    """A map on one side and a list on the other: in protobuf the same, if the list is one of the map's entries."""
    entry = types.get(entries.type_name)

    def is_one(field: Field, number: int, kind: str) -> bool:
        # What messages are made of is not looked into: a map of messages that became a list is too much of a change.
        return field.number == number and field.is_single and not field.type_name and field.type == kind

    if not entries.type.startswith(".") or not isinstance(entry, MessageType) or len(entry.fields) != 2:
        return Breaks.ALL
    first, second = entry.fields
    return Breaks.NAMES if is_one(first, 1, key) and is_one(second, 2, value) else Breaks.ALL


def _presence_in_words(field: Field) -> str:
    if field.is_in_oneof:
        return "in a oneof"
    return "optional" if field.presence == "optional" or field.type.startswith(".") else "always there"


def _type_in_words(field: Field) -> str:
    name = field.type_name
    kind = f"{'enum' if field.type.startswith('enum:') else 'message'} `{name}`" if name else field.type
    if field.presence == "repeated":
        return f"repeated {kind}"
    key = _key(field)
    return f"map<{key}, {kind}>" if key else kind


def _by_number(of: EnumType, moved: set[str]) -> dict[int, list[str]]:
    """The names of each number that have stayed."""
    names: dict[int, list[str]] = {}
    for number, name in of.values:
        if name not in moved:
            names.setdefault(number, []).append(name)
    return names
