"""Embeddings kept on disk between runs, for those who ask for it: a second run on the same volume encodes nothing.

One file for each embedding. A file gets its name only when it is complete and carries a checksum of what it holds, so
that neither a crash nor another process can have half of one read. Files that do not hold what they should are removed.
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
from ..environment import cache_folder
from ..log import get_logger

_log = get_logger(__name__)
_ENDING = ".embedding"
_DIGEST_BYTES = 20


@dataclass(frozen=True)
class _Kept:
    path: Path
    size: int
    used: float


class EmbeddingStore:
    """Embeddings in a folder, bounded in bytes; the least recently used go first. Several processes may share it.

    Args:
        folder: made when the first embedding is kept.
        max_bytes: what the files may take together.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self._trouble = False
        remove_abandoned(folder)

    @property
    def used_bytes(self) -> int:
        """What the files take now."""
        return sum(kept.size for kept in self._kept())

    def get(self, key: str) -> np.ndarray | None:
        """float32 embedding under `key`, or None. What cannot be read is removed and counts as not there."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        payload = content[_DIGEST_BYTES:]
        if _digest(key, payload) != content[:_DIGEST_BYTES]:
            _log.debug("a file of an embedding does not hold what it should: removed")
            _remove(path)
            return None
        with contextlib.suppress(OSError):
            # The time of last use; a folder that cannot be written to is read all the same.
            os.utime(path)
        return np.load(io.BytesIO(payload), allow_pickle=False)

    def put(self, key: str, embedding: np.ndarray) -> None:
        """Keep an embedding, if it is not larger than all that may be kept. A full disk is no error: it is not kept."""
        buffer = io.BytesIO()
        np.save(buffer, embedding, allow_pickle=False)
        payload = buffer.getvalue()
        size = len(payload) + _DIGEST_BYTES
        if self._trouble or size > self.max_bytes:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_room(size)
            # Not flushed to the disk, which would take longer than it saves: the digest reveals a damaged file.
            with replace_atomically(self._path(key), flush=False) as part:
                part.write_bytes(_digest(key, payload) + payload)
            # Another process may have kept one meanwhile.
            self._make_room(0)
        except OSError as error:
            self._trouble = True
            _log.warning("embeddings are not kept on disk any more: %s", error)

    def clear(self) -> None:
        """Remove all embeddings."""
        for kept in self._kept():
            _remove(kept.path)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_ENDING}"

    def _kept(self) -> list[_Kept]:
        """What is there, the least recently used first."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                # Another process may remove it at any time.
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    if entry.name.endswith(_ENDING):
                        found.append(_Kept(Path(entry.path), status.st_size, status.st_mtime))
        return sorted(found, key=lambda kept: kept.used)

    def _make_room(self, size: int) -> None:
        kept = self._kept()
        total = sum(one.size for one in kept)
        for one in kept:
            if total + size <= self.max_bytes:
                return
            _remove(one.path)
            total -= one.size


def open_embedding_store(megabytes: int) -> EmbeddingStore | None:
    """Store of at most `megabytes` megabytes in the cache folder; None for 0 megabytes."""
    return EmbeddingStore(cache_folder() / "embeddings", megabytes << 20) if megabytes else None


def _digest(key: str, payload: bytes) -> bytes:
    # The key goes in too: a file under another's name is as wrong as a damaged one.
    return hashlib.blake2b(payload, digest_size=_DIGEST_BYTES, key=hashlib.blake2b(key.encode()).digest()[:32]).digest()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
