"""Reads from PySide6 what a list of names cannot say: base classes, enumerators' numbers, signals' arguments, defaults.

Qt 6 kept these as they are in Qt 5 for nearly all that a panel uses; `host/README.md` says what is made of the rest.
Run where PySide6 is installed, from the folder `Testing/Python`:

    QT_QPA_PLATFORM=offscreen python -m host.regenerate_qt RUNTIME.json.gz qt_facts.json
"""

from __future__ import annotations

import enum
import gzip
import importlib
import json
import sys
from pathlib import Path
from typing import Any

MODULES = ("QtCore", "QtGui", "QtWidgets", "QtNetwork", "QtUiTools", "QtSvg", "QtSvgWidgets")
PLAIN = (bool, int, float, str)
# Besides widgets; making an object of every class there is would end the process.
WITH_DEFAULTS = {
    "QAction",
    "QButtonGroup",
    "QFormLayout",
    "QGridLayout",
    "QHBoxLayout",
    "QObject",
    "QTimer",
    "QVBoxLayout",
}


def bindings() -> list[Any]:
    found = []
    for name in MODULES:
        try:
            found.append(importlib.import_module(f"PySide6.{name}"))
        except ImportError:
            continue
    return found


def class_named(name: str, modules: list[Any]) -> Any:
    return next((getattr(module, name) for module in modules if hasattr(module, name)), None)


def number(member: Any) -> int | None:
    value = getattr(member, "value", None)
    return value if isinstance(value, int) else None


def enumerators(cls: Any) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for holder in vars(cls).values():
        if isinstance(holder, enum.EnumMeta):
            for name, member in holder.__members__.items():
                if (value := number(member)) is not None:
                    numbers.setdefault(name, value)
    return numbers


def signals(cls: Any) -> dict[str, list[str]]:
    meta = getattr(cls, "staticMetaObject", None)
    found: dict[str, list[str]] = {}
    for n in range(meta.methodOffset(), meta.methodCount()) if meta else ():
        method = meta.method(n)
        if method.methodType().name == "Signal":
            signature = bytes(method.methodSignature()).decode().replace("QPrivateSignal", "")
            found.setdefault(bytes(method.name()).decode(), []).append(signature.replace(",)", ")"))
    return found


def properties(cls: Any, instance: Any, base: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """name -> [type, value of a fresh instance or None, writable, signal of change or None].

    Of inherited ones, those with another value than in `base`.
    """
    meta = getattr(cls, "staticMetaObject", None)
    found: dict[str, list[Any]] = {}
    for n in range(meta.propertyCount()) if meta else ():
        declared = meta.property(n)
        value = fresh_value(declared, instance)
        known = base.get(declared.name())
        if n >= meta.propertyOffset() or (value is not None and (known is None or known[1] != value)):
            notify = bytes(declared.notifySignal().name()).decode() if declared.hasNotifySignal() else None
            found[declared.name()] = [declared.typeName(), value, declared.isWritable(), notify]
    return found


def fresh_value(declared: Any, instance: Any) -> Any:
    try:
        value = declared.read(instance) if instance is not None else None
    except RuntimeError:  # a type that PySide6 cannot hand over
        return None
    value = number(value) if isinstance(value, enum.Enum) else value
    return value if type(value) in PLAIN else None


def instance_of(cls: Any, name: str) -> Any:
    if not (name in WITH_DEFAULTS or hasattr(cls, "setSizePolicy")):
        return None
    try:
        return cls()
    except (TypeError, RuntimeError, NotImplementedError):
        return None


def facts(names: list[str]) -> dict[str, Any]:
    modules = bindings()
    application = class_named("QApplication", modules)(["regenerate"])
    found: dict[str, Any] = {}
    fresh: dict[str, dict[str, list[Any]]] = {}
    classes = {name: cls for name in names if isinstance(cls := class_named(name, modules), type)}
    for name, cls in sorted(classes.items(), key=lambda item: len(item[1].__mro__)):
        instance = application if name.endswith("Application") else instance_of(cls, name)
        base = next((c.__name__ for c in cls.__mro__[1:] if c.__name__ in classes), None)
        inherited = fresh.get(base or "", {})
        own = properties(cls, instance, inherited)
        fresh[name] = {**inherited, **own}
        entry = {"base": base, "enums": enumerators(cls), "signals": signals(cls), "properties": own}
        found[name] = {key: value for key, value in entry.items() if value}
    return found


def main(runtime: str, output: str) -> None:
    with gzip.open(runtime) as file:
        names = list(json.load(file)["qt"])
    Path(output).write_text(json.dumps(facts(names), sort_keys=True), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
