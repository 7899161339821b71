"""Store of slice embeddings on disk, so that a later run on the same volume encodes nothing. Off by default.

Each embedding is a file of its own, written atomically and with a checksum: neither a crash nor another process can cause
half a file to be read. Damaged files are removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..atomic_files import remove_abandoned, replace_atomically
from ..diagnostics.log import get_logger
from ..environment import cache_folder

_log = get_logger(__name__)
_ENDING = ".embedding"
_DIGEST_BYTES = 20


@dataclass(frozen=True)
class _StoredFile:
    path: Path
    size: int
    used: float


class EmbeddingStore:
    """Folder of embeddings with a limited size, from which the least recently used ones are removed first.

    Several processes can share a folder.

    Args:
        folder: folder, created when the first embedding is stored.
        max_bytes: largest size of all files together.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self._failed = False
        remove_abandoned(folder)

    def get(self, key: str) -> np.ndarray | None:
        """float32 embedding of a key; None if there is none. A damaged file is removed and counts as missing."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        payload = content[_DIGEST_BYTES:]
        if _digest(key, payload) != content[:_DIGEST_BYTES]:
            _log.debug("removed an embedding file with a wrong checksum")
            _remove(path)
            return None
        with contextlib.suppress(OSError):
            # Marks the time of last use. A read-only folder can still be read.
            os.utime(path)
        return np.load(io.BytesIO(payload), allow_pickle=False)

    def put(self, key: str, embedding: np.ndarray) -> None:
        """Store an embedding, unless it is larger than the whole store. Write errors are logged, not raised."""
        buffer = io.BytesIO()
        np.save(buffer, embedding, allow_pickle=False)
        payload = buffer.getvalue()
        size = len(payload) + _DIGEST_BYTES
        if self._failed or size > self.max_bytes:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_room(size)
            # Without flushing, which would take longer than encoding again: the checksum reveals a damaged file.
            with replace_atomically(self._path(key), flush=False) as part:
                part.write_bytes(_digest(key, payload) + payload)
            # Another process may have stored an embedding in the meantime.
            self._make_room(0)
        except OSError as error:
            self._failed = True
            _log.warning("embeddings are no longer stored on disk: %s", error)

    def clear(self) -> None:
        """Remove all embeddings."""
        for file in self._files():
            _remove(file.path)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_ENDING}"

    def _files(self) -> list[_StoredFile]:
        """Stored files, least recently used first."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                # Another process may remove the file at any time.
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    if entry.name.endswith(_ENDING):
                        found.append(_StoredFile(Path(entry.path), status.st_size, status.st_mtime))
        return sorted(found, key=lambda file: file.used)

    def _make_room(self, size: int) -> None:
        files = self._files()
        total = sum(file.size for file in files)
        for file in files:
            if total + size <= self.max_bytes:
                return
            _remove(file.path)
            total -= file.size


def open_embedding_store(megabytes: int) -> EmbeddingStore | None:
    """Store of at most `megabytes` megabytes in the cache folder; None for 0 megabytes."""
    return EmbeddingStore(cache_folder() / "embeddings", megabytes << 20) if megabytes else None


def _digest(key: str, payload: bytes) -> bytes:
    # Includes the key: a file under another key's name is as wrong as a damaged one.
    return hashlib.blake2b(payload, digest_size=_DIGEST_BYTES, key=hashlib.blake2b(key.encode()).digest()[:32]).digest()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
