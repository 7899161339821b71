"""Weights files: finds, verifies and imports them.

A file counts as verified if its checksum is the one that the model's authors publish. If they publish none, or if the
file is the user's own, the user's import vouches for it: its checksum is recorded beside it and verified from then on.

A model with an adapter has the weights file of its base model, and messages speak of that one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..atomic_files import PART_PREFIX, replace_atomically
from ..environment import weights_folders
from ..errors import MissingPackage, WeightsError
from .catalogue import CATALOGUE, ModelSpec
from .checkpoints import another_model, not_a_checkpoint, read_tensors, titles_of

_CHUNK_BYTES = 1 << 20


def find_weights(spec: ModelSpec, explicit: str | Path | None = None) -> Path:
    """Path of the model's weights, not yet verified.

    Args:
        explicit: the only path to look at. If it is None, the folders of `weights_folders` are searched, then the
            installed package that carries the file.

    Raises:
        WeightsError: there is no such file; the message says which file to get, from where, with which checksum.
    """
    spec = spec.base_spec
    if explicit is not None:
        path = Path(explicit)
        if not path.is_file():
            raise WeightsError(
                f"weights file {path} does not exist: {spec.how_to_get}", f"{path} does not exist: choose another file"
            )
        return path
    for folder in weights_folders():
        if (folder / spec.weights.filename).is_file():
            return folder / spec.weights.filename
    packaged = _in_installed_package(spec)
    if packaged is not None:
        return packaged
    raise WeightsError(
        f"the weights of {spec.title} are not on this computer: {spec.how_to_get}",
        f"{spec.title} is not installed: install it in the module MedSAMSlicer",
    )


def _in_installed_package(spec: ModelSpec) -> Path | None:
    if not spec.weights.package_path:
        return None
    package, *inside = spec.weights.package_path
    # Importing the package would run its code, which imports far more than is needed.
    found = importlib.util.find_spec(package)
    folders = (found.submodule_search_locations if found else None) or []
    paths = (Path(folder, *inside) for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def verify_weights(spec: ModelSpec, path: Path) -> str:
    """Verify a file against the published checksum or the one recorded at its import. Never opens it with PyTorch.

    Returns:
        SHA-256 of the file.

    Raises:
        WeightsError: the file cannot be read, is not the model's file, or has no checksum yet.
    """
    spec = spec.base_spec
    digests = _digests(spec, path)
    if _is_published(spec, digests):
        return digests["sha256"]
    recorded = _recorded(spec, path)
    if recorded == digests["sha256"]:
        return recorded
    if spec.weights.checksum is None and recorded is None:
        raise WeightsError(
            f"{path} was not imported, and the authors of {spec.title} publish no checksum to verify it with: "
            f"if you trust it, 'medsam-slicer models import FILE --as {spec.key}' records its own",
            f"{path.name} was not imported, and no checksum is published to verify it with: "
            "if you trust it, import it in the module MedSAMSlicer",
        )
    raise _wrong_file(spec, path, digests, _published_as(digests))


def import_weights(spec: ModelSpec, source: Path, own: bool = False) -> Path:
    """Copy a file that the user has into the cache folder, after verifying it.

    Args:
        own: accept a checkpoint other than the authors' file, such as one that the user has trained further. Only the
            names and shapes of its tensors are checked; its checksum is recorded.

    Returns:
        Path of the copy.

    Raises:
        WeightsError: the file is missing, is not the model's, or cannot be copied.
        MissingPackage: PyTorch has to open the file, and is not installed.
    """
    spec = spec.base_spec
    path = find_weights(spec, source)
    digests = _digests(spec, path)
    if _is_published(spec, digests):
        with replacing_weights(spec) as copy:
            shutil.copyfile(path, copy)
        return cached_path(spec)
    try:
        known_as = _published_as(digests) or titles_of(
            {name: tuple(tensor.shape) for name, tensor in read_tensors(path, "meta").items()}
        )
        reason = another_model(known_as, spec) if known_as else "it holds no such network"
    except ValueError as error:
        known_as, reason = [], str(error)
    except MissingPackage:
        if own or spec.weights.checksum is None:
            raise
        # The checksum alone says that it is the wrong file.
        known_as, reason = [], ""
    if spec.weights.checksum is not None and not own:
        raise _wrong_file(spec, path, digests, known_as)
    if spec.title not in known_as:
        raise not_a_checkpoint(spec, path, reason)
    with replacing_weights(spec, digests["sha256"]) as copy:
        shutil.copyfile(path, copy)
    return cached_path(spec)


@contextmanager
def replacing_weights(spec: ModelSpec, sha256: str | None = None) -> Iterator[Path]:
    """Replace the model's file in the cache folder by the one that the block writes, once that has been verified.

    Args:
        sha256: checksum to verify the new file against, and to record; None: the published checksum.

    Yields:
        Path to write to.

    Raises:
        WeightsError: the new file has another checksum, or cannot be written.
    """
    final = cached_path(spec)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with replace_atomically(final) as part:
            yield part
            if sha256 is None:
                verify_weights(spec, part)
            elif _digests(spec, part)["sha256"] != sha256:
                raise WeightsError(f"{final.name} changed while it was copied to {final.parent}: import it again")
        if sha256 is None:
            _record_path(final).unlink(missing_ok=True)
        else:
            with replace_atomically(_record_path(final)) as part:
                part.write_text(json.dumps({"model": spec.key, "sha256": sha256}) + "\n", encoding="utf-8")
    except OSError as error:
        raise WeightsError(
            f"{final.name} cannot be written to {final.parent} ({error.strerror or error}): "
            "make the folder writable, or free some space"
        ) from error


def cached_path(spec: ModelSpec) -> Path:
    """Path of the model's file in the cache folder, whether it exists or not."""
    return weights_folders()[-1] / spec.weights.filename


def _digests(spec: ModelSpec, path: Path) -> dict[str, str]:
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in ("sha256", "md5")}
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                for digest in digests.values():
                    digest.update(chunk)
    except OSError as error:
        raise WeightsError(
            f"weights file {path} cannot be read ({error.strerror}): {spec.how_to_get}",
            f"{path.name} cannot be read ({error.strerror}): choose another file",
        ) from error
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _is_published(spec: ModelSpec, digests: dict[str, str]) -> bool:
    if spec.weights.checksum is None:
        return False
    algorithm, expected = spec.weights.checksum.split(":")
    return digests[algorithm] == expected


def _published_as(digests: dict[str, str]) -> list[str]:
    """Titles of the models whose authors publish a file of this checksum: one or none."""
    return [spec.title for spec in CATALOGUE.values() if not spec.base and _is_published(spec, digests)]


def _wrong_file(spec: ModelSpec, path: Path, digests: dict[str, str], known_as: list[str]) -> WeightsError:
    algorithm, expected = (spec.weights.checksum or f"sha256:{_recorded(spec, path)}").split(":")
    why, brief = f"its {algorithm} is {digests[algorithm]}, not {expected}", "download it again, or choose another file"
    if spec.title in known_as:
        why = f"{why}; it fits the network: if you trained it yourself, import it with --own"
        brief = "if you trained it yourself, tick 'The file is a model that I have trained'"
    elif known_as:
        brief = f"{another_model(known_as, spec)}. Choose another file or another model"
        why = f"{another_model(known_as, spec)} ({why})"
    what = f"is not the weights file of {spec.title}"
    name = "the downloaded file" if path.name.startswith(PART_PREFIX) else path.name
    return WeightsError(f"{path} {what}: {why}; {spec.how_to_get}", f"{name} {what}: {brief}")


def _record_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _recorded(spec: ModelSpec, path: Path) -> str | None:
    """SHA-256 that was recorded when the file was imported as this model. Raises WeightsError if it is unreadable."""
    record = _record_path(path)
    if not record.is_file():
        return None
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        model, sha256 = str(content["model"]), str(content["sha256"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(f"{record} cannot be read as a record of weights: import {path.name} again") from error
    return sha256 if model == spec.key else None
