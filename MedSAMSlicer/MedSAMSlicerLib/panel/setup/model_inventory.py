"""Models on this computer and the state of their files."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ...engine.environment import DEFAULT_MODEL, weights_folders
from ...engine.errors import MedSAMError, WeightsError
from ...engine.i18n import tr as _
from ...engine.models.catalogue import ModelSpec, all_models, known_model
from ...engine.models.weights import find_weights


class Presence(Enum):
    """State of a model's weights.

    ``FOUND``: installed, but the checksum has not been computed. ``WRONG``: the checksum or the content does not match.
    """

    MISSING = "missing"
    FOUND = "found"
    VERIFIED = "verified"
    WRONG = "wrong"


class WeightsSource(Enum):
    """Where the weights can be downloaded from; ``FILE_ONLY``: the user has to import a file."""

    PACKAGE = "package"
    DOWNLOAD = "download"
    FILE_ONLY = "file only"


@dataclass(frozen=True)
class Model:
    """A model, of the catalogue or imported, and the state of its files.

    Attributes:
        spec: the model.
        presence: state of the weights.
        path: weights file, which models with an adapter share with their base; None if it is missing.
        size: bytes of the weights file; estimated if it is missing and its size is not published.
        message: error message if the weights are wrong, else ''.
    """

    spec: ModelSpec
    presence: Presence
    path: Path | None
    size: int
    message: str = ""

    @property
    def is_default(self) -> bool:
        """Whether this is the model to start with."""
        return self.spec.key == DEFAULT_MODEL

    @property
    def usable(self) -> bool:
        """Whether the model can be selected. Weights are verified again whenever they are loaded."""
        return self.presence in (Presence.FOUND, Presence.VERIFIED)

    @property
    def weights_source(self) -> WeightsSource:
        """Where the weights can be downloaded from."""
        if self.spec.weights.distribution:
            return WeightsSource.PACKAGE
        return WeightsSource.DOWNLOAD if self.spec.weights.url else WeightsSource.FILE_ONLY


class ModelInventory:
    """Lists the models with the results of earlier verifications, which hold until a file changes.

    Args:
        verified: model key -> fingerprint of its verified weights file; updated in place, and stored by the caller.
    """

    def __init__(self, verified: MutableMapping[str, str]) -> None:
        self._verified = verified
        self._wrong: dict[str, tuple[str, str]] = {}

    def models(self) -> list[Model]:
        """All models of the catalogue, in its order, then the imported ones. Reads the size and date of files, not their content.

        Raises:
            MedSAMError: a package is missing that determines the folder for weights.
        """
        _check_folder_known()
        return [self._model(spec) for spec in all_models()]

    def update(self, line: Mapping[str, Any]) -> None:
        """Update the state of a model from a ``verified`` or ``wrong`` line of `engine.jobs.weights_job`."""
        key = str(line.get("model", ""))
        spec = known_model(key)
        if line.get("kind") not in ("verified", "wrong") or spec is None:
            return
        fingerprint = _fingerprint(spec, Path(str(line.get("path", ""))))
        self._verified.pop(key, None)
        self._wrong.pop(key, None)
        if fingerprint is None:
            return
        if line["kind"] == "verified":
            self._verified[key] = fingerprint
        else:
            self._wrong[key] = (fingerprint, str(line.get("message", "")))

    def _model(self, spec: ModelSpec) -> Model:
        try:
            path = find_weights(spec)
        except WeightsError:
            return Model(spec, Presence.MISSING, None, expected_bytes(spec))
        fingerprint = _fingerprint(spec, path)
        size = path.stat().st_size if fingerprint else expected_bytes(spec)
        if fingerprint is not None and self._verified.get(spec.key) == fingerprint:
            return Model(spec, Presence.VERIFIED, path, size)
        wrong, message = self._wrong.get(spec.key, (None, ""))
        if fingerprint is not None and wrong == fingerprint:
            return Model(spec, Presence.WRONG, path, size, message)
        return Model(spec, Presence.FOUND, path, size)


def expected_bytes(spec: ModelSpec) -> int:
    """Published size of the weights file, or else four bytes for each parameter."""
    return spec.weights.size or 4 * spec.parameters


def folder_for_weights() -> Path:
    """Folder in which imported and downloaded weights are stored.

    Raises:
        MedSAMError: a package is missing that determines the folder.
    """
    _check_folder_known()
    return weights_folders()[-1]


def format_bytes(count: int) -> str:
    """Size as text, such as "39 MB" or "1.2 GB"."""
    if count >= 1_000_000_000:
        return f"{count / 1e9:.1f} GB"
    return f"{max(round(count / 1e6), 1)} MB"


def _check_folder_known() -> None:
    try:
        weights_folders()
    except ImportError as error:
        raise MedSAMError(_("the folder for models cannot be determined: install the packages first")) from error


def _fingerprint(spec: ModelSpec, weights: Path) -> str | None:
    """What changes when a file of the model changes; None if one cannot be read."""
    parts = []
    for path in [weights] if spec.adapter is None else [weights, spec.adapter.path]:
        try:
            status = path.stat()
        except OSError:
            return None
        parts.append(f"{path}|{status.st_size}|{status.st_mtime_ns}")
    return "|".join(parts)
