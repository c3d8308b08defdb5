"""The type of a JSON value."""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["JsonValue"]

JsonValue: TypeAlias = None | bool | int | float | str | bytes | list["JsonValue"] | dict[str, "JsonValue"]
"""A JSON value; `bytes` are there only where it is the tree of a message in MessagePack."""
