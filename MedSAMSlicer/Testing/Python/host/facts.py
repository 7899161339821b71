"""What a running Slicer shows to Python of its Qt classes, as read from the data files."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[1] / "data"
APPLICATION = "qSlicerApplication"
_FORM = re.compile(r"^X\.\w+\((.*?)\)(?: -> (.*))?$")


@dataclass(frozen=True)
class Method:
    """`most`: largest number of arguments, or None where the list does not say. `returns`: as listed, "" for nothing."""

    name: str
    form: str
    most: int | None
    returns: str | None


@dataclass(frozen=True)
class Property:
    """`fresh`: plain value of a new object, or None; `notify`: signal that tells of a change, or None."""

    name: str
    kind: str
    fresh: Any
    writable: bool
    notify: str | None


@dataclass(frozen=True)
class Facts:
    """All that a class has, inherited things included.

    Attributes:
        group: "qt", "ctk", "slicer" or "effects": the Python module that shows it.
        lineage: names of the class and its bases, nearest first.
        signals: name -> signatures that `connect` takes; empty where they are not known.
        enumerators: name -> (enum, number).
    """

    name: str
    group: str
    lineage: tuple[str, ...]
    methods: dict[str, Method]
    signals: dict[str, tuple[str, ...]]
    properties: dict[str, Property]
    enumerators: dict[str, tuple[str, int]]
    enums: frozenset[str]

    def member(self, name: str) -> bool:
        """Whether Python finds the name on an object of the class."""
        return any(name in part for part in (self.methods, self.signals, self.properties, self.enumerators, self.enums))


@cache
def read(name: str) -> dict[str, Any]:
    """Content of one of the data files."""
    with gzip.open(DATA / name) as file:
        content: dict[str, Any] = json.load(file)
    return content


def runtime() -> dict[str, Any]:
    return read("slicer_runtime.json.gz")


def names(*groups: str) -> list[str]:
    """Names of all classes of some groups."""
    return [name for name, entry in runtime()["classes"].items() if entry["group"] in groups]


@cache
def facts_of(name: str) -> Facts:
    """Facts of a class, or of the application under the name `APPLICATION`.

    Raises:
        KeyError: a running Slicer has no such class.
    """
    entry = runtime()["classes"][name] if name != APPLICATION else _application()
    base = facts_of(entry["base"]) if entry["base"] else None
    known = _known(name)
    other = entry["other"]
    enums = {key for key, value in other.items() if value in ("type", "PythonQtClassWrapper")}
    properties = {key: value for key, value in other.items() if key not in enums and value not in enums}
    enumerators = [key for key, value in other.items() if value in enums]
    return Facts(
        name=name,
        group=entry["group"],
        lineage=(name, *(base.lineage if base else ())),
        methods={**(base.methods if base else {}), **{key: _method(key, f) for key, f in entry["methods"].items()}},
        signals={**(base.signals if base else {}), **{key: _signatures(key, known) for key in entry["signals"]}},
        # A class may have other fresh values than its base, so all are looked up anew.
        properties={
            key: _property(key, listed, known)
            for key, listed in {
                **({p.name: p.kind for p in base.properties.values()} if base else {}),
                **properties,
            }.items()
        },
        enumerators={
            **(base.enumerators if base else {}),
            **{key: (other[key], _number(key, n, known)) for n, key in enumerate(enumerators)},
        },
        enums=frozenset(enums) | (base.enums if base else frozenset()),
    )


def _known(name: str | None) -> list[dict[str, Any]]:
    """What is known of the class and its bases beyond the lists, nearest first."""
    known: list[dict[str, Any]] = []
    while name is not None:
        known.append(read("slicer_qt_facts.json.gz").get(name, {}))
        name = known[-1].get("base")
    return known


def _application() -> dict[str, Any]:
    return {"group": "slicer", "base": "QObject", **runtime()["app"]}


def _method(name: str, form: str) -> Method:
    match = _FORM.match(form)
    if match is None:
        return Method(name, form, None, None)
    return Method(name, form, len(match[1].split(",")) if match[1] else 0, match[2] or "")


def _signatures(name: str, known: list[dict[str, Any]]) -> tuple[str, ...]:
    found = (signature for entry in known for signature in entry.get("signals", {}).get(name, ()))
    return tuple(dict.fromkeys(found))


def _property(name: str, listed: str, known: list[dict[str, Any]]) -> Property:
    entries = [entry["properties"][name] for entry in known if name in entry.get("properties", {})]
    if not entries:
        return Property(name, "" if listed == "property" else listed, None, True, None)
    kind, _fresh, writable, notify = entries[0]
    fresh = next((value for _kind, value, *_rest in entries if value is not None), None)
    return Property(name, kind, fresh, writable, notify)


def _number(name: str, position: int, known: list[dict[str, Any]]) -> int:
    for entry in known:
        if name in entry.get("enums", {}):
            return int(entry["enums"][name])
    # A number of our own, far from any real one, so that it cannot be taken for it.
    return 1_000_000 + position
