"""Classes that hold values: dataclasses with slots, which cost little to import.

`dataclasses` compiles several functions for each class: 0.2 to 2 ms of the start of every program, of which most never use the class. Here the
constructor and the comparison are compiled when they are needed first, `repr` is written once for all, and what `dataclasses.fields`,
`replace` and `asdict` look for is made when they do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform, overload

__all__ = ["RecordField", "field", "fields_of", "record", "replaced"]

T = TypeVar("T", bound=type)
R = TypeVar("R")

_NONE: Any = object()


class RecordField:
    """What a field has besides its name and type."""

    __slots__ = ("default", "factory", "is_hidden", "kw_only")

    def __init__(
        self, default: Any, factory: Callable[[], Any] | None = None, *, is_hidden: bool = False, kw_only: bool = False
    ) -> None:
        self.default = default
        self.factory = factory
        self.is_hidden = is_hidden
        self.kw_only = kw_only


def field(
    *, default: Any = _NONE, default_factory: Callable[[], Any] | None = None, repr: bool = True, kw_only: bool = False
) -> Any:
    """A default that is made for each object, or a field that `repr` does not show or that is given by its name, as in `dataclasses.field`."""
    return RecordField(default, default_factory, is_hidden=not repr, kw_only=kw_only)


@overload
def record(cls: T, /) -> T: ...


@overload
def record(*, frozen: bool = False, kw_only: bool = False) -> Callable[[T], T]: ...


@dataclass_transform(field_specifiers=(field,))
def record(cls: Any = None, /, *, frozen: bool = False, kw_only: bool = False) -> Any:
    """The class with slots for its annotations, a constructor, equality by fields and `repr`, as of `dataclasses.dataclass`.

    It has a hash where it is frozen.
    """
    if cls is None:
        return lambda cls: _made(cls, frozen, kw_only)
    return _made(cls, frozen, kw_only)


def replaced(of: R, /, **changes: Any) -> R:
    """Another one with other values of some fields."""
    return type(of)(**{name: getattr(of, name) for name in fields_of(of)} | changes)


def fields_of(of: object) -> dict[str, RecordField]:
    """The fields of an object by their names."""
    fields: dict[str, RecordField] = type(of)._record_fields  # type: ignore[attr-defined]
    return fields


def _made(cls: Any, frozen: bool, kw_only: bool) -> Any:
    namespace = dict(cls.__dict__)
    for given in ("__dict__", "__weakref__"):
        namespace.pop(given, None)
    inherited: dict[str, RecordField] = {}
    for base in cls.__mro__[:0:-1]:
        inherited |= base.__dict__.get("_record_fields", {})
    fields = dict(inherited)
    for name, annotation in namespace.get("__annotations__", {}).items():
        if not annotation.startswith("ClassVar["):
            default = namespace.pop(name, _NONE)
            known = default if isinstance(default, RecordField) else RecordField(default)
            known.kw_only |= kw_only
            fields[name] = known
    namespace["_record_fields"] = fields
    namespace["__slots__"] = tuple([name for name in fields if name not in inherited])
    namespace["__match_args__"] = tuple([name for name, known in fields.items() if not known.kw_only])
    for name in ("__dataclass_fields__", "__dataclass_params__"):
        namespace[name] = _AsDataclass(name)

    def first_init(self: Any, /, *arguments: Any, **named: Any) -> None:
        _compile_init(made)
        made.__init__(self, *arguments, **named)

    def first_equals(self: Any, other: object) -> Any:
        _compile_equals(made)
        return made.__eq__(self, other)

    if "__init__" not in namespace:
        namespace |= {"__init__": first_init, "__signature__": _Signature()}
    namespace.setdefault("__repr__", _shown)
    if "__eq__" not in namespace:
        namespace["__eq__"] = first_equals
        namespace.setdefault("__hash__", _hashed if frozen else None)
    if frozen:
        namespace |= {"__setattr__": _refuse, "__delattr__": _refuse, "__reduce__": _reduced}
    made = type(cls)(cls.__name__, cls.__bases__, namespace)
    made.__qualname__ = cls.__qualname__
    return made


def _compile_init(cls: Any) -> None:
    # Fields may have any names: nothing else is called as they are.
    is_frozen = cls.__setattr__ is _refuse
    known: dict[str, Any] = {"__record_none": _NONE, "__record_set": object.__setattr__}
    parameters, named_only, lines = ["__record_self"], ["*"], []
    for name, field in cls._record_fields.items():
        value, parameter, default = name, name, f"__record_default_{name}"
        if field.factory is not None:
            known[default] = field.factory
            parameter, value = f"{name}=__record_none", f"{default}() if {name} is __record_none else {name}"
        elif field.default is not _NONE:
            known[default] = field.default
            parameter = f"{name}={default}"
        (named_only if field.kw_only else parameters).append(parameter)
        lines.append(
            f" __record_set(__record_self, {name!r}, {value})\n" if is_frozen else f" __record_self.{name} = {value}\n"
        )
    if hasattr(cls, "__post_init__"):
        lines.append(" __record_self.__post_init__()\n")
    if len(named_only) > 1:
        parameters += named_only
    exec(f"def __init__({', '.join(parameters)}):\n{''.join(lines) or ' pass'}", known)
    known["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = known["__init__"]


def _compile_equals(cls: Any) -> None:
    mine, others = ("".join([f"{of}.{name}, " for name in cls._record_fields]) for of in ("self", "other"))
    known: dict[str, Any] = {}
    exec(
        "def __eq__(self, other):\n"
        " if other.__class__ is not self.__class__: return NotImplemented\n"
        f" return ({mine}) == ({others})",
        known,
    )
    cls.__eq__ = known["__eq__"]


def _shown(self: Any) -> str:
    fields: dict[str, RecordField] = self._record_fields
    shown = (f"{name}={getattr(self, name)!r}" for name, field in fields.items() if not field.is_hidden)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _hashed(self: Any) -> int:
    return hash(tuple([getattr(self, name) for name in self._record_fields]))


def _refuse(self: Any, name: str, value: object = None) -> None:
    raise AttributeError(f"{type(self).__qualname__} cannot be changed: `{name}`")


def _reduced(self: Any) -> Any:
    return _again, (type(self), {name: getattr(self, name) for name in self._record_fields})


def _again(cls: Any, values: dict[str, Any]) -> Any:
    return cls(**values)


class _Signature:
    """The parameters of the constructor, for `help` and those who inspect it, once they do."""

    def __get__(self, _: object, cls: Any) -> Any:
        import inspect

        own = next(each for each in cls.__mro__ if "__init__" in each.__dict__)
        if "__signature__" not in own.__dict__:
            raise AttributeError("a subclass has a constructor of its own")
        _compile_init(own)
        signature = inspect.signature(own.__init__)
        return signature.replace(parameters=list(signature.parameters.values())[1:])


class _AsDataclass:
    """What `dataclasses` looks for in a class, once it does."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, _: object, cls: Any) -> Any:
        import dataclasses

        own = next(each for each in cls.__mro__ if "_record_fields" in each.__dict__)
        annotations: dict[str, Any] = {}
        for each in own.__mro__[::-1]:
            annotations |= each.__dict__.get("__annotations__", {})
        fields = []
        for name, known in own._record_fields.items():
            more: dict[str, Any] = {"repr": not known.is_hidden, "kw_only": known.kw_only}
            if known.factory is not None:
                more["default_factory"] = known.factory
            elif known.default is not _NONE:
                more["default"] = known.default
            fields.append((name, annotations[name], dataclasses.field(**more)))
        made: Any = dataclasses.make_dataclass(own.__name__, fields, frozen=own.__setattr__ is _refuse)
        own.__dataclass_fields__, own.__dataclass_params__ = made.__dataclass_fields__, made.__dataclass_params__
        return getattr(own, self._name)
