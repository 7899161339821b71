"""Stores the seconds per slice measured on this computer in the cache folder, for `models list`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..engine.environment import cache_folder
from ..engine.model_choice import LoadedModel
from ..io.output_files import write_atomically

FILENAME = "seconds-per-slice.json"


@dataclass(frozen=True)
class Measurement:
    """Measured speed of a model on a device with a runtime.

    Attributes:
        model, weights_sha256, device, runtime: as in `LoadedModel`.
        seconds: time to encode and decode one slice.
    """

    model: str
    weights_sha256: str
    device: str
    runtime: str
    seconds: float

    @property
    def _key(self) -> tuple[str, str, str, str]:
        return (self.model, self.weights_sha256, self.device, self.runtime)


def measurements_file() -> Path:
    """Path of the file; it may not exist."""
    return cache_folder() / FILENAME


def known_measurements() -> list[Measurement]:
    """All stored measurements, newest last. A file that cannot be parsed counts as empty and is replaced later."""
    try:
        entries = json.loads(measurements_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [one for one in map(_parsed, entries if isinstance(entries, list) else []) if one is not None]


def keep_measurement(loaded: LoadedModel, seconds: float) -> Measurement:
    """Store a measurement, in place of an older one of the same model, weights, device and runtime.

    Raises:
        InputError: the file cannot be written.
    """
    new = Measurement(loaded.model, loaded.weights_sha256, loaded.device, loaded.runtime, seconds)
    kept = [*(one for one in known_measurements() if one._key != new._key), new]
    path = measurements_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(one) for one in kept], indent=1) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return new


def _parsed(entry: object) -> Measurement | None:
    if not isinstance(entry, Mapping):
        return None
    values: dict[str, Any] = {name.name: entry.get(name.name) for name in fields(Measurement)}
    seconds = values.pop("seconds")
    if not isinstance(seconds, int | float) or not math.isfinite(seconds) or seconds < 0:
        return None
    return (
        Measurement(seconds=float(seconds), **values) if all(isinstance(one, str) for one in values.values()) else None
    )
