"""The user's settings, stored with QSettings and passed to child processes in environment variables."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator, MutableMapping

import qt

from ..engine.environment import CACHE_VARIABLE, DEFAULT_EMBEDDINGS_MB, WEIGHTS_VARIABLE
from .setup.embedding_caches import set_limit

_GROUP = "MedSAMSlicer"
WEIGHTS_FOLDER = f"{_GROUP}/WeightsFolder"
EMBEDDINGS_MB = f"{_GROUP}/EncodedSlicesMB"
DEVICE = f"{_GROUP}/Device"
RUNTIME = f"{_GROUP}/Runtime"
_VERIFIED = f"{_GROUP}/VerifiedWeights"
MIN_MB, MAX_MB = 0, 16384
# Environment at the start of Slicer: it applies where the user has set nothing here.
_INITIAL_ENVIRONMENT = {name: os.environ.get(name) for name in (CACHE_VARIABLE, WEIGHTS_VARIABLE)}


def weights_folder() -> str:
    """Folder that the user chose for weights; '' for the default folder."""
    return str(qt.QSettings().value(WEIGHTS_FOLDER, "") or "")


def set_weights_folder(folder: str) -> None:
    """Set the folder for weights; '' for the default folder. Applies to this process and to new child processes."""
    _set(WEIGHTS_FOLDER, folder)
    apply()


def embeddings_megabytes() -> int:
    """Size limit of the cache for encoded slices, in MB."""
    try:
        # On some platforms QSettings returns numbers as strings.
        value = int(qt.QSettings().value(EMBEDDINGS_MB, DEFAULT_EMBEDDINGS_MB))
    except (TypeError, ValueError):
        return DEFAULT_EMBEDDINGS_MB
    return min(max(value, MIN_MB), MAX_MB)


def set_embeddings_megabytes(megabytes: int) -> None:
    """Set the size limit of the cache for encoded slices. Applies to new inference processes."""
    _set(EMBEDDINGS_MB, int(megabytes))
    apply()


def device() -> str:
    """Device that the device check selected: "cpu", "cuda" or "mps"; "auto" before the first check."""
    return str(qt.QSettings().value(DEVICE, "auto") or "auto")


def runtime() -> str:
    """Runtime that the device check selected: "torch" or "openvino"; "auto" before the first check."""
    return str(qt.QSettings().value(RUNTIME, "auto") or "auto")


def preferred() -> tuple[str, str]:
    """Device and runtime used for the device "auto": those of the check, without a runtime that is not installed."""
    selected = runtime()
    if selected == "openvino" and importlib.util.find_spec("openvino") is None:
        selected = "auto"
    return device(), selected


def set_device(device: str, runtime: str) -> None:
    """Store the device and runtime to use for the device "auto"."""
    _set(DEVICE, device)
    _set(RUNTIME, runtime)


def apply() -> None:
    """Set the environment variables that this process and its child processes read."""
    folder = weights_folder()
    for name, initial in _INITIAL_ENVIRONMENT.items():
        parts = [part for part in (folder, initial if name == WEIGHTS_VARIABLE or not folder else None) if part]
        if parts:
            os.environ[name] = os.pathsep.join(parts)
        else:
            os.environ.pop(name, None)
    set_limit(embeddings_megabytes())


class VerifiedWeights(MutableMapping[str, str]):
    """Model key -> fingerprint of its verified weights file, stored in the settings."""

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
