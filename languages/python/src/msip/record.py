"""Classes that only hold values, as a dataclass with slots would be, which cost little to import.

`dataclasses` compiles several functions for each class, and makes each class twice: 0.6 ms of the start of every program, of which most never
use the class. Here the constructor is compiled when the first object is made, and equality and `repr` are written once for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast, dataclass_transform

__all__ = ["field", "record"]

T = TypeVar("T", bound=type)


class _Field:
    """A default that is made for each object, or a field that `repr` does not show."""

    __slots__ = ("default", "factory", "is_hidden")

    def __init__(self, default: object, factory: Callable[[], object] | None, is_hidden: bool) -> None:
        self.default = default
        self.factory = factory
        self.is_hidden = is_hidden


_NONE: Any = object()


def field(*, default: Any = _NONE, default_factory: Callable[[], Any] | None = None, repr: bool = True) -> Any:
    """What a field has besides its name and type, as in `dataclasses.field`."""
    return _Field(default, default_factory, not repr)


@dataclass_transform(field_specifiers=(field,))
def record(cls: T) -> T:
    """The class with slots for its annotations, a constructor, equality by fields, `repr`, and no hash."""
    names = tuple(cls.__annotations__)
    namespace = dict(cls.__dict__)
    for given in ("__dict__", "__weakref__"):
        namespace.pop(given, None)
    namespace["_record_defaults"] = {name: namespace.pop(name) for name in names if name in namespace}
    namespace["__slots__"] = namespace["__match_args__"] = names
    namespace.setdefault("__init__", _first_init)
    namespace["__eq__"] = _equals
    namespace["__repr__"] = _shown
    namespace["__hash__"] = None
    made: Any = type(cls)(cls.__name__, cls.__bases__, namespace)
    made.__qualname__ = cls.__qualname__
    return cast(T, made)


def _first_init(self: Any, *arguments: Any, **named: Any) -> None:
    """Compiles the constructor, and calls it."""
    cls = type(self)
    defaults: dict[str, Any] = cls._record_defaults
    known: dict[str, Any] = {"_none": _NONE}
    parameters, lines = ["self"], []
    for name in cls.__match_args__:
        value = name
        if name in defaults:
            default = defaults[name]
            if isinstance(default, _Field) and default.factory is not None:
                known[f"_{name}"] = default.factory
                parameters.append(f"{name}=_none")
                value = f"_{name}() if {name} is _none else {name}"
            else:
                default = default.default if isinstance(default, _Field) else default
                if default is _NONE:
                    parameters.append(name)
                else:
                    known[f"_{name}"] = default
                    parameters.append(f"{name}=_{name}")
        else:
            parameters.append(name)
        lines.append(f" self.{name} = {value}\n")
    exec(f"def __init__({', '.join(parameters)}):\n{''.join(lines) or ' pass'}", known)
    cls.__init__ = known["__init__"]
    self.__init__(*arguments, **named)


def _equals(self: Any, other: object) -> Any:
    names: tuple[str, ...] = self.__match_args__
    if type(other) is not type(self):
        return NotImplemented
    return all(getattr(self, name) == getattr(other, name) for name in names)


def _shown(self: Any) -> str:
    defaults = self._record_defaults
    shown = (
        f"{name}={getattr(self, name)!r}"
        for name in self.__match_args__
        if not (isinstance(default := defaults.get(name), _Field) and default.is_hidden)
    )
    return f"{type(self).__qualname__}({', '.join(shown)})"
