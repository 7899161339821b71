"""Adapters that the user has imported: files in the folders of weights, each with a record of its checksum beside it.

A record ``NAME.medsam.json`` also holds what lists of models show, so that these open no adapter. ``NAME`` is the key of the
model. A file without a record was not imported, and is no model.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path

from ..atomic_files import replace_atomically
from ..diagnostics.log import get_logger
from ..environment import weights_folders
from .adapter import ENDING

_log = get_logger(__name__)
_RECORD_ENDING = f"{ENDING}.json"
_KEY = re.compile("[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class ImportedAdapter:
    """Record of an imported adapter.

    Attributes:
        key: key of the model.
        base: key of the base model.
        sha256: checksum of the file.
        title, licence, description: see `adapter`.
        path: the file.
    """

    key: str
    base: str
    sha256: str
    title: str
    licence: str
    description: str
    path: Path


def is_key(text: str) -> bool:
    """Whether an imported model may have this key."""
    return _KEY.fullmatch(text) is not None


def imported_adapters() -> list[ImportedAdapter]:
    """All imported adapters, sorted by key. Of two with the same key, the one that is found first."""
    found: dict[str, ImportedAdapter] = {}
    for folder in _folders():
        for path in folder.glob(f"*{_RECORD_ENDING}"):
            record = _read(path)
            if record is not None:
                found.setdefault(record.key, record)
    return sorted(found.values(), key=lambda one: one.key)


def find_imported(key: str) -> ImportedAdapter | None:
    """The imported adapter with this key; None if there is none."""
    records = (_read(folder / f"{key}{_RECORD_ENDING}") for folder in _folders()) if is_key(key) else ()
    return next((record for record in records if record is not None), None)


def _folders() -> list[Path]:
    try:
        return weights_folders()
    except ImportError:
        # In Slicer before its packages are installed: then nothing can have been imported.
        return []


def imported_path(key: str) -> Path:
    """Where the adapter with this key is stored when it is imported."""
    return weights_folders()[-1] / f"{key}{ENDING}"


def write_record(adapter: ImportedAdapter) -> None:
    """Write the record beside the file. Raises OSError."""
    content = {name: value for name, value in asdict(adapter).items() if name not in ("key", "path")}
    with replace_atomically(_record_of(adapter.path)) as part:
        part.write_text(json.dumps({"model": adapter.key, **content}, indent=1) + "\n", encoding="utf-8")


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _read(record: Path) -> ImportedAdapter | None:
    """The adapter of a record; None if either file is missing or the record is damaged."""
    try:
        status = record.stat()
        found = _parsed(record, status.st_mtime_ns, status.st_size)
    except OSError:
        return None
    return found if found is not None and found.path.is_file() else None


# The lists of models are made anew whenever a widget is updated.
@lru_cache(maxsize=64)
def _parsed(record: Path, _modified: int, _size: int) -> ImportedAdapter | None:
    path = record.with_name(record.name.removesuffix(".json"))
    key = path.name.removesuffix(ENDING)
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        named = {one.name: content[one.name] for one in fields(ImportedAdapter) if one.name not in ("key", "path")}
        if content["model"] != key or not is_key(key) or not all(isinstance(text, str) for text in named.values()):
            raise ValueError("it is the record of another file")
    except (ValueError, LookupError, TypeError) as error:
        _log.warning("%s cannot be read as the record of an adapter: import the adapter again (%s)", record.name, error)
        return None
    return ImportedAdapter(key=key, path=path, **named)
