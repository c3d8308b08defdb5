"""The mark of what a schema calls deprecated: type checkers and editors show it, and nothing happens at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["deprecated"]

if TYPE_CHECKING:
    # Type checkers bring this module along; Python has it from 3.13 only, as `warnings.deprecated`.
    from typing_extensions import deprecated
else:

    def deprecated(message, /, *, category=None, stacklevel=1):
        """Marks a class or a function as deprecated, by its attribute `__deprecated__`."""

        def mark(marked):
            marked.__deprecated__ = message
            return marked

        return mark
