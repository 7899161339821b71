"""What the user has set, kept by Slicer from one start to the next, and how inference processes come to know of it."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator, MutableMapping

import qt

from ..engine.environment import CACHE_VARIABLE, DEFAULT_EMBEDDINGS_MB, WEIGHTS_VARIABLE
from .setup.embedding_memory import limit_to

_GROUP = "MedSAMSlicer"
WEIGHTS_FOLDER = f"{_GROUP}/WeightsFolder"
EMBEDDINGS_MB = f"{_GROUP}/EncodedSlicesMB"
DEVICE = f"{_GROUP}/Device"
RUNTIME = f"{_GROUP}/Runtime"
_VERIFIED = f"{_GROUP}/VerifiedWeights"
LEAST_MB, MOST_MB = 0, 16384
# As they were when Slicer started: what a user has set outside of Slicer goes on to hold where nothing is set here.
_OUTSIDE = {name: os.environ.get(name) for name in (CACHE_VARIABLE, WEIGHTS_VARIABLE)}


def weights_folder() -> str:
    """Folder for weights that the user chose, or '' for the default one."""
    return str(qt.QSettings().value(WEIGHTS_FOLDER, "") or "")


def set_weights_folder(folder: str) -> None:
    """Choose the folder; '' for the default one. Holds for processes that start from now on, and for this one."""
    _set(WEIGHTS_FOLDER, folder)
    apply()


def embeddings_megabytes() -> int:
    """Memory for encoded slices."""
    try:
        # Some platforms give numbers back as texts.
        value = int(qt.QSettings().value(EMBEDDINGS_MB, DEFAULT_EMBEDDINGS_MB))
    except (TypeError, ValueError):
        return DEFAULT_EMBEDDINGS_MB
    return min(max(value, LEAST_MB), MOST_MB)


def set_embeddings_megabytes(megabytes: int) -> None:
    """Bound that memory, for processes that start from now on."""
    _set(EMBEDDINGS_MB, int(megabytes))
    apply()


def device() -> str:
    """Device that the check of this computer chose: "cpu", "cuda" or "mps"; "auto" before it has run."""
    return str(qt.QSettings().value(DEVICE, "auto") or "auto")


def runtime() -> str:
    """Runtime that it chose: "torch" or "openvino"; "auto" before it has run."""
    return str(qt.QSettings().value(RUNTIME, "auto") or "auto")


def preferred() -> tuple[str, str]:
    """Device and runtime that runs with the device "auto" go to: what the check chose, as long as it is installed."""
    chosen = runtime()
    if chosen == "openvino" and importlib.util.find_spec("openvino") is None:
        chosen = "auto"
    return device(), chosen


def set_device(device: str, runtime: str) -> None:
    """Remember what contours with the device "auto" run on."""
    _set(DEVICE, device)
    _set(RUNTIME, runtime)


def apply() -> None:
    """Put the settings where this process and the processes that it starts look for them."""
    folder = weights_folder()
    for name, outside in _OUTSIDE.items():
        parts = [part for part in (folder, outside if name == WEIGHTS_VARIABLE or not folder else None) if part]
        if parts:
            os.environ[name] = os.pathsep.join(parts)
        else:
            os.environ.pop(name, None)
    limit_to(embeddings_megabytes())


class VerifiedWeights(MutableMapping[str, str]):
    """Model key -> fingerprint of the weights file that was verified; kept in the settings."""

    def __init__(self) -> None:
        try:
            stored = json.loads(str(qt.QSettings().value(_VERIFIED, "{}") or "{}"))
        except ValueError:
            stored = {}
        pairs = stored.items() if isinstance(stored, dict) else ()
        self._fingerprints = {str(key): str(value) for key, value in pairs}

    def __getitem__(self, key: str) -> str:
        return self._fingerprints[key]

    def __setitem__(self, key: str, value: str) -> None:
        self._fingerprints[key] = value
        self._store()

    def __delitem__(self, key: str) -> None:
        del self._fingerprints[key]
        self._store()

    def __iter__(self) -> Iterator[str]:
        return iter(self._fingerprints)

    def __len__(self) -> int:
        return len(self._fingerprints)

    def _store(self) -> None:
        _set(_VERIFIED, json.dumps(self._fingerprints))


def _set(key: str, value: object) -> None:
    qt.QSettings().setValue(key, value)
