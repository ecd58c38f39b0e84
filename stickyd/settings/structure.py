"""Frozen attrs values from what ``json.loads`` returns. Pure."""

import typing
from collections.abc import Mapping, Sequence
from typing import TypeVar

import attrs

Json = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None
"""A value that JSON can express."""

_T = TypeVar("_T")


def nested(values: Mapping[str, Json]) -> dict[str, Json]:
    """Values by path, such as ``timeouts.keep_alive``, as objects within objects."""
    tree: dict[str, Json] = {}
    groups: dict[str, dict[str, Json]] = {}
    for path, value in values.items():
        name, dot, rest = path.partition(".")
        if dot:
            groups.setdefault(name, {})[rest] = value
        else:
            tree[name] = value
    return {**tree, **{name: nested(group) for name, group in groups.items()}}


def structure(kind: type[_T], value: Json, where: str) -> _T:
    """A value of exactly type ``kind``; attrs classes and tuples of one type are built.

    :param where: what an error begins with.
    :raise ValueError: for a missing or unknown field, or a value of another type.
    """
    if attrs.has(kind):
        if not isinstance(value, Mapping):
            raise ValueError(f"{where}: not an object")
        types = typing.get_type_hints(kind)
        names = [field.name for field in attrs.fields(kind)]
        if set(value) != set(names):
            raise ValueError(f"{where}: fields {sorted(set(value) ^ set(names))}")
        built = {name: structure(types[name], value[name], f"{where}.{name}") for name in names}
        return typing.cast(_T, kind(**built))
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where}: not a list")
        item = typing.get_args(kind)[0]
        return typing.cast(_T, tuple(structure(item, each, where) for each in value))
    if kind is float and type(value) is int:
        return typing.cast(_T, float(value))
    if type(value) is not kind:
        raise ValueError(f"{where}: {type(value).__name__}, not {kind.__name__}")
    return value
