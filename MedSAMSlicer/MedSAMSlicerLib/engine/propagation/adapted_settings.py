"""Settings of the propagation for a model whose adapter changes some of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

from ..errors import WeightsError, shown
from .settings import PropagationSettings

# What they limit is shown or told to the user, the same for all models.
_OF_ALL_MODELS = ("jitter", "box_fit")


def adapted_settings(changes: Mapping[str, Any]) -> PropagationSettings:
    """The default settings with changes.

    Args:
        changes: group -> name -> value, such as ``{"confidence": {"middle": 0.8}}``; groups in groups alike.

    Raises:
        WeightsError: there is no such setting, or the value is of another type.
    """
    for name in _OF_ALL_MODELS:
        if name in changes:
            raise _refused(name, "is the same for all models")
    return _with_changes(PropagationSettings(), changes, "")


def _with_changes(group: Any, changes: Mapping[str, Any], path: str) -> Any:
    kinds: dict[str, Any] = get_type_hints(type(group))
    new: dict[str, Any] = {}
    for name, value in changes.items():
        full = f"{path}{name}"
        if name not in {one.name for one in fields(group)}:
            raise _refused(full, "is unknown")
        before = getattr(group, name)
        if is_dataclass(before):
            if not isinstance(value, Mapping):
                raise _refused(full, f"is {shown(value)}, no table of settings")
            new[name] = _with_changes(before, value, f"{full}.")
        else:
            new[name] = _checked(full, value, kinds[name])
    return replace(group, **new)


def _checked(path: str, value: object, kind: Any) -> object:
    """The value of a setting as its type wants it; whole numbers are fractions too."""
    kinds = get_args(kind) or (kind,)
    if float in kinds and type(value) is int:
        value = float(value)
    if type(value) not in kinds or (isinstance(value, float) and not math.isfinite(value)):
        names = " or ".join(one.__name__ for one in kinds)
        raise _refused(path, f"is {shown(value)}, not of the type {names}")
    return value


def _refused(setting: str, why: str) -> WeightsError:
    return WeightsError(f"the adapter cannot be used: its setting {setting} {why}; choose another file")
