"""Peers of another version: what differs between their schema and ours, and what that breaks (docs/schema.md, "What may change")."""

from __future__ import annotations

from msip.compatibility.difference import SchemaDifference

__all__ = ["SchemaDifference"]
