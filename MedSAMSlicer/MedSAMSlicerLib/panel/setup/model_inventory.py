"""Which models are on this computer, and whether their weights are known to be the right ones."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ...engine.environment import weights_folders
from ...engine.errors import MedSAMError, WeightsError
from ...engine.i18n import tr as _
from ...engine.models.catalogue import CATALOGUE, DEFAULT_MODEL, ModelSpec
from ...engine.models.weights import find_weights


class Presence(Enum):
    """What is known of a model's weights."""

    MISSING = "missing"
    FOUND = "found"
    VERIFIED = "verified"
    WRONG = "wrong"


class Way(Enum):
    """How the weights get here, besides importing a file."""

    PACKAGE = "package"
    DOWNLOAD = "download"
    FILE_ONLY = "file only"


@dataclass(frozen=True)
class Model:
    """One line of the table of models.

    Attributes:
        spec: what the catalogue says of it.
        presence: what is known of its weights.
        path: where they are, or None.
        size: their bytes; an estimate where they are missing and their authors don't say.
        message: what is wrong with them, or ''.
    """

    spec: ModelSpec
    presence: Presence
    path: Path | None
    size: int
    message: str = ""

    @property
    def is_default(self) -> bool:
        return self.spec.key == DEFAULT_MODEL

    @property
    def usable(self) -> bool:
        """Whether it may be chosen; it is verified again whenever it is loaded."""
        return self.presence in (Presence.FOUND, Presence.VERIFIED)

    @property
    def way(self) -> Way:
        if self.spec.weights.distribution:
            return Way.PACKAGE
        return Way.DOWNLOAD if self.spec.weights.url else Way.FILE_ONLY


class ModelInventory:
    """The models with what verifications have shown, as long as the files stay as they were.

    Args:
        remembered: model key -> fingerprint of the file that was verified; kept by the caller from one start to the
            next.
    """

    def __init__(self, remembered: MutableMapping[str, str]) -> None:
        self._remembered = remembered
        self._wrong: dict[str, tuple[str, str]] = {}

    def models(self) -> list[Model]:
        """All models of the catalogue, in its order. Reads no file, only their size and date.

        Raises:
            MedSAMError: the folder for weights is not known yet, because a package is missing.
        """
        _check_folder_known()
        return [self._model(spec) for spec in CATALOGUE.values()]

    def note(self, line: Mapping[str, Any]) -> None:
        """Take a ``verified`` or ``wrong`` line of `engine.jobs.weights_job` into account."""
        key = str(line.get("model", ""))
        if line.get("kind") not in ("verified", "wrong") or key not in CATALOGUE:
            return
        fingerprint = _fingerprint(Path(str(line.get("path", ""))))
        self._remembered.pop(key, None)
        self._wrong.pop(key, None)
        if fingerprint is None:
            return
        if line["kind"] == "verified":
            self._remembered[key] = fingerprint
        else:
            self._wrong[key] = (fingerprint, str(line.get("message", "")))

    def _model(self, spec: ModelSpec) -> Model:
        try:
            path = find_weights(spec)
        except WeightsError:
            return Model(spec, Presence.MISSING, None, expected_bytes(spec))
        fingerprint = _fingerprint(path)
        size = path.stat().st_size if fingerprint else expected_bytes(spec)
        if fingerprint is not None and self._remembered.get(spec.key) == fingerprint:
            return Model(spec, Presence.VERIFIED, path, size)
        wrong, message = self._wrong.get(spec.key, (None, ""))
        if fingerprint is not None and wrong == fingerprint:
            return Model(spec, Presence.WRONG, path, size, message)
        return Model(spec, Presence.FOUND, path, size)


def expected_bytes(spec: ModelSpec) -> int:
    """Size of the file, or about that: each number that the model has learnt takes four bytes."""
    return spec.weights.size or 4 * spec.parameters


def folder_for_weights() -> Path:
    """Where imported and downloaded weights are kept. Raises MedSAMError if that is not known yet."""
    _check_folder_known()
    return weights_folders()[-1]


def readable_bytes(count: int) -> str:
    """A size for people, such as "39 MB" or "1.2 GB"."""
    if count >= 1_000_000_000:
        return f"{count / 1e9:.1f} GB"
    return f"{max(round(count / 1e6), 1)} MB"


def _check_folder_known() -> None:
    try:
        weights_folders()
    except ImportError as error:
        raise MedSAMError(_("the folder for models is not known yet: install the packages first")) from error


def _fingerprint(path: Path) -> str | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return f"{path}|{status.st_size}|{status.st_mtime_ns}"
