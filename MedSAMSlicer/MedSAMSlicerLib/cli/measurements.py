"""How long a slice took on this computer: a small file in the cache folder that `models list` shows."""

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
class Measured:
    """What was measured of one model in one way of running it.

    Attributes:
        model, weights_sha256, device, runtime: as in `LoadedModel`.
        seconds: for one slice, encoded and decoded.
    """

    model: str
    weights_sha256: str
    device: str
    runtime: str
    seconds: float

    @property
    def _way(self) -> tuple[str, str, str, str]:
        return (self.model, self.weights_sha256, self.device, self.runtime)


def measured_file() -> Path:
    """Where it lies; may not exist."""
    return cache_folder() / FILENAME


def known_measurements() -> list[Measured]:
    """All that were kept, the newest last. A file that cannot be understood counts as none, and is replaced."""
    try:
        entries = json.loads(measured_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [one for one in map(_understood, entries if isinstance(entries, list) else []) if one is not None]


def keep_measurement(loaded: LoadedModel, seconds: float) -> Measured:
    """Keep what a slice took, in the place of what was kept of the same model, weights, device and runtime.

    Raises:
        InputError: the file cannot be written.
    """
    new = Measured(loaded.model, loaded.weights_sha256, loaded.device, loaded.runtime, seconds)
    kept = [*(one for one in known_measurements() if one._way != new._way), new]
    path = measured_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(one) for one in kept], indent=1) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return new


def _understood(entry: object) -> Measured | None:
    if not isinstance(entry, Mapping):
        return None
    values: dict[str, Any] = {name.name: entry.get(name.name) for name in fields(Measured)}
    seconds = values.pop("seconds")
    if not isinstance(seconds, int | float) or not math.isfinite(seconds) or seconds < 0:
        return None
    return Measured(seconds=float(seconds), **values) if all(isinstance(one, str) for one in values.values()) else None
