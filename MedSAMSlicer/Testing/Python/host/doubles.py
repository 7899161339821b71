"""Strict doubles of Slicer's Qt classes: they have what a running Slicer lists for the class, and nothing else.

A double keeps the values of its properties, tells of their changes, and counts the arguments of its methods. What
more it does is said in the modules of `host.fakes`, class by class (`@implements`). A listed method that no fake implements does
nothing if it only changes how a widget looks, and raises NotImplementedError otherwise: a test never gets an answer
that was made up, and nothing is left out in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from .facts import Facts, Method, Property, facts_of
from .signals import Signal, normalised

_IMPLEMENTED: dict[str, type] = {}
_PLAIN: dict[str, Any] = {"bool": False, "int": 0, "uint": 0, "double": 0.0, "QString": "", "QStringList": ()}
_OPERATORS = ("__eq__", "__hash__", "__len__")
_NUMBERS = {"bool", "int", "uint", "double"}
# Methods that return nothing and change nothing but looks: all of these classes, and of their kinds those so named.
_LOOKS = ("QWidget", "QLayout", "QAction")
_MORE_THAN_LOOKS = {"activate", "addAction", "close", "insertAction", "removeAction", "setParent", "toggle", "trigger"}
_LOOKS_SO_NAMED = re.compile(
    r"(set\w*(Align\w*|Margins?|Spacing|Stretch\w*|Width|Height|Size|Polic(y|ies)|Mode|Style|Shape|Shadow|Hidden|Icons?"
    r"|Ticks?\w*|Triggers|Behavior|Grid|Colors|Labels|Visible|Default|Wrap|Cursor|Font|Step|Format|Flags?)"
    r"|(scroll|resize|hide|show|ensure|update)\w*)$"
)


def implements(*names: str) -> Callable[[type], type]:
    """Marks a class whose methods stand for those of the Qt classes `names`, which must have them.

    Methods named `on_<property>` are called with the new value after a property has changed, `read_<property>` instead
    of looking the value up, `made` with the arguments of the constructor, and `_anything` is for the host itself.
    """

    def mark(cls: type) -> type:
        for name in names:
            _IMPLEMENTED[name] = cls
        return cls

    return mark


class Enumerator(int):
    """A number with the name that it has in Qt."""

    def __new__(cls, number: int, name: str) -> Enumerator:
        made = super().__new__(cls, number)
        made.__dict__["_name"] = name
        return made

    def __repr__(self) -> str:
        return f"{self.__dict__['_name']} ({int(self)})"


class Double:
    """Base of all doubles."""

    _facts: Facts

    def __init__(self, *arguments: Any) -> None:
        state = self.__dict__
        state.update(_values={}, _signals={}, _blocked=False, _dead=False, _dynamic={})
        self.made(*arguments)

    def made(self, *arguments: Any) -> None:
        if arguments:
            self._no_overload(arguments)

    def _no_overload(self, arguments: tuple[Any, ...]) -> None:
        raise ValueError(f"{self._facts.name}{arguments!r}: the host knows no constructor that takes these arguments")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._facts.properties or name == "name" or _is_python_subclass(type(self)):
            object.__setattr__(self, name, value)
        else:
            raise AttributeError(f"{self._facts.name} has no property '{name}' to set")

    def className(self) -> str:
        return self._facts.name

    def inherits(self, name: str) -> bool:
        return name in self._facts.lineage

    def _alive(self, what: str) -> None:
        if self.__dict__["_dead"]:
            raise ValueError(f"'{what}' of a {self._facts.name} that was deleted")


def _is_python_subclass(cls: type) -> bool:
    return "_facts" not in vars(cls)


class PropertyDouble:
    def __init__(self, fact: Property) -> None:
        self.fact = fact

    def __get__(self, owner: Double | None, _cls: type) -> Any:
        if owner is None:
            return self
        owner._alive(self.fact.name)
        if (read := getattr(owner, f"read_{self.fact.name}", None)) is not None:
            return read()
        values = owner.__dict__["_values"]
        if self.fact.name not in values:
            values[self.fact.name] = self._fresh()
        return values[self.fact.name]

    def __set__(self, owner: Double, value: Any) -> None:
        owner._alive(self.fact.name)
        where = f"property '{self.fact.name}' of {owner._facts.name}"
        if not self.fact.writable:
            raise AttributeError(f"{where} is not writable")
        value = self._converted(value, where)
        if (bounded := getattr(owner, f"bound_{self.fact.name}", None)) is not None:
            value = bounded(value)
        if self.__get__(owner, type(owner)) == value:
            return
        owner.__dict__["_values"][self.fact.name] = value
        if (changed := getattr(owner, f"on_{self.fact.name}", None)) is not None:
            changed(value)
        if self.fact.notify in owner._facts.signals:
            getattr(owner, self.fact.notify or "").emit(value)

    def _fresh(self) -> Any:
        if self.fact.fresh is not None:
            return self.fact.fresh
        if self.fact.kind in _PLAIN:
            return _PLAIN[self.fact.kind]
        try:
            return double(self.fact.kind)() if self.fact.kind[:1] == "Q" and "<" not in self.fact.kind else None
        except (KeyError, ValueError):
            return None

    def _converted(self, value: Any, where: str) -> Any:
        kind = self.fact.kind
        if (kind == "QString" and not isinstance(value, str)) or (
            kind in _NUMBERS and not isinstance(value, bool | int | float)
        ):
            raise AttributeError(f"{where} of type {kind} does not accept {value!r}")
        convert: dict[str, Callable[[Any], Any]] = {"bool": bool, "int": int, "uint": int, "double": float}
        return convert.get(kind, lambda same: tuple(same) if kind == "QStringList" else same)(value)


class SignalDouble:
    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, owner: Double | None, _cls: type) -> Any:
        if owner is None:
            return self
        signals = owner.__dict__["_signals"]
        if self.name not in signals:
            signals[self.name] = Signal(owner, self.name, owner._facts.signals[self.name])
        return signals[self.name]

    def __set__(self, owner: Double, value: Any) -> None:
        raise AttributeError(f"signal '{self.name}' of {owner._facts.name} cannot be set")


class MethodDouble:
    """A method that checks the number of its arguments, then calls the fake's implementation, if any."""

    def __init__(self, fact: Method, implemented: Any) -> None:
        self.fact = fact
        self.static = isinstance(implemented, staticmethod)
        self.implemented = implemented.__func__ if self.static else implemented

    def __get__(self, owner: Double | None, cls: type) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if owner is not None:
                owner._alive(self.fact.name)
            given = arguments if owner is not None or self.static else arguments[1:]
            if self.fact.most is not None and len(given) > self.fact.most:
                raise ValueError(f"{cls.__name__}: {self.fact.form} got {len(given)} arguments")
            if self.implemented is None:
                return self._not_implemented(cls, owner or (arguments[0] if arguments else None), given)
            return self.implemented(*arguments) if self.static or owner is None else self.implemented(owner, *arguments)

        call.__name__ = self.fact.name
        return call

    def __set__(self, owner: Double, value: Any) -> None:
        raise AttributeError(f"method '{self.fact.name}' of {owner._facts.name} cannot be set")

    def _not_implemented(self, cls: type, owner: Any, arguments: tuple[Any, ...]) -> Any:
        name = self.fact.name
        properties = owner._facts.properties if isinstance(owner, Double) else {}
        if name.startswith("set") and len(arguments) == 1 and name[3:4].lower() + name[4:] in properties:
            setattr(owner, name[3:4].lower() + name[4:], arguments[0])
            return None
        if name.startswith("is") and not arguments and name[2:3].lower() + name[3:] in properties:
            return getattr(owner, name[2:3].lower() + name[3:])
        if self.fact.returns == "" and name not in _MORE_THAN_LOOKS and self._only_looks(cls):
            return None
        raise NotImplementedError(f"the host does not implement {cls.__name__}.{name}: add it to host/fakes")

    def _only_looks(self, cls: type) -> bool:
        kinds = [double(looks) for looks in _LOOKS if issubclass(cls, double(looks))]
        return any(self.fact.name in kind._facts.methods for kind in kinds) or bool(
            kinds and _LOOKS_SO_NAMED.match(self.fact.name)
        )


@cache
def double(name: str) -> type[Double]:
    """The double of a class. Raises KeyError if a running Slicer has no such class."""
    facts = facts_of(name)
    base = double(facts.lineage[1]) if len(facts.lineage) > 1 else Double
    implemented = _IMPLEMENTED.get(name)
    own = _all_of(implemented) if implemented else {}
    namespace: dict[str, Any] = {"_facts": facts, "__doc__": f"Strict double of {name}."}
    for key, value in own.items():
        helper = key in ("made", "name") or key.startswith(("_", "on_", "read_", "bound_"))
        if not helper and key not in facts.methods:
            raise AttributeError(f"the host implements {name}.{key}, which Slicer does not have")
        namespace[key] = value if helper else MethodDouble(facts.methods[key], value)
    for key, method in facts.methods.items():
        # What a base class implements is inherited, unless the list has another form for it here.
        if key not in namespace and not _inherited(base, key, method):
            namespace[key] = MethodDouble(method, _implemented_above(base, key))
    # PythonQt shows names that were once Python's own words with an underscore, too.
    namespace.update({f"{key}_": namespace[key] for key in ("exec", "print", "raise") if key in namespace})
    namespace.update({key: PropertyDouble(fact) for key, fact in facts.properties.items()})
    namespace.update({key: SignalDouble(key) for key in facts.signals})
    namespace.update({key: Enumerator(number, f"{name}.{key}") for key, (_e, number) in facts.enumerators.items()})
    namespace.update(dict.fromkeys(facts.enums, Enumerator))
    return type(name, (base,), namespace)


def _all_of(implemented: type) -> dict[str, Any]:
    """Members of a fake class and of its own bases below `Double`."""
    said: dict[str, Any] = {}
    for cls in reversed(implemented.__mro__):
        if cls not in (Double, object):
            said.update({key: value for key, value in vars(cls).items() if key in _OPERATORS or key[:2] != "__"})
    return said


def _inherited(base: type, key: str, method: Method) -> bool:
    above = _descriptor(base, key)
    return isinstance(above, MethodDouble) and above.fact == method


def _implemented_above(base: type, key: str) -> Any:
    above = _descriptor(base, key)
    if isinstance(above, MethodDouble):
        return staticmethod(above.implemented) if above.static else above.implemented
    return above  # className and inherits of `Double`, or nothing


def _descriptor(cls: type, key: str) -> Any:
    return next((vars(ancestor)[key] for ancestor in cls.__mro__ if key in vars(ancestor)), None)


def connect(owner: Double, signal: str, *target: Any) -> bool:
    """`owner.connect('clicked(bool)', f)` and `owner.connect('clicked()', other, 'close()')`."""
    name = normalised(signal).split("(")[0]
    if name not in owner._facts.signals:
        raise ValueError(f"{owner._facts.name} has no signal '{name}'")
    if "(" not in signal:
        raise ValueError(f"signal '{signal}' of {owner._facts.name} lacks its arguments: write '{signal}(...)'")
    return bool(getattr(owner, name).connect_as(signal, slot_of(*target)))


def slot_of(receiver: Any, slot: str | None = None) -> Callable[..., Any]:
    return receiver if slot is None else getattr(receiver, slot.split("(")[0])
