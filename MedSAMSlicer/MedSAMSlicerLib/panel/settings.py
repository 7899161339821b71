"""The user's settings, stored with QSettings and passed to child processes in environment variables."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, MutableMapping

import qt

from ..engine.environment import CACHE_VARIABLE, DEFAULT_EMBEDDINGS_MB, DEFAULT_MODEL, WEIGHTS_VARIABLE
from ..engine.jobs.check_conditions import computer_key
from .setup.embedding_caches import set_limit

_GROUP = "MedSAMSlicer"
WEIGHTS_FOLDER = f"{_GROUP}/WeightsFolder"
EMBEDDINGS_MB = f"{_GROUP}/EncodedSlicesMB"
DEVICE = f"{_GROUP}/Device"
RUNTIME = f"{_GROUP}/Runtime"
CHECK_AUTOMATICALLY = f"{_GROUP}/CheckAutomatically"
_CHECKED_COMPUTER = f"{_GROUP}/CheckedComputer"
_CHECKED_MODEL = f"{_GROUP}/CheckedModel"
_CHECK_CONDITIONS = f"{_GROUP}/CheckConditions"
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
    """Device that the check of this computer selected, one of `DEVICE_NAMES`; "auto" if no check holds."""
    return str(qt.QSettings().value(DEVICE, "auto") or "auto") if _check_holds() else "auto"


def runtime() -> str:
    """Runtime that the check of this computer selected: "torch" or "openvino"; "auto" if no check holds."""
    return str(qt.QSettings().value(RUNTIME, "auto") or "auto") if _check_holds() else "auto"


def preferred() -> tuple[str, str]:
    """Device and runtime used for the device "auto": those of the check."""
    return device(), runtime()


def set_device(device: str, runtime: str, model: str = DEFAULT_MODEL, conditions: str = "") -> None:
    """Store the device and runtime to use for the device "auto".

    Args:
        model: model that they were checked with.
        conditions: what the check depends on, as `check_conditions.conditions` has it; '' if that is not known.
    """
    _set(DEVICE, device)
    _set(RUNTIME, runtime)
    _set(_CHECKED_COMPUTER, computer_key())
    _set(_CHECKED_MODEL, model)
    _set(_CHECK_CONDITIONS, conditions)


def keep_check(line: Mapping[str, object], model: str) -> bool:
    """Store the line ``fastest`` of the device check. Returns False if no device can be used."""
    device, runtime = line.get("device"), line.get("runtime")
    if not (isinstance(device, str) and isinstance(runtime, str)):
        return False
    set_device(device, runtime, model, str(line.get("conditions", "")))
    return True


def checked_model() -> str:
    """Model that the device was checked with; the default model before the first check."""
    return str(qt.QSettings().value(_CHECKED_MODEL, "") or DEFAULT_MODEL)


def compare_conditions(now: str) -> None:
    """Forget the device if the check was made under other conditions: other devices, weights, packages or processor."""
    known = str(qt.QSettings().value(_CHECK_CONDITIONS, "") or "")
    if known and now and known != now:
        set_device("auto", "auto")


def checks_automatically() -> bool:
    """Whether this computer is checked by itself after the first result."""
    # On some platforms QSettings returns booleans as strings.
    return str(qt.QSettings().value(CHECK_AUTOMATICALLY, "true")).lower() != "false"


def set_checks_automatically(on: bool) -> None:
    """Set whether this computer is checked by itself after the first result."""
    _set(CHECK_AUTOMATICALLY, "true" if on else "false")


def _check_holds() -> bool:
    """Whether packages and processor are those of the check."""
    known = str(qt.QSettings().value(_CHECKED_COMPUTER, "") or "")
    return known == computer_key()


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
