"""Embeddings of slices in a folder, in half precision, so that a run that was ended goes on where it was.

Whoever reads an embedding gets the same numbers, whether it was just computed or is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..engine.atomic_files import replace_atomically
from ..engine.diagnostics.log import get_logger
from ..engine.inference.embedding_cache import EmbeddingCache
from ..engine.runtimes.runtime import Runtime

if TYPE_CHECKING:
    from ..engine.models.family import NetworkPrompt

_log = get_logger(__name__)


class StoredEmbeddings:
    """Embeddings by content: only the same input and encoder find one.

    Args:
        folder: folder, which exists.
        identity: identifies the encoder, its weights, and the device and runtime that run it.
        encode: the encoder, see `Runtime.encode`.
    """

    def __init__(self, folder: Path, identity: str, encode: Callable[[np.ndarray], np.ndarray]) -> None:
        self._folder, self._identity, self._encode = folder, identity, encode

    def key(self, prepared: np.ndarray) -> str:
        """Key of the embedding of a network's input, float32 (3, h, w)."""
        return EmbeddingCache.key(self._identity, prepared)

    def encode(self, prepared: np.ndarray) -> np.ndarray:
        """The embedding of a network's input, from the folder if it is there. Raises OSError."""
        key = self.key(prepared)
        if not self._path(key).exists():
            self._store(key, self._encode(prepared))
        try:
            return self.load(key)
        except ValueError as error:
            # After a power failure, a file may be there whose content was never written.
            _log.warning("an embedding on disk is damaged and is computed again: %s", error)
            self._store(key, self._encode(prepared))
            return self.load(key)

    def load(self, key: str) -> np.ndarray:
        """float32 (channels, h, w) embedding that is stored. Raises OSError, or ValueError if it is damaged."""
        try:
            return np.load(self._path(key), allow_pickle=False).astype(np.float32)
        except EOFError as error:
            raise ValueError(str(error)) from error

    def _store(self, key: str, embedding: np.ndarray) -> None:
        with replace_atomically(self._path(key), flush=False) as part:
            np.save(part, embedding.astype(np.float16), allow_pickle=False)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.npy"


class StoredRuntime:
    """A runtime whose encoder is asked only for embeddings that are not stored.

    Args:
        embeddings: of the same encoder.
        runtime: the decoder.
    """

    def __init__(self, embeddings: StoredEmbeddings, runtime: Runtime) -> None:
        self._embeddings, self._runtime = embeddings, runtime
        self.name, self.device, self.version = runtime.name, runtime.device, runtime.version
        self.encodes_parts = runtime.encodes_parts
        self.slices_at_once = 1

    def encode(self, prepared: np.ndarray) -> np.ndarray:
        """See `Runtime.encode`."""
        return self._embeddings.encode(prepared)

    def encode_many(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `Runtime.encode_many`."""
        return [self.encode(one) for one in prepared]

    def decode(
        self,
        embedding: np.ndarray,
        prompts: Sequence[NetworkPrompt],
        multimask: bool = False,
        origin: tuple[int, int] = (0, 0),
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Runtime.decode`."""
        return self._runtime.decode(embedding, prompts, multimask, origin)
