"""The fingerprint of a schema that is described (docs/schema.md, "Canonical form")."""

from __future__ import annotations

from hashlib import sha256

from msip.compatibility.description import Description, EnumType, Field, Member, MessageType

__all__ = ["fingerprint"]

_ROUNDS = 64
"""How often colours are refined: types that differ within so many steps of what they mention are told apart."""


def fingerprint(description: Description) -> int:
    """What two peers compare: equal where the schemas mean the same on the wire."""
    colours = _colours(description.types)
    lines = ["msip-schema 1", f"package {description.package}"]
    for heading, members in (
        ("client-to-server", description.client_to_server),
        ("server-to-client", description.server_to_client),
    ):
        lines.append(heading)
        lines += [_member(member, colours) for member in members]
    lines += ["types", *sorted(_reached(description, colours))]
    return int.from_bytes(sha256(("\n".join(lines) + "\n").encode()).digest()[:8])


def _member(member: Member, colours: dict[str, str]) -> str:
    payload = colours.get(member.message, member.message) or "empty"
    return f"{member.number} {member.name} {member.kind} {member.exchange} {payload}"


def _colours(types: dict[str, MessageType | EnumType]) -> dict[str, str]:
    """The structure of each type as a hash, in which the types that it mentions appear by theirs of the round before."""
    mentioned_by: dict[str, set[str]] = {name: set() for name in types}
    for name, of in types.items():
        for mentioned in _mentions(of):
            if mentioned in mentioned_by:
                mentioned_by[mentioned].add(name)
    colours = dict.fromkeys(types, "0" * 64)
    due = set(types)
    for _ in range(_ROUNDS):
        refined = {name: sha256(_shape(types[name], colours).encode()).hexdigest() for name in due}
        changed = [name for name, colour in refined.items() if colours[name] != colour]
        colours |= refined
        due = set().union(*(mentioned_by[name] for name in changed))
        if not due:
            break
    return colours


def _shape(of: MessageType | EnumType, colours: dict[str, str]) -> str:
    if isinstance(of, EnumType):
        return "enum\n" + "".join([f"{number} {name}\n" for number, name in sorted(of.values)])
    lowest: dict[str, int] = {}
    for each in of.fields:
        if each.is_in_oneof:
            lowest.setdefault(each.presence, each.number)
    return "message\n" + "".join([_field(each, lowest, colours) for each in of.fields])


def _field(each: Field, lowest: dict[str, int], colours: dict[str, str]) -> str:
    name = each.type_name
    presence = each.presence
    if each.is_in_oneof:
        presence = f"oneof:{lowest[presence]}"
    elif presence == "implicit" and each.type.startswith("."):
        presence = "optional"
    return f"{each.number} {each.name} {presence} {colours.get(name, name) or each.type}\n"


def _mentions(of: MessageType | EnumType) -> list[str]:
    return [each.type_name for each in of.fields if each.type_name] if isinstance(of, MessageType) else []


def _reached(description: Description, colours: dict[str, str]) -> set[str]:
    """The colours of all types that the members lead to."""
    due = [member.message for member in description.client_to_server + description.server_to_client]
    seen: set[str] = set()
    while due:
        name = due.pop()
        if name in colours and name not in seen:
            seen.add(name)
            due += _mentions(description.types[name])
    return {colours[name] for name in seen}
